/* SPDX-License-Identifier: MIT */
/*
 * Softirqs: what an interrupt leaves to be done with interrupts on.
 *
 * rt=off: at the end of the interrupt, on the stack of whatever it interrupted; if there is more
 * than fits there, in the thread ksoftirqd/N. local_bh_disable() holds them off on this CPU, and
 * preemption with them (preempt_count + 0x200); while one runs the count has 0x100.
 * rt=on: in ksoftirqd/N only, preemptible like any task. Nothing needs to hold them off, for they
 * take locks that sleep; so local_bh_disable() is for rt=off alone.
 */
#pragma once

#include "kernel/preempt.h"

#define SOFTIRQ_DISABLE_OFFSET	(2 * SOFTIRQ_OFFSET)

enum softirq {
	TIMER_SOFTIRQ,			/* timers that have expired: kernel/timer.c */
	SCRUB_SOFTIRQ,			/* a look at the kernel's text: kernel/debug/scrub.c */
	NR_SOFTIRQS
};

/* Another function for @nr, on all CPUs. For tests: what there is needs nobody to say so. */
void open_softirq(enum softirq nr, void (*action)(void));

/* Let it run on this CPU soon. From its interrupts, or with them off. */
static inline void raise_softirq(enum softirq nr)
{
	this_cpu_write(softirq_pending, this_cpu_read(softirq_pending) | BIT(nr));
}

/* The end of an interrupt; interrupts off. */
void irq_exit(void);

/* Makes the threads. Once, when tasks can be made. */
void softirq_init(void);

static inline bool in_interrupt(void)
{
	return preempt_count() & (SOFTIRQ_MASK | HARDIRQ_MASK | NMI_MASK);
}

/* Nothing that sleeps in between. Nests; not from hard interrupts. */
static __always_inline void local_bh_disable(void)
{
	preempt_count_add(SOFTIRQ_DISABLE_OFFSET);
	barrier();
}

void local_bh_enable(void);
