/* SPDX-License-Identifier: MIT */
/*
 * What must be true while a loan is given and taken back, and cannot be seen from outside: which
 * lock is held, and what comes first. Looked at by the CPU itself, see watch.h.
 */
#include "kernel/time/tick.h"
#include "tests/kernel/any_lock.h"
#include "tests/kernel/watch.h"

KTEST_SUITE(rtmutex_loans);

static struct task_struct *owner;

static bool owners_pi_lock_is_held(const struct pt_regs *regs)
{
	return raw_spin_is_held(&owner->pi_lock);
}

/* fails with: enqueue_pi(), dequeue_pi() or rt_mutex_setprio() called without pi_lock */
static void lenders_change_under_pi_lock(struct ktest_run *kt, enum kind kind)
{
	RUN_AS_FIFO(fifo(10));
	struct watch watches[] = {
		{ .at = &current->pi_waiters, .name = "the tree of lenders",
		  .rule = owners_pi_lock_is_held },
		{ .at = &current->prio, .name = "prio", .half = true,
		  .rule = owners_pi_lock_is_held },
	};

	locks_init(kind);
	owner = current;
	thread_make(kt, &threads[0], take_and_mark, LOCK(0), "a");
	thread_make(kt, &threads[1], take_and_mark, LOCK(0), "b");
	take(0);
	watch_start(watches, ARRAY_SIZE(watches));
	thread_start(&threads[0], fifo(20));
	thread_start(&threads[1], fifo(30));
	release(0);
	watch_end(kt);
	thread_end(&threads[0]);
	thread_end(&threads[1]);
	expect_all_free(kt);
}
FOR_BOTH_KINDS(lenders_change_under_pi_lock)

/* When the waiter's state is set to RUNNING by who unlocks. */
static bool the_owner_has_its_own_priority(const struct pt_regs *regs)
{
	return current != owner || current->prio == current->normal_prio;
}

/*
 * Else for a moment two run on one loan, and the waiter may be gone before it is taken out.
 * fails with: rt_mutex_slowunlock() waking before it deboosts
 */
static void the_loan_ends_before_the_wake_up(struct ktest_run *kt, enum kind kind)
{
	RUN_AS_FIFO(fifo(10));
	struct watch watch = { .name = "the waiter's state", .half = true,
			       .rule = the_owner_has_its_own_priority };

	locks_init(kind);
	owner = current;
	thread_make(kt, &threads[0], take_and_mark, LOCK(0), "a");
	if (!threads[0].task)
		return;
	take(0);
	thread_start(&threads[0], fifo(20));
	EXPECT_OWN_PRIO(20);
	watch.at = &threads[0].task->__state;
	watch_start(&watch, 1);
	release(0);
	watch_end(kt);
	thread_end(&threads[0]);
	expect_all_free(kt);
}
FOR_BOTH_KINDS(the_loan_ends_before_the_wake_up)

/* Two locks, and who waits for the second is less urgent than who waits for the first. */
static void two_lenders(struct ktest_run *kt)
{
	locks_init(MUTEX);
	thread_make(kt, &threads[0], take_and_mark, LOCK(0), "a");
	thread_make(kt, &threads[1], take_and_mark, LOCK(1), "b");
	take(0);
	take(1);
	thread_start(&threads[0], fifo(30));
	thread_start(&threads[1], fifo(20));
	for (int i = 0; i < 100 && !thread_is_blocked_on(&threads[1], base(1)); i++)
		sleep_ns(1000000000UL / HZ);		/* its turn: it gets to the lock */
	KEXPECT(thread_is_blocked_on(&threads[1], base(1)));
}

static void end_lenders(struct ktest_run *kt)
{
	thread_end(&threads[0]);
	thread_end(&threads[1]);
	expect_all_free(kt);
}

/* fails with: task_blocks_on_rt_mutex() setting the owner's priority to the waiter's */
KTEST(a_less_urgent_lender_changes_nothing)
{
	RUN_AS_FIFO(fifo(10));

	two_lenders(kt);
	EXPECT_OWN_PRIO(30);
	release(0);
	release(1);
	end_lenders(kt);
}

/* fails with: task_blocks_on_rt_mutex() leaving who lends nothing now out of the owner's tree */
KTEST(until_the_other_loan_ends)
{
	RUN_AS_FIFO(fifo(10));

	two_lenders(kt);
	release(0);
	EXPECT_OWN_PRIO(20);
	release(1);
	EXPECT_OWN_PRIO(10);
	EXPECT_LOG("ab");
	end_lenders(kt);
}

/* --- The slow path, and the fast one of another CPU --- */

static unsigned int touches;
static bool fast_path_unseen;

/*
 * The fast path of the watched task has just failed. Now the owner, on another CPU, unlocks by its
 * own fast path. From here to the end of the slow path no fast path may succeed: the owner word is
 * not 0.
 */
static bool nobody_comes_by_the_fast_path(const struct pt_regs *regs)
{
	bool slow = raw_spin_is_held(&base(0)->wait_lock);

	if (++touches == 1) {
		fast_path_unseen = slow;
		WRITE_ONCE(base(0)->owner, 0);
	}
	return !slow || READ_ONCE(base(0)->owner) || fast_path_unseen;
}

static bool free_means_out_of_reach(const struct pt_regs *regs)
{
	return base(0)->owner || !raw_spin_is_held(&base(0)->wait_lock);
}

/*
 * Whoever has the lock next may free the memory that it stands in. So the slow path of an unlock,
 * too, is done with all of the lock when the owner's word says that it is free.
 * fails with: fault/freed-under-its-own-lock
 */
static void a_free_lock_is_not_touched(struct ktest_run *kt, enum kind kind)
{
	RUN_AS_FIFO(fifo(10));
	struct watch watch = { .name = "owner", .rule = free_means_out_of_reach };

	locks_init(kind);
	watch.at = &base(0)->owner;
	take(0);
	base(0)->owner |= RT_MUTEX_HAS_WAITERS;		/* of one that has just given up */
	watch_start(&watch, 1);
	release(0);
	watch_end(kt);
	expect_all_free(kt);
}
FOR_BOTH_KINDS(a_free_lock_is_not_touched)

/* fails with: fault/marked-after-the-look */
static void the_slow_path_shuts_the_fast_one(struct ktest_run *kt, enum kind kind)
{
	struct watch watch = { .name = "owner", .reads = true,
			       .rule = nobody_comes_by_the_fast_path };
	RUN_AS_FIFO(fifo(10));

	locks_init(kind);
	touches = 0;
	base(0)->owner = (unsigned long)&init_task;
	watch.at = &base(0)->owner;
	watch_start(&watch, 1);
	take(0);
	watch_end(kt);
	KEXPECT_EQ(base(0)->owner, current);
	release(0);
	expect_all_free(kt);
	if (fast_path_unseen)		/* QEMU, where CPUs run at the same time */
		KSKIP("no debug register sees a locked instruction here");
}
FOR_BOTH_KINDS(the_slow_path_shuts_the_fast_one)

static int usage;

static bool somebody_holds_the_woken(const struct pt_regs *regs)
{
	return current != owner || threads[0].task->usage == usage + 1;
}

/*
 * As soon as wait_lock is free the waiter can take the lock, on another CPU, and end.
 * fails with: rt_mutex_slowunlock() without get_task_struct()
 */
static void the_woken_does_not_vanish(struct ktest_run *kt, enum kind kind)
{
	RUN_AS_FIFO(fifo(10));
	struct watch watch = { .name = "the waiter's state", .half = true,
			       .rule = somebody_holds_the_woken };

	locks_init(kind);
	owner = current;
	thread_make(kt, &threads[0], take_and_mark, LOCK(0), "a");
	if (!threads[0].task)
		return;
	take(0);
	thread_start(&threads[0], fifo(20));
	usage = threads[0].task->usage;
	watch.at = &threads[0].task->__state;
	watch_start(&watch, 1);
	release(0);
	watch_end(kt);
	thread_end(&threads[0]);
	expect_all_free(kt);
}
FOR_BOTH_KINDS(the_woken_does_not_vanish)
