// SPDX-License-Identifier: MIT
/* kernel_fpu_begin() and end (see kernel_fpu.h). Floor 1: never sleeps. */
#include "arch/x86/fpu/core/kernel_fpu.h"
#include "arch/x86/fpu/core/gate.h"
#include "arch/x86/fpu/core/regs.h"
#include "kernel/preempt/thread_flags.h"
#include "kernel/report/panic.h"

bool irq_fpu_usable(void)
{
	if (in_nmi() || this_cpu_read(in_kernel_fpu) || current->thread.fpregs_locked)
		return false;
	return !in_hardirq() || !(preempt_count() & SOFTIRQ_MASK);
}

void kernel_fpu_begin(void)
{
	preempt_disable();
	WARN_ON(!irq_fpu_usable());
	this_cpu_write(in_kernel_fpu, true);
	if (!(current->flags & PF_KTHREAD) && !test_thread_flag(TIF_NEED_FPU_LOAD)) {
		set_thread_flag(TIF_NEED_FPU_LOAD);
		save_fpregs_to_fpstate(current->thread.fpu.fpstate);
	}
	/* Always, as from here on the registers are nobody's, even if there was nothing to save. */
	__cpu_invalidate_fpregs_state();
	fpu_gate_widen();
	ldmxcsr(MXCSR_DEFAULT);
}

void kernel_fpu_end(void)
{
	WARN_ON(!this_cpu_read(in_kernel_fpu));
	this_cpu_write(in_kernel_fpu, false);
	preempt_enable();
}
