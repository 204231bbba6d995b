/* SPDX-License-Identifier: MIT */
/* Ticks and sleeping. */
#pragma once

#include "lib/list.h"
#include "lib/types.h"

extern u64 jiffies;			/* ticks since boot, HZ a second; CPU 0 counts */

struct timer_list {
	u64			expires;	/* in jiffies */
	/* Interrupt context, interrupts off. */
	void			(*fn)(struct timer_list *timer);
	struct list_head	node;
	bool			armed;
};

void timer_add(struct timer_list *timer, u64 expires, void (*fn)(struct timer_list *timer));
/* Fine if it has fired; does not wait for a running fn. */
void timer_cancel(struct timer_list *timer);

/* The timer interrupt. */
void tick(void);

/* Sleep for at least @ns. May sleep. 0, or -EINTR if the group is being killed. */
int sleep_ns(u64 ns);
