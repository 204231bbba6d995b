/* SPDX-License-Identifier: MIT */
/*
 * The watchdogs, on purpose provoked with a unit of a few milliseconds and told to go on. Reports
 * that stand in the log belong to these tests. Hung tasks, and watchdog=panic:
 * tests/host_reports.py.
 */
#include "kernel/debug/watchdog.h"
#include "arch/x86/cpu/insns.h"
#include "arch/x86/irqflags.h"
#include "arch/x86/time.h"
#include "kernel/options.h"
#include "kernel/panic.h"
#include "tests/kernel/threads.h"

KTEST_SUITE(watchdog);

#define UNIT_NS		50000000UL
#define LIMIT_NS	(10 * UNIT_NS)
#define LONG_NS		10000000000UL

static struct thread other;
static raw_spinlock_t lock;

static void restore(u64 *old)
{
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

/* It runs elsewhere, and may need a moment to come to its end. */
/* Its own CPU drops the last reference for its running when it has switched away from it. */
static void end_other(void)
{
	for (u64 start = sched_clock(); sched_clock() - start < LIMIT_NS; cpu_relax())
		if (READ_ONCE(other.done) && other.task && READ_ONCE(other.task->usage) == 1)
			break;
	thread_end(&other);
}

/* fails with: await_turn() that does not call watchdog_spinning(); one that tells again */
KTEST(waiting_for_a_raw_lock_is_reported_once)
{
	SHORT_LIMITS;

	if (nr_cpus == 1)
		KSKIP("one CPU: nobody else can hold the lock");
	since = &before;
	start_other(kt, keep_lock);
	raw_spin_lock(&lock);
	raw_spin_unlock(&lock);
	expect_reported(kt, &before);
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
