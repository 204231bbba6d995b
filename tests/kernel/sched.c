/* SPDX-License-Identifier: MIT */
/*
 * The scheduler: who runs, and when. Orders are read from the log of marks (threads.h); nothing is
 * measured in time.
 */
#include "arch/x86/cpu/insns.h"
#include "kernel/locking/rtmutex.h"
#include "kernel/policy.h"
#include "kernel/preempt/might_sleep.h"
#include "kernel/sched/sched.h"
#include "kernel/time/tick.h"
#include "lib/errno.h"
#include "tests/kernel/many_threads.h"

KTEST_SUITE(sched);

/* --- Who runs --- */

/* fails with: rq_pick() taking the last level that is not empty */
KTEST(the_most_urgent_runs_first)
{
	static const int fifo[] = { 20, 25, 15, 98, 1, 64 };
	RUN_AS_FIFO(10);

	make_many(kt, 6, mark);
	set_own_fifo(98);
	for (int i = 0; i < 6; i++)
		thread_start(&threads[i], fifo[i]);
	EXPECT_LOG("");
	set_own_fifo(2);
	EXPECT_LOG("dfbac");
	set_own_fifo(0);		/* even FIFO 1 comes before SCHED_OTHER */
	EXPECT_LOG("dfbace");
	end_many(6);
}

/* fails with: rq_enqueue() adding new tasks at the head */
KTEST(equals_run_in_the_order_of_arrival)
{
	RUN_AS_FIFO(10);

	make_many(kt, 5, mark);
	set_own_fifo(30);
	for (int i = 4; i >= 0; i--)
		thread_start(&threads[i], 20);
	set_own_fifo(10);
	EXPECT_LOG("edcba");
	end_many(5);
}

/*
 * A loan that changes nothing, because another one is as large, costs no place among equals.
 * fails with: fault/same-priority-goes-to-the-back
 */
KTEST(the_same_priority_again_keeps_its_place)
{
	RUN_AS_FIFO(10);

	make_many(kt, 2, mark);
	set_own_fifo(30);
	thread_start(&threads[0], 20);
	thread_start(&threads[1], 20);
	if (threads[0].task) {
		raw_spin_lock_irq(&threads[0].task->pi_lock);
		rt_mutex_setprio(threads[0].task, NULL);
		raw_spin_unlock_irq(&threads[0].task->pi_lock);
	}
	set_own_fifo(10);
	EXPECT_LOG("ab");
	end_many(2);
}

/* fails with: activate_task() without check_preempt_curr() */
KTEST(a_wake_up_of_the_more_urgent_preempts)
{
	RUN_AS_FIFO(10);
	u64 preemptions;

	make_many(kt, 3, mark);
	for (int i = 0; i < 3; i++)
		thread_set_fifo(&threads[i], 9 + i);	/* less, equally and more urgent */
	do_sched_yield();
	set_own_fifo(8);				/* now all wait for the word */
	set_own_fifo(10);
	preemptions = this_cpu()->rq->nr_preemptions;
	for (int i = 0; i < 3; i++) {
		complete(&threads[i].go);
		log_mark('1' + i);
	}
	EXPECT_LOG("12c3");
	KEXPECT_EQ(this_cpu()->rq->nr_preemptions - preemptions, 1);
	do_sched_yield();
	EXPECT_LOG("12c3b");
	set_own_fifo(8);
	EXPECT_LOG("12c3ba");
	end_many(3);
}

static void mark_and_yield(struct thread *self)
{
	for (int i = 0; i < 3; i++) {
		log_mark(self->mark);
		do_sched_yield();
	}
}

/* fails with: do_sched_yield() putting current back at the head */
KTEST(yield_rotates_equals)
{
	RUN_AS_FIFO(10);

	make_many(kt, 4, mark_and_yield);
	set_own_fifo(30);
	for (int i = 0; i < 3; i++)
		thread_start(&threads[i], 20);
	thread_start(&threads[3], 15);		/* below: not invited */
	set_own_fifo(10);
	EXPECT_LOG("abcabcabcddd");
	end_many(4);
}

static void wake_the_next(struct thread *self)
{
	log_mark(self->mark);
	thread_start(self + 2, 25);		/* more urgent than both */
	log_mark(self->mark);
}

/* fails with: __schedule() putting a preempted task at the tail of its level */
KTEST(the_preempted_goes_on_before_its_equals)
{
	RUN_AS_FIFO(10);

	make_many(kt, 4, mark);
	threads[0].fn = threads[1].fn = wake_the_next;
	set_own_fifo(30);
	thread_start(&threads[0], 20);
	thread_start(&threads[1], 20);
	set_own_fifo(10);
	EXPECT_LOG("acabdb");
	end_many(4);
}

/* fails with: set_prio() not asking for a reschedule when current gets less urgent */
KTEST(changing_a_priority_takes_effect_at_once)
{
	RUN_AS_FIFO(10);

	make_many(kt, 3, mark);
	thread_start(&threads[0], 5);
	thread_start(&threads[1], 5);
	log_mark('1');
	thread_set_fifo(&threads[1], 11);
	log_mark('2');
	set_own_fifo(4);
	log_mark('3');
	KEXPECT_EQ(current->prio, PRIO_OF(4));
	thread_start(&threads[2], 0);
	thread_set_fifo(&threads[2], 99);
	EXPECT_LOG("1b2a3c");
	end_many(3);
}

/* fails with: sched_setscheduler() taking any numbers */
KTEST(setscheduler_checks_its_arguments)
{
	int policy = current->policy, prio = current->prio;

	KEXPECT_EQ(sched_setscheduler(current, SCHED_FIFO, 0), -EINVAL);
	KEXPECT_EQ(sched_setscheduler(current, SCHED_FIFO, 100), -EINVAL);
	KEXPECT_EQ(sched_setscheduler(current, SCHED_FIFO, -1), -EINVAL);
	KEXPECT_EQ(sched_setscheduler(current, SCHED_OTHER, 1), -EINVAL);
	KEXPECT_EQ(sched_setscheduler(current, 2, 0), -EINVAL);
	KEXPECT_EQ(current->policy, policy);
	KEXPECT_EQ(current->prio, prio);
	{
		RUN_AS_FIFO(99);
		KEXPECT_EQ(current->prio, 0);
	}
	{
		RUN_AS_FIFO(1);
		KEXPECT_EQ(current->prio, MAX_RT_PRIO - 2);
	}
	KEXPECT_EQ(current->policy, policy);
	KEXPECT_EQ(current->prio, prio);
}

#define MANY	200

static struct thread many[MANY];
static int order[MANY], nr_ordered;

static void note_turn(struct thread *self)
{
	order[nr_ordered++] = self - many;
}

static int fifo_of(int i)
{
	return 11 + i * 37 % 23;		/* 23 levels, each with 8 or 9 threads */
}

/* fails with: rq_dequeue() clearing the level's bit although more tasks are in it */
KTEST(two_hundred_threads_come_in_order)
{
	RUN_AS_FIFO(10);
	unsigned int running;

	nr_ordered = 0;
	for (int i = 0; i < MANY; i++)
		thread_make(kt, &many[i], note_turn, NULL, "many");
	set_own_fifo(60);
	running = this_cpu()->rq->nr_running;
	KEXPECT_GE(running, MANY + 1);
	for (int i = 0; i < MANY; i++)
		thread_start(&many[i], fifo_of(i));
	KEXPECT_EQ(this_cpu()->rq->nr_running, running);
	KEXPECT_EQ(nr_ordered, 0);
	set_own_fifo(10);
	KEXPECT_EQ(nr_ordered, MANY);
	KEXPECT_EQ(this_cpu()->rq->nr_running, running - MANY);
	for (int i = 1; i < nr_ordered; i++) {
		int before = order[i - 1], now = order[i];

		KEXPECT(fifo_of(before) > fifo_of(now) ||
			(fifo_of(before) == fifo_of(now) && before < now));
	}
	for (int i = 0; i < MANY; i++)
		thread_end(&many[i]);
}

/* --- SCHED_OTHER --- */

#define TICKS_MAX	100	/* only if slices do not work: then the test fails, and ends */

/* Set our flag, and do not stop before the other's is set. */
static void spin_for_the_other(struct thread *self)
{
	struct thread *peer = self->arg;
	u64 start = READ_ONCE(jiffies);

	WRITE_ONCE(self->seen, 1);
	while (!READ_ONCE(peer->seen) && READ_ONCE(jiffies) - start < TICKS_MAX)
		barrier();
	self->result = READ_ONCE(peer->seen);
}

/* fails with: scheduler_tick() not putting current at the end of its level */
KTEST(slices_share_the_cpu)
{
	make_many(kt, 2, spin_for_the_other);
	threads[0].arg = &threads[1];
	threads[1].arg = &threads[0];
	for (int i = 0; i < 2; i++)
		thread_start(&threads[i], 0);
	for (int i = 0; i < 1000 && !(threads[0].done && threads[1].done); i++)
		do_sched_yield();
	KEXPECT_EQ(threads[0].result, 1);
	KEXPECT_EQ(threads[1].result, 1);
	end_many(2);
}

static void note_tick(struct thread *self)
{
	self->result = this_cpu_read(ticks);
}

/* fails with: fault/slices-of-six-ticks */
KTEST(a_slice_is_five_ticks)
{
	unsigned int start;

	if (cpus_race())
		KSKIP("a tick may come before we have set our slice, or before the thread looks");
	make_many(kt, 1, note_tick);
	do_sched_yield();				/* it waits for the word */
	start = this_cpu_read(ticks);
	while (this_cpu_read(ticks) == start)
		cpu_relax();
	start = this_cpu_read(ticks);
	thread_start(&threads[0], 0);			/* as urgent as we: it waits */
	current->time_slice = SLICE_TICKS;
	for (u64 end = READ_ONCE(jiffies) + 100; !READ_ONCE(threads[0].done) &&
	     READ_ONCE(jiffies) < end; )
		cpu_relax();
	KEXPECT_EQ(threads[0].result - start, SLICE_TICKS);
	end_many(1);
}

static mutex_t lent;

static void lend(struct thread *self)
{
	mutex_lock(&lent);
	log_mark(self->mark);
	mutex_unlock(&lent);
}

/*
 * Its slice ends while it is boosted: its equals for the time are FIFO, and wait.
 * fails with: fault/boosted-loses-its-slice; fault/a-slice-once-and-never-again
 */
KTEST(a_boosted_owner_keeps_the_cpu)
{
	unsigned int start;

	mutex_init(&lent);
	make_many(kt, 2, mark);
	threads[0].fn = lend;
	mutex_lock(&lent);
	thread_start(&threads[0], 20);
	KEXPECT_EQ(current->prio, PRIO_OF(20));
	thread_start(&threads[1], 20);
	current->time_slice = 1;
	start = this_cpu_read(ticks);
	while (this_cpu_read(ticks) - start < 3)
		cpu_relax();
	EXPECT_LOG("");
	KEXPECT_GE(current->time_slice, 1);
	mutex_unlock(&lent);
	EXPECT_LOG("ba");				/* a gets behind b when it wakes */
	end_many(2);
}

/* --- Migration --- */

/* fails with: migrate_enable() letting go at the first of two */
KTEST(migrate_disable_nests)
{
	RUN_AS_FIFO(10);
	spinlock_t lock = SPINLOCK_INIT;

	KEXPECT_EQ(current->migration_disabled, 0);
	migrate_disable();
	KEXPECT_EQ(current->migration_disabled, 1);
	KEXPECT_EQ(preempt_count(), 0);
	migrate_disable();
	spin_lock(&lock);
	KEXPECT_EQ(current->migration_disabled, 2 + preempt_rt());	/* who spins needs none */
	spin_unlock(&lock);
	migrate_enable();
	KEXPECT_EQ(current->migration_disabled, 1);
	migrate_enable();
	KEXPECT_EQ(current->migration_disabled, 0);
}

/* fails with: fault/unpinned-too-often */
KTEST(one_enable_too_many_is_reported_and_not_done)
{
	struct splats before = splats_now();
	KMAY_WARN;

	migrate_enable();
	EXPECT_SPLATS(before, SPLAT_WARN, 1);
	KEXPECT_EQ(current->migration_disabled, 0);
	current->migration_disabled = 0;
}
