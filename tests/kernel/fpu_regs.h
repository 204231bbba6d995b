/* SPDX-License-Identifier: MIT */
/*
 * Known values in all vector registers, and the FPU state of current in any row of the ownership
 * table (arch/x86/fpu/core/regs.h), for tests that move it about.
 *
 * The instructions here do not count themselves in fpu_saves and fpu_restores: those are the
 * kernel's, and the tests read them.
 */
#pragma once

#include "arch/x86/cpu/features.h"
#include "arch/x86/cpu/insns.h"
#include "arch/x86/fpu/clone.h"
#include "arch/x86/fpu/core/compact.h"
#include "arch/x86/fpu/core/gate.h"
#include "arch/x86/fpu/core/regs.h"
#include "arch/x86/fpu/core/xstate.h"
#include "kernel/fork.h"
#include "kernel/mm/kmalloc.h"
#include "kernel/policy.h"
#include "kernel/preempt/might_sleep.h"
#include "kernel/sched/sched.h"
#include "kernel/splat/ktest.h"
#include "lib/string.h"
#include "tests/kernel/random.h"

/* --- Values --- */

/*
 * Whose values: those of two owners differ in every byte of every register, and "seed=" changes
 * them all. INIT: the initial state.
 */
enum whose { INIT, OWN, INTRUDER, STALE };

/* This CPU's IA32_PASID: the MSR, or the model of it. */
static inline u64 read_pasid(void)
{
	return fpu_form == FORM_SOFT ? this_cpu_read(soft_pasid) : rdmsr(MSR_IA32_PASID);
}

static inline void write_pasid(u64 pasid)
{
	if (fpu_form == FORM_SOFT)
		this_cpu_write(soft_pasid, pasid);
	else
		wrmsr(MSR_IA32_PASID, pasid);
}

struct fpu_values {
	u8 ymm[16][32];			/* upper halves: 0 without AVX */
	u64 st0;			/* a double; 0: the x87 stack is empty */
	u32 mxcsr;
	u16 fcw;
};

/* That everybody may use: dynamic state is another suite's. */
static inline bool has_avx(void)
{
	return fpu_kernel_cfg.default_features & XFEATURE_MASK(YMM);
}

static inline void make_values(struct fpu_values *v, enum whose who)
{
	u64 random = ktest_seed | 1;

	memset(v, 0, sizeof(*v));
	v->mxcsr = MXCSR_DEFAULT | who << 13;		/* rounding: enables no exception */
	v->fcw = FCW_DEFAULT | who << 10;
	if (who == INIT)
		return;
	v->st0 = 0x4010000000000000 | (u64)who << 32 | next_random(&random);
	for (int i = 0; i < 16; i++)
		for (int j = 0; j < (has_avx() ? 32 : 16); j++)
			v->ymm[i][j] = who * 0x35 + next_random(&random);
}

/* What stands in a legacy area. ST(0) has 80 bits there: sign and exponent above 64 of mantissa. */
static inline void legacy_values(struct fpu_values *v, const struct fxregs_state *fx)
{
	u64 mantissa, exponent = 0;

	v->fcw = fx->cwd;
	v->mxcsr = fx->mxcsr;
	memcpy(&mantissa, &fx->st_space[0][0], 8);
	memcpy(&exponent, &fx->st_space[0][8], 2);
	v->st0 = fx->twd ? (exponent - 16383 + 1023) << 52 | mantissa << 1 >> 12 : 0;
	for (int i = 0; i < 16; i++)
		memcpy(v->ymm[i], fx->xmm_space[i], 16);
}

static inline u32 xstate_offset(enum xfeature nr)
{
	return xstate_image_offset(&xstate_layout, init_fpstate.regs.xsave.header.xcomp_bv, nr);
}

static inline u32 xstate_size(enum xfeature nr)
{
	return xstate_layout.size[nr];
}

/*
 * What a restore of @image would load: components that XSTATE_BV lacks are initial, whatever bytes
 * stand in their place. MXCSR is loaded in any case in the standard format, with SSE in the
 * compacted one.
 */
static inline void image_values(struct fpu_values *v, const union fpregs_state *image)
{
	u64 present = cpu_has.xsave ? image->xsave.header.xfeatures : XFEATURE_MASK_FPSSE;
	const u8 *ymmh = get_xsave_addr((struct xregs_state *)&image->xsave, XFEATURE_YMM);
	struct fpu_values initial;

	make_values(&initial, INIT);
	memset(v, 0, sizeof(*v));
	legacy_values(v, &image->fxsave);
	if (!(present & XFEATURE_MASK(FP))) {
		v->fcw = initial.fcw;
		v->st0 = 0;
	}
	if (!(present & XFEATURE_MASK(SSE))) {
		memset(v->ymm, 0, sizeof(v->ymm));
		if (fpu_compacted())
			v->mxcsr = initial.mxcsr;
	}
	for (int i = 0; cpu_has.xsave && has_avx() && ymmh && i < 16; i++)
		memcpy(v->ymm[i] + 16, ymmh + 16 * i, 16);
}

/* NULL, or the first difference in words. */
static inline const char *values_differ(const struct fpu_values *got, const struct fpu_values *want)
{
	static char text[80];

	for (int i = 0; i < 16; i++)
		for (int j = 0; j < 32; j++)
			if (got->ymm[i][j] != want->ymm[i][j]) {
				snprintf(text, sizeof(text), "ymm%d byte %d is %#x, expected %#x",
					 i, j, got->ymm[i][j], want->ymm[i][j]);
				return text;
			}
	if (got->st0 == want->st0 && got->mxcsr == want->mxcsr && got->fcw == want->fcw)
		return NULL;
	snprintf(text, sizeof(text), "st0/mxcsr/fcw %llx/%x/%x, expected %llx/%x/%x", got->st0,
		 got->mxcsr, got->fcw, want->st0, want->mxcsr, want->fcw);
	return text;
}

static inline const char *image_differs(const union fpregs_state *image, enum whose who)
{
	struct fpu_values got, want;

	image_values(&got, image);
	make_values(&want, who);
	return values_differ(&got, &want);
}

#define EXPECT_IMAGE(fpstate, who)								\
	do {											\
		const char *__text = image_differs(&(fpstate)->regs, who);			\
		if (__text)									\
			KFAIL("%s is not " #who "'s: %s", #fpstate, __text);			\
	} while (0)

/* --- Registers. Preemption off, or nobody else to run. --- */

#define EACH_YMM(op) op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11)	\
	op(12) op(13) op(14) op(15)

static inline void load_values(const struct fpu_values *v)
{
	/* 64, not 16: that much gcc sees to itself, whatever the stack pointer was at entry. */
	struct fxregs_state fx __aligned(64) = {
		.cwd = v->fcw, .swd = v->st0 ? 7 << 11 : 0, .twd = v->st0 ? 0x80 : 0,
		.mxcsr = v->mxcsr,
	};
	u64 mantissa = BIT_ULL(63) | v->st0 << 12 >> 1;
	u16 exponent = (v->st0 >> 52) - 1023 + 16383;

	if (v->st0) {
		memcpy(&fx.st_space[0][0], &mantissa, 8);
		memcpy(&fx.st_space[0][8], &exponent, 2);
	}
	for (int i = 0; i < 16; i++)
		memcpy(fx.xmm_space[i], v->ymm[i], 16);
	__asm__ volatile("fxrstor64 %0" :: "m"(fx));
#define LOAD_YMM(n) __asm__ volatile("vmovdqu %0, %%ymm" #n :: "m"(v->ymm[n]));
	if (has_avx()) {
		EACH_YMM(LOAD_YMM)
	}
#undef LOAD_YMM
}

static inline void read_values(struct fpu_values *v)
{
	struct fxregs_state fx __aligned(64);

	__asm__ volatile("fxsave64 %0" : "=m"(fx));
	memset(v, 0, sizeof(*v));
	legacy_values(v, &fx);
#define STORE_YMM(n) __asm__ volatile("vmovdqu %%ymm" #n ", %0" : "=m"(v->ymm[n]));
	if (has_avx()) {
		EACH_YMM(STORE_YMM)
	}
#undef STORE_YMM
}

static inline void load_regs(enum whose who)
{
	struct fpu_values v;

	make_values(&v, who);
	load_values(&v);
}

static inline const char *regs_differ(enum whose who)
{
	struct fpu_values got, want;

	read_values(&got);
	make_values(&want, who);
	return values_differ(&got, &want);
}

#define EXPECT_REGS(who)									\
	do {											\
		const char *__text = regs_differ(who);						\
		if (__text)									\
			KFAIL("the registers are not " #who "'s: %s", __text);			\
	} while (0)

/* --- The rows of the table, with current as the task --- */

static inline struct fpu *own_fpu(void)
{
	return &current->thread.fpu;
}

static inline struct fpu *fpu_owner(void)
{
	return this_cpu_read(fpu_fpregs_owner_ctx);
}

static inline bool fpu_valid(void)
{
	return fpregs_state_valid(own_fpu(), smp_processor_id());
}

/* Flag 1, valid: registers and memory both hold @who. */
static inline void own_in_both(enum whose who)
{
	fpregs_lock();
	switch_fpu_return();
	this_cpu_write(fpu_fpregs_owner_ctx, own_fpu());
	own_fpu()->last_cpu = smp_processor_id();
	load_regs(who);
	save_fpregs_to_fpstate(own_fpu()->fpstate);
	set_thread_flag(TIF_NEED_FPU_LOAD);
	fpregs_unlock();
}

/* Flag 0, valid: the registers hold OWN, memory is STALE. */
static inline void own_in_registers(void)
{
	own_in_both(STALE);
	fpregs_lock();
	clear_thread_flag(TIF_NEED_FPU_LOAD);
	load_regs(OWN);
	fpregs_unlock();
}

/* Flag 1, not valid: memory holds OWN; the registers are @intruder's. */
static inline void own_in_memory(struct task_struct *intruder)
{
	own_in_both(OWN);
	fpregs_lock();
	load_regs(INTRUDER);
	this_cpu_write(fpu_fpregs_owner_ctx, &intruder->thread.fpu);
	intruder->thread.fpu.last_cpu = smp_processor_id();
	fpregs_unlock();
}

/* --- The ways into and out of the registers, counted --- */

/* The way to ring 3, and how many loads that took. */
static inline unsigned int restores_to_user(void)
{
	unsigned int before = this_cpu_read(fpu_restores);

	fpregs_lock();
	switch_fpu_return();
	fpregs_unlock();
	return this_cpu_read(fpu_restores) - before;
}

/* The saves that a switch away from @prev takes. */
static inline unsigned int saves_to_leave(struct task_struct *prev)
{
	unsigned int before = this_cpu_read(fpu_saves);

	fpregs_lock();
	switch_fpu_prepare(prev, smp_processor_id());
	fpregs_unlock();
	return this_cpu_read(fpu_saves) - before;
}

/* --- A test's frame --- */

/* A user task that never runs: initial image, flag set, not valid. To be kfree()d. */
static inline struct task_struct *fake_task(void)
{
	struct task_struct *task = kzalloc(task_struct_size(), GFP_KERNEL);

	BUG_ON(!task);
	memcpy(task, current, offsetof(struct task_struct, thread.fpu));
	task->mm = task->active_mm = NULL;
	set_tsk_thread_flag(task, TIF_NEED_FPU_LOAD);
	task->thread.fpu.last_cpu = -1;
	fpstate_reset(&task->thread.fpu);
	fpu_reset_perms(&task->thread.fpu);
	memcpy(&task->thread.fpu.fpstate->regs, &init_fpstate.regs,
	       cpu_has.xsave ? XSAVE_MIN_SIZE : sizeof(struct fxregs_state));
	return task;
}

struct kept_fpu {
	struct fpu *fpu;
	u32 pkru;
	int policy, rt_priority;
};
static struct fpu kept_fpu_image;

static inline size_t struct_fpu_size(void)
{
	return offsetof(struct fpu, __fpstate.regs) + fpu_kernel_cfg.default_size;
}

static inline struct kept_fpu keep_user_fpu(void)
{
	struct kept_fpu kept = {
		.pkru = read_pkru(), .policy = current->policy, .rt_priority = current->rt_priority,
	};

	sched_setscheduler(current, SCHED_FIFO, 50);
	fpregs_lock();
	switch_fpu_return();
	save_fpregs_to_fpstate(own_fpu()->fpstate);
	memcpy(&kept_fpu_image, own_fpu(), struct_fpu_size());
	fpregs_unlock();
	return kept;
}

static inline void put_back_user_fpu(struct kept_fpu *kept)
{
	fpregs_lock();
	memcpy(own_fpu(), &kept_fpu_image, struct_fpu_size());
	__fpu_invalidate_fpregs_state(own_fpu());
	__cpu_invalidate_fpregs_state();
	set_thread_flag(TIF_NEED_FPU_LOAD);
	write_pkru(kept->pkru);
	fpregs_unlock();
	sched_setscheduler(current, kept->policy, kept->rt_priority);
}

/*
 * For the rest of this block nobody else runs unless the test sleeps, and at its end, reached in
 * any way, the user's registers are as they were.
 */
#define KEEP_USER_FPU										\
	struct kept_fpu __kept __unused __attribute__((cleanup(put_back_user_fpu))) =		\
		keep_user_fpu()

/* --- Rules for watched memory (watch.h): never both locks, in whatever order --- */

static inline bool siglock_is_ours(void)
{
	spinlock_t *lock = &current->sighand->siglock;

	return spinlock_sleeps(lock) ? rt_mutex_owner(&lock->lock) == current :
	       raw_spin_is_held(&lock->rlock);
}

static inline bool fpregs_are_locked(void)
{
	return preempt_rt() ? current->thread.fpregs_locked : preempt_count() & SOFTIRQ_MASK;
}

static inline bool with_fpregs_lock(const struct pt_regs *regs)
{
	return fpregs_are_locked() && !siglock_is_ours();
}

static inline bool with_siglock(const struct pt_regs *regs)
{
	return siglock_is_ours() && !fpregs_are_locked();
}
