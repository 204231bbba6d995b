/* SPDX-License-Identifier: MIT */
/*
 * The gate: what keeps dynamic features off on this CPU, so that their first use faults.
 *
 * IA32_XFD: the bits of a feature make its instructions raise #NM, with the bit in IA32_XFD_ERR
 * (SDM vol. 1, 13.14). No packaged emulator has it.
 * XCR0: a bit that is 0 there makes the instructions raise #UD. It hides the component from XSAVE
 * and XRSTOR as well, so code that restores, or computes for the kernel, needs XCR0 at its widest.
 * A narrow XCR0 neither clears the component (the last owner's values would come back when it
 * widens) nor accepts an image that has it.
 *
 * Both gates have a mask of what is off, fpstate->xfd, and a copy of what this CPU has now, so that
 * the register is written only when it changes. On a CPU without IA32_XFD a test may choose that
 * gate, which then writes a model of the MSR.
 */
#pragma once

#include "arch/x86/cpu/features.h"
#include "arch/x86/cpu/insns.h"
#include "arch/x86/fpu/core/config.h"
#include "arch/x86/fpu/core/xsave_insns.h"
#include "kernel/report/trace.h"

/* From here on the features in @xfd are off on this CPU. Preemption off. */
static inline void xfd_update_state(u64 xfd)
{
	if (likely(fpu_gate == GATE_NONE) || this_cpu_read(xfd_state) == xfd)
		return;
	trace(fpu_gate, xfd, this_cpu_read(xfd_state));
	this_cpu_add_int(fpu_gate_writes, 1);
	if (fpu_gate == GATE_XCR0)
		xsetbv(0, fpu_user_cfg.max_features & ~xfd);
	else if (cpu_has.xfd)
		wrmsr(MSR_IA32_XFD, xfd);
	else
		this_cpu_write(xfd_model, xfd);
	this_cpu_write(xfd_state, xfd);
}

/* For kernel_fpu_begin(): the kernel's code may use every component. Preemption off. */
static inline void fpu_gate_widen(void)
{
	if (fpu_gate == GATE_XCR0)
		xfd_update_state(0);
}
