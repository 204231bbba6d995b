// SPDX-License-Identifier: MIT
/* Messages between CPUs (see smp.h). */
#include "arch/x86/cpu/smp.h"
#include "arch/x86/cpu/apic.h"
#include "arch/x86/cpu/insns.h"
#include "arch/x86/cpu/percpu.h"
#include "arch/x86/entry/entry.h"
#include "arch/x86/fpu/core/regs.h"
#include "arch/x86/time.h"
#include "arch/x86/unwind.h"
#include "kernel/report/panic.h"
#include "kernel/sched/task.h"
#include "lib/printk.h"

#define STOP_NS		100000000UL	/* an NMI handler may first have to print */
#define SHOW_NS		500000000UL	/* a serial line takes 0.2 s for a stack */

static unsigned int stopper = NR_CPUS;		/* the CPU that stops all others */
static unsigned int stopped;			/* atomic */
/* The CPU that asks for stacks, as only one may at a time, and those that owe theirs. Atomic. */
static u64 to_show;

void smp_send_reschedule(unsigned int cpu)
{
	apic_send(cpus[cpu].apic_id, RESCHEDULE_VECTOR);
}

void stop_other_cpus(void)
{
	unsigned int nobody = NR_CPUS;
	u64 start = sched_clock();

	if (nr_cpus == 1 ||
	    !__atomic_compare_exchange_n(&stopper, &nobody, smp_processor_id(), false,
					 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return;
	for (unsigned int cpu = 0; cpu < nr_cpus; cpu++)
		if (cpu != smp_processor_id())
			apic_send(cpus[cpu].apic_id, APIC_NMI);
	while (READ_ONCE(stopped) < nr_cpus - 1 && sched_clock() - start < STOP_NS)
		cpu_relax();
}

/* A CPU is asked when the one before has finished, so that each stack follows its CPU's number. */
unsigned int show_other_cpus(void)
{
	unsigned int me = smp_processor_id(), answers = 0;
	u64 nobody = 0;

	if (!__atomic_compare_exchange_n(&to_show, &nobody, BIT(me), false, __ATOMIC_SEQ_CST,
					 __ATOMIC_SEQ_CST))
		return 0;
	for (unsigned int cpu = 0; cpu < nr_cpus; cpu++) {
		u64 start = sched_clock();

		if (cpu == me)
			continue;
		__atomic_fetch_or(&to_show, BIT(cpu), __ATOMIC_SEQ_CST);
		apic_send(cpus[cpu].apic_id, APIC_NMI);
		while ((READ_ONCE(to_show) & BIT(cpu)) && sched_clock() - start < SHOW_NS)
			cpu_relax();
		if (READ_ONCE(to_show) & BIT(cpu))
			pr_err("CPU %u does not even answer to an NMI", cpu);
		else
			answers++;
	}
	__atomic_store_n(&to_show, 0, __ATOMIC_SEQ_CST);
	return answers;
}

bool smp_nmi(struct pt_regs *regs)
{
	unsigned int me = smp_processor_id(), by = READ_ONCE(stopper);
	unsigned long flags;

	/* The stopping CPU may get an NMI, too, from one that wants to see its stack. */
	if (by != NR_CPUS && by != me) {
		fpu_save_for_dump();
		__atomic_fetch_add(&stopped, 1, __ATOMIC_RELEASE);
		for (;;)
			__asm__ volatile("hlt");
	}
	if (!(READ_ONCE(to_show) & BIT(me)))	/* too late, or from somebody else */
		return false;
	flags = report_begin();
	pr_err("NMI backtrace for cpu %u", me);
	show_regs(regs);
	show_stack(current, regs);
	report_end(flags);
	__atomic_fetch_and(&to_show, ~BIT(me), __ATOMIC_SEQ_CST);
	return true;
}
