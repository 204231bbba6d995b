// SPDX-License-Identifier: MIT
/* The list of areas (see areas.h); the pages in them are mm.c's. */
#include "kernel/vm/areas.h"
#include "lib/errno.h"

struct vm_area *mm_find_area(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	struct vm_area *area;

	assert_areas_held(mm);
	list_for_each_entry(area, &mm->areas, node)
		if (start < area->end && end > area->start)
			return area;
	return NULL;
}

struct vm_area *mm_new_area(struct mm_struct *mm, unsigned long start, unsigned long end,
			    unsigned int flags)
{
	struct vm_area *area = mm->nr_areas < AREAS_MAX ? kmalloc(sizeof(*area), GFP_KERNEL) : NULL;

	assert_areas_held(mm);
	if (!area)
		return NULL;
	*area = (struct vm_area){ .start = start, .end = end, .flags = flags };
	INIT_LIST_HEAD(&area->node);
	mm->nr_areas++;
	return area;
}

void mm_join_areas(struct mm_struct *mm)
{
	struct vm_area *area, *next;

	assert_areas_held(mm);
	list_for_each_entry_safe(area, next, &mm->areas, node) {
		if (&next->node != &mm->areas && area->end == next->start &&
		    area->flags == next->flags) {
			next->start = area->start;
			mm_free_area(mm, area);
		}
	}
}

int mm_split_area(struct mm_struct *mm, unsigned long addr)
{
	struct vm_area *area = mm_find_area(mm, addr, addr + 1), *upper;

	assert_areas_held(mm);
	if (!area || area->start == addr)
		return 0;
	upper = mm_new_area(mm, addr, area->end, area->flags);
	if (!upper)
		return -ENOMEM;
	area->end = addr;
	list_add(&upper->node, &area->node);
	return 0;
}
