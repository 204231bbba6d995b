// SPDX-License-Identifier: MIT
/* Messages between CPUs (see smp.h). */
#include "arch/x86/cpu/smp.h"
#include "arch/x86/cpu/apic.h"
#include "arch/x86/cpu/insns.h"
#include "arch/x86/entry/entry.h"
#include "arch/x86/fpu/regs.h"
#include "arch/x86/percpu.h"
#include "arch/x86/time.h"
#include "arch/x86/unwind.h"
#include "kernel/task.h"
#include "lib/printk.h"

#define ANSWER_NS	100000000UL	/* an NMI handler may first have to print */

static unsigned int stopper = NR_CPUS;		/* who stops all others */
static unsigned int stopped;			/* atomic */
static unsigned int show_cpu = NR_CPUS;		/* whose turn it is to show its stack */

void smp_send_reschedule(unsigned int cpu)
{
	apic_send_ipi(cpus[cpu].apic_id, RESCHEDULE_VECTOR);
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
			apic_send_nmi(cpus[cpu].apic_id);
	while (READ_ONCE(stopped) < nr_cpus - 1 && sched_clock() - start < ANSWER_NS)
		cpu_relax();
}

unsigned int show_other_cpus(void)
{
	unsigned int answers = 0;

	for (unsigned int cpu = 0; cpu < nr_cpus; cpu++) {
		u64 start = sched_clock();

		if (cpu == smp_processor_id())
			continue;
		__atomic_store_n(&show_cpu, cpu, __ATOMIC_SEQ_CST);
		apic_send_nmi(cpus[cpu].apic_id);
		while (READ_ONCE(show_cpu) == cpu && sched_clock() - start < ANSWER_NS)
			cpu_relax();
		if (__atomic_exchange_n(&show_cpu, NR_CPUS, __ATOMIC_SEQ_CST) == cpu)
			pr_err("CPU %u does not even answer to an NMI", cpu);
		else
			answers++;
	}
	return answers;
}

bool smp_nmi(struct pt_regs *regs)
{
	unsigned int me = smp_processor_id(), by = READ_ONCE(stopper);

	/* Who stops the others may get an NMI, too: from one that wants to see its stack. */
	if (by != NR_CPUS && by != me) {
		fpu_save_for_dump();
		__atomic_fetch_add(&stopped, 1, __ATOMIC_RELEASE);
		for (;;)
			__asm__ volatile("hlt");
	}
	if (READ_ONCE(show_cpu) != me)
		return false;
	pr_err("NMI backtrace for cpu %u", me);
	show_regs(regs);
	show_stack(current, regs);
	__atomic_store_n(&show_cpu, NR_CPUS, __ATOMIC_SEQ_CST);
	return true;
}
