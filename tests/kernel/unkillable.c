/* SPDX-License-Identifier: MIT */
/*
 * Waits that nothing but their lock ends: who is being killed needs it all the same. Apart from the
 * other suites, since in a kernel that gets this wrong the waiter spins, and the run ends here.
 */
#include "tests/kernel/any_lock.h"

KTEST_SUITE(unkillable);

static void take_though_killed(struct thread *self)
{
	set_thread_flag(TIF_SIGPENDING);
	take_and_mark(self);
	clear_thread_flag(TIF_SIGPENDING);
}

/*
 * Who is being killed needs the lock all the same, and waits for it asleep.
 * fails, and hangs, with: mutex_slowlock() waiting in TASK_INTERRUPTIBLE
 */
static void a_killed_waiter_sleeps_on(struct ktest_run *kt, enum kind kind)
{
	RUN_AS_FIFO(fifo(10));

	locks_init(kind);
	thread_make(kt, &threads[0], take_though_killed, LOCK(0), "a");
	take(0);
	thread_start(&threads[0], fifo(20));
	for (int i = 0; i < 2 && threads[0].task; i++) {
		KEXPECT(thread_is_blocked_on(&threads[0], base(0)));
		KEXPECT_EQ(task_state(threads[0].task),
			   kind == MUTEX ? TASK_UNINTERRUPTIBLE : TASK_RTLOCK_WAIT);
		wake_up_state(threads[0].task, TASK_NORMAL | TASK_RTLOCK_WAIT);
		do_sched_yield();		/* boosted, we are its equal */
	}
	release(0);
	EXPECT_LOG("a");
	thread_end(&threads[0]);
	expect_all_free(kt);
}
FOR_BOTH_KINDS(a_killed_waiter_sleeps_on)
