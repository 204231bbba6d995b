// SPDX-License-Identifier: MIT
/*
 * The tick drives everything here: jiffies, the scheduler's time slices, and a list of timers,
 * soonest first.
 */
#include "kernel/time.h"
#include "kernel/locking/raw_spinlock.h"
#include "kernel/might_sleep.h"
#include "kernel/sched/sched.h"
#include "lib/errno.h"

u64 jiffies;

static raw_spinlock_t timer_lock;
static LIST_HEAD(timers);

void timer_add(struct timer_list *timer, u64 expires,
	       void (*fn)(struct timer_list *timer)) __no_lock_analysis
{
	unsigned long flags = raw_spin_lock_irqsave(&timer_lock);
	struct timer_list *t;

	timer->expires = expires;
	timer->fn = fn;
	timer->armed = true;
	list_for_each_entry(t, &timers, node)
		if (t->expires > expires)
			break;
	/* Before t; at the end if the loop ran through. */
	list_add_tail(&timer->node, &t->node);
	raw_spin_unlock_irqrestore(&timer_lock, flags);
}

void timer_cancel(struct timer_list *timer) __no_lock_analysis
{
	unsigned long flags = raw_spin_lock_irqsave(&timer_lock);

	if (timer->armed)
		list_del(&timer->node);
	timer->armed = false;
	raw_spin_unlock_irqrestore(&timer_lock, flags);
}

static void run_timers(void) __no_lock_analysis
{
	raw_spin_lock(&timer_lock);
	while (!list_empty(&timers)) {
		struct timer_list *t = list_first_entry(&timers, struct timer_list, node);

		if (t->expires > jiffies)
			break;
		list_del(&t->node);
		t->armed = false;
		t->fn(t);
	}
	raw_spin_unlock(&timer_lock);
}

void tick(void)
{
	if (smp_processor_id() == 0) {
		WRITE_ONCE(jiffies, jiffies + 1);
		run_timers();
	}
	scheduler_tick();
}

struct sleeper {
	struct timer_list timer;
	struct task_struct *task;
};

static void wake_sleeper(struct timer_list *timer)
{
	wake_up_process(container_of(timer, struct sleeper, timer)->task);
}

int sleep_ns(u64 ns)
{
	struct sleeper s = { .task = current };
	/* Round up, and one more: the current tick is already under way. */
	u64 ticks = ns / (1000000000 / HZ) + (ns % (1000000000 / HZ) != 0) + 1;
	u64 until = jiffies + ticks < jiffies ? ~0UL : jiffies + ticks;

	might_sleep();
	set_current_state(TASK_INTERRUPTIBLE);
	timer_add(&s.timer, until, wake_sleeper);
	while (jiffies < until && !signal_pending(current)) {
		schedule();
		set_current_state(TASK_INTERRUPTIBLE);
	}
	__set_current_state(TASK_RUNNING);
	timer_cancel(&s.timer);
	return jiffies < until ? -EINTR : 0;
}
