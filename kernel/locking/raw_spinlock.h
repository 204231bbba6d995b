/* SPDX-License-Identifier: MIT */
/*
 * raw_spinlock_t: spins with preemption off, on every kernel. For the scheduler, the locks that
 * sleep, the page allocator and interrupt code; held for a short and bounded time.
 *
 * Context: any that the lock's users allow; the _irq forms also keep this CPU's interrupts out.
 * Never sleeps. Checked: unlocking a lock that another CPU holds, and taking one that this CPU
 * holds (it would spin for ever).
 */
#pragma once

#include "kernel/locking/annotations.h"
#include "lib/types.h"

typedef struct __capability("raw_spinlock") raw_spinlock {
	unsigned int	locked;			/* 0, or the holder's CPU number plus 1 */
} raw_spinlock_t;

#define RAW_SPINLOCK_UNLOCKED	((raw_spinlock_t){ 0 })

void raw_spin_lock(raw_spinlock_t *lock) __acquires(*lock);
bool raw_spin_trylock(raw_spinlock_t *lock);
void raw_spin_unlock(raw_spinlock_t *lock) __releases(*lock);
void raw_spin_lock_irq(raw_spinlock_t *lock) __acquires(*lock);
void raw_spin_unlock_irq(raw_spinlock_t *lock) __releases(*lock);
unsigned long raw_spin_lock_irqsave(raw_spinlock_t *lock) __acquires(*lock);
void raw_spin_unlock_irqrestore(raw_spinlock_t *lock, unsigned long flags) __releases(*lock);

/* Does this CPU hold it? */
bool raw_spin_is_held(const raw_spinlock_t *lock);
