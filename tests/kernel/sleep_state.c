/* SPDX-License-Identifier: MIT */
/*
 * A task that has said that it sleeps must not call what blocks, as that would set its state to
 * RUNNING: who is reported, and that a spinlock_t, which keeps the state, is not.
 */
#include "kernel/might_sleep.h"
#include "kernel/mm/kmalloc.h"
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
