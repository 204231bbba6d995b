// SPDX-License-Identifier: MIT
/*
 * The pages in an address space: faults, copy-on-write, and what becomes of them with their area.
 *
 * Fork shares every page read-only and counts its users; the first write by either side faults and
 * gets a copy, or the page itself if the other is gone. Memory that was never touched has no page
 * at all.
 */
#include "kernel/vm/mm.h"
#include "arch/x86/mm/tlb.h"
#include "kernel/mm/pages.h"
#include "kernel/vm/areas.h"
#include "lib/errno.h"
#include "lib/string.h"

/*
 * --- Pages. mmap_lock held, or nobody else knows the mm; handle_mm_fault(), mm_reap() take it. ---
 */

/*
 * Accessed and dirty are set from the start, so no CPU ever writes to an entry by itself. An entry
 * in an area that nobody may touch is not present, but still keeps its page.
 */
static u64 area_prot(const struct vm_area *area)
{
	return PTE_US | PTE_A | PTE_D | (area->flags ? PTE_P : 0) |
	       (area->flags & VM_WRITE ? PTE_RW : 0) | (area->flags & VM_EXEC ? 0 : pte_nx);
}

/* One flush for many pages. */
#define ZAP_BATCH	64

void mm_zap_range(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	unsigned long addr = start;

	assert_areas_held(mm);
	while (addr < end) {
		struct page *pages[ZAP_BATCH];
		unsigned int n = 0;
		pte_t *pte = NULL;

		while (n < ZAP_BATCH && (pte = pgtable_next(mm->pml4, pte, &addr, end))) {
			pages[n++] = phys_to_page(*pte & PTE_ADDR);
			*pte = 0;
			addr += PAGE_SIZE;
		}
		/* Nobody may reach a page any more when it is given back. */
		if (n)
			flush_tlb_mm_range(mm, start, addr);
		mm->nr_pages -= n;
		while (n)
			put_page(pages[--n]);
		start = addr;
	}
}

void mm_protect_area(struct mm_struct *mm, struct vm_area *area)
{
	unsigned long addr = area->start;
	pte_t *pte = NULL;

	assert_areas_held(mm);
	for (; (pte = pgtable_next(mm->pml4, pte, &addr, area->end)); addr += PAGE_SIZE)
		/* Others may share the page: only the next write makes it writable. */
		*pte = (*pte & PTE_ADDR) | (area_prot(area) & (*pte | ~PTE_RW));
	flush_tlb_mm_range(mm, area->start, area->end);
}

/* A write to a page that others may share. */
static int do_cow(struct mm_struct *mm, pte_t *pte, unsigned long addr, u64 prot)
{
	struct page *old = phys_to_page(*pte & PTE_ADDR);
	void *copy;

	assert_areas_held(mm);
	if (__atomic_load_n(&old->refcount, __ATOMIC_ACQUIRE) == 1) {
		*pte = page_to_phys(old) | prot;
		return 0;
	}
	copy = get_free_page(GFP_KERNEL);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, page_address(old), PAGE_SIZE);
	/* Clear it first, or one CPU could read the old page when another writes to the new one. */
	*pte = 0;
	flush_tlb_mm_range(mm, addr, addr + PAGE_SIZE);
	*pte = virt_to_phys(copy) | prot;
	put_page(old);
	return 0;
}

static int fault_locked(struct mm_struct *mm, unsigned long addr, unsigned int access)
{
	struct vm_area *area = mm_find_area(mm, addr, addr + 1);
	void *page;
	pte_t *pte;

	assert_areas_held(mm);
	if (!area || (access & ~area->flags))
		return -EFAULT;
	pte = pgtable_pte(mm->pml4, addr, true);
	if (!pte)
		return -ENOMEM;
	if (!*pte) {
		page = get_free_page(GFP_KERNEL | __GFP_ZERO);
		if (!page)
			return -ENOMEM;
		*pte = virt_to_phys(page) | area_prot(area);
		mm->nr_pages++;
	} else if ((access & VM_WRITE) && !(*pte & PTE_RW)) {
		return do_cow(mm, pte, addr & PAGE_MASK, area_prot(area));
	}
	/* Otherwise another thread was here first, and the CPU need only look again. */
	return 0;
}

int handle_mm_fault(struct mm_struct *mm, unsigned long addr, unsigned int access)
{
	int ret;

	if (mutex_lock_killable(&mm->mmap_lock))
		return -EINTR;
	ret = mm->oom_reaped ? -EFAULT : fault_locked(mm, addr, access);
	mutex_unlock(&mm->mmap_lock);
	return ret;
}

/* Nobody waits for memory with an mmap_lock held, so we can wait for this one. */
void mm_reap(struct mm_struct *mm)
{
	struct vm_area *area;

	mutex_lock(&mm->mmap_lock);
	mm->oom_reaped = true;
	list_for_each_entry(area, &mm->areas, node)
		mm_zap_range(mm, area->start, area->end);
	mutex_unlock(&mm->mmap_lock);
}

int mm_write(struct mm_struct *mm, unsigned long addr, const void *data, size_t size)
{
	while (size) {
		size_t offset = addr & ~PAGE_MASK, part = min(size, PAGE_SIZE - offset);
		int ret = fault_locked(mm, addr, 0);

		if (ret)
			return ret;
		memcpy(phys_to_virt(*pgtable_pte(mm->pml4, addr, false) & PTE_ADDR) + offset, data,
		       part);
		addr += part;
		data += part;
		size -= part;
	}
	return 0;
}

/* --- Fork --- */

static int share_pages(struct mm_struct *to, struct mm_struct *from, const struct vm_area *area)
{
	unsigned long addr = area->start, last = 0;
	pte_t *src = NULL, *dst = NULL;

	for (; (src = pgtable_next(from->pml4, src, &addr, area->end)); addr += PAGE_SIZE) {
		/* Within the same table there is no need to walk to it. */
		dst = dst && addr >> PGTABLE_SHIFT == last >> PGTABLE_SHIFT ?
		      dst + (addr - last) / PAGE_SIZE : pgtable_pte(to->pml4, addr, true);
		last = addr;
		if (!dst)
			return -ENOMEM;
		*src &= ~PTE_RW;
		*dst = *src;
		get_page(phys_to_page(*src & PTE_ADDR));
		to->nr_pages++;
	}
	return 0;
}

int mm_copy_areas(struct mm_struct *to, struct mm_struct *from)
{
	struct vm_area *area;

	assert_areas_held(from);
	list_for_each_entry(area, &from->areas, node) {
		struct vm_area *copy = mm_new_area(to, area->start, area->end, area->flags);
		int ret;

		if (copy)
			list_add_tail(&copy->node, &to->areas);
		ret = copy ? share_pages(to, from, area) : -ENOMEM;
		if (ret)
			return ret;
	}
	return 0;
}
