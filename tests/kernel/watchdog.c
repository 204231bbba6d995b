/* SPDX-License-Identifier: MIT */
/*
 * The watchdogs, on purpose provoked with a unit of a few milliseconds and told to go on. Reports
 * that stand in the log belong to these tests. Hung tasks, and watchdog=panic:
 * tests/host/reports.py.
 */
#include "arch/x86/cpu/insns.h"
#include "arch/x86/irqflags.h"
#include "arch/x86/time.h"
#include "kernel/debug/watchdog.h"
#include "kernel/policy.h"
#include "kernel/report/panic.h"
#include "kernel/time/tick.h"
#include "lib/options.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "tests/kernel/threads.h"

KTEST_SUITE(watchdog);

#define UNIT_NS		50000000UL
#define LIMIT_NS	(10 * UNIT_NS)
#define LONG_NS		10000000000UL
#define NS_PER_TICK	(1000000000UL / HZ)

static struct thread other;
static raw_spinlock_t lock;

static void spin_for(u64 ns)
{
	for (u64 start = sched_clock(); sched_clock() - start < ns; )
		cpu_relax();
}

/*
 * A report takes as long to print as the limits here are, so another CPU may be late by it, and
 * then at a report of its own. Whoever gets a turn on each CPU finds all of them at an end, and in
 * two ticks they have forgotten what they saw: nothing of this test's is told in the next.
 */
static void let_all_end(void)
{
	u64 allowed = current->cpus_mask;

	watchdog_ns = 0;
	for (unsigned int cpu = 0; cpu < nr_cpus; cpu++) {
		set_cpus_allowed(current, BIT(cpu));
		spin_for(2 * NS_PER_TICK);
	}
	set_cpus_allowed(current, allowed);
}

static void restore(u64 *old)
{
	let_all_end();
	watchdog_ns = *old;
	option_set_runtime("watchdog=panic");	/* as the runner's boots have it */
}

/*
 * For the rest of the block: short limits, and reports only. Where the CPUs' time is not their own
 * (a host runs them when it likes), the boot has long limits, and a short one would prove nothing.
 */
#define SHORT_LIMITS									\
	if (watchdog_ns > LONG_NS)							\
		KSKIP("this boot has long limits");					\
	u64 __old __unused __attribute__((cleanup(restore))) = watchdog_ns;		\
	struct splats before = splats_now();						\
	option_set_runtime("watchdog=report");						\
	watchdog_ns = UNIT_NS

/* Busy until a report has come, or LIMIT_NS are over. */
static void wait_for_report(const struct splats *before)
{
	for (u64 start = sched_clock(); sched_clock() - start < LIMIT_NS; cpu_relax())
		if (READ_ONCE(splat_counts[SPLAT_LOCKUP]) != before->count[SPLAT_LOCKUP])
			return;
}

/*
 * Reported, and not again and again. A report takes as long to print as the limits here are, so the
 * other CPUs, whose stacks it shows, may be late themselves: each once.
 */
static void expect_reported(struct ktest_run *kt, const struct splats *before)
{
	u64 reports = splat_counts[SPLAT_LOCKUP] - before->count[SPLAT_LOCKUP];

	KEXPECT_GE(reports, 1);
	KEXPECT_GE(2 * nr_cpus, reports);
}

/* fails with: soft_lockup() not called */
KTEST(a_cpu_without_schedule_is_reported_once)
{
	SHORT_LIMITS;
	u64 start = sched_clock();

	preempt_disable();
	wait_for_report(&before);
	KEXPECT_GE(sched_clock() - start, 2 * UNIT_NS);
	expect_reported(kt, &before);
	for (start = sched_clock(); sched_clock() - start < 4 * UNIT_NS; )
		cpu_relax();
	preempt_enable();
	expect_reported(kt, &before);
}

/* fails with: soft_lockup() that does not ask for a pass through schedule() */
KTEST(a_cpu_that_could_schedule_is_not_reported)
{
	SHORT_LIMITS;

	wait_for_report(&before);
	KEXPECT_EQ(splat_counts[SPLAT_LOCKUP], before.count[SPLAT_LOCKUP]);
}

static const struct splats *since;

/* On the next CPU: hold the lock until this has been reported. */
static void keep_lock(struct thread *self)
{
	set_cpus_allowed(current, BIT((smp_processor_id() + 1) % nr_cpus));
	raw_spin_lock(&lock);
	complete(self->arg);
	wait_for_report(since);
	/* Long enough for a second report, too short for a soft lockup. */
	for (u64 start = sched_clock(); sched_clock() - start < UNIT_NS / 2; )
		cpu_relax();
	raw_spin_unlock(&lock);
}

static void take_no_interrupts(struct thread *self)
{
	set_cpus_allowed(current, BIT((smp_processor_id() + 1) % nr_cpus));
	complete(self->arg);
	local_irq_disable();
	wait_for_report(since);
	local_irq_enable();
}

/* Start @fn, and come back when it is busy on its CPU. */
static void start_other(struct ktest_run *kt, void (*fn)(struct thread *self))
{
	static struct completion busy;

	init_completion(&busy);
	thread_run(kt, &other, fn, &busy, "other", 0);
	if (other.task)
		wait_for_completion(&busy);
}

/*
 * It may need a moment to come to its end: its CPU drops the reference for its running only when it
 * has switched away from it.
 */
static void end_other(void)
{
	for (u64 start = sched_clock(); sched_clock() - start < LIMIT_NS; cpu_relax())
		if (READ_ONCE(other.done) && other.task && READ_ONCE(other.task->usage) == 1)
			break;
	thread_end(&other);
}

/* Has a message since number @from begun with @text? */
static bool said(u64 from, const char *text)
{
	for (; from < printk_next(); from++)
		if (printk_text(from) && !strncmp(printk_text(from), text, strlen(text)))
			return true;
	return false;
}

/* As such, not as a stuck CPU. fails with: fault/spins-unwatched; a watcher that tells again */
KTEST(waiting_for_a_raw_lock_is_reported_once)
{
	SHORT_LIMITS;
	u64 from = printk_next();

	if (nr_cpus == 1)
		KSKIP("one CPU: nobody else can hold the lock");
	since = &before;
	start_other(kt, keep_lock);
	raw_spin_lock(&lock);
	raw_spin_unlock(&lock);
	expect_reported(kt, &before);
	KEXPECT(said(from, "BUG: spinlock lockup suspected"));
	end_other();
}

/* fails with: hard_lockup() not called */
KTEST(a_cpu_without_interrupts_is_reported_by_its_neighbour)
{
	SHORT_LIMITS;

	if (nr_cpus == 1)
		KSKIP("one CPU: it has no neighbour");
	since = &before;
	start_other(kt, take_no_interrupts);
	wait_for_report(&before);
	expect_reported(kt, &before);
	end_other();
}

static bool let_go, polite;

static void hog(struct thread *self)
{
	/* Interrupts on, preemption on: only its priority keeps others out. */
	while (!READ_ONCE(let_go)) {
		if (polite)
			sleep_ns(1);
		cpu_relax();
		WRITE_ONCE(self->seen, self->seen + 1);
		if (READ_ONCE(splat_counts[SPLAT_LOCKUP]) != since->count[SPLAT_LOCKUP])
			break;
		if (sched_clock() - (u64)self->arg > LIMIT_NS)
			break;
	}
}

/* The test is SCHED_OTHER, and so what the hog keeps out. */
static void beside_a_hog(struct ktest_run *kt, const struct splats *before)
{
	since = before;
	WRITE_ONCE(let_go, false);
	thread_make(kt, &other, hog, (void *)sched_clock(), "hog");
	if (other.task)
		KEXPECT_EQ(set_cpus_allowed(other.task, BIT(smp_processor_id())), 0);
	thread_start(&other, 99);
	if (polite)
		spin_for(3 * UNIT_NS);
	WRITE_ONCE(let_go, true);
	end_other();
}

/* fails with: fault/hogs-in-silence */
KTEST(a_real_time_hog_is_reported_once)
{
	SHORT_LIMITS;
	u64 start = sched_clock();

	polite = false;
	beside_a_hog(kt, &before);
	/* The tick that last found the CPU shared was before the start. */
	KEXPECT_GE(sched_clock() - start, 2 * UNIT_NS - NS_PER_TICK);
	expect_reported(kt, &before);
}

/* fails with: starvation() not noting when the CPU was shared */
KTEST(a_real_time_task_that_sleeps_now_and_then_is_not)
{
	SHORT_LIMITS;

	polite = true;
	beside_a_hog(kt, &before);
	KEXPECT_GE(other.seen, 2);
	KEXPECT_EQ(splat_counts[SPLAT_LOCKUP], before.count[SPLAT_LOCKUP]);
}

/* Nobody waits who is less urgent. fails with: fault/a-lone-hog-is-reported */
KTEST(a_hog_that_keeps_nobody_out_is_not_reported)
{
	SHORT_LIMITS;
	RUN_AS_FIFO(98);

	spin_for(3 * UNIT_NS);
	KEXPECT_EQ(splat_counts[SPLAT_LOCKUP], before.count[SPLAT_LOCKUP]);
}

static void wait_for_a_turn(struct thread *self)
{
}

/* A thread that waits for this CPU until it may be asked for its end. */
static void keep_other_waiting(struct ktest_run *kt)
{
	thread_make(kt, &other, wait_for_a_turn, NULL, "waits");
	if (other.task)
		KEXPECT_EQ(set_cpus_allowed(other.task, BIT(smp_processor_id())), 0);
	preempt_disable();
	thread_start(&other, 0);
}

/* With preemption off it cannot even be asked to go. fails with: fault/who-is-stuck-is-a-hog */
KTEST(a_stuck_real_time_task_is_no_hog)
{
	SHORT_LIMITS;
	static const char hogged[] = "watchdog: CPU#";
	u64 from = printk_next();
	RUN_AS_FIFO(98);

	keep_other_waiting(kt);
	spin_for(4 * UNIT_NS);
	preempt_enable();
	expect_reported(kt, &before);
	KEXPECT(!said(from, hogged));
	set_own_fifo(0);		/* it waits for this CPU */
	end_other();
}

/*
 * Stuck and a hog while nobody looked; then the limit counts from now. fails with:
 * fault/switched-on-finds-hogs, fault/switched-on-finds-the-stuck
 */
KTEST(switching_the_watchdog_on_finds_nobody_stuck)
{
	SHORT_LIMITS;
	RUN_AS_FIFO(98);

	keep_other_waiting(kt);
	spin_for(UNIT_NS / 2);				/* it has been looked at as it is */
	watchdog_ns = 0;
	spin_for(3 * UNIT_NS);
	watchdog_ns = UNIT_NS;
	spin_for(UNIT_NS);
	preempt_enable();
	KEXPECT_EQ(splat_counts[SPLAT_LOCKUP], before.count[SPLAT_LOCKUP]);
	set_own_fifo(0);
	end_other();
}

static void stuck_here(struct ktest_run *kt, const struct splats *before)
{
	preempt_disable();
	wait_for_report(before);
	preempt_enable();
}

static void stuck_elsewhere(struct ktest_run *kt, const struct splats *before)
{
	if (nr_cpus == 1)
		return stuck_here(kt, before);
	since = before;
	start_other(kt, take_no_interrupts);
	wait_for_report(before);
	end_other();
}

/*
 * Once for each time, not once for ever. fails with: fault/hogs-told-for-ever,
 * fault/stuck-told-for-ever, fault/deaf-told-for-ever
 */
KTEST(what_comes_again_is_reported_again)
{
	SHORT_LIMITS;
	static void (*const troubles[])(struct ktest_run *kt, const struct splats *before) = {
		stuck_here, stuck_elsewhere, beside_a_hog,
	};

	polite = false;
	for (unsigned int i = 0; i < 2 * ARRAY_SIZE(troubles); i++) {
		before = splats_now();
		troubles[i / 2](kt, &before);
		expect_reported(kt, &before);
		spin_for(UNIT_NS);			/* all CPUs look, and find all well */
	}
}

#define LOOK_NS		1200000000UL

static void wait_in_vain(struct thread *self)
{
	wait_for_completion(self->arg);
}

/*
 * khungtaskd goes to sleep with the option off, and wakes up with it on: nobody has waited for
 * long. fails with: fault/hung-at-once
 */
KTEST(switching_the_watchdog_on_finds_nobody_hung)
{
	SHORT_LIMITS;
	struct completion never;

	if (nr_cpus > 1)
		KSKIP("takes long; one CPU shows it");
	init_completion(&never);
	watchdog_ns = 0;
	sleep_ns(LONG_NS + LOOK_NS);	/* khungtaskd's sleep ends: it has read 0, for 1 s */
	thread_run(kt, &other, wait_in_vain, &never, "waits", 20);
	watchdog_ns = LOOK_NS;
	sleep_ns(LOOK_NS);
	complete(&never);
	end_other();
	EXPECT_SPLATS(before, SPLAT_HUNG_TASK, 0);
}

/* fails with: watchdog_tick() that does not look whether it is switched off */
KTEST(no_limit_no_report)
{
	SHORT_LIMITS;

	watchdog_ns = 0;
	preempt_disable();
	wait_for_report(&before);
	preempt_enable();
	KEXPECT_EQ(splat_counts[SPLAT_LOCKUP], before.count[SPLAT_LOCKUP]);
}
