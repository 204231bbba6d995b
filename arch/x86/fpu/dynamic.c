// SPDX-License-Identifier: MIT
/*
 * Permission, which belongs to the process, and first use, which is the thread's (see dynamic.h).
 * Each function says which lock guards what.
 */
#include "arch/x86/fpu/dynamic.h"
#include "arch/x86/entry/entry.h"
#include "arch/x86/fpu/core/gate.h"
#include "arch/x86/fpu/core/regs.h"
#include "arch/x86/fpu/core/xstate.h"
#include "arch/x86/irqflags.h"
#include "arch/x86/mm/uaccess.h"
#include "kernel/exit.h"
#include "kernel/fork.h"
#include "kernel/mm/kmalloc.h"
#include "kernel/preempt/assert.h"
#include "kernel/preempt/thread_flags.h"
#include "kernel/report/panic.h"
#include "lib/errno.h"

#define ARCH_GET_XCOMP_SUPP	0x1021
#define ARCH_GET_XCOMP_PERM	0x1022
#define ARCH_REQ_XCOMP_PERM	0x1023
#define ARCH_GET_XCOMP_GUEST_PERM	0x1024
#define ARCH_REQ_XCOMP_GUEST_PERM	0x1025

/* --- Permission --- */

static struct fpu_state_perm *group_perm(bool guest)
{
	struct fpu *fpu = &current->group_leader->thread.fpu;

	return guest ? &fpu->guest_perm : &fpu->perm;
}

/* The number by which a process asks for the gated group: 2 AVX, 7 AVX-512, 18 tiles, -1 none. */
static int request_number(void)
{
	u64 group = init_fpstate.xfd;

	return !group ? -1 : group & XFEATURE_MASK(YMM) ? XFEATURE_YMM :
	       group & XFEATURE_MASK(XTILE_DATA) ? XFEATURE_XTILE_DATA : XFEATURE_Hi16_ZMM;
}

/*
 * The three fields change together, under siglock, which readers of the sizes hold, too. The bitmap
 * alone may be read without it.
 */
static long xstate_request_perm(unsigned long nr, bool guest)
{
	struct fpu_state_perm *perm;
	u64 group = init_fpstate.xfd, permitted;

	if (nr >= XFEATURE_MAX)
		return -EINVAL;
	if ((int)nr != request_number())
		return -EOPNOTSUPP;
	if ((READ_ONCE(group_perm(guest)->__state_perm) & group) == group)
		return 0;
	spin_lock_irq(&current->sighand->siglock);
	perm = group_perm(guest);
	permitted = perm->__state_perm | group;
	WRITE_ONCE(perm->__state_perm, permitted);
	WRITE_ONCE(perm->__state_size, fpu_kernel_cfg.max_size);	/* there is one group */
	WRITE_ONCE(perm->__user_state_size, fpu_user_cfg.max_size);
	spin_unlock_irq(&current->sighand->siglock);
	return 0;
}

long fpu_xstate_prctl(int option, unsigned long arg2)
{
	bool guest = option == ARCH_GET_XCOMP_GUEST_PERM || option == ARCH_REQ_XCOMP_GUEST_PERM;
	u64 *user_mask = (u64 *)arg2;

	switch (option) {
	case ARCH_GET_XCOMP_SUPP:
		return put_user(fpu_user_cfg.max_features, user_mask);
	case ARCH_GET_XCOMP_PERM:
	case ARCH_GET_XCOMP_GUEST_PERM:
		return put_user(READ_ONCE(group_perm(guest)->__state_perm) &
				fpu_user_cfg.max_features, user_mask);
	case ARCH_REQ_XCOMP_PERM:
	case ARCH_REQ_XCOMP_GUEST_PERM:
		return xstate_request_perm(arg2, guest);
	default:
		return -EINVAL;
	}
}

/* --- Memory --- */

void fpstate_free(struct fpu *fpu, struct fpstate *fpstate)
{
	if (fpstate != &fpu->__fpstate)
		kfree(fpstate);
}

/*
 * Replace the buffer by one that also has room for @features. The registers hold the
 * truth meanwhile, because the layouts differ; the next save fills the new buffer.
 */
static int fpstate_realloc(u64 features, u32 size, u32 user_size)
{
	struct fpu *fpu = &current->thread.fpu;
	struct fpstate *new, *old;

	/* No lock is held here, siglock neither: memory may sleep. */
	new = kzalloc(offsetof(struct fpstate, regs) + size, GFP_KERNEL);
	if (!new)
		return -ENOMEM;
	fpregs_lock();
	if (test_thread_flag(TIF_NEED_FPU_LOAD))
		fpregs_restore_userregs();
	old = fpu->fpstate;
	new->size = size;
	new->user_size = user_size;
	new->xfeatures = old->xfeatures | features;
	new->user_xfeatures = old->user_xfeatures | features;
	new->xfd = old->xfd & ~features;
	new->regs.xsave.header.xcomp_bv = fpu_xcomp_bv(new->xfeatures);
	fpu->fpstate = new;
	xfd_update_state(new->xfd);
	fpregs_unlock();
	fpstate_free(fpu, old);
	return 0;
}

/* --- First use --- */

/* The features that the fault asks for; 0 if the gate did not cause it. Interrupts off. */
static u64 faulting_features(unsigned long vector)
{
	u64 features = current->thread.fpu.fpstate->xfd;

	assert_irqs_off();
	/* XCR0 does not say which feature; with the gate open these are ordinary faults. */
	if (fpu_gate == GATE_XCR0 && vector == X86_TRAP_UD)
		return features;
	/*
	 * #GP: XRSTOR of an image that has the features. We do not decode the instruction. If it
	 * was another one, it faults again, with the gate open, and gets its signal then. Without
	 * permission #GP stays #GP.
	 */
	if (fpu_gate == GATE_XCR0 && vector == X86_TRAP_GP)
		return features & READ_ONCE(group_perm(false)->__state_perm);
	if (fpu_gate != GATE_XFD || vector != X86_TRAP_NM)
		return 0;
	if (!cpu_has.xfd) {
		features = this_cpu_read(xfd_err_model);
		this_cpu_write(xfd_err_model, 0);
	} else {
		features = rdmsr(MSR_IA32_XFD_ERR);
		if (features)
			wrmsr(MSR_IA32_XFD_ERR, 0);
	}
	return features;
}

int fpu_first_use(unsigned long vector, int signal)
{
	u64 group = init_fpstate.xfd, features = faulting_features(vector);
	struct fpu_state_perm perm;

	local_irq_enable();
	if (!features)
		return signal;
	spin_lock_irq(&current->sighand->siglock);
	perm = *group_perm(false);
	spin_unlock_irq(&current->sighand->siglock);
	if (!(features & group) || (perm.__state_perm & group) != group)
		return SIGILL;
	return fpstate_realloc(group, perm.__state_size, perm.__user_state_size) ? SIGSEGV : 0;
}
