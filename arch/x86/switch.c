// SPDX-License-Identifier: MIT
/*
 * The C half of a switch. It runs on next's stack, still for prev until current changes. Never
 * sleeps; interrupts off.
 */
#include "arch/x86/fpu/core/regs.h"
#include "arch/x86/process.h"
#include "arch/x86/segments.h"

static void load_selectors(const struct thread_struct *next)
{
	loadsegment(ds, next->ds);
	loadsegment(es, next->es);
	loadsegment(fs, next->fsindex);
	load_gs_index(next->gsindex);
}

/* Selectors are rarely loaded, and a base is written only if it differs, as MSRs are slow. */
static void switch_segments(struct thread_struct *prev, const struct thread_struct *next)
{
	bool loaded;

	save_segments(prev);
	loaded = prev->selectors | next->selectors;
	if (unlikely(loaded))
		load_selectors(next);
	if (loaded || prev->fsbase != next->fsbase)
		x86_fsbase_write_cpu(next->fsbase);
	if (loaded || prev->gsbase != next->gsbase)
		wrmsr(MSR_KERNEL_GS_BASE, next->gsbase);
}

struct task_struct *__switch_to(struct task_struct *prev, struct task_struct *next)
{
	struct cpu *cpu = this_cpu();

	switch_fpu_prepare(prev, cpu->id);

	switch_segments(&prev->thread, &next->thread);
	x86_pkru_load(&prev->thread, &next->thread);

	cpu->curr_task = next;
	cpu->kernel_sp = cpu->tss.rsp0 = (unsigned long)task_stack_top(next);

	switch_fpu_finish(next);
	return prev;
}
