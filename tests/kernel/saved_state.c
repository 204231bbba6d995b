/* SPDX-License-Identifier: MIT */
/*
 * A spinlock_t that blocks (rt=on) keeps the task's state. A thread says "I am about to sleep", and
 * has to wait for a lock then: neither its state nor a wake-up that comes meanwhile may be lost,
 * and only the lock's release may let it go on.
 */
#include "kernel/locking/spinlock.h"
#include "kernel/preempt/might_sleep.h"
#include "tests/kernel/threads.h"
#include "tests/kernel/watch.h"

KTEST_SUITE(saved_state);

/* Another one with each "seed=". */
#define SOME_STATE	(ktest_seed & 1 ? TASK_INTERRUPTIBLE : TASK_UNINTERRUPTIBLE)

static spinlock_t lock, second_lock;
static struct thread sleeper;

static void init(void)
{
	spin_lock_init(&lock);
	spin_lock_init(&second_lock);
	log_clear();
}

/* We hold the lock; the sleeper runs @fn, with @state as its argument, until it waits for it. */
static void let_wait(struct ktest_run *kt, void (*fn)(struct thread *self), unsigned long state)
{
	thread_make(kt, &sleeper, fn, (void *)state, "sleeper");
	spin_lock(&lock);
	thread_start(&sleeper, fifo(20));
}

/* What the sleeper, as it waits for the lock, must look like. */
static void expect_waits(struct ktest_run *kt, unsigned int saved)
{
	KEXPECT(thread_is_blocked_on(&sleeper, &lock.lock));
	if (!sleeper.task)
		return;
	KEXPECT_EQ(task_state(sleeper.task), TASK_RTLOCK_WAIT);
	KEXPECT_EQ(sleeper.task->saved_state, saved);
}

/* @arg: the state to be in. Stays awake: only looks at what is left of the state. */
static void lock_in_state(struct thread *self)
{
	set_current_state((unsigned long)self->arg);
	spin_lock(&lock);
	self->seen = task_state(current);
	log_mark('l');
	spin_unlock(&lock);
	self->result = task_state(current) == self->seen;
	__set_current_state(TASK_RUNNING);
}

/* fails with: rt_spin_lock() setting the state to RUNNING */
KTEST(a_free_lock_leaves_the_state_alone)
{
	struct splats before = splats_now();
	unsigned int inside, after;

	init();
	set_current_state(SOME_STATE);
	spin_lock(&lock);
	inside = task_state(current);
	spin_unlock(&lock);
	after = task_state(current);
	__set_current_state(TASK_RUNNING);
	KEXPECT_EQ(inside, SOME_STATE);
	KEXPECT_EQ(after, SOME_STATE);
	EXPECT_SPLATS_IN_ALL(before, 0);
}

static void keeps(struct ktest_run *kt, unsigned long state)
{
	RUN_AS_FIFO(fifo(10));

	init();
	let_wait(kt, lock_in_state, state);
	expect_waits(kt, state);
	log_mark('1');
	spin_unlock(&lock);
	log_mark('2');
	EXPECT_LOG("1l2");
	KEXPECT_EQ(sleeper.seen, state);
	KEXPECT(sleeper.result);
	if (sleeper.task)
		KEXPECT_EQ(sleeper.task->saved_state, TASK_RUNNING);
	thread_end(&sleeper);
}

/* fails with: restore_saved_state() setting RUNNING */
KTEST(interruptible_survives_the_wait)
{
	NEEDS_RT("who spins does not sleep, and has no state to put aside");
	keeps(kt, TASK_INTERRUPTIBLE);
}

/* fails with: save_state() storing TASK_INTERRUPTIBLE whatever it was */
KTEST(uninterruptible_survives_the_wait)
{
	NEEDS_RT("who spins does not sleep, and has no state to put aside");
	keeps(kt, TASK_UNINTERRUPTIBLE);
}

/* fails with: rtlock_slowlock() leaving TASK_RTLOCK_WAIT behind */
KTEST(running_stays_running)
{
	NEEDS_RT("who spins does not sleep, and has no state to put aside");
	keeps(kt, TASK_RUNNING);
}

/* fails with: rtlock_slowlock() sleeping with preemption off */
KTEST(waiting_is_no_mistake)
{
	NEEDS_RT("who spins does not sleep, and has no state to put aside");
	struct splats before = splats_now();

	keeps(kt, TASK_RUNNING);
	EXPECT_SPLATS_IN_ALL(before, 0);
}

/* fails with: rt_spin_lock() calling __might_sleep() */
KTEST(waiting_in_another_state_is_no_mistake)
{
	NEEDS_RT("who spins does not sleep, and has no state to put aside");
	struct splats before = splats_now();

	keeps(kt, TASK_INTERRUPTIBLE);
	EXPECT_SPLATS_IN_ALL(before, 0);
}

static void lock_twice_in_state(struct thread *self)
{
	set_current_state(SOME_STATE);
	spin_lock(&lock);
	spin_lock(&second_lock);
	self->seen = task_state(current);
	spin_unlock(&second_lock);
	spin_unlock(&lock);
	__set_current_state(TASK_RUNNING);
}

/* fails with: restore_saved_state() not writing back, only clearing saved_state */
KTEST(the_state_survives_two_waits)
{
	NEEDS_RT("who spins does not sleep, and has no state to put aside");
	RUN_AS_FIFO(fifo(10));

	init();
	thread_make(kt, &sleeper, lock_twice_in_state, NULL, "sleeper");
	spin_lock(&second_lock);
	spin_lock(&lock);
	thread_start(&sleeper, fifo(20));
	expect_waits(kt, SOME_STATE);
	spin_unlock(&lock);
	KEXPECT(thread_is_blocked_on(&sleeper, &second_lock.lock));
	if (sleeper.task)
		KEXPECT_EQ(sleeper.task->saved_state, SOME_STATE);
	spin_unlock(&second_lock);
	KEXPECT_EQ(sleeper.seen, SOME_STATE);
	thread_end(&sleeper);
}

/* The whole pattern: announce the sleep, look at something under a lock, sleep. */
static void lock_then_sleep(struct thread *self)
{
	set_current_state((unsigned long)self->arg);
	spin_lock(&lock);
	self->seen = task_state(current);
	log_mark('l');
	spin_unlock(&lock);
	schedule();
	log_mark('w');
	self->result = task_state(current);
}

/* fails with: ttwu_state_match() not looking at saved_state, or waking the task for it */
KTEST(a_wake_up_during_the_wait_is_neither_lost_nor_early)
{
	NEEDS_RT("who spins does not sleep, and has no state to put aside");
	RUN_AS_FIFO(fifo(10));

	init();
	let_wait(kt, lock_then_sleep, SOME_STATE);
	expect_waits(kt, SOME_STATE);
	if (sleeper.task)
		KEXPECT(wake_up_process(sleeper.task));
	log_mark('1');
	expect_waits(kt, TASK_RUNNING);		/* it sleeps on: the lock is not free */
	if (sleeper.task)
		KEXPECT(!wake_up_process(sleeper.task));	/* nothing left to wake */
	spin_unlock(&lock);
	log_mark('2');
	EXPECT_LOG("1lw2");			/* its schedule() returned at once */
	KEXPECT_EQ(sleeper.seen, TASK_RUNNING);
	KEXPECT_EQ(sleeper.result, TASK_RUNNING);
	if (sleeper.task && !sleeper.done)
		wake_up_process(sleeper.task);
	thread_end(&sleeper);
}

/* fails with: restore_saved_state() setting RUNNING: then the sleep is lost instead */
KTEST(without_a_wake_up_it_sleeps_after_the_lock)
{
	NEEDS_RT("who spins does not sleep, and has no state to put aside");
	RUN_AS_FIFO(fifo(10));

	init();
	let_wait(kt, lock_then_sleep, TASK_UNINTERRUPTIBLE);
	log_mark('1');
	spin_unlock(&lock);
	log_mark('2');
	EXPECT_LOG("1l2");
	if (sleeper.task) {
		KEXPECT_EQ(task_state(sleeper.task), TASK_UNINTERRUPTIBLE);
		KEXPECT(!sleeper.task->on_rq);
		KEXPECT(wake_up_process(sleeper.task));
	}
	EXPECT_LOG("1l2w");
	thread_end(&sleeper);
}

/* fails with: ttwu_state_match() comparing with "any state" in place of the caller's mask */
KTEST(a_wake_up_goes_by_the_mask)
{
	NEEDS_RT("who spins does not sleep, and has no state to put aside");
	RUN_AS_FIFO(fifo(10));

	init();
	let_wait(kt, lock_then_sleep, TASK_UNINTERRUPTIBLE);
	if (sleeper.task) {
		KEXPECT(!wake_up_state(sleeper.task, TASK_INTERRUPTIBLE));
		expect_waits(kt, TASK_UNINTERRUPTIBLE);
	}
	spin_unlock(&lock);
	if (sleeper.task) {
		KEXPECT(!wake_up_state(sleeper.task, TASK_INTERRUPTIBLE));
		KEXPECT(!wake_up_state(sleeper.task, TASK_RTLOCK_WAIT));
		EXPECT_LOG("l");
		KEXPECT(wake_up_state(sleeper.task, TASK_UNINTERRUPTIBLE));
		KEXPECT(!wake_up_state(sleeper.task, TASK_UNINTERRUPTIBLE));
	}
	EXPECT_LOG("lw");
	thread_end(&sleeper);
}

static struct wait_queue_head queue;
static bool condition;

static bool condition_under_lock(void)
{
	bool is_so;

	spin_lock(&lock);
	is_so = condition;
	spin_unlock(&lock);
	return is_so;
}

static void wait_for_condition(struct thread *self)
{
	self->result = wait_event_interruptible(&queue, condition_under_lock());
	log_mark('w');
}

/* fails with: ttwu_state_match() not looking at saved_state: out of the queue, the waiter sleeps */
KTEST(a_condition_under_a_contended_lock)
{
	NEEDS_RT("who spins does not sleep, and has no state to put aside");
	RUN_AS_FIFO(fifo(10));

	init();
	init_waitqueue_head(&queue);
	condition = false;
	let_wait(kt, wait_for_condition, 0);
	expect_waits(kt, TASK_INTERRUPTIBLE);
	/* It saw nothing yet, but is in the queue: this wake-up is for the state put aside. */
	wake_up_all(&queue);
	expect_waits(kt, TASK_RUNNING);
	spin_unlock(&lock);		/* it looks: not yet so; looks again; sleeps */
	EXPECT_LOG("");
	if (sleeper.task)
		KEXPECT_EQ(task_state(sleeper.task), TASK_INTERRUPTIBLE);
	KEXPECT(!list_empty(&queue.waiters));
	condition = true;
	wake_up_all(&queue);
	EXPECT_LOG("w");
	KEXPECT_EQ(sleeper.result, 0);
	thread_end(&sleeper);
}

/* --- Where nobody may sleep --- */

static struct thread contender;
static spinlock_t contended;		/* its own, in case the contender gets stuck with it */

static void contend_atomically(struct thread *self)
{
	preempt_disable();
	spin_lock(&contended);
	self->seen = preempt_count();
	log_mark('l');
	spin_unlock(&contended);
	preempt_enable();		/* schedule() has set the count to 0: one too many */
	self->result = preempt_count();
}

/* fails with: rt_spin_lock() not checking when it will block anyway */
KTEST(a_contended_spinlock_is_reported_and_blocks)
{
	NEEDS_RT("a spinlock_t that spins never blocks");
	struct splats before = splats_now();
	RUN_AS_FIFO(fifo(10));

	might_sleep_ratelimit_reset();
	log_clear();
	spin_lock_init(&contended);
	thread_make(kt, &contender, contend_atomically, NULL, "contender");
	spin_lock(&contended);
	thread_start(&contender, fifo(20));
	EXPECT_SPLATS(before, SPLAT_MIGHT_SLEEP, 1);
	EXPECT_SPLATS(before, SPLAT_ATOMIC_SCHED, 1);
	EXPECT_SPLATS_IN_ALL(before, 2);
	KEXPECT_EQ(preempt_count(), 0);		/* the other's mistake is not ours */
	log_mark('1');
	spin_unlock(&contended);
	log_mark('2');
	EXPECT_LOG("1l2");
	KEXPECT_EQ(contender.seen, 0);
	KEXPECT_EQ(contender.result, 0);
	EXPECT_SPLATS(before, SPLAT_UNDERFLOW, 1);
	EXPECT_SPLATS_IN_ALL(before, 3);
	thread_end(&contender);
}

/* --- Under which lock: looked at by the CPU itself, see watch.h --- */

static bool pi_lock_is_held(const struct pt_regs *regs)
{
	return raw_spin_is_held(&sleeper.task->pi_lock);
}

/* fails with: save_state() or restore_saved_state() without pi_lock */
KTEST(the_state_is_put_aside_under_pi_lock)
{
	NEEDS_RT("who spins does not sleep, and has no state to put aside");
	struct watch watch = { .name = "saved_state", .half = true, .rule = pi_lock_is_held };
	RUN_AS_FIFO(fifo(10));

	init();
	thread_make(kt, &sleeper, lock_in_state, (void *)(unsigned long)SOME_STATE, "sleeper");
	if (!sleeper.task)
		return;
	watch.at = &sleeper.task->saved_state;
	watch_start(&watch, 1);
	spin_lock(&lock);
	thread_start(&sleeper, fifo(20));
	spin_unlock(&lock);
	watch_end(kt);
	thread_end(&sleeper);
}

/* fails with: rt_spin_lock() calling migrate_disable() or rcu_read_lock() before it has the lock */
KTEST(a_waiter_has_promised_nothing)
{
	NEEDS_RT("who spins does not sleep, and has no state to put aside");
	RUN_AS_FIFO(fifo(10));

	init();
	let_wait(kt, lock_in_state, TASK_RUNNING);
	expect_waits(kt, TASK_RUNNING);
	if (sleeper.task) {
		KEXPECT_EQ(sleeper.task->migration_disabled, 0);
		KEXPECT_EQ(sleeper.task->rcu_read_lock_nesting, 0);
	}
	spin_unlock(&lock);
	thread_end(&sleeper);
}

/*
 * When the waiter gives wait_lock back: the holder may release the lock from now on, and what its
 * wake-up finds must be the state of one who waits. Interrupts are off to the last.
 */
static bool it_says_that_it_waits(const struct pt_regs *regs)
{
	return current != sleeper.task || !current->pi_blocked_on ||
	       raw_spin_is_locked(&lock.lock.wait_lock) ||
	       (task_state(current) == TASK_RTLOCK_WAIT && !(regs->flags & X86_EFLAGS_IF));
}

/* fails with: rtlock_slowlock() setting the state between raw_spin_unlock_irq() and the sleep */
KTEST(it_says_that_it_waits_before_it_lets_the_queue_go)
{
	NEEDS_RT("who spins does not sleep, and has no state to put aside");
	struct watch watch = { .at = &lock.lock.wait_lock, .name = "the queue's lock",
			       .rule = it_says_that_it_waits };
	RUN_AS_FIFO(fifo(10));

	init();
	thread_make(kt, &sleeper, lock_in_state, (void *)TASK_RUNNING, "sleeper");
	watch_start(&watch, 1);
	spin_lock(&lock);
	thread_start(&sleeper, fifo(20));
	for (int i = 0; i < 2 && sleeper.task; i++) {
		wake_up_state(sleeper.task, TASK_RTLOCK_WAIT);
		do_sched_yield();		/* boosted, we are its equal */
	}
	spin_unlock(&lock);
	watch_end(kt);
	thread_end(&sleeper);
}

/*
 * The release comes when the waiter is awake already, for nothing: what it put aside is not the
 * release's. fails with: fault/a-release-wakes-from-any-state
 */
KTEST(an_awake_waiter_keeps_what_it_put_aside)
{
	NEEDS_RT("who spins does not sleep, and has no state to put aside");
	RUN_AS_FIFO(fifo(10));

	init();
	let_wait(kt, lock_in_state, SOME_STATE);
	if (sleeper.task)
		KEXPECT(wake_up_state(sleeper.task, TASK_RTLOCK_WAIT));
	EXPECT_LOG("");				/* boosted, we are its equal */
	spin_unlock(&lock);
	EXPECT_LOG("l");
	KEXPECT_EQ(sleeper.seen, SOME_STATE);
	thread_end(&sleeper);
}

/* Last: who gets this wrong may never come out of it. */

/* fails with: rtlock_slowlock() taking any wake-up for the lock */
KTEST(a_stray_lock_wake_up_changes_nothing)
{
	NEEDS_RT("who spins does not sleep, and has no state to put aside");
	RUN_AS_FIFO(fifo(10));

	init();
	let_wait(kt, lock_in_state, TASK_RUNNING);
	for (int i = 0; i < 2 && sleeper.task; i++) {
		KEXPECT(wake_up_state(sleeper.task, TASK_RTLOCK_WAIT));
		do_sched_yield();		/* boosted, we are its equal */
		expect_waits(kt, TASK_RUNNING);	/* it looked, and waits again */
		EXPECT_LOG("");
	}
	spin_unlock(&lock);
	EXPECT_LOG("l");
	KEXPECT_EQ(sleeper.seen, TASK_RUNNING);
	thread_end(&sleeper);
}
