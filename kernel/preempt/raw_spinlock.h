/* SPDX-License-Identifier: MIT */
/*
 * raw_spinlock_t: spins with preemption off, on every kernel. For the scheduler, the locks that
 * sleep, the page allocator and interrupt code; held for a short and bounded time.
 *
 * Tickets: the first CPU to come is served first, so none waits for more than NR_CPUS - 1 others.
 *
 * Context: any that the lock's users allow; the _irq forms also keep this CPU's interrupts out.
 * Never sleeps. Checked: unlocking a lock that another CPU holds, and taking one that this CPU
 * holds (it would spin for ever).
 */
#pragma once

#include "kernel/preempt/annotations.h"
#include "lib/types.h"

typedef struct __capability("raw_spinlock") raw_spinlock {
	union {
		u32		tickets;
		struct {
			u16	serving, next;	/* whose turn it is; the next ticket to be drawn */
		};
	};
	u32			holder;		/* CPU number plus 1; 0: none. For the checks */
} raw_spinlock_t;

#define RAW_SPINLOCK_UNLOCKED	((raw_spinlock_t){ .tickets = 0 })

void raw_spin_lock(raw_spinlock_t *lock) __acquires(*lock);
bool raw_spin_trylock(raw_spinlock_t *lock) __acquires_if_1(*lock);
void raw_spin_unlock(raw_spinlock_t *lock) __releases(*lock);
void raw_spin_lock_irq(raw_spinlock_t *lock) __acquires(*lock);
void raw_spin_unlock_irq(raw_spinlock_t *lock) __releases(*lock);
unsigned long raw_spin_lock_irqsave(raw_spinlock_t *lock) __acquires(*lock);
void raw_spin_unlock_irqrestore(raw_spinlock_t *lock, unsigned long flags) __releases(*lock);

/*
 * If this function is set, each CPU that waits for @lock calls it now and then, with interrupts on
 * or off. *@since is 0 at first; then it belongs to the function, which takes no lock.
 */
extern void (*raw_spin_watch)(raw_spinlock_t *lock, u64 *since);

bool raw_spin_is_held(const raw_spinlock_t *lock);	/* by this CPU */

static inline bool raw_spin_is_locked(const raw_spinlock_t *lock)
{
	raw_spinlock_t now = { .tickets = READ_ONCE(lock->tickets) };

	return now.serving != now.next;
}

/* Does another CPU wait for it? */
static inline bool raw_spin_is_contended(const raw_spinlock_t *lock)
{
	raw_spinlock_t now = { .tickets = READ_ONCE(lock->tickets) };

	return (u16)(now.next - now.serving) > 1;
}
