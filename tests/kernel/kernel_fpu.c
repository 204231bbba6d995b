/* SPDX-License-Identifier: MIT */
/*
 * Vector instructions inside the kernel: what kernel_fpu_begin() saves and sets, what it leaves,
 * and where it may be called.
 */
#include "arch/x86/cpu/insns.h"
#include "arch/x86/fpu/core/kernel_fpu.h"
#include "arch/x86/irqflags.h"
#include "kernel/fork.h"
#include "kernel/locking/wait.h"
#include "kernel/report/panic.h"
#include "kernel/time/tick.h"
#include "lib/errno.h"
#include "lib/options.h"
#include "tests/kernel/fpu_regs.h"
#include "tests/kernel/threads.h"

KTEST_SUITE(kernel_fpu);

static u32 read_mxcsr(void)
{
	u32 mxcsr;

	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
	return mxcsr;
}

/* fails with: kernel_fpu_begin() without save_fpregs_to_fpstate() */
KTEST(live_registers_survive_a_section)
{
	KEEP_USER_FPU;
	unsigned int saves;

	own_in_registers();
	saves = this_cpu_read(fpu_saves);
	kernel_fpu_begin();
	KEXPECT(test_thread_flag(TIF_NEED_FPU_LOAD));
	KEXPECT_EQ(this_cpu_read(fpu_saves) - saves, 1);
	EXPECT_IMAGE(own_fpu()->fpstate, OWN);
	KEXPECT_EQ(fpu_owner(), NULL);
	load_regs(INTRUDER);
	kernel_fpu_end();
	/* end loads nothing, the way to ring 3 does. */
	EXPECT_REGS(INTRUDER);
	KEXPECT(test_thread_flag(TIF_NEED_FPU_LOAD));
	KEXPECT_EQ(restores_to_user(), 1);
	KEXPECT_EQ(fpu_owner(), own_fpu());
	EXPECT_REGS(OWN);
}

/* fails with: kernel_fpu_begin() saving whatever the flag says */
KTEST(nothing_is_saved_if_memory_is_true)
{
	KEEP_USER_FPU;
	struct task_struct *other = fake_task();
	unsigned int saves;

	own_in_memory(other);
	saves = this_cpu_read(fpu_saves);
	kernel_fpu_begin();
	load_regs(STALE);
	kernel_fpu_end();
	KEXPECT_EQ(this_cpu_read(fpu_saves), saves);
	EXPECT_IMAGE(own_fpu()->fpstate, OWN);
	EXPECT_IMAGE(other->thread.fpu.fpstate, INIT);	/* nor for the last owner */
	KEXPECT_EQ(fpu_owner(), NULL);
	KEXPECT_EQ(restores_to_user(), 1);
	EXPECT_REGS(OWN);
	kfree(other);
}

/*
 * Registers and memory agree, and then the kernel scribbles.
 * fails with: kernel_fpu_begin() clearing the owner only after a save
 */
KTEST(a_valid_copy_ends_with_a_section)
{
	KEEP_USER_FPU;

	own_in_both(OWN);
	kernel_fpu_begin();
	KEXPECT(!fpu_valid());
	load_regs(INTRUDER);
	kernel_fpu_end();
	KEXPECT_EQ(restores_to_user(), 1);
	EXPECT_REGS(OWN);
}

/* fails with: kernel_fpu_begin() without ldmxcsr() */
KTEST(the_kernel_computes_with_default_mxcsr)
{
	KEEP_USER_FPU;
	struct fpu_values v;

	own_in_registers();
	fpregs_lock();
	__asm__ volatile("ldmxcsr %0" :: "m"((const u32){ 0x9fc0 }));	/* as unlike as may be */
	fpregs_unlock();
	kernel_fpu_begin();
	KEXPECT_EQ(read_mxcsr(), MXCSR_DEFAULT);
	kernel_fpu_end();
	image_values(&v, &own_fpu()->fpstate->regs);
	KEXPECT_EQ(v.mxcsr, 0x9fc0);
	KEXPECT_EQ(restores_to_user(), 1);
	KEXPECT_EQ(read_mxcsr(), 0x9fc0);
}

/* fails with: kernel_fpu_end() with preempt_enable_no_resched() left out */
KTEST(preemption_is_off_inside)
{
	KEXPECT_EQ(preempt_count(), 0);
	kernel_fpu_begin();
	KEXPECT_EQ(preempt_count(), PREEMPT_OFFSET);
	KEXPECT(!irqs_disabled());
	kernel_fpu_end();
	KEXPECT_EQ(preempt_count(), 0);
	KEXPECT(!irqs_disabled());
}

/* fails with: kernel_fpu_begin() not setting in_kernel_fpu */
KTEST(usable_outside_but_not_inside)
{
	KEXPECT(irq_fpu_usable());
	kernel_fpu_begin();
	KEXPECT(!irq_fpu_usable());
	kernel_fpu_end();
	KEXPECT(irq_fpu_usable());
}

static void whole_section(void) __no_lock_analysis
{
	kernel_fpu_begin();
	kernel_fpu_end();
}

/* fails with: kernel_fpu_begin() without WARN_ON(!irq_fpu_usable()) */
KTEST(nesting_is_reported)
{
	KEEP_USER_FPU;
	u64 warnings = splat_counts[SPLAT_WARN];

	KMAY_WARN;
	own_in_registers();
	kernel_fpu_begin();
	whole_section();
	KEXPECT_EQ(splat_counts[SPLAT_WARN] - warnings, 1);
	KEXPECT_EQ(preempt_count(), PREEMPT_OFFSET);
	kernel_fpu_end();			/* of a section that is over already */
	KEXPECT_EQ(splat_counts[SPLAT_WARN] - warnings, 2);
	KEXPECT_EQ(preempt_count(), 0);
	KEXPECT(irq_fpu_usable());
	restores_to_user();
	EXPECT_REGS(OWN);
}

/* Would it be, with @bits in preempt_count? Interrupts off: a real one would see them too. */
static bool usable_with(int bits)
{
	unsigned long flags = local_irq_save();
	bool usable;

	preempt_count_add(bits);
	usable = irq_fpu_usable();
	preempt_count_sub(bits);
	local_irq_restore(flags);
	return usable;
}

#define BH_DISABLED	(2 * SOFTIRQ_OFFSET)

/* fails with: irq_fpu_usable() without in_nmi(); or without in_hardirq(); or always false there */
KTEST(usable_by_context)
{
	KEXPECT(usable_with(PREEMPT_OFFSET));
	KEXPECT(usable_with(SOFTIRQ_OFFSET));
	KEXPECT(usable_with(BH_DISABLED));
	KEXPECT(usable_with(HARDIRQ_OFFSET));
	KEXPECT(!usable_with(HARDIRQ_OFFSET + BH_DISABLED));
	KEXPECT(!usable_with(HARDIRQ_OFFSET + SOFTIRQ_OFFSET));
	KEXPECT(!usable_with(NMI_OFFSET));
	KEXPECT(!usable_with(NMI_OFFSET + HARDIRQ_OFFSET));
	KEXPECT_EQ(preempt_count(), 0);
}

/* fails with: irq_fpu_usable() asking only for the context, not for in_kernel_fpu */
KTEST(an_interrupt_of_a_section_must_not_begin_one)
{
	kernel_fpu_begin();
	KEXPECT(!usable_with(HARDIRQ_OFFSET));
	kernel_fpu_end();
	KEXPECT(usable_with(HARDIRQ_OFFSET));
}

/*
 * Who holds fpregs_lock() relies on the registers, also against a call of its own.
 * fails with: fault/kernel-fpu-inside-our-own-lock
 */
KTEST(not_inside_fpregs_lock)
{
	struct splats before = splats_now();
	KMAY_WARN;

	NEEDS_RT("else softirqs are off, and no count tells of the lock");
	fpregs_lock();
	KEXPECT(!irq_fpu_usable());
	KEXPECT(!usable_with(HARDIRQ_OFFSET));
	kernel_fpu_begin();
	kernel_fpu_end();
	fpregs_unlock();
	EXPECT_SPLATS(before, SPLAT_WARN, 1);
	KEXPECT(irq_fpu_usable());
}

/* fails with: kernel_fpu_begin() saving in task context only */
KTEST(an_interrupt_saves_the_users_registers_too)
{
	KEEP_USER_FPU;
	unsigned long flags;

	own_in_registers();
	flags = local_irq_save();
	preempt_count_add(HARDIRQ_OFFSET);
	kernel_fpu_begin();
	load_regs(INTRUDER);
	kernel_fpu_end();
	preempt_count_sub(HARDIRQ_OFFSET);
	local_irq_restore(flags);
	KEXPECT_EQ(restores_to_user(), 1);
	EXPECT_REGS(OWN);
}

/* --- With others --- */

static struct {
	struct completion done;
	unsigned int saves;
	const char *image;
	bool flag;
	bool ran;
} other;

static int computing_kthread(void *arg)
{
	kernel_fpu_begin();
	load_regs(INTRUDER);
	kernel_fpu_end();
	other.saves = this_cpu_read(fpu_saves);
	other.flag = test_thread_flag(TIF_NEED_FPU_LOAD);
	other.image = image_differs(&own_fpu()->fpstate->regs, INIT);
	other.ran = true;
	complete(&other.done);
	return 0;
}

static struct task_struct *start_kthread(struct ktest_run *kt)
{
	struct task_struct *thread;

	memset(&other, 0, sizeof(other));
	init_completion(&other.done);
	thread = kthread_create(computing_kthread, NULL, "fpu_compute");
	if (!IS_ERR(thread))
		return thread;
	KFAIL("no thread: %ld", PTR_ERR(thread));
	return NULL;
}

/* fails with: kernel_fpu_begin() clearing the owner for user tasks only */
KTEST(a_kthreads_section_leaves_the_user_intact)
{
	KEEP_USER_FPU;
	struct task_struct *thread = start_kthread(kt);
	unsigned int saves;

	if (!thread)
		return;
	own_in_registers();
	saves = this_cpu_read(fpu_saves);
	wait_for_completion(&other.done);
	KEXPECT_EQ(other.saves - saves, 1);	/* ours at the switch; none for the thread */
	KEXPECT(other.flag);
	if (other.image)
		KFAIL("the thread's image: %s", other.image);
	KEXPECT_EQ(fpu_owner(), NULL);
	KEXPECT_EQ(restores_to_user(), 1);
	EXPECT_REGS(OWN);
	put_task_struct(thread);
}

/*
 * A more urgent thread, which wants the registers too, has to wait; not longer than that.
 * fails with: kernel_fpu_begin() without preempt_disable()
 */
KTEST(nobody_else_runs_during_a_section)
{
	KEEP_USER_FPU;
	struct task_struct *thread = start_kthread(kt);	/* FIFO, like us: waits for us to sleep */
	u64 end;

	if (!thread)
		return;
	kernel_fpu_begin();
	load_regs(STALE);
	sched_setscheduler(current, SCHED_OTHER, 0);	/* now it is more urgent */
	for (end = READ_ONCE(jiffies) + 2; READ_ONCE(jiffies) < end;)
		cpu_relax();
	KEXPECT(!READ_ONCE(other.ran));
	EXPECT_REGS(STALE);
	kernel_fpu_end();
	KEXPECT(READ_ONCE(other.ran));
	wait_for_completion(&other.done);
	put_task_struct(thread);
}
