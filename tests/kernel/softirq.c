/* SPDX-License-Identifier: MIT */
/*
 * Softirqs: when they run and where, in both worlds; and that what one computes in vector registers
 * does not show in a section of fpregs_lock().
 *
 * The tests lend SCRUB_SOFTIRQ another function, and look at their own CPU only.
 */
#include "kernel/preempt/softirq.h"
#include "arch/x86/fpu/core/kernel_fpu.h"
#include "arch/x86/irqflags.h"
#include "kernel/debug/scrub.h"
#include "kernel/time/timer.h"
#include "lib/options.h"
#include "tests/kernel/fpu_regs.h"
#include "tests/kernel/many_cpus.h"
#include "tests/kernel/watch.h"

KTEST_SUITE(softirq);

#define IRQ_EXIT_ROUNDS	10		/* MAX_ROUNDS of kernel/preempt/softirq.c */

/* --- Another function for SCRUB_SOFTIRQ --- */

static struct {
	unsigned int cpu;		/* the test's; on others it does nothing */
	struct task_struct *test, *ran_on;
	unsigned int runs, on_thread, again;
	int preempt_count;
	bool in_interrupt, in_hardirq, irqs_disabled, usable, inside, nested;
	void (*more)(void);
} softirq;

static void raise(void)
{
	unsigned long flags = local_irq_save();

	raise_softirq(SCRUB_SOFTIRQ);
	local_irq_restore(flags);
}

static void look_round(void)
{
	if (smp_processor_id() != softirq.cpu)
		return;
	softirq.nested |= softirq.inside;
	softirq.inside = true;
	softirq.ran_on = current;
	softirq.on_thread += current == this_cpu()->ksoftirqd;
	softirq.preempt_count = preempt_count();
	softirq.in_interrupt = in_interrupt();
	softirq.in_hardirq = in_hardirq();
	softirq.irqs_disabled = irqs_disabled();
	softirq.usable = irq_fpu_usable();
	if (softirq.again) {
		softirq.again--;
		raise();
	}
	if (softirq.more)
		softirq.more();
	softirq.inside = false;
	WRITE_ONCE(softirq.runs, softirq.runs + 1);
}

static void give_back(bool *unused)
{
	open_softirq(SCRUB_SOFTIRQ, scrub_softirq);
}

static bool borrow(void)
{
	memset(&softirq, 0, sizeof(softirq));
	softirq.cpu = smp_processor_id();
	softirq.test = current;
	open_softirq(SCRUB_SOFTIRQ, look_round);
	return true;
}

/* For the rest of this block SCRUB_SOFTIRQ is look_round(). */
#define BORROW_SOFTIRQ bool __borrowed __unused __attribute__((cleanup(give_back))) = borrow()

/* Without sleeping, until this CPU has had @n more ticks. */
static void spin_for_ticks(unsigned int n)
{
	unsigned int start = this_cpu_read(ticks);

	while (this_cpu_read(ticks) - start < n)
		cpu_relax();
}

/* --- When and where --- */

/* fails with: irq_exit() doing nothing; or, with rt=on, what rt=off does */
KTEST(what_an_interrupt_leaves_runs_at_its_end)
{
	RUN_AS_FIFO(50);
	BORROW_SOFTIRQ;

	raise();
	spin_for_ticks(1);
	KEXPECT_EQ(softirq.runs, preempt_rt() ? 0 : 1);	/* rt=on: the thread waits for us */
	sleep_ns(1);
	AWAIT(READ_ONCE(softirq.runs));
	KEXPECT_EQ(softirq.runs, 1);
	KEXPECT_EQ(softirq.ran_on, preempt_rt() ? this_cpu()->ksoftirqd : current);
	KEXPECT_EQ(softirq.preempt_count, preempt_rt() ? 0 : 0x100);
	KEXPECT_EQ(softirq.in_interrupt, !preempt_rt());
	KEXPECT(!softirq.in_hardirq);
	KEXPECT(!softirq.irqs_disabled);
	KEXPECT(softirq.usable);
	KEXPECT_EQ(preempt_count(), 0);
}

/* fails with: raise_softirq() running it at once */
KTEST(nothing_runs_before_the_interrupt)
{
	unsigned long flags;
	BORROW_SOFTIRQ;

	flags = local_irq_save();
	raise_softirq(SCRUB_SOFTIRQ);
	KEXPECT(this_cpu_read(softirq_pending) & BIT(SCRUB_SOFTIRQ));
	KEXPECT_EQ(softirq.runs, 0);
	local_irq_restore(flags);
	AWAIT(READ_ONCE(softirq.runs));
	KEXPECT(!(this_cpu_read(softirq_pending) & BIT(SCRUB_SOFTIRQ)));
}

/* fails with: irq_exit() not asking in_interrupt(); local_bh_enable() at any level, or never */
KTEST(none_runs_until_the_outermost_enable)
{
	NEEDS_RT_OFF("its softirqs run in threads, and nothing needs to hold them off");
	RUN_AS_FIFO(50);
	BORROW_SOFTIRQ;

	local_bh_disable();
	KEXPECT_EQ(preempt_count(), 0x200);
	KEXPECT(in_interrupt());		/* as Linux counts it */
	local_bh_disable();
	KEXPECT_EQ(preempt_count(), 0x400);
	raise();
	spin_for_ticks(2);
	KEXPECT_EQ(softirq.runs, 0);
	local_bh_enable();
	KEXPECT_EQ(preempt_count(), 0x200);
	KEXPECT_EQ(softirq.runs, 0);
	spin_for_ticks(2);
	KEXPECT_EQ(softirq.runs, 0);
	local_bh_enable();
	KEXPECT_EQ(softirq.runs, 1);		/* at once, with no interrupt to wait for */
	KEXPECT_EQ(softirq.ran_on, current);
	KEXPECT_EQ(softirq.preempt_count, 0x101);	/* nor preempted by what it wakes */
	KEXPECT_EQ(preempt_count(), 0);
	KEXPECT(!irqs_disabled());
}

/* fails with: local_bh_enable() with interrupts off passing in silence */
KTEST(enabling_with_interrupts_off_is_reported)
{
	NEEDS_RT_OFF("nothing there calls local_bh_enable()");
	KMAY_WARN;
	struct splats before = splats_now();

	local_bh_disable();
	local_irq_disable();
	local_bh_enable();
	local_irq_enable();
	EXPECT_SPLATS(before, SPLAT_WARN, 1);
	EXPECT_SPLATS_IN_ALL(before, 1);
	KEXPECT_EQ(preempt_count(), 0);
}

static void raise_and_wait_for_ticks(void)
{
	if (softirq.runs < 2)
		raise();
	spin_for_ticks(2);
}

/* fails with: irq_exit() not asking in_interrupt() */
KTEST(they_do_not_nest)
{
	BORROW_SOFTIRQ;

	softirq.more = raise_and_wait_for_ticks;
	raise();
	AWAIT(READ_ONCE(softirq.runs) >= 2);
	softirq.more = NULL;
	KEXPECT(!softirq.nested);
	sleep_ns(1);
}

/*
 * A FIFO test: the thread gets its turn when it sleeps.
 * fails with: __do_softirq() without a limit, or not waking the thread
 */
KTEST(more_than_ten_rounds_go_to_the_thread)
{
	enum { ROUNDS = 5 * IRQ_EXIT_ROUNDS };
	RUN_AS_FIFO(50);
	BORROW_SOFTIRQ;

	softirq.again = ROUNDS - 1;
	raise();
	spin_for_ticks(1);
	if (preempt_rt())
		KEXPECT_EQ(softirq.runs, 0);
	else
		KEXPECT(softirq.runs && softirq.runs % IRQ_EXIT_ROUNDS == 0);
	KEXPECT_EQ(softirq.on_thread, 0);
	AWAIT(READ_ONCE(softirq.runs) == ROUNDS);
	KEXPECT_GE(softirq.on_thread, preempt_rt() ? ROUNDS : 1);
	if (!preempt_rt() && softirq.ran_on == this_cpu()->ksoftirqd)
		KEXPECT_EQ(softirq.preempt_count, 0x100);	/* a softirq there, too */
}

static bool preempted;

static void preempt(struct thread *self)
{
	preempted = softirq.inside;
}

static struct thread urgent;

static void wake_urgent(void)
{
	complete(&urgent.go);
}

/* fails with: softirq_run_pending() with preemption off */
KTEST(only_a_thread_can_be_preempted_in_a_softirq)
{
	RUN_AS_FIFO(50);
	BORROW_SOFTIRQ;

	preempted = false;
	thread_make(kt, &urgent, preempt, NULL, "urgent");
	thread_set_fifo(&urgent, 60);			/* it runs, and waits for the word */
	softirq.more = wake_urgent;
	raise();
	spin_for_ticks(1);
	AWAIT(READ_ONCE(softirq.runs));
	softirq.more = NULL;
	KEXPECT_EQ(preempted, preempt_rt());
	thread_end(&urgent);
}

static u32 last_pending;
static unsigned int thread_looks;

/*
 * An interrupt may raise another one at any time: so what is pending changes with interrupts off
 * only, and the thread says that it sleeps before it looks.
 */
static bool none_can_be_lost(const struct pt_regs *regs)
{
	u32 pending = this_cpu_read(softirq_pending), last = last_pending;
	bool irqs_on = regs->flags & X86_EFLAGS_IF;

	last_pending = pending;
	if (current == this_cpu()->ksoftirqd && irqs_on && !in_atomic() && !pending) {
		thread_looks++;
		return pending == last && task_state(current) == TASK_INTERRUPTIBLE;
	}
	return pending == last || !irqs_on;
}

/* fails with: fault/pending-cleared-too-late, fault/ksoftirqd-looks-and-then-sleeps */
KTEST(what_is_raised_meanwhile_is_not_lost)
{
	struct watch watch = { .at = &this_cpu()->softirq_pending, .name = "softirq_pending",
			       .half = true, .reads = true, .rule = none_can_be_lost };
	RUN_AS_FIFO(50);
	BORROW_SOFTIRQ;

	last_pending = this_cpu_read(softirq_pending);
	thread_looks = 0;
	watch_start(&watch, 1);
	softirq.again = 2 * IRQ_EXIT_ROUNDS;
	raise();
	AWAIT(READ_ONCE(softirq.runs) == 2 * IRQ_EXIT_ROUNDS + 1);
	sleep_ns(1);
	watch_end(kt);
	KEXPECT_GE(thread_looks, 1);
}

/* --- Who gets the CPU beside it --- */

static unsigned int woken_at, ran_at, wanted_on_thread;

static void wake_once(void)
{
	bool on_thread = softirq.ran_on == this_cpu()->ksoftirqd;

	if (on_thread == wanted_on_thread && !woken_at) {
		woken_at = softirq.runs + 1;		/* when this run is over */
		complete(&urgent.go);
	}
}

static void note_run(struct thread *self)
{
	ran_at = softirq.runs + softirq.inside;
}

/*
 * A softirq that raises itself without end, and in it an interrupt's wake-up of @urgent. With
 * rt=off nothing preempts a softirq, so @urgent waits: for this round, and not for the next.
 */
static void give_way(struct ktest_run *kt, bool on_thread)
{
	enum { ROUNDS = 500 };
	BORROW_SOFTIRQ;

	woken_at = ran_at = 0;
	wanted_on_thread = on_thread;
	thread_make(kt, &urgent, note_run, NULL, "urgent");
	thread_set_fifo(&urgent, 90);
	sleep_ns(1);					/* it waits for the word */
	softirq.more = wake_once;
	softirq.again = ROUNDS - 1;
	raise();
	AWAIT(READ_ONCE(softirq.runs) == ROUNDS);
	softirq.more = NULL;
	KEXPECT(woken_at);
	KEXPECT_EQ(ran_at, woken_at);
	thread_end(&urgent);
}

/* fails with: fault/ksoftirqd-keeps-the-cpu, fault/softirqs-beside-a-reschedule */
KTEST(ksoftirqd_gives_way_to_the_more_urgent)
{
	RUN_AS_FIFO(50);
	give_way(kt, true);
}

/* fails with: fault/softirqs-beside-a-reschedule */
KTEST(an_interrupts_softirqs_give_way_to_the_more_urgent)
{
	NEEDS_RT_OFF("there they run in threads only");
	RUN_AS_FIFO(50);
	give_way(kt, false);
}

static void see_a_tick(void)
{
	spin_for_ticks(1);
}

/*
 * Its thread has the share of any other, however much there is to do: a slice, and then it is our
 * turn again. Each tick comes in a softirq, none between two.
 * fails with: fault/ksoftirqd-keeps-the-cpu
 */
KTEST(ksoftirqd_shares_the_cpu)
{
	u64 end = READ_ONCE(jiffies) + 100;
	BORROW_SOFTIRQ;

	KEXPECT_EQ(this_cpu()->ksoftirqd->policy, SCHED_OTHER);
	softirq.again = 200;
	softirq.more = see_a_tick;
	raise();
	while (!READ_ONCE(softirq.on_thread) && READ_ONCE(jiffies) < end)
		cpu_relax();
	softirq.again = 0;
	KEXPECT(READ_ONCE(jiffies) < end);
	KEXPECT(softirq.on_thread);
	AWAIT(!(this_cpu_read(softirq_pending) & BIT(SCRUB_SOFTIRQ)));
}

/* --- The FPU --- */

static void scrub_off(bool *unused)
{
	option_set_runtime("scrub=off");
}

static bool scrub_on(void)
{
	return !option_set_runtime("scrub=on");
}

/* Each tick of each CPU now has a page summed up in vector registers. */
#define SCRUB_ON bool __scrubs __unused __attribute__((cleanup(scrub_off))) = scrub_on()

/* fails with: fpregs_lock() of rt=off as in rt=on; scrub_tick() doing nothing */
KTEST(fpregs_lock_keeps_the_registers)
{
	KEEP_USER_FPU;
	u64 pages = READ_ONCE(scrub_vector_pages);
	SCRUB_ON;

	own_in_registers();
	for (int i = 0; i < 3; i++) {
		fpregs_lock();
		switch_fpu_return();
		load_regs(OWN);
		spin_for_ticks(2);
		EXPECT_REGS(OWN);
		KEXPECT(!test_thread_flag(TIF_NEED_FPU_LOAD));
		KEXPECT(fpu_valid());
		fpregs_unlock();
	}
	/* Outside, whatever happens to the registers, they come back. */
	for (int i = 0; i < 3; i++) {
		spin_for_ticks(2);
		restores_to_user();
		EXPECT_REGS(OWN);
		sleep_ns(1);
	}
	restores_to_user();
	EXPECT_REGS(OWN);
	AWAIT(READ_ONCE(scrub_vector_pages) - pages >= 3);
}

/* fails with: kernel_fpu_begin() not setting in_kernel_fpu, irq_fpu_usable() not asking for it */
KTEST(a_softirq_in_the_kernels_section_does_without)
{
	u64 pages = READ_ONCE(scrub_scalar_pages);
	KEEP_USER_FPU;
	SCRUB_ON;

	own_in_registers();
	kernel_fpu_begin();
	load_regs(STALE);
	spin_for_ticks(3);
	EXPECT_REGS(STALE);
	kernel_fpu_end();
	if (preempt_rt())
		KEXPECT_EQ(READ_ONCE(scrub_scalar_pages), pages);	/* it was not run at all */
	else
		KEXPECT_GE(READ_ONCE(scrub_scalar_pages) - pages, 2);
	restores_to_user();
	EXPECT_REGS(OWN);
}

/* A tick is the only interrupt that a test can have, and a hard timer its only way there. */
static struct timer hard_timer;
static int usable;

static void ask(struct timer *timer)
{
	usable = irq_fpu_usable();
}

static int usable_in_a_tick(void)
{
	usable = -1;
	timer_init(&hard_timer, ask, true);
	add_timer(&hard_timer, READ_ONCE(jiffies) + 1);
	spin_for_ticks(3);
	del_timer_sync(&hard_timer);
	return usable;
}

/*
 * fails with: irq_fpu_usable() not asking for softirqs that are held off (rt=off), or for
 * fpregs_locked
 */
KTEST(a_hard_interrupt_and_the_registers)
{
	int outside, inside;
	RUN_AS_FIFO(50);

	outside = usable_in_a_tick();
	KEXPECT_EQ(outside, true);
	fpregs_lock();
	inside = usable_in_a_tick();
	fpregs_unlock();
	KEXPECT_EQ(inside, false);
	kernel_fpu_begin();
	inside = usable_in_a_tick();
	kernel_fpu_end();
	KEXPECT_EQ(inside, false);
}
