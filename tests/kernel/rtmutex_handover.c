/* SPDX-License-Identifier: MIT */
/*
 * A lock is given back: who of the waiter and the old owner gets the CPU, and who may take the lock
 * before the woken one does.
 */
#include "kernel/preempt/might_sleep.h"
#include "tests/kernel/any_lock.h"

KTEST_SUITE(rtmutex_handover);

/* --- The old owner, the new one, and the CPU --- */

/* fails with: rt_mutex_slowunlock() leaving preemption on between the deboost and the wake-up */
static void nobody_comes_between_deboost_and_wake_up(struct ktest_run *kt, enum kind kind)
{
	RUN_AS_FIFO(fifo(10));

	locks_init(kind);
	thread_make(kt, &threads[0], take_and_mark, LOCK(0), "h");
	thread_make(kt, &threads[1], mark, NULL, "m");
	take(0);
	thread_start(&threads[0], fifo(30));
	thread_start(&threads[1], fifo(20));		/* runnable, but we are at 30 */
	log_mark('1');
	release(0);
	log_mark('2');
	EXPECT_LOG("1hm2");
	thread_end(&threads[0]);
	thread_end(&threads[1]);
	expect_all_free(kt);
}
FOR_BOTH_KINDS(nobody_comes_between_deboost_and_wake_up)

/* fails with: set_prio() putting a task that loses a loan at the tail of its level */
static void the_deboosted_goes_on_before_its_equals(struct ktest_run *kt, enum kind kind)
{
	RUN_AS_FIFO(fifo(10));

	locks_init(kind);
	thread_make(kt, &threads[0], take_and_mark, LOCK(0), "a");
	thread_make(kt, &threads[1], mark, NULL, "e");
	take(0);
	thread_start(&threads[0], fifo(20));
	thread_start(&threads[1], fifo(10));
	release(0);
	log_mark('1');
	do_sched_yield();
	log_mark('2');
	EXPECT_LOG("a1e2");
	thread_end(&threads[0]);
	thread_end(&threads[1]);
	expect_all_free(kt);
}
FOR_BOTH_KINDS(the_deboosted_goes_on_before_its_equals)

static struct task_struct *old_owner;

/* What the old owner still promises when another one has the lock. */
static void take_and_look_back(struct thread *self)
{
	take(0);
	self->result = old_owner->migration_disabled;
	self->seen = old_owner->rcu_read_lock_nesting;
	release(0);
}

/* fails with: rt_spin_unlock() that ends its RCU section before it releases the lock */
KTEST(spinlock_the_old_owner_is_a_reader_to_the_last)
{
	NEEDS_RT("who spins is no reader");
	RUN_AS_FIFO(fifo(10));

	locks_init(SPINLOCK);
	old_owner = current;
	thread_make(kt, &threads[0], take_and_look_back, NULL, "a");
	take(0);
	thread_start(&threads[0], fifo(20));
	release(0);			/* in the middle of it the other one runs */
	KEXPECT_EQ(threads[0].seen, 1);
	KEXPECT_EQ(threads[0].result, 0);
	KEXPECT_EQ(current->rcu_read_lock_nesting, 0);
	thread_end(&threads[0]);
	expect_all_free(kt);
}

/* --- Between the unlock and the woken waiter --- */

/* fails with: rt_mutex_slowunlock() making the woken waiter the owner */
static void the_more_urgent_steals(struct ktest_run *kt, enum kind kind)
{
	RUN_AS_FIFO(fifo(10));

	locks_init(kind);
	thread_make(kt, &threads[0], take_and_mark, LOCK(0), "a");
	take(0);
	thread_start(&threads[0], fifo(15));
	set_own_fifo(fifo(30));
	release(0);
	KEXPECT_EQ(base(0)->owner, RT_MUTEX_HAS_WAITERS);	/* free, and promised to nobody */
	KEXPECT(threads[0].task && threads[0].task->on_rq);
	take(0);
	KEXPECT_EQ(rt_mutex_owner(base(0)), current);
	log_mark('1');
	KEXPECT_EQ(rt_mutex_top_task(current), threads[0].task);
	set_own_fifo(fifo(10));		/* a looks, finds the lock taken, and waits on */
	EXPECT_OWN_PRIO(15);
	log_mark('2');
	release(0);
	EXPECT_OWN_PRIO(10);
	EXPECT_LOG("12a");
	thread_end(&threads[0]);
	expect_all_free(kt);
}
FOR_BOTH_KINDS(the_more_urgent_steals)

/* fails with: rt_mutex_steal() with <= in place of < */
static void equal_fifo_does_not_steal(struct ktest_run *kt, enum kind kind)
{
	RUN_AS_FIFO(fifo(10));

	locks_init(kind);
	thread_make(kt, &threads[0], take_and_mark, LOCK(0), "a");
	take(0);
	thread_start(&threads[0], fifo(15));
	set_own_fifo(fifo(15));
	release(0);			/* a is woken, but only as urgent as we are */
	log_mark('1');
	take(0);
	log_mark('2');
	release(0);
	EXPECT_LOG("1a2");
	thread_end(&threads[0]);
	expect_all_free(kt);
}
FOR_BOTH_KINDS(equal_fifo_does_not_steal)

/* fails with: rt_mutex_steal() without its second case */
static void other_may_steal_a_spinlock_only(struct ktest_run *kt, enum kind kind)
{
	RUN_AS_FIFO(fifo(10));

	locks_init(kind);
	thread_make(kt, &threads[0], take_and_mark, LOCK(0), "a");
	take(0);
	thread_start(&threads[0], 0);
	await_blocked(kt, &threads[0], base(0));
	current->time_slice = 1 << 20;	/* until then equals stay equals, but a does not run */
	release(0);
	log_mark('1');
	take(0);
	log_mark('2');
	release(0);
	current->time_slice = SLICE_TICKS;
	for (int i = 0; i < 10; i++)
		do_sched_yield();
	if (kind == SPINLOCK)
		EXPECT_LOG("12a");
	else
		EXPECT_LOG("1a2");
	set_own_fifo(fifo(10));
	thread_end(&threads[0]);
	expect_all_free(kt);
}
FOR_BOTH_KINDS(other_may_steal_a_spinlock_only)

/*
 * The lock is free, and the one who was woken for it is first no longer: then it will not take the
 * lock, and nobody else is awake. fails with: fault/a-new-first-sleeps-on, and its state with
 * fault/a-new-first-woken-as-for-a-mutex
 */
static void the_new_first_is_woken_too(struct ktest_run *kt, enum kind kind)
{
	RUN_AS_FIFO(fifo(10));

	locks_init(kind);
	thread_make(kt, &threads[0], take_and_mark, LOCK(0), "a");
	thread_make(kt, &threads[1], take_and_mark, LOCK(0), "b");
	take(0);
	thread_start(&threads[0], fifo(15));
	thread_start(&threads[1], fifo(20));
	thread_set_fifo(&threads[1], fifo(12));		/* now a is first */
	set_own_fifo(fifo(40));
	release(0);
	if (threads[0].task && threads[1].task) {
		KEXPECT(threads[0].task->on_rq && !threads[1].task->on_rq);
		thread_set_fifo(&threads[1], fifo(30));
		KEXPECT(threads[1].task->on_rq);
	}
	set_own_fifo(fifo(10));
	EXPECT_LOG("ba");
	thread_end(&threads[0]);
	thread_end(&threads[1]);
	expect_all_free(kt);
}
FOR_BOTH_KINDS(the_new_first_is_woken_too)

static void unlock_what_is_ours(struct thread *self)
{
	mutex_unlock(&locks[0].mutex);
}

/*
 * The report has a way on: the lock and the loan stay as they were.
 * fails with: fault/unlocked-by-anybody, fault/unlocked-all-the-same
 */
KTEST(only_the_owner_may_unlock)
{
	struct splats before = splats_now();
	KMAY_WARN;
	RUN_AS_FIFO(fifo(10));

	locks_init(MUTEX);
	thread_make(kt, &threads[0], unlock_what_is_ours, NULL, "a");
	take(0);
	thread_start(&threads[0], fifo(20));
	EXPECT_SPLATS(before, SPLAT_WARN, 1);
	KEXPECT_EQ(rt_mutex_owner(base(0)), current);
	thread_end(&threads[0]);
	if (rt_mutex_owner(base(0)) != current)
		return;
	thread_make(kt, &threads[1], take_and_mark, LOCK(0), "b");
	thread_start(&threads[1], fifo(15));
	thread_make(kt, &threads[0], unlock_what_is_ours, NULL, "a");
	thread_start(&threads[0], fifo(20));
	EXPECT_SPLATS(before, SPLAT_WARN, 2);
	KEXPECT_EQ(rt_mutex_top_task(current), threads[1].task);
	EXPECT_OWN_PRIO(15);
	release(0);
	EXPECT_LOG("b");
	thread_end(&threads[0]);
	thread_end(&threads[1]);
	expect_all_free(kt);
}
