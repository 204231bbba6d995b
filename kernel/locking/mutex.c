// SPDX-License-Identifier: MIT
/*
 * mutex_t: the plain sleeping lock, an rt_mutex that waits in TASK_UNINTERRUPTIBLE (or in
 * TASK_KILLABLE) and does not keep the state.
 */
#include "kernel/locking/rtmutex.h"
#include "kernel/preempt/might_sleep.h"
#include "kernel/report/panic.h"
#include "kernel/report/trace.h"
#include "kernel/sched/sched.h"
#include "lib/errno.h"

void mutex_init(mutex_t *lock)
{
	*lock = (mutex_t)MUTEX_INIT;
}

static noinline int mutex_slowlock(struct rt_mutex_base *lock, unsigned int state,
				   bool detect_deadlock)
{
	struct rt_mutex_waiter waiter;
	bool taken;
	int ret = 0;

	rt_mutex_init_waiter(&waiter, lock, TASK_NORMAL);
	raw_spin_lock_irq(&lock->wait_lock);
	if (try_to_take_rt_mutex(lock, current, &waiter))
		goto out;
	set_current_state(state);
	ret = task_blocks_on_rt_mutex(lock, &waiter, current, detect_deadlock);
	/*
	 * Try even after a deadlock or a kill. If another task of the ring backed off, or the owner
	 * unlocked, the wake-up went to us; if we left now, the next waiter would sleep on.
	 */
	while (!(taken = try_to_take_rt_mutex(lock, current, &waiter)) && !ret) {
		raw_spin_unlock_irq(&lock->wait_lock);
		schedule();
		raw_spin_lock_irq(&lock->wait_lock);
		set_current_state(state);
		if (signal_pending_state(state, current))
			ret = -EINTR;
	}
	__set_current_state(TASK_RUNNING);
	if (taken)
		ret = 0;
	else if (waiter.task)
		remove_waiter(lock, &waiter);
out:
	fixup_rt_mutex_waiters(lock);
	raw_spin_unlock_irq(&lock->wait_lock);
	return ret;
}

/* Inlined, so that the trace names the caller of the function that people call. */
static __always_inline int lock_mutex(mutex_t *lock, unsigned int state, bool detect_deadlock)
{
	int ret = 0;

	trace(lock_asked, lock, _RET_IP_);
	might_sleep();
	if (unlikely(!rt_mutex_cmpxchg(&lock->rtmutex, NULL, current)))
		ret = mutex_slowlock(&lock->rtmutex, state, detect_deadlock);
	if (!ret)
		trace(lock_acquired, lock, _RET_IP_);
	return ret;
}

void mutex_lock(mutex_t *lock) __no_lock_analysis
{
	lock_mutex(lock, TASK_UNINTERRUPTIBLE, false);
}

int mutex_lock_killable(mutex_t *lock)
{
	return lock_mutex(lock, TASK_KILLABLE, false);
}

int mutex_lock_checked(mutex_t *lock)
{
	return lock_mutex(lock, TASK_UNINTERRUPTIBLE, true);
}

void mutex_unlock(mutex_t *lock) __no_lock_analysis
{
	trace(lock_released, lock, _RET_IP_);
	if (unlikely(!rt_mutex_cmpxchg(&lock->rtmutex, current, NULL)))
		rt_mutex_slowunlock(&lock->rtmutex);
}
