/* SPDX-License-Identifier: MIT */
/*
 * Timers and sleeping: not before the time, in order, in the right context, on the CPU that set
 * them; and gone when they are deleted, whatever they were doing.
 */
#include "kernel/time/timer.h"
#include "arch/x86/irqflags.h"
#include "kernel/preempt/might_sleep.h"
#include "kernel/preempt/softirq.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "tests/kernel/many_cpus.h"

KTEST_SUITE(timer);

#define WHEEL_TURN	256		/* WHEEL_SLOTS of kernel/time/timer.c */
#define MANY		200

struct alarm {
	struct timer timer;
	unsigned int runs, place, cpu;	/* place: which of all was it? */
	u64 at;
	int preempt_count;
	bool irqs_disabled;
	struct task_struct *on;
};

static struct alarm alarms[MANY];
static unsigned int rung;

static void ring(struct timer *timer)
{
	struct alarm *alarm = container_of(timer, struct alarm, timer);

	alarm->at = READ_ONCE(jiffies);
	alarm->place = rung;
	alarm->cpu = smp_processor_id();
	alarm->preempt_count = preempt_count();
	alarm->irqs_disabled = irqs_disabled();
	alarm->on = current;
	WRITE_ONCE(alarm->runs, alarm->runs + 1);
	WRITE_ONCE(rung, rung + 1);
}

static void init(void)
{
	memset(alarms, 0, sizeof(alarms));
	rung = 0;
}

static void set_alarm_at(int i, bool hard, u64 expires)
{
	timer_init(&alarms[i].timer, ring, hard);
	add_timer(&alarms[i].timer, expires);
}

static struct alarm *set_alarm(int i, bool hard, u64 ticks)
{
	set_alarm_at(i, hard, READ_ONCE(jiffies) + ticks);
	return &alarms[i];
}

/* Without sleeping. */
static void spin_for_ticks(unsigned int n)
{
	unsigned int start = this_cpu_read(ticks);

	while (this_cpu_read(ticks) - start < n)
		cpu_relax();
}

/* --- When --- */

static void come_in_order(struct ktest_run *kt, bool hard)
{
	static const int after[] = { 6, 3, 10, 3, 8, 2 }, place[] = { 3, 1, 5, 2, 4, 0 };
	u64 now;

	init();
	/* No tick of this CPU comes before all are set, and all count from the same one. */
	local_irq_disable();
	now = READ_ONCE(jiffies);
	for (int i = 0; i < 6; i++)
		set_alarm_at(i, hard, now + after[i]);
	KEXPECT_EQ(rung, 0);
	local_irq_enable();
	AWAIT(READ_ONCE(rung) == 6);
	for (int i = 0; i < 6; i++) {
		KEXPECT_EQ(alarms[i].runs, 1);
		KEXPECT_EQ(alarms[i].place, place[i]);
		KEXPECT_GE(alarms[i].at, alarms[i].timer.expires);
		KEXPECT(list_empty(&alarms[i].timer.node));
	}
}

/* fails with: add_timer() adding at the head; expire_slot() not looking at the time */
KTEST(hard_timers_come_in_order)
{
	come_in_order(kt, true);
}

KTEST(soft_timers_come_in_order)
{
	come_in_order(kt, false);
}

/* fails with: add_timer() taking a time that is past as it is: it would wait for a whole turn */
KTEST(what_is_past_comes_with_the_next_tick)
{
	RUN_AS_FIFO(50);
	u64 now = READ_ONCE(jiffies);

	init();
	set_alarm(0, true, -10UL);
	spin_for_ticks(2);
	KEXPECT_EQ(alarms[0].runs, 1);
	KEXPECT_GE(now + 3, alarms[0].at);
	del_timer_sync(&alarms[0].timer);
}

/* fails with: expire_slot() taking all that stands in the slot */
KTEST(more_than_a_turn_of_the_wheel)
{
	struct alarm *far, *farther, *near;

	init();
	far = set_alarm(0, true, WHEEL_TURN + 5);
	farther = set_alarm(1, false, WHEEL_TURN + 6);
	near = set_alarm(2, false, 5);
	AWAIT(READ_ONCE(near->runs));
	sleep_ns(1);
	KEXPECT_EQ(rung, 1);
	AWAIT(READ_ONCE(farther->runs));
	KEXPECT_EQ(far->place, 1);
	KEXPECT_EQ(farther->place, 2);
	KEXPECT_GE(far->at, far->timer.expires);
	KEXPECT_GE(farther->at, farther->timer.expires);
}

/* fails with: expire_slot() going on behind a timer that it has taken out */
KTEST(many_timers_come_once_each)
{
	init();
	for (int i = 0; i < MANY; i++)
		set_alarm(i, i % 3 == 0, 1 + i * 7 % 40);
	AWAIT(READ_ONCE(rung) == MANY);
	for (int i = 0; i < MANY; i++) {
		KEXPECT_EQ(alarms[i].runs, 1);
		KEXPECT_GE(alarms[i].at, alarms[i].timer.expires);
		/* All that were due before it had their turn before it. */
		for (int j = 0; j < MANY && alarms[i].timer.hard; j += 3)
			KEXPECT(alarms[j].timer.expires >= alarms[i].timer.expires ||
				alarms[j].place < alarms[i].place);
	}
}

/* --- Where --- */

/* fails with: expire_slot() calling all functions, or none */
KTEST(hard_and_soft_context)
{
	RUN_AS_FIFO(50);
	struct alarm *hard, *soft;

	init();
	hard = set_alarm(0, true, 1);
	soft = set_alarm(1, false, 1);
	spin_for_ticks(3);
	KEXPECT_EQ(hard->runs, 1);
	KEXPECT_EQ(hard->preempt_count & ~PREEMPT_MASK, HARDIRQ_OFFSET);
	KEXPECT(hard->irqs_disabled);
	KEXPECT_EQ(hard->on, current);
	KEXPECT_EQ(soft->runs, !preempt_rt());		/* rt=on: the thread waits for us */
	AWAIT(READ_ONCE(soft->runs));
	KEXPECT(!soft->irqs_disabled);
	KEXPECT_EQ(soft->preempt_count, preempt_rt() ? 0 : SOFTIRQ_OFFSET + PREEMPT_OFFSET);
	KEXPECT_EQ(soft->on, preempt_rt() ? this_cpu()->ksoftirqd : current);
}

/* fails with: add_timer() taking the wheel of CPU 0 */
KTEST(each_runs_on_the_cpu_that_set_it)
{
	RUN_ON(~0UL);

	init();
	for (unsigned int cpu = 0; cpu < nr_cpus; cpu++) {
		set_cpus_allowed(current, BIT(cpu));
		set_alarm(2 * cpu, true, 3);
		set_alarm(2 * cpu + 1, false, 3);
	}
	for (unsigned int i = 0; i < 2 * nr_cpus; i++) {
		AWAIT(READ_ONCE(alarms[i].runs));
		KEXPECT_EQ(alarms[i].cpu, i / 2);
		KEXPECT_EQ(alarms[i].timer.cpu, i / 2);
	}
}

/* --- Deleting --- */

/* fails with: del_timer_sync() doing nothing */
KTEST(a_deleted_timer_does_not_run)
{
	init();
	for (int i = 0; i < 4; i++)
		set_alarm(i, i % 2, 2);
	del_timer_sync(&alarms[0].timer);
	del_timer_sync(&alarms[1].timer);
	del_timer_sync(&alarms[1].timer);		/* once more does no harm */
	AWAIT(READ_ONCE(rung) == 2);
	sleep_ns(1);
	KEXPECT_EQ(alarms[0].runs + alarms[1].runs, 0);
	KEXPECT_EQ(alarms[2].runs + alarms[3].runs, 2);
	del_timer_sync(&alarms[2].timer);		/* it is over: nor does this */
	KEXPECT(list_empty(&alarms[2].timer.node));
	set_alarm(2, false, 1);				/* and it can be set again */
	AWAIT(READ_ONCE(alarms[2].runs) == 2);
}

/*
 * Its time has come, and its function waits for the softirq.
 * fails with: run_timer_softirq() taking the whole list with it
 */
KTEST(an_expired_timer_can_be_deleted)
{
	RUN_AS_FIFO(50);

	init();
	if (!preempt_rt())
		local_bh_disable();
	set_alarm(0, false, 1);
	set_alarm(1, false, 1);
	spin_for_ticks(3);
	KEXPECT_EQ(rung, 0);
	KEXPECT(this_cpu_read(softirq_pending) & BIT(TIMER_SOFTIRQ) || preempt_rt());
	del_timer_sync(&alarms[0].timer);
	if (!preempt_rt())
		local_bh_enable();
	AWAIT(READ_ONCE(alarms[1].runs));
	KEXPECT_EQ(alarms[0].runs, 0);
}

static struct {
	struct timer timer;
	unsigned int runs, stop_after;
	bool started, done, again;
} slow;

static void take_time(struct timer *timer)
{
	WRITE_ONCE(slow.started, true);
	spin_for_ticks(3);
	slow.runs++;
	if (slow.again)
		add_timer(&slow.timer, READ_ONCE(jiffies) + 1);
	WRITE_ONCE(slow.done, true);
}

static void set_slow_timer(struct thread *self)
{
	timer_init(&slow.timer, take_time, false);
	add_timer(&slow.timer, READ_ONCE(jiffies) + 1);
}

static void delete_while_it_runs(struct ktest_run *kt, bool again)
{
	static struct thread setter;

	memset(&slow, 0, sizeof(slow));
	slow.again = again;
	thread_run_on(kt, &setter, set_slow_timer, NULL, BIT(1), 10);
	SPIN_UNTIL(READ_ONCE(slow.started));
	del_timer_sync(&slow.timer);
	KEXPECT(slow.done);
	KEXPECT(list_empty(&slow.timer.node));
	slow.runs = 0;
	thread_join(&setter);
	for (int i = 0; i < 3; i++)
		sleep_ns(1);
	KEXPECT_EQ(READ_ONCE(slow.runs), 0);
	WRITE_ONCE(slow.again, false);		/* or it would go on for ever */
}

/* fails with: del_timer_sync() not waiting */
KTEST(deleting_waits_for_the_function)
{
	NEEDS_CPUS(2);
	RUN_ON(BIT(0));
	RUN_AS_FIFO(50);

	delete_while_it_runs(kt, false);
}

/* fails with: del_timer_sync() looking only once */
KTEST(deleting_outlasts_a_timer_that_sets_itself)
{
	NEEDS_CPUS(2);
	RUN_ON(BIT(0));
	RUN_AS_FIFO(50);

	delete_while_it_runs(kt, true);
}

/*
 * Whether a soft timer's function has to be waited for is luck; the report is not.
 * fails with: fault/del-timer-in-silence
 */
KTEST(deleting_where_one_may_not_sleep_is_reported)
{
	struct splats before = splats_now();
	u64 expected = 0;

	init();
	for (int hard = 0; hard < 2; hard++) {
		set_alarm(0, hard, 100);
		might_sleep_ratelimit_reset();
		preempt_disable();
		del_timer_sync(&alarms[0].timer);
		preempt_enable();
		expected += !hard && preempt_rt();
		EXPECT_SPLATS(before, SPLAT_MIGHT_SLEEP, expected);
		might_sleep_ratelimit_reset();
		local_irq_disable();
		del_timer_sync(&alarms[0].timer);	/* nor if it is not even set */
		local_irq_enable();
		expected += !hard && preempt_rt();
		EXPECT_SPLATS(before, SPLAT_MIGHT_SLEEP, expected);
		/* As a spinlock_t it may be waited for by a reader, and in any state. */
		rcu_read_lock();
		set_current_state(TASK_INTERRUPTIBLE);
		del_timer_sync(&alarms[0].timer);
		__set_current_state(TASK_RUNNING);
		rcu_read_unlock();
	}
	might_sleep_ratelimit_reset();
	EXPECT_SPLATS_IN_ALL(before, expected);
}

static void delete_another(struct timer *timer)
{
	del_timer_sync(&alarms[1].timer);
	ring(timer);
}

/* fails with: fault/del-timer-from-an-interrupt */
KTEST(an_interrupt_must_not_delete_a_soft_timer)
{
	struct splats before = splats_now();
	KMAY_WARN;
	RUN_ON(BIT(smp_processor_id()));

	for (int hard = 0; hard < 2; hard++) {
		init();
		set_alarm(1, hard, 100);
		/* A hard timer's function has the wheel's lock: another CPU's wheel is free. */
		alarms[1].timer.cpu = NR_CPUS - 1;
		timer_init(&alarms[0].timer, delete_another, true);
		add_timer(&alarms[0].timer, READ_ONCE(jiffies) + 1);
		AWAIT(READ_ONCE(rung));
		KEXPECT_EQ(alarms[0].runs, 1);
		KEXPECT_EQ(splats_since(&before), 1);
	}
	might_sleep_ratelimit_reset();
}

static int prio_at_the_end;

static void take_time_and_look(struct timer *timer)
{
	take_time(timer);
	prio_at_the_end = current->prio;
}

/*
 * The function's thread is less urgent than we, and on our CPU: it gets on only by our priority.
 * fails, and hangs, with: del_timer_sync() spinning; with expiry_lock not held, it does not wait
 */
KTEST(deleting_lends_the_thread_its_priority)
{
	NEEDS_RT("there no task preempts a function");
	RUN_AS_FIFO(50);

	memset(&slow, 0, sizeof(slow));
	timer_init(&slow.timer, take_time_and_look, false);
	add_timer(&slow.timer, READ_ONCE(jiffies) + 1);
	AWAIT(READ_ONCE(slow.started));
	KEXPECT(!slow.done);				/* preempted in the middle of it */
	del_timer_sync(&slow.timer);
	KEXPECT(slow.done);
	KEXPECT_EQ(prio_at_the_end, current->prio);
	KEXPECT_EQ(this_cpu()->ksoftirqd->prio, DEFAULT_PRIO);
}

/* --- Again --- */

static void ring_again(struct timer *timer)
{
	ring(timer);
	if (rung < 5)
		add_timer(timer, READ_ONCE(jiffies) + 2);
}

/* fails with: run_timer_softirq() taking the timer out after its function */
KTEST(a_function_may_set_its_timer_again)
{
	u64 start = READ_ONCE(jiffies);

	init();
	timer_init(&alarms[0].timer, ring_again, false);
	add_timer(&alarms[0].timer, start + 2);
	AWAIT(READ_ONCE(rung) == 5);
	KEXPECT_EQ(alarms[0].runs, 5);
	KEXPECT_GE(alarms[0].at, start + 10);
	sleep_ns(1);
	KEXPECT(list_empty(&alarms[0].timer.node));
}

/* --- Sleeping --- */

#define TICK_NS	(1000000000UL / HZ)

static void sleeps_long_enough(struct ktest_run *kt)
{
	static const u64 ns[] = { 0, 1, TICK_NS - 1, TICK_NS, TICK_NS + 1, 5 * TICK_NS };

	for (size_t i = 0; i < ARRAY_SIZE(ns); i++) {
		u64 start = READ_ONCE(jiffies);

		KEXPECT_EQ(sleep_ns(ns[i]), 0);
		/* One more than asked for: the tick of the start was under way. */
		KEXPECT_GE(READ_ONCE(jiffies) - start, (ns[i] + TICK_NS - 1) / TICK_NS + 1);
		KEXPECT_EQ(task_state(current), TASK_RUNNING);
	}
}

/* fails with: sleep_ns() rounding down */
KTEST(sched_other_sleeps_long_enough)
{
	sleeps_long_enough(kt);
}

KTEST(fifo_sleeps_long_enough)
{
	RUN_AS_FIFO(50);

	sleeps_long_enough(kt);
}

static bool stop;
static struct thread other;

/*
 * Somebody keeps the CPU from all that is less urgent, the softirq's thread too.
 * fails with: sleep_ns() with a soft timer for all
 */
KTEST(a_fifo_sleeper_needs_no_thread_to_wake_it)
{
	RUN_AS_FIFO(50);

	stop = false;
	thread_run_on(kt, &other, spin_until_told, &stop, BIT(smp_processor_id()), 10);
	KEXPECT_EQ(sleep_ns(1), 0);
	KEXPECT_GE(other.seen, 1);
	KEXPECT(!other.done);
	WRITE_ONCE(stop, true);
	thread_join(&other);
}

static void sleep_for_ever(struct thread *self)
{
	self->result = sleep_ns(1000 * TICK_NS);
}

/* fails with: sleep_ns() sleeping on, or leaving its timer behind */
KTEST(a_killed_sleeper_wakes_early)
{
	RUN_AS_FIFO(50);

	thread_make(kt, &other, sleep_for_ever, NULL, "sleeper");
	thread_start(&other, 60);
	if (other.task) {
		KEXPECT_EQ(task_state(other.task), TASK_INTERRUPTIBLE);
		set_tsk_thread_flag(other.task, TIF_SIGPENDING);
		KEXPECT(wake_up_state(other.task, TASK_INTERRUPTIBLE));
		KEXPECT_EQ(other.result, -EINTR);
	}
	thread_join(&other);
}
