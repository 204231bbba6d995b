// SPDX-License-Identifier: MIT
/* spinlock_t without PREEMPT_RT, and what both worlds share (see spinlock.h). */
#include "kernel/locking/spinlock.h"
#include "kernel/preempt/preempt.h"
#include "kernel/report/trace.h"

void spin_lock_init(spinlock_t *lock)
{
	*lock = (spinlock_t)SPINLOCK_INIT;
}

bool spin_is_contended(spinlock_t *lock)
{
	return spinlock_sleeps(lock) ? rt_mutex_has_waiters(&lock->lock)
				     : raw_spin_is_contended(&lock->rlock);
}

void classic_spin_lock(spinlock_t *lock) __no_lock_analysis
{
	int count = preempt_count();
	bool contended = raw_spin_is_locked(&lock->rlock);

	if (contended)
		trace(lock_contended, lock, 0);
	raw_spin_lock(&lock->rlock);
	lock->record.acquired++;
	lock->record.contended += contended;
	lock->record.preempt_count = count;
	trace(lock_acquired, lock, _RET_IP_);
}

void classic_spin_unlock(spinlock_t *lock) __no_lock_analysis
{
	trace(lock_released, lock, _RET_IP_);
	raw_spin_unlock(&lock->rlock);
}

void classic_spin_unlock_irq(spinlock_t *lock) __no_lock_analysis
{
	trace(lock_released, lock, _RET_IP_);
	raw_spin_unlock_irq(&lock->rlock);
}
