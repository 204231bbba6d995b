/* SPDX-License-Identifier: MIT */
/*
 * What a lock that spins promises about interrupts, and what a spinlock_t of either world notes
 * down for those who ask afterwards.
 */
#include "arch/x86/irqflags.h"
#include "kernel/locking/spinlock.h"
#include "kernel/preempt/might_sleep.h"
#include "tests/kernel/many_threads.h"
#include "tests/kernel/watch.h"

KTEST_SUITE(spinlocks);

/* --- Interrupts --- */

static raw_spinlock_t raw;
static spinlock_t lock;

static bool interrupts_are_off(const struct pt_regs *regs)
{
	return !(regs->flags & X86_EFLAGS_IF);
}

/*
 * An interrupt of this CPU that wants the lock would wait for ever: so they are off before the
 * ticket is drawn, and until the next one is served.
 * fails with: fault/a-ticket-with-interrupts-on, fault/served-with-interrupts-on
 */
KTEST(interrupts_are_off_for_as_long_as_an_irq_lock)
{
	struct watch watches[] = {
		{ .at = &raw.tickets, .name = "the raw lock", .half = true,
		  .rule = interrupts_are_off },
		{ .at = &lock.rlock.tickets, .name = "the spinlock", .half = true,
		  .rule = interrupts_are_off },
	};
	unsigned long flags;

	spin_lock_init(&lock);
	lock.spins = true;			/* with rt=on, too */
	watch_start(watches, ARRAY_SIZE(watches));
	raw_spin_lock_irq(&raw);
	raw_spin_unlock_irq(&raw);
	flags = raw_spin_lock_irqsave(&raw);
	raw_spin_unlock_irqrestore(&raw, flags);
	spin_lock_irq(&lock);
	spin_unlock_irq(&lock);
	watch_end(kt);
	KEXPECT_GE(watches[0].hits, 4);
	KEXPECT_GE(watches[1].hits, 2);
}

static bool noted, was_held;

/* When the next ticket is served the lock may be another CPU's: the holder is nobody by then. */
static bool nobody_holds_it(const struct pt_regs *regs)
{
	if (READ_ONCE(raw.serving) != READ_ONCE(raw.next))
		return true;
	noted = true;
	was_held |= READ_ONCE(raw.holder);
	return true;
}

/* fails with: fault/the-next-ones-name-is-wiped-out */
KTEST(the_holder_goes_before_the_lock)
{
	struct watch watch = { .at = &raw.tickets, .name = "the raw lock", .half = true,
			       .rule = nobody_holds_it };

	noted = was_held = false;
	watch_start(&watch, 1);
	raw_spin_lock(&raw);
	raw_spin_unlock(&raw);
	watch_end(kt);
	KEXPECT(noted && !was_held);
}

/* --- The record --- */

/* fails with: fault/no-record-of-the-count, fault/no-record-of-the-count-that-spins */
KTEST(the_count_is_noted_less_the_locks_own)
{
	struct splats before = splats_now();
	KMAY_WARN;

	for (int i = 0; i < 2; i++) {
		spin_lock_init(&lock);
		lock.spins = i;
		might_sleep_ratelimit_reset();
		preempt_disable();
		spin_lock(&lock);
		spin_unlock(&lock);
		preempt_enable();
		KEXPECT_EQ(lock.record.preempt_count, 1);
		spin_lock(&lock);
		spin_unlock(&lock);
		KEXPECT_EQ(lock.record.preempt_count, 0);
		KEXPECT_EQ(lock.record.acquired, 2);
		KEXPECT_EQ(lock.record.contended, 0);
	}
	EXPECT_SPLATS(before, SPLAT_MIGHT_SLEEP, preempt_rt());	/* it may sleep, so it was wrong */
}

static void take(struct thread *self)
{
	spin_lock(&lock);
	log_mark(self->mark);
	spin_unlock(&lock);
}

/* fails with: fault/no-record-of-the-wait */
KTEST(who_had_to_wait_is_noted)
{
	NEEDS_RT("who spins waits for another CPU: k/smp");
	RUN_AS_FIFO(fifo(10));

	spin_lock_init(&lock);
	make_many(kt, 2, take);
	spin_lock(&lock);
	thread_start(&threads[0], fifo(20));
	thread_start(&threads[1], fifo(30));
	spin_unlock(&lock);
	EXPECT_LOG("ba");
	KEXPECT_EQ(lock.record.acquired, 3);
	KEXPECT_EQ(lock.record.contended, 2);
	end_many(2);
}
