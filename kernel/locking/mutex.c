// SPDX-License-Identifier: MIT
/*
 * mutex_t: the plain sleeping lock, an rt_mutex that waits in TASK_UNINTERRUPTIBLE (or in
 * TASK_KILLABLE) and does not keep the state.
 */
#include "kernel/locking/rtmutex.h"
#include "kernel/might_sleep.h"
#include "kernel/panic.h"
#include "kernel/sched/sched.h"
#include "kernel/trace.h"
#include "lib/errno.h"

void mutex_init(mutex_t *lock)
{
	rt_mutex_base_init(&lock->rtmutex);
}

static noinline int mutex_slowlock(struct rt_mutex_base *lock, unsigned int state,
				   bool detect_deadlock) __no_lock_analysis
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
	 * Even after a deadlock, or killed: if another one of the ring backed off, or the owner let
	 * go, we are the one who was woken, and to leave would keep the next one asleep.
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

int mutex_lock_checked(mutex_t *lock) __no_lock_analysis
{
	int ret = 0;

	trace(lock_asked, lock, _RET_IP_);
	might_sleep();
	if (unlikely(!rt_mutex_cmpxchg(&lock->rtmutex, NULL, current)))
		ret = mutex_slowlock(&lock->rtmutex, TASK_UNINTERRUPTIBLE, true);
	if (!ret)
		trace(lock_acquired, lock, _RET_IP_);
	return ret;
}

void mutex_lock(mutex_t *lock) __no_lock_analysis
{
	trace(lock_asked, lock, _RET_IP_);
	might_sleep();
	if (unlikely(!rt_mutex_cmpxchg(&lock->rtmutex, NULL, current)))
		mutex_slowlock(&lock->rtmutex, TASK_UNINTERRUPTIBLE, false);
	trace(lock_acquired, lock, _RET_IP_);
}

int mutex_lock_killable(mutex_t *lock) __no_lock_analysis
{
	int ret = 0;

	trace(lock_asked, lock, _RET_IP_);
	might_sleep();
	if (unlikely(!rt_mutex_cmpxchg(&lock->rtmutex, NULL, current)))
		ret = mutex_slowlock(&lock->rtmutex, TASK_KILLABLE, false);
	if (!ret)
		trace(lock_acquired, lock, _RET_IP_);
	return ret;
}

void mutex_unlock(mutex_t *lock) __no_lock_analysis
{
	trace(lock_released, lock, _RET_IP_);
	if (unlikely(!rt_mutex_cmpxchg(&lock->rtmutex, current, NULL)))
		rt_mutex_slowunlock(&lock->rtmutex);
}
