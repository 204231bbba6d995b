/* SPDX-License-Identifier: MIT */
/*
 * The longest section with preemption off, and the longest with interrupts off, and who began it:
 * what a lock that spins would cost, in numbers ("latency=on"; user/latency.c asks). Counted in
 * steps of the TSC: under QEMU's -icount shift=0 one step is one instruction.
 *
 * The idle task is left out. Setting the option, to either value, forgets what was found.
 */
#pragma once

#include "arch/x86/percpu.h"

/*
 * Who wants to know when preemption or interrupts go off and on: one word, so that it is asked
 * once, and what is then called (kernel/preempt.c). The trace looks, too: kernel/trace.h.
 */
extern int hooks_on;
void irqs_went_off(unsigned long ip);
void irqs_go_on(unsigned long ip);
#define HOOK_LATENCY	BIT(0)
#define HOOK_TRACE	BIT(1)
#define HOOK_ANY	(HOOK_LATENCY | HOOK_TRACE)

/* Is one of @mask on? Two instructions where it stands; a compiler would often make it three. */
static __always_inline bool hook(const int mask)
{
	__asm__ goto("testb %0, %1\n\tjnz %l2" :: "i"(mask), "m"(hooks_on) : "cc" : on);
	return false;
on:
	return true;
}

/* @ip: who did it. Interrupts off where the names say so. Called by the wrappers, nowhere else. */
void latency_preempt_off(unsigned long ip);
void latency_preempt_on(void);
void latency_irqs_off(unsigned long ip);
void latency_irqs_on(void);

/* The idle task goes to sleep: what it has begun does not count. */
void latency_idle(void);

struct splat_latency;
void latency_get(struct splat_latency *result);
