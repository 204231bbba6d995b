// SPDX-License-Identifier: MIT
/*
 * spinlock_t under PREEMPT_RT (see spinlock.h).
 *
 * The order on the way in: check the context, take the rt_mutex, enter an RCU read section, pin to
 * the CPU. On the way out it is the reverse, but with RCU last: in Linux others may free the lock's
 * memory after a grace period, and only this read section makes them wait for the release.
 */
#include "kernel/locking/spinlock.h"
#include "kernel/preempt/might_sleep.h"
#include "kernel/report/panic.h"
#include "kernel/report/trace.h"
#include "kernel/sched/sched.h"

/*
 * Any depth of RCU readers is fine, any preempt_count but 0 is not. This is checked before it is
 * known whether the lock is free, so that the report does not depend on luck.
 */
#define RTLOCK_RESCHED_OFFSETS \
	((unsigned int)current->rcu_read_lock_nesting << MIGHT_RESCHED_RCU_SHIFT)

/*
 * The caller's state is put aside, because code that says set_current_state(); spin_lock(); ...;
 * schedule() must lose neither the state nor a wake-up that comes while it waits here. A normal
 * wake-up finds saved_state and sets it to RUNNING (wake_up_state()); only the unlocker's wake-up,
 * with exactly TASK_RTLOCK_WAIT, wakes us.
 */
static void save_state(void)
{
	raw_spin_lock(&current->pi_lock);
	current->saved_state = current->__state;
	__set_current_state(TASK_RTLOCK_WAIT);
	raw_spin_unlock(&current->pi_lock);
}

static void restore_saved_state(void)
{
	raw_spin_lock(&current->pi_lock);
	__set_current_state(current->saved_state);
	current->saved_state = TASK_RUNNING;
	raw_spin_unlock(&current->pi_lock);
}

/* Returns whether it had to wait. */
static noinline bool rtlock_slowlock(struct rt_mutex_base *lock)
{
	unsigned long flags = raw_spin_lock_irqsave(&lock->wait_lock);
	struct rt_mutex_waiter waiter;
	bool waited = false;

	rt_mutex_init_waiter(&waiter, lock, TASK_RTLOCK_WAIT);
	if (try_to_take_rt_mutex(lock, current, &waiter))
		goto out;
	waited = true;
	save_state();
	task_blocks_on_rt_mutex(lock, &waiter, current, false);
	while (!try_to_take_rt_mutex(lock, current, &waiter)) {
		raw_spin_unlock_irq(&lock->wait_lock);
		schedule_rtlock();
		raw_spin_lock_irq(&lock->wait_lock);
		set_current_state(TASK_RTLOCK_WAIT);
	}
	restore_saved_state();
out:
	fixup_rt_mutex_waiters(lock);
	raw_spin_unlock_irqrestore(&lock->wait_lock, flags);
	return waited;
}

void rt_spin_lock(spinlock_t *lock) __no_lock_analysis
{
	int count = preempt_count();
	bool waited = false;

	trace(lock_asked, lock, _RET_IP_);
	__might_resched(__FILE__, __LINE__, RTLOCK_RESCHED_OFFSETS);
	if (unlikely(!rt_mutex_cmpxchg(&lock->lock, NULL, current)))
		waited = rtlock_slowlock(&lock->lock);
	lock->record.acquired++;
	lock->record.contended += waited;
	lock->record.preempt_count = count;
	trace(lock_acquired, lock, _RET_IP_);
	rcu_read_lock();
	migrate_disable();
}

void rt_spin_unlock(spinlock_t *lock) __no_lock_analysis
{
	trace(lock_released, lock, _RET_IP_);
	migrate_enable();
	if (unlikely(!rt_mutex_cmpxchg(&lock->lock, current, NULL)))
		rt_mutex_slowunlock(&lock->lock);
	rcu_read_unlock();
}
