/* SPDX-License-Identifier: MIT */
/*
 * preempt_count: why the running code may not be switched away from, as one number per CPU.
 *
 * bits  0-7   nested preempt_disable() and raw locks, 1 each
 * bits  8-15  softirqs: serving 0x100, disabled 0x200 each
 * bits 16-19  hard interrupts, 0x10000 each
 * bits 20-23  NMI, 0x100000 each
 * bit  31     inverted: set = no reschedule is wanted. So "count 0 and a reschedule wanted" is
 *             plain 0
 *
 * The count belongs to the CPU, not to the task: every switch happens at the same depth
 * (FORK_PREEMPT_COUNT), so it need not be saved. The address that took it from 0 is kept, for the
 * splat's "Preemption disabled at:".
 */
#pragma once

#include "arch/x86/cpu/percpu.h"
#include "kernel/preempt/annotations.h"

#define PREEMPT_OFFSET		0x1
#define PREEMPT_MASK		0xff
#define SOFTIRQ_OFFSET		0x100
#define SOFTIRQ_MASK		0xff00
#define HARDIRQ_OFFSET		0x10000
#define HARDIRQ_MASK		0xf0000
#define NMI_OFFSET		0x100000
#define NMI_MASK		0xf00000
#define PREEMPT_NEED_RESCHED	0x80000000

/*
 * A new task wakes up as if inside schedule(): one level for schedule() itself, one for the run
 * queue's lock.
 */
#define FORK_PREEMPT_COUNT	(2 * PREEMPT_OFFSET)

/* Do spinlocks sleep, as with PREEMPT_RT? */
extern int rt_off;			/* option rt=: fixed once spinlocks are in use */

static inline bool preempt_rt(void)
{
	return !rt_off;
}

static inline int preempt_count(void)
{
	return this_cpu_read(preempt_count) & ~PREEMPT_NEED_RESCHED;
}

static inline bool in_atomic(void)
{
	return preempt_count() != 0;
}

static inline bool in_nmi(void)
{
	return preempt_count() & NMI_MASK;
}

static inline bool in_hardirq(void)
{
	return preempt_count() & HARDIRQ_MASK;
}

/* Set the count proper and leave the inverted bit alone. Interrupts or preemption off. */
void preempt_count_set(int count);

/* One atomic instruction each, so that an interrupt sees either the old value or the new one. */
static inline void set_preempt_need_resched(void)
{
	__asm__ volatile("andl %0, %%gs:%c1" :: "i"(~PREEMPT_NEED_RESCHED),
			 "i"(__cpu_offset(preempt_count)) : "memory", "cc");
}

static inline void clear_preempt_need_resched(void)
{
	__asm__ volatile("orl %0, %%gs:%c1" :: "i"(PREEMPT_NEED_RESCHED),
			 "i"(__cpu_offset(preempt_count)) : "memory", "cc");
}

/* True iff the count is 0 and a reschedule is wanted. */
static inline bool should_resched(void)
{
	return this_cpu_read(preempt_count) == 0;
}

/**
 * preempt_count_add(), preempt_count_sub() - change the count by @val, checked. add notes its
 * caller's address if it takes the count from 0, and warns within 10 of an overflow of the low
 * byte. sub reports an underflow, of the whole or of the low byte, and then leaves the count alone.
 * preempt_count_add_ip() notes @ip instead of its caller's address; a lock function passes its own
 * caller's. Context: any.
 */
void preempt_count_add(int val);
void preempt_count_add_ip(int val, unsigned long ip);
void preempt_count_sub(int val);

/* The one call from floor 1 up to schedule(): see kernel/sched/core.c. */
void preempt_schedule(void);

static __always_inline void preempt_disable(void) __acquires(preempt_off) __no_lock_analysis
{
	preempt_count_add(PREEMPT_OFFSET);
	barrier();
}

static __always_inline void preempt_enable_no_resched(void)
	__releases(preempt_off) __no_lock_analysis
{
	barrier();
	preempt_count_sub(PREEMPT_OFFSET);
}

static __always_inline void preempt_enable(void) __releases(preempt_off)
{
	preempt_enable_no_resched();
	if (unlikely(should_resched()))
		preempt_schedule();
}
