/* SPDX-License-Identifier: MIT */
/*
 * A task that has said that it sleeps must not call what blocks, as that would set its state to
 * RUNNING: who is reported, and that a spinlock_t, which keeps the state, is not. And that an RCU
 * reader, as who holds a spinlock_t is with rt=on, must not sleep by its own will at all.
 */
#include "kernel/preempt/might_sleep.h"
#include "kernel/mm/kmalloc.h"
#include "kernel/report/panic.h"
#include "tests/kernel/threads.h"

KTEST_SUITE(sleep_state);

static mutex_t mutex = MUTEX_INIT;
static spinlock_t spinlock = SPINLOCK_INIT;

/* fails with: __might_sleep() warning once and counting once */
KTEST(a_blocking_call_in_a_sleeping_state_is_counted)
{
	struct splats before = splats_now();
	struct completion done;
	void *object;

	init_completion(&done);
	complete(&done);
	for (int i = 1; i <= 2; i++) {
		set_current_state(TASK_INTERRUPTIBLE);
		mutex_lock(&mutex);
		__set_current_state(TASK_RUNNING);
		mutex_unlock(&mutex);
		EXPECT_SPLATS(before, SPLAT_STATE, i);
	}
	set_current_state(TASK_UNINTERRUPTIBLE);
	object = kmalloc(32, GFP_KERNEL);
	__set_current_state(TASK_RUNNING);
	kfree(object);
	EXPECT_SPLATS(before, SPLAT_STATE, 3);
	set_current_state(TASK_INTERRUPTIBLE);
	wait_for_completion(&done);
	__set_current_state(TASK_RUNNING);
	EXPECT_SPLATS(before, SPLAT_STATE, 4);
	EXPECT_SPLATS_IN_ALL(before, 4);
}

/* fails with: rt_spin_lock() calling __might_sleep() */
KTEST(a_spinlock_may_be_taken_in_any_state)
{
	struct splats before = splats_now();

	set_current_state(TASK_INTERRUPTIBLE);
	spin_lock(&spinlock);
	spin_unlock(&spinlock);
	__set_current_state(TASK_RUNNING);
	EXPECT_SPLATS_IN_ALL(before, 0);
}

/* --- Readers --- */

/* A signal is pending, so it comes back at once. */
static void sleep_in_vain(unsigned int state)
{
	set_current_state(state);
	set_thread_flag(TIF_SIGPENDING);
	schedule();
	clear_thread_flag(TIF_SIGPENDING);
	__set_current_state(TASK_RUNNING);
}

/* fails with: fault/reader-sleeps */
KTEST(a_reader_that_sleeps_by_its_own_will_is_reported)
{
	struct splats before = splats_now();
	KMAY_WARN;

	sleep_in_vain(TASK_INTERRUPTIBLE);
	EXPECT_SPLATS_IN_ALL(before, 0);
	rcu_read_lock();
	sleep_in_vain(TASK_INTERRUPTIBLE);
	rcu_read_unlock();
	EXPECT_SPLATS(before, SPLAT_WARN, 1);
	if (preempt_rt()) {
		spin_lock(&spinlock);
		sleep_in_vain(TASK_INTERRUPTIBLE);	/* printed once a boot, counted each time */
		spin_unlock(&spinlock);
		EXPECT_SPLATS(before, SPLAT_WARN, 2);
	}
	EXPECT_SPLATS_IN_ALL(before, 1 + preempt_rt());
}

static struct thread other;

static void mark(struct thread *self)
{
	log_mark(self->mark);
}

static void take_in_a_section(struct thread *self)
{
	rcu_read_lock();
	spin_lock(&spinlock);
	log_mark(self->mark);
	spin_unlock(&spinlock);
	rcu_read_unlock();
}

/*
 * In any state it may be preempted, may yield, and with rt=on may wait for a spinlock_t.
 * fails with: fault/preempted-reader-reported, fault/waiting-reader-reported
 */
KTEST(a_reader_that_is_made_to_wait_is_not)
{
	struct splats before = splats_now();
	RUN_AS_FIFO(10);

	log_clear();
	thread_make(kt, &other, mark, NULL, "urgent");
	thread_set_fifo(&other, 20);		/* it runs, and waits for the word */
	rcu_read_lock();
	do_sched_yield();
	set_current_state(TASK_INTERRUPTIBLE);
	complete(&other.go);			/* ends in preempt_enable() */
	__set_current_state(TASK_RUNNING);
	rcu_read_unlock();
	log_mark('1');
	thread_end(&other);
	if (preempt_rt()) {
		thread_make(kt, &other, take_in_a_section, NULL, "waits");
		spin_lock(&spinlock);
		thread_start(&other, 20);
		KEXPECT(thread_is_blocked_on(&other, &spinlock.lock));
		log_mark('2');
		spin_unlock(&spinlock);
		thread_end(&other);
	}
	EXPECT_LOG(preempt_rt() ? "u12w" : "u1");
	EXPECT_SPLATS_IN_ALL(before, 0);
}
