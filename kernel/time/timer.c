// SPDX-License-Identifier: MIT
/*
 * A timer wheel for each CPU: a circle of lists, one for each of the next WHEEL_SLOTS ticks. A
 * timer that is further ahead stays in its list for more than one turn. So setting and deleting
 * cost the same however many timers there are, and a tick looks at one list.
 */
#include "kernel/time/timer.h"
#include "arch/x86/cpu/percpu.h"
#include "arch/x86/irqflags.h"
#include "kernel/locking/spinlock.h"
#include "kernel/preempt/assert.h"
#include "kernel/preempt/might_sleep.h"
#include "kernel/preempt/preempt.h"
#include "kernel/preempt/softirq.h"
#include "kernel/sched/task.h"
#include "kernel/time/tick.h"

#define WHEEL_SLOTS	256

struct wheel {
	raw_spinlock_t		lock;		/* taken in interrupts, too */
	u64			next;		/* the first tick that has not been looked at */
	struct list_head	slots[WHEEL_SLOTS];
	struct list_head	expired;	/* soft timers, for the softirq */
	/*
	 * The softirq holds expiry_lock while it calls functions. A task that must wait for a
	 * function takes the lock. With rt=on that lends the thread the task's priority, where
	 * spinning could last for ever.
	 */
	struct timer		*running;
	spinlock_t		expiry_lock;
};

static struct wheel wheels[NR_CPUS];

void timer_init(struct timer *timer, void (*fn)(struct timer *timer), bool hard)
{
	*timer = (struct timer){ .fn = fn, .hard = hard };
	INIT_LIST_HEAD(&timer->node);
}

void add_timer(struct timer *timer, u64 expires)
{
	unsigned long flags;
	struct wheel *wheel;

	preempt_disable();
	timer->cpu = smp_processor_id();
	wheel = &wheels[timer->cpu];
	flags = raw_spin_lock_irqsave(&wheel->lock);
	timer->expires = max(expires, wheel->next);
	list_add_tail(&timer->node, &wheel->slots[timer->expires % WHEEL_SLOTS]);
	raw_spin_unlock_irqrestore(&wheel->lock, flags);
	preempt_enable();
}

void del_timer_sync(struct timer *timer)
{
	bool running;

	/*
	 * The checks must not depend on whether the function runs. With rt=on we may have to sleep
	 * for it, as for any spinlock_t; with rt=off an interrupt would spin for the code it has
	 * interrupted.
	 */
	if (!timer->hard && preempt_rt())
		__might_resched(__FILE__, __LINE__, (unsigned int)current->rcu_read_lock_nesting
						    << MIGHT_RESCHED_RCU_SHIFT);
	WARN_ON_ONCE(!timer->hard && !preempt_rt() && in_hardirq());
	/* Try again after its function has run, because that may have set the timer anew. */
	do {
		struct wheel *wheel = &wheels[timer->cpu];
		unsigned long flags = raw_spin_lock_irqsave(&wheel->lock);

		running = wheel->running == timer;
		list_del_init(&timer->node);
		raw_spin_unlock_irqrestore(&wheel->lock, flags);
		if (running) {
			/*
			 * The wheel may be this CPU's by now, and then the softirq must not come in
			 * between.
			 */
			spin_lock_irq(&wheel->expiry_lock);
			spin_unlock_irq(&wheel->expiry_lock);
		}
	} while (running);
}

/* A count that the function leaks is set right, or the next one and current would have it. */
static void call_timer_fn(struct timer *timer)
{
	void (*fn)(struct timer *timer) = timer->fn;	/* afterwards the timer may be gone */
	int count = preempt_count();

	fn(timer);
	if (unlikely(count != preempt_count())) {
		unsigned long flags = local_irq_save();

		WARN_KIND_ONCE(SPLAT_CORRUPTED, "timer: %pS preempt leak: %08x -> %08x", (void *)fn,
			       count, preempt_count());
		preempt_count_set(count);
		local_irq_restore(flags);
	}
}

/* The wheel's lock held. */
static void expire_slot(struct wheel *wheel, struct list_head *slot)
{
	struct timer *timer, *next;

	assert_held(&wheel->lock);
	list_for_each_entry_safe(timer, next, slot, node) {
		if (timer->expires > wheel->next)
			continue;
		if (timer->hard) {
			list_del_init(&timer->node);
			call_timer_fn(timer);
		} else {
			list_move_tail(&timer->node, &wheel->expired);
			raise_softirq(TIMER_SOFTIRQ);
		}
	}
}

void run_timers(void)
{
	struct wheel *wheel = &wheels[smp_processor_id()];

	assert_irqs_off();
	raw_spin_lock(&wheel->lock);
	for (; wheel->next <= READ_ONCE(jiffies); wheel->next++)
		expire_slot(wheel, &wheel->slots[wheel->next % WHEEL_SLOTS]);
	raw_spin_unlock(&wheel->lock);
}

/* Run this CPU's expired soft timers. */
static void run_timer_softirq(void)
{
	struct wheel *wheel = &wheels[smp_processor_id()];

	spin_lock(&wheel->expiry_lock);
	raw_spin_lock_irq(&wheel->lock);
	while (!list_empty(&wheel->expired)) {
		struct timer *timer = list_first_entry(&wheel->expired, struct timer, node);

		list_del_init(&timer->node);
		wheel->running = timer;
		raw_spin_unlock_irq(&wheel->lock);
		call_timer_fn(timer);
		raw_spin_lock_irq(&wheel->lock);
		wheel->running = NULL;
	}
	raw_spin_unlock_irq(&wheel->lock);
	spin_unlock(&wheel->expiry_lock);
}

void timers_init(void)
{
	for (int cpu = 0; cpu < NR_CPUS; cpu++) {
		struct wheel *wheel = &wheels[cpu];

		spin_lock_init(&wheel->expiry_lock);
		INIT_LIST_HEAD(&wheel->expired);
		for (int i = 0; i < WHEEL_SLOTS; i++)
			INIT_LIST_HEAD(&wheel->slots[i]);
	}
	open_softirq(TIMER_SOFTIRQ, run_timer_softirq);
}
