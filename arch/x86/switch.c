// SPDX-License-Identifier: MIT
/*
 * The C half of a switch: runs on next's stack, still for prev until current changes. Never sleeps;
 * interrupts off.
 */
#include "arch/x86/cpu/insns.h"
#include "arch/x86/fpu/regs.h"
#include "arch/x86/process.h"

struct task_struct *__switch_to(struct task_struct *prev, struct task_struct *next)
{
	struct cpu *cpu = this_cpu();

	switch_fpu_prepare(prev, cpu->id);

	/*
	 * Segment bases are ring 3's own affair but must not leak: a task may have loaded other
	 * selectors.
	 */
	wrmsr(MSR_FS_BASE, next->thread.fsbase);
	wrmsr(MSR_KERNEL_GS_BASE, 0);
	x86_pkru_load(&prev->thread, &next->thread);

	cpu->curr_task = next;
	cpu->kernel_sp = cpu->tss.rsp0 = (unsigned long)task_stack_top(next);

	switch_fpu_finish(next);
	return prev;
}
