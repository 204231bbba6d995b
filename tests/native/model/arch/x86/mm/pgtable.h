/* SPDX-License-Identifier: MIT */
/* In place of the kernel's, for tests/native: one mapping. */
#pragma once

#include "lib/types.h"

typedef u64 pte_t;

#define PTE_RW		BIT(1)
#define PTE_KEY(key)	((u64)(key) << 59)
#define PTE_NX		BIT(63)

extern pte_t *kernel_pml4;
int kernel_map_page(unsigned long addr, u64 phys, u64 prot);
pte_t *pgtable_pte(pte_t *pml4, unsigned long addr, bool create);
