// SPDX-License-Identifier: MIT
/*
 * The idle task: halts the CPU until an interrupt makes something runnable. Runs with preemption
 * off, never blocks.
 */
#include "arch/x86/irqflags.h"
#include "kernel/debug/latency.h"
#include "kernel/sched/sched.h"
#include "kernel/trace.h"

void cpu_idle(void) __no_lock_analysis
{
	for (;;) {
		local_irq_disable();
		/*
		 * STI takes effect after the next instruction, so no interrupt slips in between
		 * test and HLT.
		 */
		if (!need_resched()) {
			latency_idle();
			trace(irq_enable, preempt_count(), _THIS_IP_);
			__asm__ volatile("sti; hlt" ::: "memory");
		} else {
			local_irq_enable();
		}
		if (need_resched()) {
			preempt_enable_no_resched();
			schedule();
			preempt_disable();
		}
	}
}
