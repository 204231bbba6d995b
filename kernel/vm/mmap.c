// SPDX-License-Identifier: MIT
/*
 * mmap, munmap, mprotect and brk: they change the list of areas (areas.c), and the pages in them
 * follow (mm.c).
 *
 * An area that has an end of the range inside it is split first. Only that can fail, so a call that
 * runs out of memory has changed nothing. Giving back needs no memory, except for a hole in the
 * middle of an area.
 */
#include "kernel/mm/pages.h"
#include "kernel/vm/areas.h"
#include "kernel/vm/mm.h"
#include "lib/errno.h"

int mm_unmap(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	struct vm_area *area = mm_find_area(mm, start, start + 1), *next;

	/* A hole in the middle makes two areas of one; anything else makes areas smaller. */
	if (area && area->start < start && area->end > end && mm_split_area(mm, end))
		return -ENOMEM;
	list_for_each_entry_safe(area, next, &mm->areas, node) {
		unsigned long from = max(area->start, start), to = min(area->end, end);

		if (from >= to)
			continue;
		mm_zap_range(mm, from, to);
		if (from > area->start)
			area->end = from;
		else if (to < area->end)
			area->start = to;
		else
			mm_free_area(mm, area);
	}
	return 0;
}

/* A new area in place of what is there. */
static int map_range(struct mm_struct *mm, unsigned long start, unsigned long end,
		     unsigned int flags)
{
	struct vm_area *area = mm_new_area(mm, start, end, flags), *pos;

	if (!area)
		return -ENOMEM;
	if (mm_unmap(mm, start, end)) {
		mm_free_area(mm, area);
		return -ENOMEM;
	}
	list_for_each_entry(pos, &mm->areas, node)
		if (pos->start > start)
			break;
	list_add_tail(&area->node, &pos->node);
	mm_join_areas(mm);
	return 0;
}

int mm_add_area(struct mm_struct *mm, unsigned long start, unsigned long end, unsigned int flags)
{
	if (start >= end || start < MMAP_MIN || end > TASK_SIZE_MAX ||
	    ((start | end) & ~PAGE_MASK) || mm_find_area(mm, start, end))
		return -EINVAL;
	return map_range(mm, start, end, flags);
}

/* --- mmap, munmap, mprotect, brk --- */

/* At @hint if that is free, else in the highest gap below MMAP_TOP; 0: there is none. */
static unsigned long find_gap(struct mm_struct *mm, unsigned long hint, unsigned long len)
{
	unsigned long from = MMAP_MIN, found = 0;
	struct vm_area *area;

	if (hint >= MMAP_MIN && hint <= TASK_SIZE_MAX - len &&
	    !mm_find_area(mm, hint, hint + len))
		return hint;
	list_for_each_entry(area, &mm->areas, node) {
		if (min(area->start, MMAP_TOP) >= from + len)
			found = min(area->start, MMAP_TOP) - len;
		from = area->end;
	}
	return MMAP_TOP >= from + len ? MMAP_TOP - len : found;
}

long mm_mmap(struct mm_struct *mm, unsigned long addr, unsigned long len, unsigned int flags,
	     bool fixed)
{
	int ret;

	if (!len)
		return -EINVAL;
	/* More than all RAM could never be filled. */
	if (len > TASK_SIZE_MAX || len >> PAGE_SHIFT > nr_total_pages())
		return -ENOMEM;
	len = ALIGN_UP(len, PAGE_SIZE);
	if (fixed && addr > TASK_SIZE_MAX - len)
		return -ENOMEM;
	if (fixed && (addr & ~PAGE_MASK))
		return -EINVAL;
	if (fixed && addr < MMAP_MIN)
		return -EPERM;
	if (mutex_lock_killable(&mm->mmap_lock))
		return -EINTR;
	if (!fixed)
		addr = find_gap(mm, addr & PAGE_MASK, len);
	ret = addr ? map_range(mm, addr, addr + len, flags) : -ENOMEM;
	mutex_unlock(&mm->mmap_lock);
	return ret ? ret : (long)addr;
}

long mm_munmap(struct mm_struct *mm, unsigned long addr, unsigned long len)
{
	int ret;

	if (!len || (addr & ~PAGE_MASK) || addr > TASK_SIZE_MAX || len > TASK_SIZE_MAX - addr)
		return -EINVAL;
	if (mutex_lock_killable(&mm->mmap_lock))
		return -EINTR;
	ret = mm_unmap(mm, addr, addr + ALIGN_UP(len, PAGE_SIZE));
	mutex_unlock(&mm->mmap_lock);
	return ret;
}

/* As in Linux, what lies below a hole has changed when the hole is reported. */
long mm_mprotect(struct mm_struct *mm, unsigned long addr, unsigned long len, unsigned int flags)
{
	unsigned long end = addr + ALIGN_UP(len, PAGE_SIZE), done = addr;
	struct vm_area *area;
	int ret;

	if (addr & ~PAGE_MASK)
		return -EINVAL;
	if (!len)
		return 0;
	if (end <= addr)
		return -ENOMEM;
	if (mutex_lock_killable(&mm->mmap_lock))
		return -EINTR;
	ret = mm_split_area(mm, addr) ?: mm_split_area(mm, end);
	list_for_each_entry(area, &mm->areas, node) {
		if (!ret && area->start == done && done < end) {
			area->flags = flags;
			mm_protect_area(mm, area);
			done = area->end;
		}
	}
	mm_join_areas(mm);
	mutex_unlock(&mm->mmap_lock);
	return done < end ? -ENOMEM : 0;
}

long mm_brk(struct mm_struct *mm, unsigned long brk)
{
	unsigned long old, new;
	int ret = -ENOMEM;

	if (mutex_lock_killable(&mm->mmap_lock))
		return -EINTR;
	if (brk >= mm->start_brk && brk < TASK_SIZE_MAX) {
		old = ALIGN_UP(mm->brk, PAGE_SIZE);
		new = ALIGN_UP(brk, PAGE_SIZE);
		if (new <= old)
			ret = mm_unmap(mm, new, old);
		/* A page behind the heap stays free, so running over the heap's end shows. */
		else if ((new - old) >> PAGE_SHIFT <= nr_total_pages() &&
			 !mm_find_area(mm, old, new + PAGE_SIZE))
			ret = map_range(mm, old, new, VM_READ | VM_WRITE);
	}
	if (!ret)
		mm->brk = brk;
	brk = mm->brk;
	mutex_unlock(&mm->mmap_lock);
	return brk;
}
