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

#define ANSWER_NS	100000000UL	/* an NMI handler may first have to print */
#define SHOW_NS		10000000000UL	/* and what it prints may be long */

static unsigned int stopper = NR_CPUS;		/* the CPU that stops all others */
static unsigned int stopped;			/* atomic */

/* For show_other_cpus(), all atomic. */
#define SHOWS		BIT(31)		/* in show_cpu: it has begun */
static bool asking;			/* one CPU asks at a time */
static unsigned int show_cpu = NR_CPUS;	/* whose turn it is to show its stack */
static u64 given_up;			/* CPUs whose NMI may still come */

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

/*
 * Did @cpu show its stack? A CPU that has begun must finish before the next is asked. Otherwise
 * nobody could tell whose stack is whose.
 */
static bool show_one(unsigned int cpu)
{
	u64 start = sched_clock();
	unsigned int turn = cpu;

	__atomic_store_n(&show_cpu, cpu, __ATOMIC_SEQ_CST);
	apic_send_nmi(cpus[cpu].apic_id);
	while (READ_ONCE(show_cpu) == cpu && sched_clock() - start < ANSWER_NS)
		cpu_relax();
	if (__atomic_compare_exchange_n(&show_cpu, &turn, NR_CPUS, false, __ATOMIC_SEQ_CST,
					__ATOMIC_SEQ_CST)) {
		__atomic_fetch_or(&given_up, BIT(cpu), __ATOMIC_SEQ_CST);
		pr_err("CPU %u does not even answer to an NMI", cpu);
		return false;
	}
	while (READ_ONCE(show_cpu) != NR_CPUS && sched_clock() - start < SHOW_NS)
		cpu_relax();
	return true;
}

unsigned int show_other_cpus(void)
{
	unsigned int me = smp_processor_id(), answers = 0;

	if (__atomic_exchange_n(&asking, true, __ATOMIC_ACQUIRE))
		return 0;
	for (unsigned int cpu = 0; cpu < nr_cpus; cpu++)
		answers += cpu != me && show_one(cpu);
	__atomic_store_n(&asking, false, __ATOMIC_RELEASE);
	return answers;
}

/* Take the turn if it is @me's. Nobody else gets one until show_cpu is NR_CPUS again. */
static bool take_turn(unsigned int me)
{
	return __atomic_compare_exchange_n(&show_cpu, &(unsigned int){ me }, me | SHOWS, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
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
	if (!take_turn(me))			/* too late, or from somebody else */
		return __atomic_fetch_and(&given_up, ~BIT(me), __ATOMIC_SEQ_CST) & BIT(me);
	flags = report_begin();
	pr_err("NMI backtrace for cpu %u", me);
	show_regs(regs);
	show_stack(current, regs);
	report_end(flags);
	__atomic_store_n(&show_cpu, NR_CPUS, __ATOMIC_SEQ_CST);
	return true;
}
