/* SPDX-License-Identifier: MIT */
/*
 * spinlock_t under PREEMPT_RT: its name says spin, but it sleeps.
 *
 * It is an rt_mutex with priority inheritance. A holder can be preempted, cannot be migrated, and
 * counts as an RCU reader. The _irq forms do not touch the interrupt flag. So it must not be taken
 * with preemption or interrupts off, not even when it is free: that is checked on every call
 * (kernel/might_sleep.h). Blocking keeps task->__state (saved_state), because code written for a
 * spinning lock does not expect to lose it.
 */
#pragma once

#include "kernel/locking/rtmutex.h"

typedef struct __capability("rt_spinlock") spinlock {
	struct rt_mutex_base lock;
} spinlock_t;

#define SPINLOCK_INIT	{ .lock = RT_MUTEX_BASE_INIT }

void spin_lock_init(spinlock_t *lock);
void rt_spin_lock(spinlock_t *lock) __acquires(*lock) __must_not_hold(preempt_off);
void rt_spin_unlock(spinlock_t *lock) __releases(*lock);

/* May sleep. */
static __always_inline void spin_lock(spinlock_t *lock) __acquires(*lock)
	__must_not_hold(preempt_off)
{
	rt_spin_lock(lock);
}

static __always_inline void spin_unlock(spinlock_t *lock) __releases(*lock)
{
	rt_spin_unlock(lock);
}

/* May sleep. Interrupts stay as they are. */
static __always_inline void spin_lock_irq(spinlock_t *lock) __acquires(*lock)
	__must_not_hold(preempt_off)
{
	rt_spin_lock(lock);
}

static __always_inline void spin_unlock_irq(spinlock_t *lock) __releases(*lock)
{
	rt_spin_unlock(lock);
}
