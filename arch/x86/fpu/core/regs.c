// SPDX-License-Identifier: MIT
/*
 * Saving, restoring, switching (see regs.h for who owns what). Floor 1: never sleeps.
 */
#include "arch/x86/fpu/core/regs.h"
#include "arch/x86/fpu/core/compact.h"
#include "arch/x86/fpu/core/gate.h"
#include "arch/x86/fpu/core/quirks.h"
#include "arch/x86/fpu/core/xsave_insns.h"
#include "kernel/preempt/thread_flags.h"
#include "kernel/report/panic.h"
#include "kernel/report/trace.h"
#include "lib/options.h"
#include "lib/string.h"

/*
 * A CPU need not write what is in its initial state, nor what did not change since it was loaded
 * from here (SDM vol. 1, 13.9 and 13.11). Emulators mostly write it all. With poison, code that
 * reads without a look at XSTATE_BV, edits an image whose registers are live, or saves too little,
 * meets the poison everywhere.
 */
static int fpu_poison;
BOOT_CHOICE(fpu_poison, fpu_poison, true, "off", "on");

static void poison_image(struct fpstate *fpstate)
{
	u8 *bytes = fpstate->regs.bytes;

	/* Otherwise these skip what has not changed since the load, and the poison stays. */
	if (fpu_form == FORM_XSAVEOPT || fpu_form == FORM_XSAVES)
		forget_last_xrstor(&init_fpstate.regs.xsave, fpu_compacted());
	memset(bytes, FPU_POISON, XSAVE_HDR_OFFSET);
	if (fpstate->size > XSAVE_MIN_SIZE)
		memset(bytes + XSAVE_MIN_SIZE, FPU_POISON, fpstate->size - XSAVE_MIN_SIZE);
}

void save_fpregs_to_fpstate(struct fpstate *fpstate)
{
	trace(fpu_save, fpstate, fpstate->xfeatures);
	if (unlikely(fpu_poison))
		poison_image(fpstate);
	switch (fpu_form) {
	case FORM_FXSAVE:
		return fxsave(&fpstate->regs.fxsave);
	case FORM_XSAVE:
		return xsave(&fpstate->regs.xsave, fpstate->xfeatures);
	case FORM_XSAVEOPT:
		return xsaveopt(&fpstate->regs.xsave, fpstate->xfeatures);
	case FORM_XSAVEC:
		return xsavec(&fpstate->regs.xsave, fpstate->xfeatures);
	case FORM_XSAVES:
		return xsaves(&fpstate->regs.xsave, fpstate->xfeatures);
	case FORM_SOFT:
		return soft_xsaves(&fpstate->regs.xsave, fpstate->xfeatures);
	}
}

static int try_restore(const struct fpstate *fpstate, u64 mask)
{
	if (unlikely(restore_quirks)) {
		if (restore_quirks & KEEPS_X87_POINTERS)
			overwrite_x87_pointers();
		if (restore_quirks & RESTORES_BY_MASK)
			return xrstors_by_mask(&fpstate->regs.xsave, mask);
	}
	switch (fpu_form) {
	case FORM_FXSAVE:
		return fxrstor(&fpstate->regs.fxsave);
	case FORM_SOFT:
		return soft_xrstors(&fpstate->regs.xsave, mask);
	case FORM_XSAVES:
		return xrstors(&fpstate->regs.xsave, mask);
	default:
		return xrstor(&fpstate->regs.xsave, mask);
	}
}

/*
 * The gate: XCR0 is at its widest while the instruction runs. IA32_XFD gets the task's value first,
 * because XRSTOR faults on a component that is off if the image has it in use.
 */
void restore_fpregs_from_fpstate(const struct fpstate *fpstate, u64 mask)
{
	trace(fpu_restore, fpstate, mask);
	xfd_update_state(fpu_gate == GATE_XCR0 ? 0 : fpstate->xfd);
	if (unlikely(try_restore(fpstate, mask))) {
		/* Never leave the last task's registers in place. */
		WARN_ONCE(true, "Bad FPU state detected at %pB, reinitializing FPU registers.",
			  (void *)_RET_IP_);
		try_restore(&init_fpstate, mask);
	}
	xfd_update_state(fpstate->xfd);		/* XCR0: as narrow as the task's */
}

bool fpregs_state_valid(const struct fpu *fpu, unsigned int cpu)
{
	return this_cpu_read(fpu_fpregs_owner_ctx) == fpu && fpu->last_cpu == cpu;
}

void fpregs_restore_userregs(void)
{
	struct fpu *fpu = &current->thread.fpu;
	unsigned int cpu = smp_processor_id();

	if (WARN_ON_ONCE(current->flags & PF_KTHREAD))
		return;
	if (!fpregs_state_valid(fpu, cpu)) {
		restore_fpregs_from_fpstate(fpu->fpstate, XFEATURE_MASK_FPSTATE);
		fpregs_activate(fpu);
		fpu->last_cpu = cpu;
	}
	clear_thread_flag(TIF_NEED_FPU_LOAD);
}

void fpregs_assert_state_consistent(void)
{
	WARN_ON_ONCE(!test_thread_flag(TIF_NEED_FPU_LOAD) &&
		     !fpregs_state_valid(&current->thread.fpu, smp_processor_id()));
}

/*
 * Out: the registers go to memory if they are prev's. Kernel threads have no such registers. They
 * always carry the flag, and PF_KTHREAD is tested as well. The owner stays, so if nobody loads
 * another state before prev comes back, nothing need be loaded.
 */
void switch_fpu_prepare(struct task_struct *prev, unsigned int cpu)
{
	struct fpu *fpu = &prev->thread.fpu;

	if (test_tsk_thread_flag(prev, TIF_NEED_FPU_LOAD) || (prev->flags & PF_KTHREAD))
		return;
	save_fpregs_to_fpstate(fpu->fpstate);
	fpu->last_cpu = cpu;
}

/* In: whatever the registers hold, next must look before it goes to ring 3. */
void switch_fpu_finish(struct task_struct *next)
{
	set_tsk_thread_flag(next, TIF_NEED_FPU_LOAD);
}

void fpu__drop(struct fpu *fpu)
{
	preempt_disable();
	if (this_cpu_read(fpu_fpregs_owner_ctx) == fpu) {
		fwait_swallow();
		__cpu_invalidate_fpregs_state();
	}
	preempt_enable();
}

/* The copy has a buffer of its own, as the task's image, or the way to it, may be damaged. */
void fpu_save_for_dump(void)
{
	struct fpstate *copy = this_cpu_read(dump_fpstate);

	if (!copy || (current->flags & PF_KTHREAD) || test_thread_flag(TIF_NEED_FPU_LOAD) ||
	    !fpregs_state_valid(&current->thread.fpu, smp_processor_id()))
		return;
	copy->size = fpu_kernel_cfg.max_size;		/* 0: nothing was saved */
	copy->xfeatures = fpu_kernel_cfg.max_features;
	save_fpregs_to_fpstate(copy);
}
