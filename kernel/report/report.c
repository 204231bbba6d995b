// SPDX-License-Identifier: MIT
/* What all reports have in common: they are counted, and printed one at a time (see report.h). */
#include "kernel/report/report.h"
#include "arch/x86/cpu/insns.h"
#include "arch/x86/cpu/percpu.h"
#include "kernel/report/trace.h"

unsigned int panic_cpu = NR_CPUS;

static unsigned long tainted;
static unsigned int report_cpu = NR_CPUS;	/* whose report is being printed */

u64 splat_counts[SPLAT_KINDS];

/* Not inlined, because debuggers stop here, once for each report. */
noinline void splat_count(enum splat_kind kind)
{
	__atomic_fetch_add(&splat_counts[kind], 1, __ATOMIC_RELAXED);
	trace(splat, kind, _RET_IP_);
}

void add_taint(unsigned int bit)
{
	__atomic_fetch_or(&tainted, BIT(bit), __ATOMIC_RELAXED);
}

/*
 * 19 columns, one for each flag, blank where unset. Only W exists here, and the first is G because
 * there are no modules.
 */
const char *print_tainted(void)
{
	return tainted & BIT(TAINT_WARN) ? "Tainted: G        W         " : "Not tainted";
}

#define REPORT_OUTERMOST BIT(63)		/* in the flags: this end frees report_cpu */

unsigned long report_begin(void)
{
	for (;;) {
		unsigned long flags = raw_local_irq_save();
		unsigned int me = smp_processor_id(), owner = NR_CPUS;

		if (__atomic_compare_exchange_n(&report_cpu, &owner, me, false, __ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED))
			return flags | REPORT_OUTERMOST;
		/* The CPU that panics has stopped the owner; others wait until it stops them. */
		if (owner == me || READ_ONCE(panic_cpu) == me)
			return flags;
		raw_local_irq_restore(flags);
		cpu_relax();
	}
}

void report_end(unsigned long flags)
{
	if (flags & REPORT_OUTERMOST)
		__atomic_store_n(&report_cpu, NR_CPUS, __ATOMIC_RELEASE);
	raw_local_irq_restore(flags);
}
