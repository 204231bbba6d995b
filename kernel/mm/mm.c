// SPDX-License-Identifier: MIT
/*
 * Areas, faults, copy-on-write.
 *
 * Fork shares every page read-only and counts its users; the first write by either side faults and
 * gets a copy, or the page itself if the other is gone. Memory that was never touched has no page
 * at all.
 */
#include "kernel/mm/mm.h"
#include "arch/x86/cpu/insns.h"
#include "arch/x86/irqflags.h"
#include "arch/x86/layout.h"
#include "arch/x86/mm/tlb.h"
#include "kernel/mm/kmalloc.h"
#include "kernel/panic.h"
#include "kernel/task.h"
#include "lib/errno.h"
#include "lib/string.h"

/* --- Life --- */

struct mm_struct *mm_alloc(void)
{
	struct mm_struct *mm = kzalloc(sizeof(*mm), GFP_KERNEL);

	if (!mm)
		return NULL;
	mm->pml4 = pgtable_new_user();
	if (!mm->pml4) {
		kfree(mm);
		return NULL;
	}
	mm->mm_users = mm->mm_count = 1;
	mutex_init(&mm->mmap_lock);
	INIT_LIST_HEAD(&mm->areas);
	return mm;
}

void mmget(struct mm_struct *mm)
{
	__atomic_fetch_add(&mm->mm_users, 1, __ATOMIC_RELAXED);
}

static void free_areas(struct mm_struct *mm)
{
	struct vm_area *area, *next;

	list_for_each_entry_safe(area, next, &mm->areas, node) {
		pgtable_unmap_range(mm->pml4, area->start, area->end);
		list_del(&area->node);
		kfree(area);
	}
}

void mmput(struct mm_struct *mm)
{
	if (!mm || __atomic_sub_fetch(&mm->mm_users, 1, __ATOMIC_ACQ_REL))
		return;
	free_areas(mm);
	mmdrop(mm);
}

/* --- Areas. mmap_lock held, or nobody else knows the mm yet. --- */

static struct vm_area *find_area(struct mm_struct *mm, unsigned long addr)
{
	struct vm_area *area;

	list_for_each_entry(area, &mm->areas, node)
		if (addr >= area->start && addr < area->end)
			return area;
	return NULL;
}

static bool range_free(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	struct vm_area *area;

	list_for_each_entry(area, &mm->areas, node)
		if (start < area->end && end > area->start)
			return false;
	return true;
}

int mm_add_area(struct mm_struct *mm, unsigned long start, unsigned long end, unsigned int flags)
{
	struct vm_area *area, *pos;

	if (start >= end || start < MMAP_MIN || end > TASK_SIZE_MAX ||
	    ((start | end) & ~PAGE_MASK) || !range_free(mm, start, end))
		return -EINVAL;
	area = kmalloc(sizeof(*area), GFP_KERNEL);
	if (!area)
		return -ENOMEM;
	*area = (struct vm_area){ .start = start, .end = end, .flags = flags };
	list_for_each_entry(pos, &mm->areas, node)
		if (pos->start > start)
			break;
	list_add_tail(&area->node, &pos->node);
	return 0;
}

/* The highest gap of @len below MMAP_TOP, or 0. */
static unsigned long find_gap(struct mm_struct *mm, unsigned long len)
{
	unsigned long end = MMAP_TOP;
	struct vm_area *area;

	for (;;) {
		unsigned long lowered = end;

		if (end < len + MMAP_MIN)
			return 0;
		list_for_each_entry(area, &mm->areas, node)
			if (end - len < area->end && end > area->start)
				lowered = min(lowered, area->start);
		if (lowered == end)
			return end - len;
		end = lowered;
	}
}

long mm_mmap(struct mm_struct *mm, unsigned long addr, unsigned long len, unsigned int flags,
	     bool fixed)
{
	int ret;

	if (!len || (fixed && (addr & ~PAGE_MASK)))
		return -EINVAL;
	/* More than all RAM could never be filled. */
	if (len > TASK_SIZE_MAX || len >> PAGE_SHIFT > nr_total_pages() ||
	    (fixed && (addr > TASK_SIZE_MAX - len || addr < MMAP_MIN)))
		return -ENOMEM;
	len = ALIGN_UP(len, PAGE_SIZE);
	mutex_lock(&mm->mmap_lock);
	if (!fixed)
		addr = find_gap(mm, len);
	ret = addr ? mm_add_area(mm, addr, addr + len, flags) : -ENOMEM;
	mutex_unlock(&mm->mmap_lock);
	return ret ? ret : (long)addr;
}

/* The heap's area is there from exec on; the break says how much of it may be used. */
long mm_brk(struct mm_struct *mm, unsigned long brk)
{
	mutex_lock(&mm->mmap_lock);
	if (brk >= mm->start_brk && brk <= mm->start_brk + HEAP_MAX) {
		if (brk < mm->brk)
			pgtable_unmap_range(mm->pml4, ALIGN_UP(brk, PAGE_SIZE), mm->brk);
		mm->brk = brk;
	}
	brk = mm->brk;
	mutex_unlock(&mm->mmap_lock);
	return brk;
}

/* --- Faults --- */

static u64 area_prot(const struct vm_area *area)
{
	return PTE_P | PTE_US | PTE_A | PTE_D | (area->flags & VM_WRITE ? PTE_RW : 0) |
	       (area->flags & VM_EXEC ? 0 : pgtable_nx());
}

/* A write to a page that others may share. mmap_lock held. */
static int do_cow(pte_t *pte, unsigned long addr, u64 prot)
{
	struct page *old = phys_to_page(*pte & PTE_ADDR);
	void *copy;

	if (__atomic_load_n(&old->refcount, __ATOMIC_ACQUIRE) == 1) {
		*pte = page_to_phys(old) | prot;
		invlpg(addr);
		return 0;
	}
	copy = get_free_page(GFP_KERNEL);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, page_address(old), PAGE_SIZE);
	*pte = virt_to_phys(copy) | prot;
	invlpg(addr);
	put_page(old);
	return 0;
}

static int fault_locked(struct mm_struct *mm, unsigned long addr, unsigned int access)
{
	struct vm_area *area = find_area(mm, addr);
	void *page;
	pte_t *pte;

	if (!area || (access & ~area->flags) ||
	    (area->start == mm->start_brk && addr >= ALIGN_UP(mm->brk, PAGE_SIZE)))
		return -EFAULT;
	pte = pgtable_pte(mm->pml4, addr, true);
	if (!pte)
		return -ENOMEM;
	if (!(*pte & PTE_P)) {
		page = get_free_page(GFP_KERNEL | __GFP_ZERO);
		if (!page)
			return -ENOMEM;
		*pte = virt_to_phys(page) | area_prot(area);
	} else if ((access & VM_WRITE) && !(*pte & PTE_RW)) {
		return do_cow(pte, addr, area_prot(area));
	}
	return 0;
}

int handle_mm_fault(struct mm_struct *mm, unsigned long addr, unsigned int access)
{
	int ret;

	mutex_lock(&mm->mmap_lock);
	ret = fault_locked(mm, addr, access);
	mutex_unlock(&mm->mmap_lock);
	return ret;
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

struct mm_struct *mm_dup(struct mm_struct *from)
{
	struct mm_struct *mm = mm_alloc();
	struct vm_area *area;
	int ret = 0;

	if (!mm)
		return ERR_PTR(-ENOMEM);
	mutex_lock(&from->mmap_lock);
	mm->start_brk = from->start_brk;
	mm->brk = from->brk;
	list_for_each_entry(area, &from->areas, node) {
		ret = mm_add_area(mm, area->start, area->end, area->flags);
		if (!ret && pgtable_share_range(mm->pml4, from->pml4, area->start, area->end))
			ret = -ENOMEM;
		if (ret)
			break;
	}
	flush_tlb_mm_range(from, 0, TASK_SIZE_MAX);	/* what was writable is read-only now */
	mutex_unlock(&from->mmap_lock);
	if (ret) {
		mmput(mm);
		return ERR_PTR(ret);
	}
	return mm;
}
