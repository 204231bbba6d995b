/* SPDX-License-Identifier: MIT */
/*
 * Who owns this CPU's FPU registers.
 *
 * A task's vector state is in one of two places: its fpstate in memory, or the registers of one
 * CPU. Three facts together say which: the task's TIF_NEED_FPU_LOAD, this CPU's
 * fpu_fpregs_owner_ctx, and the task's last_cpu.
 *
 * flag  valid   where the truth is
 *    0     yes    in the registers; memory may be old
 *    1     yes    in both: the load may be skipped
 *    1     no     in memory; the registers are somebody else's, or the kernel's
 *    0     no     nowhere: a bug
 *
 * The table is for the running task. A task that is switched out has been saved, so its memory is
 * true whatever its flag says; the flag is set when the task comes back.
 *
 * PKRU stands apart: it is switched at once, because the kernel's own accesses to ring 3's memory
 * obey it.
 */
#pragma once

#include "arch/x86/fpu/core/config.h"
#include "arch/x86/fpu/core/pkru.h"
#include "kernel/preempt/softirq.h"
#include "kernel/preempt/thread_flags.h"
#include "kernel/report/trace.h"
#include "kernel/sched/task.h"

/* What a lazy restore brings back: all that the CPU has, but PKRU. */
#define XFEATURE_MASK_FPSTATE	(fpu_kernel_cfg.max_features & ~XFEATURE_MASK(PKRU))

/**
 * fpregs_lock(), fpregs_unlock() - keep current's registers where they are. Between them no switch
 * and no kernel FPU user can take the registers away. They guard the sequence "look at the flag,
 * touch registers or the active fpstate, update the flag" of current, and nothing else. Preemption
 * is off inside, so nothing that may sleep may be called: neither a mutex nor a spinlock_t.
 *
 * rt=on: softirqs run in threads, so it is enough to keep preemption off (preempt_count + 1); a
 * count in the task tells interrupts (see irq_fpu_usable()).
 * rt=off: a softirq may use the FPU on top of us, so softirqs are held off, and preemption with
 * them (+ 0x200). A spinlock_t may be taken inside, because it spins.
 */
static __always_inline void fpregs_lock(void) __acquires(preempt_off) __no_lock_analysis
{
	if (preempt_rt()) {
		preempt_disable();
		current->thread.fpregs_locked++;
	} else {
		local_bh_disable();
	}
	trace(fpregs_lock, _THIS_IP_, preempt_count());
}

static __always_inline void fpregs_unlock(void) __releases(preempt_off) __no_lock_analysis
{
	trace(fpregs_unlock, _THIS_IP_, preempt_count());
	if (preempt_rt()) {
		current->thread.fpregs_locked--;
		preempt_enable();
	} else {
		local_bh_enable();
	}
}

/**
 * fpregs_state_valid() - are @cpu's registers a true copy of @fpu?
 * @fpu: the state asked about.  @cpu: must be the running CPU.
 * Context: preemption off. Return: true iff this CPU's owner is @fpu and @fpu was last loaded here.
 * Both halves are needed: the owner pointer goes stale when a task moves away, last_cpu when
 * another task loads here.
 */
bool fpregs_state_valid(const struct fpu *fpu, unsigned int cpu);

/* This CPU's registers are @fpu's, current's, from here on. Preemption off. */
static __always_inline void fpregs_activate(struct fpu *fpu)
{
	this_cpu_write(fpu_fpregs_owner_ctx, fpu);
	trace(fpu_owner, current->pid, _THIS_IP_);
}

/* The registers stay as they are, but nobody may count on them. Preemption off. */
static __always_inline void __cpu_invalidate_fpregs_state(void)
{
	this_cpu_write(fpu_fpregs_owner_ctx, NULL);
	trace(fpu_owner, 0, _THIS_IP_);
}

/* Memory is newer than any CPU's registers. */
static inline void __fpu_invalidate_fpregs_state(struct fpu *fpu)
{
	fpu->last_cpu = -1;
}

#define FPU_POISON	0xc5		/* fpu_poison=on: in images before they are saved to */

/* Save @fpstate's features from the registers, which keep them, to @fpstate. Preemption off. */
void save_fpregs_to_fpstate(struct fpstate *fpstate);

/*
 * Load @fpstate to the registers. Components that @mask names and @fpstate lacks are initialised,
 * so with the system's mask nothing of the last owner stays behind. An image that the CPU refuses
 * is reported, and replaced by init_fpstate. Afterwards the gate stands as @fpstate says.
 * Preemption off.
 */
void restore_fpregs_from_fpstate(const struct fpstate *fpstate, u64 mask);

/*
 * Make the registers current's, if they are not, and clear its flag. fpregs_lock, or interrupts off
 * on exit to ring 3.
 */
void fpregs_restore_userregs(void);

/* exit_to_user_mode(): after the last reschedule and signal check, interrupts off. */
static inline void switch_fpu_return(void)
{
	if (unlikely(test_thread_flag(TIF_NEED_FPU_LOAD)))
		fpregs_restore_userregs();
}

/* Warns if ring 3 would run on registers that are not current's (flag 0, not valid). */
void fpregs_assert_state_consistent(void);

/*
 * The two halves of a switch (arch/x86/switch.c): save prev's registers; tell next to load its own.
 */
void switch_fpu_prepare(struct task_struct *prev, unsigned int cpu);
void switch_fpu_finish(struct task_struct *next);

/* exit, of current: its registers are of no interest any more. */
void fpu__drop(struct fpu *fpu);

/*
 * In a panic, on each CPU: keep a copy of a task's registers that are nowhere else, because a
 * memory dump has no registers. "splat fpu" shows the copy. Ownership stays as it is. Any context,
 * NMI included.
 */
void fpu_save_for_dump(void);
