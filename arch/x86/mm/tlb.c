// SPDX-License-Identifier: MIT
/*
 * Loading address spaces, and shootdown (see tlb.h). Never sleeps.
 *
 * mm->cpus has a bit for each CPU that has the tables loaded, even for a kernel thread that only
 * borrows them. A CPU that changes a table does so first and then reads the bits; a CPU that loads
 * the tables sets its bit first. So a CPU is asked, or reads the new table.
 */
#include "arch/x86/mm/tlb.h"
#include "arch/x86/cpu/apic.h"
#include "arch/x86/cpu/insns.h"
#include "arch/x86/entry/entry.h"
#include "kernel/mm/kmalloc.h"
#include "kernel/preempt/assert.h"
#include "kernel/preempt/preempt.h"
#include "kernel/report/panic.h"
#include "kernel/sched/task.h"
#include "kernel/vm/mm.h"

#define FLUSH_ALL_PAGES	32		/* above, reloading CR3 is cheaper */

/* One shootdown at a time. */
static raw_spinlock_t shootdown_lock;
static struct mm_struct *flush_mm;
static unsigned long flush_start, flush_end;
static u64 not_yet;			/* CPUs that have not answered; atomic */

static void flush_local(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	if (this_cpu_read(loaded_mm) != mm)
		return;
	if ((end - start) >> PAGE_SHIFT > FLUSH_ALL_PAGES)
		write_cr3(read_cr3());
	else
		for (; start < end; start += PAGE_SIZE)
			invlpg(start);
}

void tlb_interrupt(void)
{
	flush_local(flush_mm, flush_start, flush_end);
	__atomic_fetch_and(&not_yet, ~BIT(smp_processor_id()), __ATOMIC_RELEASE);
}

void flush_tlb_mm_range(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	u64 others;

	WARN_ON_ONCE(irqs_disabled());
	preempt_disable();
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	flush_local(mm, start, end);
	others = READ_ONCE(mm->cpus) & ~BIT(smp_processor_id());
	if (others) {
		raw_spin_lock(&shootdown_lock);
		flush_mm = mm;
		flush_start = start;
		flush_end = end;
		__atomic_store_n(&not_yet, others, __ATOMIC_RELEASE);
		for (unsigned int cpu = 0; cpu < nr_cpus; cpu++)
			if (others & BIT(cpu))
				apic_send(cpus[cpu].apic_id, INVALIDATE_TLB_VECTOR);
		while (__atomic_load_n(&not_yet, __ATOMIC_ACQUIRE))
			cpu_relax();
		raw_spin_unlock(&shootdown_lock);
	}
	preempt_enable();
}

/* --- Which tables are loaded --- */

void mmgrab(struct mm_struct *mm)
{
	__atomic_fetch_add(&mm->mm_count, 1, __ATOMIC_RELAXED);
}

void mmdrop(struct mm_struct *mm)
{
	if (__atomic_sub_fetch(&mm->mm_count, 1, __ATOMIC_ACQ_REL))
		return;
	BUG_ON(READ_ONCE(mm->cpus));
	pgtable_free_user(mm->pml4);
	kfree(mm);
}

/* Interrupts off, so that tlb_interrupt() sees both or neither. NULL: the kernel's own tables. */
static void load_mm(struct mm_struct *mm)
{
	struct mm_struct *old = this_cpu_read(loaded_mm);
	u64 me = BIT(smp_processor_id());

	assert_irqs_off();
	if (mm)
		__atomic_fetch_or(&mm->cpus, me, __ATOMIC_SEQ_CST);
	load_pml4(mm ? mm->pml4 : kernel_pml4);
	this_cpu_write(loaded_mm, mm);
	if (old)
		__atomic_fetch_and(&old->cpus, ~me, __ATOMIC_RELEASE);
}

void switch_mm(struct mm_struct *mm)
{
	if (this_cpu_read(loaded_mm) != mm)
		load_mm(mm);
}

struct mm_struct *exchange_current_mm(struct mm_struct *mm)
{
	struct mm_struct *old = current->mm, *borrowed = old ? NULL : current->active_mm;
	/* A CPU that looks at another task's mm holds this lock, so the mm stays meanwhile. */
	unsigned long flags = raw_spin_lock_irqsave(&current->pi_lock);

	current->mm = mm;
	current->active_mm = mm;
	switch_mm(mm);
	raw_spin_unlock_irqrestore(&current->pi_lock, flags);
	if (borrowed)
		mmdrop(borrowed);
	return old;
}
