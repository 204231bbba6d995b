/* SPDX-License-Identifier: MIT */
/*
 * spinlock_t: one name, two locks. The option rt= decides which, before the first one is taken.
 *
 * rt=on (PREEMPT_RT): its name says spin, but it sleeps. It is an rt_mutex with priority
 * inheritance. A holder can be preempted, cannot be migrated, and counts as an RCU reader. The _irq
 * forms do not touch the interrupt flag. So it must not be taken with preemption or interrupts off,
 * not even when it is free; every call checks that (kernel/preempt/might_sleep.h). Blocking keeps
 * task->__state (saved_state), because code written for a spinning lock does not expect to lose it.
 *
 * rt=off: it spins with preemption off, and _irq disables interrupts. It may be taken in any
 * context; nothing that sleeps may be called inside.
 *
 * The annotations are those of rt=on: code that keeps its rules is right in both worlds.
 */
#pragma once

#include "arch/x86/irqflags.h"
#include "kernel/locking/rtmutex.h"
#include "kernel/preempt/preempt.h"
#include "kernel/preempt/raw_spinlock.h"

/* How the lock was taken, for those who ask afterwards. Written by its holder. */
struct spin_record {
	u32			acquired, contended;	/* how often; how often after a wait */
	int			preempt_count;		/* when last taken, without its own */
};

typedef struct __capability("spinlock") spinlock {
	struct rt_mutex_base	lock;		/* rt=on */
	raw_spinlock_t		rlock;		/* rt=off, or if spins */
	bool			spins;		/* whatever rt= says: option siglock=raw */
	struct spin_record	record;
} spinlock_t;

#define SPINLOCK_INIT	{ .lock = RT_MUTEX_BASE_INIT }

static inline bool spinlock_sleeps(const spinlock_t *lock)
{
	return preempt_rt() && !lock->spins;
}

void spin_lock_init(spinlock_t *lock);
void rt_spin_lock(spinlock_t *lock) __acquires(*lock) __must_not_hold(preempt_off);
void rt_spin_unlock(spinlock_t *lock) __releases(*lock);
void classic_spin_lock(spinlock_t *lock) __acquires(*lock);
void classic_spin_unlock(spinlock_t *lock) __releases(*lock);
void classic_spin_unlock_irq(spinlock_t *lock) __releases(*lock);

/* Has another task or CPU begun to wait for it? Its holder may ask. */
bool spin_is_contended(spinlock_t *lock);

/* May sleep with rt=on. */
static __always_inline void spin_lock(spinlock_t *lock) __acquires(*lock)
	__must_not_hold(preempt_off)
{
	if (likely(spinlock_sleeps(lock)))
		rt_spin_lock(lock);
	else
		classic_spin_lock(lock);
}

static __always_inline void spin_unlock(spinlock_t *lock) __releases(*lock)
{
	if (likely(spinlock_sleeps(lock)))
		rt_spin_unlock(lock);
	else
		classic_spin_unlock(lock);
}

/* May sleep with rt=on; interrupts then stay as they are. */
static __always_inline void spin_lock_irq(spinlock_t *lock) __acquires(*lock)
	__must_not_hold(preempt_off)
{
	if (unlikely(!spinlock_sleeps(lock)))
		local_irq_disable();
	spin_lock(lock);
}

static __always_inline void spin_unlock_irq(spinlock_t *lock) __releases(*lock)
{
	if (likely(spinlock_sleeps(lock)))
		rt_spin_unlock(lock);
	else
		classic_spin_unlock_irq(lock);
}
