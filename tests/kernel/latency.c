/* SPDX-License-Identifier: MIT */
/* The latency recorder: what it measures is known here, so its answer can be checked. */
#include "kernel/debug/latency.h"
#include "arch/x86/cpu/insns.h"
#include "arch/x86/irqflags.h"
#include "kernel/preempt/preempt.h"
#include "kernel/splat/uapi.h"
#include "kernel/time/tick.h"
#include "lib/options.h"
#include "lib/string.h"
#include "tests/kernel/threads.h"

KTEST_SUITE(latency);

#define LONG_TSC	10000000UL	/* longer than anything that the kernel does by itself */
#define RUNS		5

static void wait_tsc(u64 tsc)
{
	for (u64 start = rdtsc(); rdtsc() - start < tsc; )
		cpu_relax();
}

static noinline void keep_preemption_off(void)
{
	preempt_disable();
	wait_tsc(LONG_TSC / 2);
	preempt_disable();
	wait_tsc(LONG_TSC / 2);
	preempt_enable();
	preempt_enable();
}

static noinline void keep_interrupts_off(void)
{
	unsigned long flags = local_irq_save();

	wait_tsc(LONG_TSC);
	local_irq_restore(flags);
}

static struct splat_latency measure_once(void (*fn)(void), const char *option)
{
	struct splat_latency result;

	option_set_runtime(option);
	fn();
	latency_get(&result);
	option_set_runtime("latency=off");
	return result;
}

/*
 * The least of several runs: where the TSC is the host's, a host that takes the CPU away amid a
 * section makes it longer.
 */
static struct splat_latency measure(void (*fn)(void), const char *option)
{
	struct splat_latency least = measure_once(fn, option);

	for (int run = 1; run < RUNS; run++) {
		struct splat_latency next = measure_once(fn, option);

		if (next.preempt_off < least.preempt_off) {
			least.preempt_off = next.preempt_off;
			memcpy(least.preempt_owner, next.preempt_owner, sizeof(next.preempt_owner));
		}
		if (next.irqs_off < least.irqs_off) {
			least.irqs_off = next.irqs_off;
			memcpy(least.irqs_owner, next.irqs_owner, sizeof(next.irqs_owner));
		}
	}
	return least;
}

/* fails with: latency_preempt_off() beginning anew at the inner preempt_disable() */
KTEST(nested_sections_count_from_the_outermost)
{
	struct splat_latency got = measure(keep_preemption_off, "latency=on");

	KEXPECT_GE(got.preempt_off, LONG_TSC);
	KEXPECT(!strncmp(got.preempt_owner, "keep_preemption_off+", 20));
	KEXPECT(got.irqs_off < LONG_TSC);
}

/* fails with: local_irq_restore() that does not tell the recorder */
KTEST(interrupts_off_is_another_matter)
{
	struct splat_latency got = measure(keep_interrupts_off, "latency=on");

	KEXPECT_GE(got.irqs_off, LONG_TSC);
	KEXPECT(got.irqs_owner[0]);
	KEXPECT(got.preempt_off < LONG_TSC);
}

/* fails with: preempt_count_add_ip() and preempt_went_off() that do not look whether it is on */
KTEST(off_records_nothing)
{
	struct splat_latency got = measure(keep_preemption_off, "latency=off");

	KEXPECT_EQ(got.preempt_off, 0);
	KEXPECT_EQ(got.irqs_off, 0);
}

static void sleep_for_long(void)
{
	sleep_ns(100000000);
}

/*
 * It halts with preemption off, for as long as no task wants to run. fails with:
 * fault/idle-counts-as-a-section
 */
KTEST(the_idle_task_does_not_count)
{
	struct splat_latency got = measure(sleep_for_long, "latency=on");

	KEXPECT(got.preempt_off < LONG_TSC);
	KEXPECT(got.irqs_off < LONG_TSC);
}
