/* SPDX-License-Identifier: MIT */
/* The tick, and what counts by it: jiffies, and sleeping for a time. */
#pragma once

#include "lib/types.h"

extern u64 jiffies;			/* ticks since boot, HZ a second; CPU 0 counts */

struct pt_regs;

/* The timer interrupt, which came at @regs. */
void tick(struct pt_regs *regs);

/*
 * Each tick of each CPU calls @fn with what it interrupted, after timers and the scheduler.
 * Interrupts are off, so @fn must not sleep.
 */
#define ON_TICK(fn)								\
	static void (*const __on_tick_##fn)(struct pt_regs *regs) __used	\
		__section("ontick") __aligned(8) = fn

/* Sleep for at least @ns. May sleep. 0, or -EINTR if the group is being killed. */
int sleep_ns(u64 ns);
