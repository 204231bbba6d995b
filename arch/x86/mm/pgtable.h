/* SPDX-License-Identifier: MIT */
/*
 * Page tables (SDM vol. 3, 4.5). The kernel's half is the same in every address space: its
 * top-level entries are made at boot and copied, never changed afterwards.
 */
#pragma once

#include "lib/types.h"

#define PTE_P		BIT(0)
#define PTE_RW		BIT(1)
#define PTE_US		BIT(2)
#define PTE_PWT		BIT(3)
#define PTE_PCD		BIT(4)
#define PTE_A		BIT(5)
#define PTE_D		BIT(6)
#define PTE_PS		BIT(7)
#define PTE_G		BIT(8)
#define PTE_KEY(key)	((u64)(key) << 59)
#define PTE_NX		BIT(63)
#define PTE_ADDR	0x000ffffffffff000UL

#define PGTABLE_SHIFT	21		/* what one table maps: 2 MiB */

typedef u64 pte_t;

/*
 * Build the kernel's tables (direct map, image by section: W^X) and switch to them. Once, before
 * pages_init().
 */
void pgtable_init(void);
extern pte_t *kernel_pml4;

/*
 * Map one page for the kernel: 0 or -ENOMEM. Only for addresses whose top-level entry exists (see
 * address_space.h).
 */
int kernel_map_page(unsigned long addr, u64 phys, u64 prot);

/*
 * The last-level entry for @addr, or NULL if a level is missing or a large page. With @create
 * missing levels are made; NULL if -ENOMEM.
 */
pte_t *pgtable_pte(pte_t *pml4, unsigned long addr, bool create);

/* A top level with the kernel's half; NULL: -ENOMEM. */
pte_t *pgtable_new_user(void);
/* How many tables @pml4's user half has, itself included. Needs no lock, so it may be old. */
unsigned int pgtable_count(const pte_t *pml4);
/*
 * Free all tables of the user half, and the top level. Pages must be gone; the table must not be
 * loaded. Tables that became empty before stay until here.
 */
void pgtable_free_user(pte_t *pml4);

/*
 * The first entry that has a page at or above *@addr and below @end, or NULL; *@addr becomes its
 * address. @before: the entry of the page just before *@addr, or NULL if it is not at hand. An
 * entry other than 0 has a page: without PTE_P, one that nobody may touch (PROT_NONE).
 */
pte_t *pgtable_next(pte_t *pml4, pte_t *before, unsigned long *addr, unsigned long end);

/* PTE_NX where the CPU has it, else 0. */
extern u64 pte_nx;

/* CR3. */
void load_pml4(pte_t *pml4);
