// SPDX-License-Identifier: MIT
/*
 * The idle task halts the CPU until an interrupt makes something runnable. It runs with preemption
 * off and never blocks. Preemption was off before its first line, which clang cannot know.
 */
#include "arch/x86/irqflags.h"
#include "kernel/report/trace.h"
#include "kernel/sched/sched.h"

void cpu_idle(void) __no_lock_analysis
{
	for (;;) {
		local_irq_disable();
		/*
		 * STI takes effect after the next instruction, so no interrupt slips in between the
		 * test and HLT.
		 */
		if (!need_resched()) {
			if (hook(HOOK_LATENCY))
				section_hooks->idle();
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
