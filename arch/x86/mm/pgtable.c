// SPDX-License-Identifier: MIT
/* Making and walking page tables. All table pages are reached through the direct map. */
#include "arch/x86/mm/pgtable.h"
#include "arch/x86/cpu/features.h"
#include "arch/x86/cpu/insns.h"
#include "arch/x86/cpu/percpu.h"
#include "kernel/mm/pages.h"
#include "kernel/report/panic.h"
#include "lib/errno.h"
#include "lib/string.h"

#define ENTRIES		512
#define USER_ENTRIES	256		/* of the top level */
#define LARGE_PAGE	0x200000UL

pte_t *kernel_pml4;
u64 pte_nx = PTE_NX;
static bool buddy_is_up;

static unsigned int index_at(unsigned long addr, int level)
{
	return addr >> (PAGE_SHIFT + 9 * level) & (ENTRIES - 1);
}

static pte_t *table_of(pte_t entry)
{
	return phys_to_virt(entry & PTE_ADDR);
}

static pte_t *new_table(void)
{
	return buddy_is_up ? get_free_page(GFP_ATOMIC | __GFP_ZERO) : early_alloc(PAGE_SIZE);
}

static struct page *page_of_table(const pte_t *table)
{
	return phys_to_page(virt_to_phys(table));
}

/* The entry for @addr at @to_level (0: last). */
static pte_t *walk(pte_t *pml4, unsigned long addr, int to_level, bool create)
{
	pte_t *table = pml4;

	for (int level = 3; level > to_level; level--) {
		pte_t *entry = &table[index_at(addr, level)];

		if (!(*entry & PTE_P)) {
			pte_t *next = create ? new_table() : NULL;

			if (!next)
				return NULL;
			/*
			 * Rights are decided by the last level; ring 3 gets nothing in the kernel's
			 * half.
			 */
			*entry = virt_to_phys(next) | PTE_P | PTE_RW |
				 (addr < TASK_SIZE_MAX ? PTE_US : 0);
			if (addr < TASK_SIZE_MAX) {
				list_add(&page_of_table(next)->node, &page_of_table(pml4)->node);
				page_of_table(pml4)->inuse++;
			}
		} else if (*entry & PTE_PS) {
			return NULL;
		}
		table = table_of(*entry);
	}
	return &table[index_at(addr, to_level)];
}

pte_t *pgtable_pte(pte_t *pml4, unsigned long addr, bool create)
{
	return walk(pml4, addr, 0, create);
}

int kernel_map_page(unsigned long addr, u64 phys, u64 prot)
{
	pte_t *pte = walk(kernel_pml4, addr, 0, true);

	if (!pte)
		return -ENOMEM;
	*pte = phys | ((prot | PTE_P | PTE_G) & ~(PTE_NX ^ pte_nx));
	invlpg(addr);
	return 0;
}

static void map_section(const char *start, const char *end, u64 prot)
{
	for (unsigned long v = (unsigned long)start; v < (unsigned long)end; v += PAGE_SIZE)
		kernel_map_page(v, v - KERNEL_OFFSET, prot);
}

static void unmap_kernel_page(const void *addr)
{
	*walk(kernel_pml4, (unsigned long)addr, 0, false) = 0;
}

void pgtable_init(void)
{
	extern char _stext[], _etext[], _srodata[], _erodata[], _sdata[], _kernel_end[];
	extern char boot_stack_guard[];
	u64 ro_start = virt_to_phys(_stext), ro_end = ALIGN_DOWN(virt_to_phys(_sdata), LARGE_PAGE);
	u64 top = ALIGN_UP(max(early_max_ram(), BIT(32)), LARGE_PAGE);

	pte_nx = cpu_has.nx ? PTE_NX : 0;
	kernel_pml4 = early_alloc(PAGE_SIZE);

	/*
	 * Map all RAM (and the low 4 GiB, where ACPI's tables are), never executable, and read-only
	 * where it shows kernel text.
	 */
	for (u64 phys = 0; phys < top; phys += LARGE_PAGE) {
		u64 rw = phys >= ro_start && phys < ro_end ? 0 : PTE_RW;

		*walk(kernel_pml4, DIRECT_MAP + phys, 1, true) =
			phys | PTE_P | PTE_PS | PTE_G | rw | pte_nx;
	}
	map_section(_stext, _etext, 0);
	map_section(_srodata, _erodata, PTE_NX);
	map_section(_sdata, _kernel_end, PTE_RW | PTE_NX);
	unmap_kernel_page(boot_stack_guard);
	for (int i = 0; i < NR_CPUS * NR_IST; i++)
		unmap_kernel_page(ist_stacks[i / NR_IST][i % NR_IST].guard);

	/* Top-level entries never change later, so make those that will be needed. */
	walk(kernel_pml4, STACK_AREA, 1, true);
	walk(kernel_pml4, LAPIC_VIRT, 1, true);
	load_pml4(kernel_pml4);
	buddy_is_up = true;
}

void load_pml4(pte_t *pml4)
{
	write_cr3(virt_to_phys(pml4));
}

pte_t *pgtable_new_user(void)
{
	pte_t *pml4 = new_table();

	if (!pml4)
		return NULL;
	INIT_LIST_HEAD(&page_of_table(pml4)->node);
	page_of_table(pml4)->inuse = 1;
	memcpy(pml4 + USER_ENTRIES, kernel_pml4 + USER_ENTRIES,
	       (ENTRIES - USER_ENTRIES) * sizeof(pte_t));
	return pml4;
}

unsigned int pgtable_count(const pte_t *pml4)
{
	return READ_ONCE(page_of_table(pml4)->inuse);
}

void pgtable_free_user(pte_t *pml4)
{
	struct page *head = page_of_table(pml4), *page, *next;

	BUG_ON(read_cr3() == virt_to_phys(pml4));
	/* Use the list, as a search of the tables for each other would be most of exit's time. */
	list_for_each_entry_safe(page, next, &head->node, node)
		free_pages(page, 0);
	free_pages(head, 0);
}

pte_t *pgtable_next(pte_t *pml4, pte_t *before, unsigned long *addr, unsigned long end)
{
	pte_t *table = NULL;		/* the entry of the table that maps @at */

	/* Table by table, as a walk from the top for each page would be most of fork's time. */
	for (unsigned long at = *addr; at < end; before = NULL) {
		unsigned long table_end = min(ALIGN_DOWN(at, LARGE_PAGE) + LARGE_PAGE, end);
		pte_t *pte = NULL, *last;

		if (before && at % LARGE_PAGE) {
			pte = before + 1;
		} else {
			table = table && at % (ENTRIES * LARGE_PAGE) ? table + 1 :
				walk(pml4, at, 1, false);
			if (table && (*table & PTE_P))
				pte = table_of(*table) + index_at(at, 0);
		}
		last = pte ? pte + (table_end - at) / PAGE_SIZE : NULL;
		for (pte_t *p = pte; p < last; p++) {
			/* A table is mostly empty, so skip eight entries at a time. */
			while (last - p > 8 &&
			       !(p[0] | p[1] | p[2] | p[3] | p[4] | p[5] | p[6] | p[7]))
				p += 8;
			if (!*p)
				continue;
			*addr = at + (p - pte) * PAGE_SIZE;
			return p;
		}
		at = table_end;
	}
	*addr = end;
	return NULL;
}
