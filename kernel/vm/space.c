// SPDX-License-Identifier: MIT
/* The life of an address space: made empty or as a copy, used by many, and gone with the last. */
#include "arch/x86/mm/tlb.h"
#include "kernel/mm/kmalloc.h"
#include "kernel/vm/mm.h"
#include "lib/errno.h"

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

void mmput(struct mm_struct *mm)
{
	if (!mm || __atomic_sub_fetch(&mm->mm_users, 1, __ATOMIC_ACQ_REL))
		return;
	mm_unmap(mm, 0, TASK_SIZE_MAX);		/* all of it, so it cannot fail */
	mmdrop(mm);
}

struct mm_struct *mm_dup(struct mm_struct *from)
{
	struct mm_struct *mm = mm_alloc();
	int ret;

	if (!mm)
		return ERR_PTR(-ENOMEM);
	if (mutex_lock_killable(&from->mmap_lock)) {
		mmput(mm);
		return ERR_PTR(-EINTR);
	}
	mm->start_brk = from->start_brk;
	mm->brk = from->brk;
	ret = mm_copy_areas(mm, from);
	/* What was writable is read-only now, for the parent's other threads too. */
	flush_tlb_mm_range(from, 0, TASK_SIZE_MAX);
	mutex_unlock(&from->mmap_lock);
	if (ret) {
		mmput(mm);
		return ERR_PTR(ret);
	}
	return mm;
}
