/* SPDX-License-Identifier: MIT */
/*
 * A preempt_count that is not what it was: taken too far down, carried out to ring 3, or left
 * behind by a function that an interrupt called. Each is reported, and where the kernel goes on,
 * the count is right again.
 *
 * Whatever the kernel does with the count, a test puts it right before anything else runs: else the
 * kernel that such a test is meant to catch would not live to be told so.
 */
#include "arch/x86/entry/entry.h"
#include "arch/x86/irqflags.h"
#include "arch/x86/process.h"
#include "kernel/debug/scrub.h"
#include "kernel/preempt/preempt.h"
#include "kernel/preempt/softirq.h"
#include "kernel/report/panic.h"
#include "kernel/time/timer.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "tests/kernel/many_cpus.h"

KTEST_SUITE(leaks);

/* A line of the log since message @from that has @text in it, or NULL. */
static const char *line_with(u64 from, const char *text)
{
	size_t len = strlen(text);

	for (; from < printk_next(); from++) {
		for (const char *line = printk_text(from); line && *line; line++)
			if (!strncmp(line, text, len))
				return line;
	}
	return NULL;
}

/* --- Too far down --- */

/* What is left of @count if @val is taken away; interrupts off. */
static int sub_from(int count, int val)
{
	int left;

	preempt_count_set(count);
	preempt_count_sub(val);
	left = preempt_count();
	preempt_count_set(0);
	return left;
}

/*
 * fails with: fault/underflow-not-ignored, fault/underflow-hidden-by-other-fields
 */
KTEST(an_underflow_is_seen_under_other_fields)
{
	static const struct {
		int count, val, left;
	} cases[] = {
		{ 0, 1, 0 }, { 1, 2, 1 }, { 0, HARDIRQ_OFFSET, 0 }, { 1, SOFTIRQ_OFFSET, 1 },
		{ HARDIRQ_OFFSET, 1, HARDIRQ_OFFSET }, { 0x200, 1, 0x200 }, { 0x101, 2, 0x101 },
		/* All is well. */
		{ 1, 1, 0 }, { 0x201, 1, 0x200 }, { HARDIRQ_OFFSET + 3, 2, HARDIRQ_OFFSET + 1 },
		{ 0x200, 0x1ff, 1 }, { 0x401, 0x1ff, 0x202 }, { 0x101, SOFTIRQ_OFFSET, 1 },
		{ HARDIRQ_OFFSET, HARDIRQ_OFFSET, 0 }, { 0xff, 0xff, 0 },
	};
	int left[ARRAY_SIZE(cases)];
	u64 reports[ARRAY_SIZE(cases)];
	struct splats before = splats_now();
	unsigned long flags = local_irq_save();

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		u64 old = splat_counts[SPLAT_UNDERFLOW];

		left[i] = sub_from(cases[i].count, cases[i].val);
		reports[i] = splat_counts[SPLAT_UNDERFLOW] - old;
	}
	local_irq_restore(flags);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (left[i] != cases[i].left || reports[i] != (i < 7))
			KFAIL("%#x less %#x: %#x left, %llu reports", cases[i].count, cases[i].val,
			      left[i], reports[i]);
	EXPECT_SPLATS_IN_ALL(before, 7);
}

/* --- Out to ring 3 --- */

/* The way there, and back at once: nothing of it needs the caller to go. Count @count. */
static void leave_with(int count)
{
	local_irq_disable();
	while (need_resched()) {
		local_irq_enable();
		schedule();
		local_irq_disable();
	}
	preempt_count_set(count);
	exit_to_user_mode(task_pt_regs(current));
	preempt_count_set(0);
	local_irq_enable();
}

/* fails with: fault/exit-with-a-count */
KTEST(going_to_ring_3_with_a_count_is_reported)
{
	KMAY_WARN;
	struct splats before = splats_now();

	leave_with(0);
	EXPECT_SPLATS_IN_ALL(before, 0);
	leave_with(1);
	EXPECT_SPLATS(before, SPLAT_WARN, 1);
	leave_with(SOFTIRQ_DISABLE_OFFSET);
	EXPECT_SPLATS(before, SPLAT_WARN, 2);
	EXPECT_SPLATS_IN_ALL(before, 2);
}

/* --- Left behind by a softirq --- */

static unsigned int leak_cpu, leaked;
static int leak_by, count_after;

static void leaky(void)
{
	if (smp_processor_id() != leak_cpu || READ_ONCE(leaked))
		return;
	preempt_count_set(preempt_count() + leak_by);
	WRITE_ONCE(leaked, 1);
}

/* The next one there sees what the leaky one has left. */
static void look(struct timer *timer)
{
	count_after = preempt_count();
	WRITE_ONCE(leaked, 2);
}

/*
 * That of a soft timer's function. rt=off: its softirq's and its lock's; one more if the softirq
 * runs in local_bh_enable(), which is not preempted by what it wakes.
 */
static bool is_soft_count(int count)
{
	if (preempt_rt())
		return !count;
	return count == SOFTIRQ_OFFSET + 1 || count == SOFTIRQ_OFFSET + 2;
}

static struct timer timers[2];

static void softirq_leaks(struct ktest_run *kt, int by)
{
	struct splats before = splats_now();
	u64 from = printk_next();
	unsigned long flags;
	int count;

	leak_cpu = smp_processor_id();
	leak_by = by;
	leaked = 0;
	open_softirq(SCRUB_SOFTIRQ, leaky);
	flags = local_irq_save();
	raise_softirq(SCRUB_SOFTIRQ);
	local_irq_restore(flags);
	AWAIT(READ_ONCE(leaked));
	count = preempt_count();		/* rt=off: it ran on top of us */
	preempt_count_set(0);
	timer_init(&timers[0], look, false);
	add_timer(&timers[0], 0);
	AWAIT(READ_ONCE(leaked) == 2);
	open_softirq(SCRUB_SOFTIRQ, scrub_softirq);
	KEXPECT_EQ(count, 0);
	KEXPECT(is_soft_count(count_after));
	EXPECT_SPLATS(before, SPLAT_CORRUPTED, 1);
	EXPECT_SPLATS_IN_ALL(before, 1);
	KEXPECT(line_with(from, "huh, entered softirq 1 SCRUB "));
	KEXPECT(line_with(from, preempt_rt() ? "with preempt_count 00000000, exited with 00000"
					     : "with preempt_count 000001"));
}

/* fails with: fault/softirq-leaks-in-silence, fault/softirq-leak-left */
KTEST(what_a_softirq_leaks_is_reported_and_set_right)
{
	RUN_ON(BIT(smp_processor_id()));

	softirq_leaks(kt, PREEMPT_OFFSET);
	softirq_leaks(kt, SOFTIRQ_OFFSET);
}

/* --- Left behind by a timer --- */

static void leaky_timer(struct timer *timer)
{
	preempt_count_add(leak_by);
	WRITE_ONCE(leaked, READ_ONCE(leaked) + 1);
}

static void timer_leaks(struct ktest_run *kt, bool hard, int by)
{
	struct splats before = splats_now();
	int count;

	leak_by = by;
	leaked = 0;
	timer_init(&timers[0], leaky_timer, hard);
	add_timer(&timers[0], 0);
	AWAIT(READ_ONCE(leaked));
	count = preempt_count();
	preempt_count_set(0);
	leaked = 0;
	timer_init(&timers[1], look, hard);
	add_timer(&timers[1], 0);
	AWAIT(READ_ONCE(leaked) == 2);
	KEXPECT_EQ(count, 0);
	if (hard)
		KEXPECT_EQ(count_after & ~PREEMPT_MASK, HARDIRQ_OFFSET);
	else
		KEXPECT(is_soft_count(count_after));
	EXPECT_SPLATS(before, SPLAT_CORRUPTED, 1);
	EXPECT_SPLATS_IN_ALL(before, 1);
}

/* fails with: fault/timer-leak-left, fault/hard-timer-unchecked */
KTEST(what_a_timer_leaks_is_reported_and_set_right)
{
	static bool printed;				/* once a boot; counted each time */
	u64 from = printk_next();
	RUN_ON(BIT(smp_processor_id()));

	timer_leaks(kt, true, PREEMPT_OFFSET);
	KEXPECT(printed || line_with(from, "timer: leaky_timer+0x0/"));
	printed = true;
	timer_leaks(kt, false, PREEMPT_OFFSET);
	timer_leaks(kt, true, SOFTIRQ_OFFSET);
}
