/* SPDX-License-Identifier: MIT */
/*
 * Address spaces of ring 3: a sorted list of areas, and page tables that are filled when a page is
 * touched.
 *
 * mm_users counts the tasks that run in the address space; when it drops to 0 all pages go.
 * mm_count counts references to the top-level table: one for all users together, and one for each
 * kernel thread that borrows it. Everything here may sleep, except mmget(), mmgrab(), mmdrop(),
 * switch_mm() and memory_is_short().
 */
#pragma once

#include "arch/x86/mm/pgtable.h"
#include "kernel/locking/assert.h"
#include "kernel/locking/rtmutex.h"
#include "kernel/sched/task.h"
#include "lib/list.h"

/* As in PROT_READ, PROT_WRITE, PROT_EXEC. */
#define VM_READ		0x1
#define VM_WRITE	0x2
#define VM_EXEC		0x4

#define STACK_TOP	0x7ffffffff000UL	/* ring 3's stack ends here */
#define STACK_SIZE	(8UL << 20)		/* at most; pages come on demand */
#define MMAP_TOP	0x7ffff0000000UL	/* mmap() goes down from here */
#define MMAP_MIN	0x10000UL		/* nothing below: NULL pointers fault */
#define AREAS_MAX	4096			/* of one address space: the list is searched */

struct vm_area {
	unsigned long		start, end;	/* page-aligned */
	unsigned int		flags;		/* VM_* */
	struct list_head	node;		/* in mm->areas, by address */
};

struct mm_struct {
	int			mm_users, mm_count;	/* atomic */
	u64			cpus;			/* atomic: CPUs with its tables loaded */
	mutex_t			mmap_lock;

	/* mmap_lock */
	struct list_head	areas;		/* sorted, disjoint; equal neighbours are one */
	unsigned int		nr_areas;
	pte_t			*pml4;		/* and what is below: arch/x86/mm/tlb.h */
	unsigned long		start_brk, brk;
	unsigned long		nr_pages;	/* that it maps, shared ones included */
	bool			oom_reaped;	/* its pages are gone, and its users must go */
};

/* For what mmap_lock guards. Not needed while nobody else knows the mm, yet or any more. */
#define assert_areas_held(space)					\
	assert_that(rt_mutex_owner(&(space)->mmap_lock.rtmutex) == current ||	\
		    ((space) != current->mm && READ_ONCE((space)->mm_users) <= 1))

struct mm_struct *mm_alloc(void);		/* empty, one user; NULL: -ENOMEM */
struct mm_struct *mm_dup(struct mm_struct *from);	/* copy-on-write; ERR_PTR */
void mmget(struct mm_struct *mm);
void mmput(struct mm_struct *mm);		/* NULL is fine */
void mmgrab(struct mm_struct *mm);
void mmdrop(struct mm_struct *mm);

/* Load @mm's tables unless they are loaded (NULL: the kernel's own). Interrupts off. */
void switch_mm(struct mm_struct *mm);
/*
 * Make @mm current's (exec; NULL at exit), and give back the old address space's tables, but not
 * its user count.
 */
struct mm_struct *exchange_current_mm(struct mm_struct *mm);

/* A fault at @addr wanting @access (VM_*). 0, -EFAULT, -ENOMEM, -EINTR: we are being ended. */
int handle_mm_fault(struct mm_struct *mm, unsigned long addr, unsigned int access);

/*
 * Copy into an address space that need not be loaded (exec). Read-only pages are written, too.
 */
int mm_write(struct mm_struct *mm, unsigned long addr, const void *data, size_t size);

/* --- Areas (mmap.c; the list itself: areas.h). The rules of areas.h apply. --- */

/* Add an area that overlaps none. 0, -EINVAL, -ENOMEM. */
int mm_add_area(struct mm_struct *mm, unsigned long start, unsigned long end, unsigned int flags);
/* Remove all that is in the range. -ENOMEM only if that makes a hole inside one area. */
int mm_unmap(struct mm_struct *mm, unsigned long start, unsigned long end);

/* The pages of areas (mm.c): give them back; make the entries say what the area says. */
void mm_zap_range(struct mm_struct *mm, unsigned long start, unsigned long end);
void mm_protect_area(struct mm_struct *mm, struct vm_area *area);
/* Give the empty @to the areas and pages of @from, read-only in both. -ENOMEM: not all. */
int mm_copy_areas(struct mm_struct *to, struct mm_struct *from);

/*
 * --- Out of memory (oom.c). Init's memory is never taken; if there is no other, that is the end.
 * ---
 */

/*
 * Free pages that fork leaves to the tasks that exist already, for their faults and their ends.
 * With fewer, memory is short. (Tests raise the number, which is quicker than taking all pages.)
 */
#define OOM_RESERVE	64
extern u64 oom_reserve;
bool memory_is_short(void);

/*
 * If memory is short, end the process that uses most. No mmap_lock held. True: try again; false:
 * memory is not short, or we have to end.
 */
bool out_of_memory(void);

/* Take all pages of a dying address space away (mm.c). */
void mm_reap(struct mm_struct *mm);

/* The system calls: errnos as in Linux, and with -ENOMEM for lack of memory nothing has changed. */
long mm_mmap(struct mm_struct *mm, unsigned long addr, unsigned long len, unsigned int flags,
	     bool fixed);
long mm_munmap(struct mm_struct *mm, unsigned long addr, unsigned long len);
long mm_mprotect(struct mm_struct *mm, unsigned long addr, unsigned long len, unsigned int flags);
/* Returns the new break, or the old one if the new one is not possible. */
long mm_brk(struct mm_struct *mm, unsigned long brk);
