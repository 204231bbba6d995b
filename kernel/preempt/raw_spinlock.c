// SPDX-License-Identifier: MIT
/*
 * A ticket lock. Preemption goes off first, because others would spin for the whole absence of a
 * holder that was switched away. Each function passes its caller's address on as the place where
 * preemption was disabled.
 */
#include "kernel/preempt/raw_spinlock.h"
#include "arch/x86/cpu/insns.h"
#include "arch/x86/irqflags.h"
#include "kernel/preempt/preempt.h"
#include "kernel/report/panic.h"

/* A look at the clock costs more than a look at the lock. */
#define SPINS_BETWEEN_CHECKS	65536

/* A kernel without the watchdog has none. */
__attribute__((weak)) void (*raw_spin_watch)(raw_spinlock_t *lock, u64 *since);

static noinline void await_turn(raw_spinlock_t *lock, u16 mine)
{
	u64 spins = 0, since = 0;

	BUG_ON(raw_spin_is_held(lock));			/* the wait would never end */
	while (__atomic_load_n(&lock->serving, __ATOMIC_ACQUIRE) != mine) {
		if (unlikely(!(++spins % SPINS_BETWEEN_CHECKS)) && raw_spin_watch)
			raw_spin_watch(lock, &since);
		cpu_relax();
	}
}

/* Usually no other CPU is there. */
static __always_inline void lock_spinning(raw_spinlock_t *lock)
{
	u16 mine;

	preempt_count_add_ip(PREEMPT_OFFSET, _RET_IP_);
	mine = __atomic_fetch_add(&lock->next, 1, __ATOMIC_RELAXED);
	if (unlikely(__atomic_load_n(&lock->serving, __ATOMIC_ACQUIRE) != mine))
		await_turn(lock, mine);
	WRITE_ONCE(lock->holder, smp_processor_id() + 1);
}

static __always_inline void unlock_checked(raw_spinlock_t *lock)
{
	WARN_ON(READ_ONCE(lock->holder) != smp_processor_id() + 1);
	WRITE_ONCE(lock->holder, 0);
	__atomic_store_n(&lock->serving, lock->serving + 1, __ATOMIC_RELEASE);
}

void raw_spin_lock(raw_spinlock_t *lock) __no_lock_analysis
{
	lock_spinning(lock);
}

bool raw_spin_trylock(raw_spinlock_t *lock) __no_lock_analysis
{
	raw_spinlock_t old = { .tickets = READ_ONCE(lock->tickets) }, new = old;

	preempt_count_add_ip(PREEMPT_OFFSET, _RET_IP_);
	new.next++;
	if (old.serving == old.next &&
	    __atomic_compare_exchange_n(&lock->tickets, &old.tickets, new.tickets, false,
					__ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
		WRITE_ONCE(lock->holder, smp_processor_id() + 1);
		return true;
	}
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
	lock_spinning(lock);
}

/* Interrupts go on before preemption, because a reschedule in preempt_enable() needs them on. */
void raw_spin_unlock_irq(raw_spinlock_t *lock) __no_lock_analysis
{
	unlock_checked(lock);
	local_irq_enable();
	preempt_enable();
}

unsigned long raw_spin_lock_irqsave(raw_spinlock_t *lock) __no_lock_analysis
{
	unsigned long flags = local_irq_save();

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
	return READ_ONCE(lock->holder) == smp_processor_id() + 1;
}
