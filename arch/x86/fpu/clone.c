// SPDX-License-Identifier: MIT
/*
 * FPU state across fork, exec and exit: the heart of Splat.
 *
 * fork must do two things for the child: copy the parent's registers, and inherit the parent's
 * permissions. The first needs the registers to stay put, so preemption is off (fpregs_lock). The
 * second reads a record that other threads may change, so it takes siglock: under PREEMPT_RT a lock
 * that sleeps. The order of the two is what Splat is about.
 */
#include "arch/x86/fpu/clone.h"
#include "arch/x86/cpu/features.h"
#include "arch/x86/fpu/core/regs.h"
#include "arch/x86/fpu/core/xstate.h"
#include "arch/x86/fpu/dynamic.h"
#include "kernel/fork.h"
#include "kernel/preempt/might_sleep.h"
#include "kernel/preempt/thread_flags.h"
#include "kernel/report/trace.h"
#include "lib/options.h"
#include "lib/string.h"

/* --- Options --- */

static int clone_order;
BOOT_CHOICE(fpu_clone, clone_order, true, "fixed", "buggy");

const char *fpu_clone_order_name(void)
{
	return fpu_clone_values[clone_order];
}

/* --- fork --- */

void fpstate_reset(struct fpu *fpu)
{
	fpu->fpstate = &fpu->__fpstate;
	memcpy(fpu->fpstate, &init_fpstate, offsetof(struct fpstate, regs));
}

void fpu_reset_perms(struct fpu *fpu)
{
	fpu->perm.__state_perm = fpu_kernel_cfg.default_features;
	fpu->perm.__state_size = fpu_kernel_cfg.default_size;
	fpu->perm.__user_state_size = fpu_user_cfg.default_size;
	fpu->guest_perm = fpu->perm;
}

/* A clean image: the legacy area and, with XSAVE, the header; XSTATE_BV = 0 says the rest. */
static void fpstate_init_minimal(struct fpstate *fpstate)
{
	memcpy(&fpstate->regs, &init_fpstate.regs,
	       cpu_has.xsave ? XSAVE_MIN_SIZE : sizeof(struct fxregs_state));
}

/*
 * Copy permissions, and only those, from current's group leader to the child: no buffer and no
 * switched-on feature crosses a fork. siglock keeps the bitmap and the two sizes consistent against
 * another thread's request; the lock is the parent's, because the record is. May sleep. Never
 * inlined, so that the reports name it.
 */
static noinline void fpu_inherit_perms(struct fpu *dst_fpu) __must_not_hold(preempt_off)
{
	struct fpu *src_fpu = &current->group_leader->thread.fpu;

	if (!fpu_state_size_dynamic())
		return;
	trace(fork_step, fpu_inherit_perms, current->pid);
	spin_lock_irq(&current->sighand->siglock);
	dst_fpu->perm = src_fpu->perm;
	dst_fpu->guest_perm = src_fpu->guest_perm;
	spin_unlock_irq(&current->sighand->siglock);
}

/*
 * Save the parent's registers straight into the child's buffer, with the child's mask. The parent's
 * buffer is no source, because it may be old, larger, or laid out differently. fpregs_lock held.
 */
static void save_parent_regs(struct fpu *dst_fpu) __must_hold(preempt_off)
{
	this_cpu_add_int(fpu_clone_saves, 1);
	/* If current was preempted here, or kernel_fpu_begin() ran, they are not current's. */
	if (test_thread_flag(TIF_NEED_FPU_LOAD))
		fpregs_restore_userregs();
	save_fpregs_to_fpstate(dst_fpu->fpstate);
}

/*
 * The two must not overlap. From Linux 5.16 to 6.1-rc5 they did, as in fpu_clone_buggy(); this is
 * the order of commit 36b038791e1e.
 */
static noinline void fpu_clone_fixed(struct fpu *dst_fpu, unsigned long clone_flags)
	__must_not_hold(preempt_off)
{
	fpregs_lock();
	save_parent_regs(dst_fpu);
	fpregs_unlock();
	if (!(clone_flags & CLONE_THREAD))
		fpu_inherit_perms(dst_fpu);
}

static noinline void fpu_clone_buggy(struct fpu *dst_fpu, unsigned long clone_flags)
	__must_not_hold(preempt_off)
{
	fpregs_lock();
	save_parent_regs(dst_fpu);
	if (!(clone_flags & CLONE_THREAD))
		fpu_inherit_perms(dst_fpu);	/* spin_lock_irq() with preemption off: the bug */
	fpregs_unlock();
}

int fpu_clone(struct task_struct *child, unsigned long clone_flags, bool minimal)
{
	struct fpu *dst_fpu = &child->thread.fpu;

	might_sleep();
	trace(fork_step, fpu_clone, current->pid);
	/* 1. The child's registers are nowhere yet. */
	__fpu_invalidate_fpregs_state(dst_fpu);
	/* 2. A buffer of its own, with default size, features and permissions. */
	fpstate_reset(dst_fpu);
	fpu_reset_perms(dst_fpu);
	/*
	 * 3. The child must load before ring 3, and no switch may save it before that. Its flags
	 * are a copy of its parent's.
	 */
	set_tsk_thread_flag(child, TIF_NEED_FPU_LOAD);
	/* 4. A task that starts in the kernel starts clean. */
	if (minimal) {
		fpstate_init_minimal(dst_fpu->fpstate);
		return 0;
	}
	/* 5. Registers and permissions, in the order under study. */
	if (clone_order)
		fpu_clone_buggy(dst_fpu, clone_flags);
	else
		fpu_clone_fixed(dst_fpu, clone_flags);
	/* 6. PASID names an address space: a child never inherits it. */
	if (cpu_has.xsave)
		dst_fpu->fpstate->regs.xsave.header.xfeatures &= ~XFEATURE_MASK(PASID);
	return 0;
}

/* --- exec and exit, of current --- */

/*
 * The buffer is taken away under fpregs_lock, so that no switch saves into it any more, and is
 * freed outside. At exit the permissions stay, because a leader's count for as long as its group
 * lives.
 */
void fpu_flush_thread(void)
{
	struct fpu *fpu = &current->thread.fpu;
	struct fpstate *old = fpu->fpstate;

	fpu_reset_perms(fpu);		/* the only thread: nobody else looks at them */
	/*
	 * The task is invalidated, not this CPU, because the task's old registers may be live on
	 * another CPU, and it may get back there. The registers themselves stay until the exit to
	 * ring 3.
	 */
	fpregs_lock();
	fpstate_reset(fpu);
	__fpu_invalidate_fpregs_state(fpu);
	fpstate_init_minimal(fpu->fpstate);
	set_thread_flag(TIF_NEED_FPU_LOAD);	/* and nothing to save */
	fpregs_unlock();
	fpstate_free(fpu, old);
	write_pkru(PKRU_DEFAULT);
}

void fpu_exit_thread(void)
{
	struct fpu *fpu = &current->thread.fpu;
	struct fpstate *last = fpu->fpstate;

	fpregs_lock();
	set_thread_flag(TIF_NEED_FPU_LOAD);	/* nobody's registers: the last switch saves none */
	fpu__drop(fpu);
	fpstate_reset(fpu);
	fpregs_unlock();
	fpstate_free(fpu, last);
}
