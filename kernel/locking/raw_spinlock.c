// SPDX-License-Identifier: MIT
/*
 * A test-and-set lock. Preemption goes off first: a holder that was switched away would let others
 * spin for its whole absence. Each function passes its caller's address on as the place where
 * preemption was disabled.
 */
#include "kernel/locking/raw_spinlock.h"
#include "arch/x86/cpu/insns.h"
#include "arch/x86/irqflags.h"
#include "kernel/panic.h"
#include "kernel/preempt.h"

static void lock_spinning(raw_spinlock_t *lock)
{
	unsigned int me = smp_processor_id() + 1, free = 0;

	while (!__atomic_compare_exchange_n(&lock->locked, &free, me, false, __ATOMIC_ACQUIRE,
					    __ATOMIC_RELAXED)) {
		BUG_ON(free == me);		/* held by this CPU: it would never end */
		free = 0;
		cpu_relax();
	}
}

static void unlock_checked(raw_spinlock_t *lock)
{
	WARN_ON(READ_ONCE(lock->locked) != smp_processor_id() + 1);
	__atomic_store_n(&lock->locked, 0, __ATOMIC_RELEASE);
}

void raw_spin_lock(raw_spinlock_t *lock) __no_lock_analysis
{
	preempt_count_add_ip(PREEMPT_OFFSET, _RET_IP_);
	lock_spinning(lock);
}

bool raw_spin_trylock(raw_spinlock_t *lock) __no_lock_analysis
{
	unsigned int free = 0;

	preempt_count_add_ip(PREEMPT_OFFSET, _RET_IP_);
	if (__atomic_compare_exchange_n(&lock->locked, &free, smp_processor_id() + 1, false,
					__ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return true;
	preempt_enable();
	return false;
}

void raw_spin_unlock(raw_spinlock_t *lock) __no_lock_analysis
{
	unlock_checked(lock);
	preempt_enable();
}

void raw_spin_lock_irq(raw_spinlock_t *lock) __no_lock_analysis
{
	local_irq_disable();
	preempt_count_add_ip(PREEMPT_OFFSET, _RET_IP_);
	lock_spinning(lock);
}

/* Interrupts first, then preemption: the reschedule that preempt_enable() may do needs them on. */
void raw_spin_unlock_irq(raw_spinlock_t *lock) __no_lock_analysis
{
	unlock_checked(lock);
	local_irq_enable();
	preempt_enable();
}

unsigned long raw_spin_lock_irqsave(raw_spinlock_t *lock) __no_lock_analysis
{
	unsigned long flags = local_irq_save();

	preempt_count_add_ip(PREEMPT_OFFSET, _RET_IP_);
	lock_spinning(lock);
	return flags;
}

void raw_spin_unlock_irqrestore(raw_spinlock_t *lock, unsigned long flags) __no_lock_analysis
{
	unlock_checked(lock);
	local_irq_restore(flags);
	preempt_enable();
}

bool raw_spin_is_held(const raw_spinlock_t *lock)
{
	return READ_ONCE(lock->locked) == smp_processor_id() + 1;
}
