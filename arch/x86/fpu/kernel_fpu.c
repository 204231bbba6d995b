// SPDX-License-Identifier: MIT
/* kernel_fpu_begin() and end (see kernel_fpu.h). Floor 1: never sleeps. */
#include "arch/x86/fpu/kernel_fpu.h"
#include "arch/x86/fpu/gate.h"
#include "arch/x86/fpu/regs.h"
#include "kernel/panic.h"
#include "kernel/trace.h"

bool irq_fpu_usable(void)
{
	if (in_nmi() || this_cpu_read(in_kernel_fpu))
		return false;
	if (!in_hardirq())
		return true;
	return !(preempt_count() & SOFTIRQ_MASK) && !current->thread.fpregs_locked;
}

void kernel_fpu_begin(void) __no_lock_analysis
{
	preempt_disable();
	WARN_ON(!irq_fpu_usable());
	this_cpu_write(in_kernel_fpu, true);
	if (!(current->flags & PF_KTHREAD) && !test_thread_flag(TIF_NEED_FPU_LOAD)) {
		trace(fpu_flag, current->pid, _THIS_IP_);
		set_thread_flag(TIF_NEED_FPU_LOAD);
		save_fpregs_to_fpstate(current->thread.fpu.fpstate);
	}
	/* Always: from here on the registers are nobody's, even if there was nothing to save. */
	__cpu_invalidate_fpregs_state();
	fpu_gate_widen();
	ldmxcsr(MXCSR_DEFAULT);
}

void kernel_fpu_end(void) __no_lock_analysis
{
	WARN_ON(!this_cpu_read(in_kernel_fpu));
	this_cpu_write(in_kernel_fpu, false);
	preempt_enable();
}
