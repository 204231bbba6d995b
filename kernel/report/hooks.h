/* SPDX-License-Identifier: MIT */
/*
 * The hooks that are called when preemption or interrupts go off and on: the latency recorder,
 * which registers itself, and the trace. One word says whether there are any, so that the usual
 * case costs one test. What is declared here is defined in kernel/preempt/preempt.c.
 */
#pragma once

#include "lib/types.h"

extern int hooks_on;			/* HOOK_*; atomic */
#define HOOK_LATENCY	BIT(0)
#define HOOK_TRACE	BIT(1)
#define HOOK_ANY	(HOOK_LATENCY | HOOK_TRACE)

/* Is one of @mask on? Two instructions at each use; a compiler would often make three. */
static __always_inline bool hook(const int mask)
{
	__asm__ goto("testb %0, %1\n\tjnz %l2" :: "i"(mask), "m"(hooks_on) : "cc" : on);
	return false;
on:
	return true;
}

/*
 * @ip: the code that did it. Called by the wrappers in irqflags.h, and by entry/common.c where the
 * CPU itself changes the flag.
 */
void irqs_went_off(unsigned long ip);
void irqs_go_on(unsigned long ip);

/*
 * What HOOK_LATENCY calls; set before the bit is. @ip: the code that did it. Interrupts are off
 * where the names say so. None may sleep, or take a lock.
 */
struct section_hooks {
	void (*preempt_off)(unsigned long ip);
	void (*preempt_on)(void);
	void (*irqs_off)(unsigned long ip);
	void (*irqs_on)(void);
	void (*idle)(void);		/* the idle task goes to sleep */
};
extern const struct section_hooks *section_hooks;
