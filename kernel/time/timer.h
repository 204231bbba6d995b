/* SPDX-License-Identifier: MIT */
/*
 * Timers: call a function after some ticks, on the CPU that set the timer.
 *
 * A hard timer's function runs in the tick itself, with the wheel's lock held: it may wake a task
 * and do little else. A soft timer's function runs in TIMER_SOFTIRQ; with rt=on that is a thread,
 * so the function may take locks that sleep.
 */
#pragma once

#include "lib/list.h"
#include "lib/types.h"

struct timer {
	u64			expires;	/* in jiffies */
	void			(*fn)(struct timer *timer);
	bool			hard;
	unsigned int		cpu;		/* whose wheel it is in; add_timer() sets it */
	struct list_head	node;		/* the wheel's lock */
};

void timer_init(struct timer *timer, void (*fn)(struct timer *timer), bool hard);

/* The timer must not be set already. Any context but a hard timer's function. */
void add_timer(struct timer *timer, u64 expires);

/**
 * del_timer_sync() - afterwards the timer is not set and its function does not run.
 * It may have to wait for a soft timer's function, so it may sleep with rt=on, and says so even if
 * it need not; with rt=off not from hard interrupts. Not from the function itself.
 */
void del_timer_sync(struct timer *timer);

void timers_init(void);
void run_timers(void);			/* the tick */
