/* SPDX-License-Identifier: MIT */
/*
 * Areas: the sorted list of addresses that ring 3 may use. All of this needs mmap_lock held, unless
 * nobody else knows the mm, yet or any more.
 */
#pragma once

#include "kernel/mm/kmalloc.h"
#include "kernel/vm/mm.h"

/* The first area that has an address in the range, or NULL. */
struct vm_area *mm_find_area(struct mm_struct *mm, unsigned long start, unsigned long end);
void mm_join_areas(struct mm_struct *mm);	/* neighbours that are equal become one */
/* If @addr is inside an area, split the area there. -ENOMEM. */
int mm_split_area(struct mm_struct *mm, unsigned long addr);
/* Frees @area, in which nothing is left. */
static inline void mm_free_area(struct mm_struct *mm, struct vm_area *area)
{
	assert_areas_held(mm);
	list_del(&area->node);
	kfree(area);
	mm->nr_areas--;
}
/* Makes an area that is in no list yet; NULL: out of memory, or AREAS_MAX. */
struct vm_area *mm_new_area(struct mm_struct *mm, unsigned long start, unsigned long end,
			    unsigned int flags);
