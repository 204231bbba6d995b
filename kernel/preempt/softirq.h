/* SPDX-License-Identifier: MIT */
/*
 * Softirqs: what an interrupt leaves to be done with interrupts on.
 *
 * rt=off: they run at the end of the interrupt, on the stack of what it interrupted; what does not
 * fit there runs in the thread ksoftirqd/N. local_bh_disable() holds softirqs off on this CPU, and
 * preemption with them (preempt_count + 0x200); while one runs, the count has 0x100.
 * rt=on: they run in ksoftirqd/N only, preemptible like any task. Nothing needs to hold them off,
 * because they take locks that sleep; so local_bh_disable() is for rt=off alone.
 */
#pragma once

#include "kernel/preempt/preempt.h"

#define SOFTIRQ_DISABLE_OFFSET	(2 * SOFTIRQ_OFFSET)

enum softirq {
	TIMER_SOFTIRQ,			/* timers that have expired: kernel/time/timer.c */
	SCRUB_SOFTIRQ,			/* a look at the kernel's text: kernel/debug/scrub.c */
	NR_SOFTIRQS
};

/* From now on @nr runs @action, on all CPUs. @nr is not raised before. */
void open_softirq(enum softirq nr, void (*action)(void));

/* Let @nr run on this CPU soon. Called from this CPU's interrupts, or with interrupts off. */
static inline void raise_softirq(enum softirq nr)
{
	this_cpu_write(softirq_pending, this_cpu_read(softirq_pending) | BIT(nr));
}

/* The end of an interrupt; interrupts off. */
void irq_exit(void);

/*
 * For the threads. The first runs one round of what is pending; the second, with rt=off, several,
 * with softirqs held off. Interrupts are off before and after, and on while an action runs.
 */
void softirq_run_pending(void);
void __do_softirq(void);

/* Makes this CPU's thread run what is pending, once there are threads. Interrupts off. */
extern void (*wake_ksoftirqd)(void);

static inline bool in_interrupt(void)
{
	return preempt_count() & (SOFTIRQ_MASK | HARDIRQ_MASK | NMI_MASK);
}

/* Nothing that sleeps may be called in between. Nests; not from hard interrupts. */
static __always_inline void local_bh_disable(void)
{
	preempt_count_add(SOFTIRQ_DISABLE_OFFSET);
	barrier();
}

void local_bh_enable(void);
