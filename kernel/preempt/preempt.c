// SPDX-License-Identifier: MIT
/* The checked forms of changing preempt_count (see preempt.h). */
#include "kernel/preempt/preempt.h"
#include "kernel/report/panic.h"
#include "kernel/report/trace.h"
#include "lib/options.h"

/* Keep this far from the 256th level, which would carry into the softirq bits. */
#define PREEMPT_NEAR_OVERFLOW	10

void preempt_count_set(int count)
{
	/* Only the low 31 bits, because an interrupt's change of bit 31 in between must survive. */
	int delta = count - preempt_count();

	this_cpu_add_int(preempt_count, delta);
}

int hooks_on;
const struct section_hooks *section_hooks;

int rt_off;
BOOT_CHOICE(rt, rt_off, false, "on", "off");

static noinline void preempt_went_off(unsigned long ip)
{
	if (hook(HOOK_LATENCY))
		section_hooks->preempt_off(ip);
	trace(preempt_disable, preempt_count(), ip);
}

static noinline void preempt_goes_on(unsigned long ip)
{
	if (hook(HOOK_LATENCY))
		section_hooks->preempt_on();
	trace(preempt_enable, preempt_count(), ip);
}

void irqs_went_off(unsigned long ip)
{
	if (hook(HOOK_LATENCY))
		section_hooks->irqs_off(ip);
	trace(irq_disable, preempt_count(), ip);
}

void irqs_go_on(unsigned long ip)
{
	if (hook(HOOK_LATENCY))
		section_hooks->irqs_on();
	trace(irq_enable, preempt_count(), ip);
}

void preempt_count_add_ip(int val, unsigned long ip)
{
	this_cpu_add_int(preempt_count, val);
	if (preempt_count() == val) {
		this_cpu_write(preempt_disable_ip, ip);
		if (unlikely(hook(HOOK_ANY)))
			preempt_went_off(ip);
	}
	WARN_ON_ONCE((preempt_count() & PREEMPT_MASK) >= PREEMPT_MASK - PREEMPT_NEAR_OVERFLOW);
}

void preempt_count_add(int val)
{
	preempt_count_add_ip(val, _RET_IP_);
}

/*
 * Is @val more than the whole count, or than its low byte? Returns the condition for the report, or
 * NULL.
 */
static noinline const char *underflow(int val)
{
	if (val > preempt_count())
		return "val > preempt_count()";
	if (val <= PREEMPT_MASK && val > (preempt_count() & PREEMPT_MASK))
		return "(val < PREEMPT_MASK) && !(preempt_count() & PREEMPT_MASK)";
	return NULL;
}

void preempt_count_sub(int val)
{
	/*
	 * preempt_enable() costs one compare. A step of any other field is more than the low byte
	 * can hold, and goes to underflow().
	 */
	if (unlikely(val > (preempt_count() & PREEMPT_MASK))) {
		const char *wrong = underflow(val);

		if (wrong) {
			WARN_KIND(SPLAT_UNDERFLOW, "DEBUG_LOCKS_WARN_ON(%s)", wrong);
			return;
		}
	}
	if (unlikely(hook(HOOK_ANY)) && preempt_count() == val)
		preempt_goes_on(_RET_IP_);
	this_cpu_add_int(preempt_count, -val);
}
