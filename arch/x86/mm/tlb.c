// SPDX-License-Identifier: MIT
/*
 * Which address space this CPU has loaded, what it remembers of it, and who still needs its
 * top-level table. Never sleeps.
 */
#include "arch/x86/mm/tlb.h"
#include "arch/x86/cpu/insns.h"
#include "arch/x86/irqflags.h"
#include "kernel/mm/kmalloc.h"
#include "kernel/mm/mm.h"
#include "kernel/task.h"

void mmgrab(struct mm_struct *mm)
{
	__atomic_fetch_add(&mm->mm_count, 1, __ATOMIC_RELAXED);
}

/*
 * The top-level table may still be loaded on this CPU, though nobody runs in it: load the kernel's
 * own.
 */
void mmdrop(struct mm_struct *mm)
{
	unsigned long flags;

	if (__atomic_sub_fetch(&mm->mm_count, 1, __ATOMIC_ACQ_REL))
		return;
	flags = local_irq_save();
	if (this_cpu_read(loaded_mm) == mm) {
		pgtable_load_kernel();
		this_cpu_write(loaded_mm, NULL);
	}
	local_irq_restore(flags);
	pgtable_free_user(mm->pml4);
	kfree(mm);
}

void switch_mm(struct mm_struct *mm)
{
	if (this_cpu_read(loaded_mm) == mm)
		return;
	load_pml4(mm->pml4);
	this_cpu_write(loaded_mm, mm);
}

/* Above this many pages it is cheaper to forget everything, except the kernel's global entries. */
#define FLUSH_PAGES_MAX	32

void flush_tlb_mm_range(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	unsigned long flags = local_irq_save();

	if (this_cpu_read(loaded_mm) != mm)
		;
	else if (end - start > FLUSH_PAGES_MAX * PAGE_SIZE)
		write_cr3(read_cr3());
	else
		for (; start < end; start += PAGE_SIZE)
			invlpg(start);
	local_irq_restore(flags);
}

struct mm_struct *exchange_current_mm(struct mm_struct *mm)
{
	struct mm_struct *old = current->mm, *borrowed = old ? NULL : current->active_mm;
	unsigned long flags = local_irq_save();

	current->mm = mm;
	current->active_mm = mm;
	if (mm) {
		switch_mm(mm);
	} else {
		pgtable_load_kernel();
		this_cpu_write(loaded_mm, NULL);
	}
	local_irq_restore(flags);
	if (borrowed)
		mmdrop(borrowed);
	return old;
}
