/* SPDX-License-Identifier: MIT */
/*
 * Several CPUs: what one says to another. By interrupt: look at your run queue, forget what your
 * TLB holds (arch/x86/mm/tlb.h). By NMI, which always arrives: stop, or show your stack.
 *
 * CPUs are numbered from 0 without holes; nr_cpus says how many run, and does not change once ring
 * 3 does.
 */
#pragma once

#include "arch/x86/thread.h"

/* Make @cpu look at its TIF_NEED_RESCHED and TIF_SIGPENDING. Any context. */
void smp_send_reschedule(unsigned int cpu);

/* No other CPU executes anything any more. For the end of the machine; any context. */
void stop_other_cpus(void);

/*
 * Let every other CPU print its registers and stack, one after the other. Preemption off; any
 * context but NMI, and not inside report_begin(). If another CPU is asking already, do nothing,
 * because that CPU's report shows this one.
 * Return: how many did.
 */
unsigned int show_other_cpus(void);

/* The NMI handler asks: was this NMI sent by one of the two above? */
bool smp_nmi(struct pt_regs *regs);
