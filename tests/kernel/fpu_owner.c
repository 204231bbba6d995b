/* SPDX-License-Identifier: MIT */
/*
 * Who owns the registers: the table in arch/x86/fpu/regs.h row by row, then who changes what. The
 * task is current, a real user task; the others are made up, except where a real switch is the
 * point.
 */
#include "arch/x86/fpu/insns.h"
#include "arch/x86/irqflags.h"
#include "kernel/exit.h"
#include "kernel/fork.h"
#include "kernel/options.h"
#include "kernel/panic.h"
#include "kernel/sched/wait.h"
#include "lib/errno.h"
#include "tests/kernel/fpu_regs.h"

KTEST_SUITE(fpu_owner);

#define OTHER_CPU	5

/* --- The table --- */

/* fails with: fpregs_state_valid() looking at the owner only; or at last_cpu only */
KTEST(valid_takes_both_owner_and_last_cpu)
{
	KEEP_USER_FPU;
	struct task_struct *other = fake_task();
	const unsigned int cpu = smp_processor_id();
	struct fpu *fpu = own_fpu();

	fpregs_lock();
	this_cpu_write(fpu_fpregs_owner_ctx, fpu);
	fpu->last_cpu = cpu;
	KEXPECT(fpregs_state_valid(fpu, cpu));
	fpu->last_cpu = OTHER_CPU;
	KEXPECT(!fpregs_state_valid(fpu, cpu));
	fpu->last_cpu = -1;
	KEXPECT(!fpregs_state_valid(fpu, cpu));
	fpu->last_cpu = cpu;
	this_cpu_write(fpu_fpregs_owner_ctx, &other->thread.fpu);
	KEXPECT(!fpregs_state_valid(fpu, cpu));
	this_cpu_write(fpu_fpregs_owner_ctx, NULL);
	KEXPECT(!fpregs_state_valid(fpu, cpu));
	fpregs_unlock();
	kfree(other);
}

/* The way to ring 3, and how many loads that took. */
static unsigned int restores_to_user(void)
{
	unsigned int before = this_cpu_read(fpu_restores);

	fpregs_lock();
	switch_fpu_return();
	fpregs_unlock();
	return this_cpu_read(fpu_restores) - before;
}

/* Flag 0, valid. fails with: switch_fpu_return() not looking at the flag */
KTEST(live_registers_are_left_alone)
{
	KEEP_USER_FPU;

	own_in_registers();
	KEXPECT(!test_thread_flag(TIF_NEED_FPU_LOAD));
	KEXPECT(fpu_valid());
	own_fpu()->last_cpu = -1;	/* not even then: the flag is asked first */
	KEXPECT_EQ(restores_to_user(), 0);
	own_fpu()->last_cpu = smp_processor_id();
	EXPECT_REGS(OWN);
	EXPECT_IMAGE(own_fpu()->fpstate, STALE);
}

/* Flag 1, valid. fails with: fpregs_restore_userregs() loading whatever is valid */
KTEST(a_valid_copy_is_not_loaded_again)
{
	KEEP_USER_FPU;

	own_in_both(OWN);
	KEXPECT(fpu_valid());
	KEXPECT_EQ(restores_to_user(), 0);
	KEXPECT(!test_thread_flag(TIF_NEED_FPU_LOAD));
	KEXPECT(fpu_valid());
	EXPECT_REGS(OWN);
	/* The proof that nothing was loaded: where the two differ, the registers stay. */
	own_in_both(STALE);
	load_regs(OWN);
	KEXPECT_EQ(restores_to_user(), 0);
	EXPECT_REGS(OWN);
}

static void expect_one_load(struct ktest_run *kt)
{
	KEXPECT(test_thread_flag(TIF_NEED_FPU_LOAD));
	KEXPECT(!fpu_valid());
	KEXPECT_EQ(restores_to_user(), 1);
	KEXPECT(!test_thread_flag(TIF_NEED_FPU_LOAD));
	KEXPECT_EQ(fpu_owner(), own_fpu());
	KEXPECT_EQ(own_fpu()->last_cpu, smp_processor_id());
	EXPECT_REGS(OWN);
}

/* Flag 1, not valid. fails with: fpregs_restore_userregs() not setting the owner */
KTEST(another_owner_makes_us_load)
{
	KEEP_USER_FPU;
	struct task_struct *other = fake_task();

	own_in_memory(other);
	KEXPECT_EQ(own_fpu()->last_cpu, smp_processor_id());	/* it is the owner that differs */
	expect_one_load(kt);
	kfree(other);
}

/* Flag 1, not valid. fails with: fpregs_restore_userregs() not setting last_cpu */
KTEST(another_or_no_last_cpu_makes_us_load)
{
	static const unsigned int cpus_before[] = { -1, OTHER_CPU };
	KEEP_USER_FPU;

	for (size_t i = 0; i < ARRAY_SIZE(cpus_before); i++) {
		own_in_both(OWN);
		load_regs(INTRUDER);
		own_fpu()->last_cpu = cpus_before[i];
		KEXPECT_EQ(fpu_owner(), own_fpu());	/* it is last_cpu that differs */
		expect_one_load(kt);
	}
}

/* Flag 1, no owner at all. fails with: __cpu_invalidate_fpregs_state() doing nothing */
KTEST(no_owner_makes_us_load)
{
	KEEP_USER_FPU;

	own_in_both(OWN);
	load_regs(INTRUDER);
	__cpu_invalidate_fpregs_state();
	expect_one_load(kt);
}

/* fails with: fpregs_assert_state_consistent() asking for the flag instead of its absence */
KTEST(the_three_legal_rows_are_consistent)
{
	KEEP_USER_FPU;
	struct task_struct *other = fake_task();
	u64 warnings = splat_counts[SPLAT_WARN];

	own_in_registers();
	fpregs_assert_state_consistent();
	own_in_both(OWN);
	fpregs_assert_state_consistent();
	own_in_memory(other);
	fpregs_assert_state_consistent();
	KEXPECT_EQ(splat_counts[SPLAT_WARN], warnings);
	kfree(other);
}

/*
 * On RT fpregs_lock() is preempt_disable(), not the softirqs' 0x200.
 * fails with: fpregs_lock() adding SOFTIRQ_DISABLE's 0x200 to the count
 */
KTEST(fpregs_lock_is_preemption_off)
{
	KEXPECT_EQ(preempt_count(), 0);
	fpregs_lock();
	KEXPECT_EQ(preempt_count(), PREEMPT_OFFSET);
	fpregs_unlock();
	KEXPECT_EQ(preempt_count(), 0);
	KEXPECT(!irqs_disabled());
}

/* --- Switching out: switch_fpu_prepare() --- */

/* The saves that a switch away from @prev takes. */
static unsigned int saves_to_leave(struct task_struct *prev)
{
	unsigned int before = this_cpu_read(fpu_saves);

	fpregs_lock();
	switch_fpu_prepare(prev, smp_processor_id());
	fpregs_unlock();
	return this_cpu_read(fpu_saves) - before;
}

/* fails with: switch_fpu_prepare() saving iff the flag is set */
KTEST(leaving_saves_live_registers)
{
	KEEP_USER_FPU;
	struct fpu *fpu = own_fpu();

	own_in_registers();
	fpu->last_cpu = OTHER_CPU;
	KEXPECT_EQ(saves_to_leave(current), 1);
	EXPECT_IMAGE(fpu->fpstate, OWN);
	EXPECT_REGS(OWN);					/* a save keeps them */
	KEXPECT_EQ(fpu->last_cpu, smp_processor_id());
	KEXPECT_EQ(fpu_owner(), fpu);
	KEXPECT(!test_thread_flag(TIF_NEED_FPU_LOAD));		/* that is for the way back in */
}

/* fails with: switch_fpu_prepare() not looking at the flag */
KTEST(leaving_saves_nothing_if_memory_is_true)
{
	KEEP_USER_FPU;
	struct task_struct *other = fake_task();

	own_in_memory(other);
	own_fpu()->last_cpu = OTHER_CPU;
	KEXPECT_EQ(saves_to_leave(current), 0);
	EXPECT_IMAGE(own_fpu()->fpstate, OWN);
	EXPECT_REGS(INTRUDER);
	KEXPECT_EQ(own_fpu()->last_cpu, OTHER_CPU);
	KEXPECT_EQ(fpu_owner(), &other->thread.fpu);
	KEXPECT(test_thread_flag(TIF_NEED_FPU_LOAD));
	kfree(other);
}

/*
 * The flag alone would do; PF_KTHREAD is the second line.
 * fails with: switch_fpu_prepare() without its PF_KTHREAD test; or with a test of prev->mm in its
 * place
 */
KTEST(kthreads_are_never_saved_and_dying_users_are)
{
	KEEP_USER_FPU;
	struct task_struct *task = fake_task();

	own_in_registers();
	clear_tsk_thread_flag(task, TIF_NEED_FPU_LOAD);
	task->flags |= PF_KTHREAD;
	task->mm = current->mm;
	KEXPECT_EQ(saves_to_leave(task), 0);
	EXPECT_IMAGE(task->thread.fpu.fpstate, INIT);
	KEXPECT_EQ(task->thread.fpu.last_cpu, -1U);

	/* After exit_mm() a user task has no mm, and is still none of these. */
	task->flags &= ~PF_KTHREAD;
	task->mm = NULL;
	KEXPECT_EQ(saves_to_leave(task), 1);
	EXPECT_IMAGE(task->thread.fpu.fpstate, OWN);
	kfree(task);
}

/*
 * The mask of a save is what the buffer has room for.
 * fails with: save_fpregs_to_fpstate() with the mask fpu_kernel_cfg.max_features
 */
KTEST(a_save_stays_inside_its_buffers_features)
{
	KEEP_USER_FPU;
	struct task_struct *task = fake_task();
	struct fpstate *fpstate = task->thread.fpu.fpstate;
	u8 *extended = fpstate->regs.bytes + XSAVE_MIN_SIZE;

	if (fpu_kernel_cfg.default_size <= XSAVE_MIN_SIZE)
		kt->skip_reason = "no component beyond the legacy area";
	else
		memset(extended, 0xcc, fpu_kernel_cfg.default_size - XSAVE_MIN_SIZE);
	fpstate->xfeatures = XFEATURE_MASK_FPSSE;
	own_in_registers();
	clear_tsk_thread_flag(task, TIF_NEED_FPU_LOAD);
	KEXPECT_EQ(saves_to_leave(task), 1);
	if (!kt->skip_reason) {
		KEXPECT_EQ(fpstate->regs.xsave.header.xfeatures & ~XFEATURE_MASK_FPSSE, 0);
		KEXPECT(!memchr_inv(extended, 0xcc, fpu_kernel_cfg.default_size - XSAVE_MIN_SIZE));
	}
	kfree(task);
}

/* --- Switching in: switch_fpu_finish() --- */

/* fails with: switch_fpu_finish() skipping kernel threads */
KTEST(arriving_sets_the_flag_and_nothing_else)
{
	static const unsigned int flags[] = { 0, PF_KTHREAD };
	KEEP_USER_FPU;
	struct task_struct *next = fake_task();

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		own_in_registers();
		next->flags = (current->flags & ~PF_KTHREAD) | flags[i];
		next->thread.fpu.last_cpu = OTHER_CPU;
		clear_tsk_thread_flag(next, TIF_NEED_FPU_LOAD);
		switch_fpu_finish(next);
		KEXPECT(test_tsk_thread_flag(next, TIF_NEED_FPU_LOAD));
		KEXPECT_EQ(next->thread.fpu.last_cpu, OTHER_CPU);
		KEXPECT(!test_thread_flag(TIF_NEED_FPU_LOAD));	/* it is next's, not current's */
		KEXPECT(fpu_valid());
		EXPECT_REGS(OWN);
	}
	kfree(next);
}

/* --- Real switches --- */

/* What a task saw that ran while the test slept. */
struct visit {
	struct completion came, go_on;
	struct fpu *owner;
	unsigned int last_cpu, saves, restores;
	bool flag;
	const char *differs;
	u32 mxcsr;
};
static struct visit visit;

static void look_round(void)
{
	visit.owner = fpu_owner();
	visit.last_cpu = own_fpu()->last_cpu;
	visit.flag = test_thread_flag(TIF_NEED_FPU_LOAD);
	visit.saves = this_cpu_read(fpu_saves);
	visit.restores = this_cpu_read(fpu_restores);
}

static int kthread_visit(void *arg)
{
	look_round();
	complete(&visit.came);
	return 0;
}

/* Sleep until a kernel thread that does @fn has come and gone. It inherits our priority. */
static void sleep_for_kthread(struct ktest_run *kt, int (*fn)(void *arg))
{
	struct task_struct *thread;

	memset(&visit, 0, sizeof(visit));
	init_completion(&visit.came);
	init_completion(&visit.go_on);
	thread = kthread_create(fn, NULL, "fpu_visit");
	if (IS_ERR(thread)) {
		KFAIL("no thread: %ld", PTR_ERR(thread));
		return;
	}
	wait_for_completion(&visit.came);
	put_task_struct(thread);
}

/* fails with: __switch_to() clearing fpu_fpregs_owner_ctx */
KTEST(to_a_kthread_and_back_loads_nothing)
{
	KEEP_USER_FPU;
	unsigned int saves, restores;

	own_in_registers();
	saves = this_cpu_read(fpu_saves);
	restores = this_cpu_read(fpu_restores);
	sleep_for_kthread(kt, kthread_visit);
	/* The thread found our registers, and left them. */
	KEXPECT_EQ(visit.owner, own_fpu());
	KEXPECT(visit.flag);
	KEXPECT_EQ(visit.saves - saves, 1);
	/* One save, for us; none for the thread, which has ended since. */
	KEXPECT_EQ(this_cpu_read(fpu_saves) - saves, 1);
	KEXPECT(test_thread_flag(TIF_NEED_FPU_LOAD));
	KEXPECT(fpu_valid());
	EXPECT_IMAGE(own_fpu()->fpstate, OWN);
	restores_to_user();
	KEXPECT_EQ(this_cpu_read(fpu_restores), restores);
	KEXPECT(!test_thread_flag(TIF_NEED_FPU_LOAD));
	EXPECT_REGS(OWN);
}

/* A second user task: takes the registers, sleeps, looks for them. */
static int user_visit(void *arg)
{
	look_round();
	fpregs_lock();
	switch_fpu_return();
	visit.differs = regs_differ(INIT);
	load_regs(INTRUDER);
	fpregs_unlock();
	complete(&visit.came);
	wait_for_completion(&visit.go_on);
	fpregs_lock();
	switch_fpu_return();
	if (!visit.differs)
		visit.differs = regs_differ(INTRUDER);
	fpregs_unlock();
	do_exit(0);
}

/* fails with: switch_fpu_finish() doing nothing; or fpregs_state_valid() being true always */
KTEST(two_user_tasks_each_find_their_own)
{
	KEEP_USER_FPU;
	unsigned int restores;
	int status = -1;
	pid_t pid;

	memset(&visit, 0, sizeof(visit));
	init_completion(&visit.came);
	init_completion(&visit.go_on);
	pid = user_mode_thread(user_visit, NULL, "fpu_user");
	if (pid < 0) {
		KFAIL("no task: %d", pid);
		return;
	}
	own_in_registers();
	restores = this_cpu_read(fpu_restores);
	wait_for_completion(&visit.came);

	KEXPECT(visit.flag);
	KEXPECT_EQ(visit.last_cpu, -1U);
	KEXPECT_EQ(visit.owner, own_fpu());
	KEXPECT_EQ(this_cpu_read(fpu_restores) - restores, 1);	/* its own */
	KEXPECT_NE(fpu_owner(), own_fpu());
	EXPECT_REGS(INTRUDER);
	KEXPECT_EQ(restores_to_user(), 1);
	EXPECT_REGS(OWN);

	complete(&visit.go_on);
	KEXPECT_EQ(do_wait(pid, &status, 0), pid);
	KEXPECT_EQ(status, 0);
	if (visit.differs)
		KFAIL("the other task: %s", visit.differs);
	/* It took the registers with it: exit leaves no owner. */
	KEXPECT_EQ(fpu_owner(), NULL);
	KEXPECT_EQ(restores_to_user(), 1);
	EXPECT_REGS(OWN);
}

static int kthread_restores(void *arg)
{
	fpregs_lock();
	fpregs_restore_userregs();
	fpregs_unlock();
	return kthread_visit(arg);
}

/* fails with: fpregs_restore_userregs() without its PF_KTHREAD test */
KTEST(a_kthread_has_nothing_to_restore)
{
	KEEP_USER_FPU;
	unsigned int restores;

	if (panic_on_warn)
		KSKIP("panic_on_warn: this test makes the kernel warn");
	own_in_registers();
	restores = this_cpu_read(fpu_restores);
	sleep_for_kthread(kt, kthread_restores);
	KEXPECT(visit.flag);
	KEXPECT_EQ(visit.owner, own_fpu());
	KEXPECT_EQ(visit.restores, restores);
	EXPECT_REGS(OWN);
}

/* --- exec and exit --- */

/* fails with: fpu_flush_thread() with __cpu_invalidate_fpregs_state() in place of the task's */
KTEST(exec_invalidates_the_task_not_the_cpu)
{
	KEEP_USER_FPU;
	struct fpu *fpu = own_fpu();

	own_in_registers();
	fpu->perm.__state_size = 1;
	fpu->fpstate->xfeatures = XFEATURE_MASK_FPSSE;
	fpu_flush_thread();
	KEXPECT(test_thread_flag(TIF_NEED_FPU_LOAD));
	KEXPECT_EQ(fpu->last_cpu, -1U);
	KEXPECT_EQ(fpu_owner(), fpu);
	KEXPECT_EQ(fpu->fpstate, &fpu->__fpstate);
	KEXPECT_EQ(fpu->fpstate->xfeatures, fpu_kernel_cfg.default_features);
	KEXPECT_EQ(fpu->perm.__state_size, fpu_kernel_cfg.default_size);
	EXPECT_IMAGE(fpu->fpstate, INIT);
	EXPECT_REGS(OWN);			/* they stay until the exit to ring 3 */
	KEXPECT_EQ(saves_to_leave(current), 0);	/* and cannot get into the new image */
	EXPECT_IMAGE(fpu->fpstate, INIT);
	KEXPECT_EQ(restores_to_user(), 1);
	EXPECT_REGS(INIT);
}

/* fails with: fpu_flush_thread() without write_pkru() */
KTEST(exec_resets_pkru_at_once)
{
	KEEP_USER_FPU;

	if (!cpu_has.pku)
		KSKIP("no protection keys");
	write_pkru(0);
	fpu_flush_thread();
	KEXPECT_EQ(read_pkru(), PKRU_DEFAULT);
}

/* fails with: fpu__drop() clearing the owner whoever it is; or never */
KTEST(exit_drops_only_its_own_registers)
{
	KEEP_USER_FPU;
	struct task_struct *other = fake_task();

	own_in_registers();
	fpu__drop(&other->thread.fpu);
	KEXPECT_EQ(fpu_owner(), own_fpu());
	fpu__drop(own_fpu());
	KEXPECT_EQ(fpu_owner(), NULL);
	KEXPECT_EQ(preempt_count(), 0);
	kfree(other);
}

/*
 * An x87 exception that waits for its next instruction: 1/0 with ZM unmasked.
 * fails with: fpu__drop() with a plain fwait (no entry in the exception table)
 */
KTEST(exit_swallows_a_pending_x87_exception)
{
	static const u16 unmask_zero_divide = FCW_DEFAULT & ~0x4;
	u16 status;
	KEEP_USER_FPU;

	own_in_registers();
	fpregs_lock();
	__asm__ volatile("fninit; fldcw %1; fld1; fldz; fdivrp; fnstsw %0"
			 : "=m"(status) : "m"(unmask_zero_divide));
	KEXPECT(status & 0x80);			/* ES: it is pending */
	fpu__drop(own_fpu());
	KEXPECT_EQ(fpu_owner(), NULL);
	__asm__ volatile("fninit");
	fpregs_unlock();
}

/* --- Images that the CPU refuses --- */

static void break_xcomp_bv(union fpregs_state *image)
{
	image->xsave.header.xcomp_bv = 1;
}

static void break_reserved(union fpregs_state *image)
{
	image->xsave.header.reserved[0] = 0x100;
}

static void break_xstate_bv(union fpregs_state *image)
{
	image->xsave.header.xfeatures |= BIT_ULL(62);
}

static void break_mxcsr(union fpregs_state *image)
{
	image->fxsave.mxcsr = 0xffff0000;
}

struct breakage {
	const char *name;
	void (*fn)(union fpregs_state *image);
	bool needs_xsave;
};
static const struct breakage breakages[] = {
	{ "XCOMP_BV", break_xcomp_bv, true },
	{ "reserved byte", break_reserved, true },
	{ "XSTATE_BV", break_xstate_bv, true },
	{ "MXCSR", break_mxcsr, false },
};

/* Emulators may be laxer than the SDM: TCG takes any MXCSR. */
static bool cpu_refuses(const union fpregs_state *image)
{
	if (cpu_has.xsave)
		return xrstor(&image->xsave, XFEATURE_MASK_FPSTATE);
	return fxrstor(&image->fxsave);
}

static bool try_broken_image(struct ktest_run *kt, const struct breakage *b)
{
	union fpregs_state *image = &own_fpu()->fpstate->regs;
	struct task_struct *other;
	u64 warnings;

	if (b->needs_xsave && !cpu_has.xsave)
		return false;
	other = fake_task();
	own_in_memory(other);
	kfree(other);
	memset(image->xsave.header.reserved, 0, cpu_has.xsave ? 48 : 0);
	b->fn(image);
	if (!cpu_refuses(image))
		return false;
	load_regs(INTRUDER);		/* what the last owner left */
	warnings = splat_counts[SPLAT_WARN];
	restores_to_user();
	KEXPECT_EQ(splat_counts[SPLAT_WARN] - warnings, 1);
	if (regs_differ(INIT))
		KFAIL("after a bad %s: %s", b->name, regs_differ(INIT));
	KEXPECT(!test_thread_flag(TIF_NEED_FPU_LOAD));
	KEXPECT(fpu_valid());
	if (cpu_has.xsave)
		image->xsave.header = init_fpstate.regs.xsave.header;
	image->fxsave.mxcsr = MXCSR_DEFAULT;
	return true;
}

/* fails with: restore_fpregs_from_fpstate() without its second try_restore() */
KTEST(a_refused_image_is_reported_and_gives_initial_state)
{
	KEEP_USER_FPU;
	unsigned int tried = 0;

	if (panic_on_warn)
		KSKIP("panic_on_warn: this test makes the kernel warn");
	for (size_t i = 0; i < ARRAY_SIZE(breakages); i++)
		tried += try_broken_image(kt, &breakages[i]);
	if (!tried)
		KSKIP("no image that this CPU refuses");
}

/* The one refusal that all forms and emulators know. fails with: FAULTABLE() returning 0 always */
KTEST(a_misaligned_image_is_refused_too)
{
	KEEP_USER_FPU;
	u64 warnings = splat_counts[SPLAT_WARN];
	u8 *page;

	if (panic_on_warn)
		KSKIP("panic_on_warn: this test makes the kernel warn");
	page = kzalloc(2 * PAGE_SIZE, GFP_KERNEL);
	BUG_ON(!page);
	fpregs_lock();
	load_regs(INTRUDER);
	restore_fpregs_from_fpstate((struct fpstate *)(page + 8), XFEATURE_MASK_FPSTATE);
	EXPECT_REGS(INIT);
	fpregs_unlock();
	KEXPECT_EQ(splat_counts[SPLAT_WARN] - warnings, 1);
	kfree(page);
}

/* --- Masks --- */

/*
 * A component that the image lacks is initialised even if the task may not have it: the last owner
 * may.
 * fails with: try_restore() with fpstate->xfeatures & mask
 */
KTEST(restores_use_the_systems_mask)
{
	KEEP_USER_FPU;
	struct fpstate *fpstate = own_fpu()->fpstate;
	struct fpu_values want, got;

	if (!cpu_has.xsave)
		KSKIP("FXRSTOR has no mask");
	own_in_both(OWN);
	load_regs(INTRUDER);
	fpstate->xfeatures = XFEATURE_MASK(FP);
	fpstate->regs.xsave.header.xfeatures = XFEATURE_MASK(FP);
	own_fpu()->last_cpu = -1;
	KEXPECT_EQ(restores_to_user(), 1);

	make_values(&want, OWN);		/* x87's, and MXCSR, which comes in any case */
	memset(want.ymm, 0, sizeof(want.ymm));
	read_values(&got);
	if (values_differ(&got, &want))
		KFAIL("%s", values_differ(&got, &want));
}

/* fails with: try_restore() with the mask XFEATURE_MASK_FPSSE */
KTEST(each_component_by_itself_can_be_missing)
{
	static const u64 missing[] = { XFEATURE_MASK(FP), XFEATURE_MASK(SSE), XFEATURE_MASK(YMM) };
	KEEP_USER_FPU;
	struct xstate_header *header = &own_fpu()->fpstate->regs.xsave.header;

	if (!cpu_has.xsave)
		KSKIP("FXSAVE's image has no XSTATE_BV");
	for (size_t i = 0; i < ARRAY_SIZE(missing); i++) {
		struct fpu_values want, got;

		own_in_both(OWN);
		header->xfeatures &= ~missing[i];
		image_values(&want, &own_fpu()->fpstate->regs);
		load_regs(INTRUDER);
		own_fpu()->last_cpu = -1;
		KEXPECT_EQ(restores_to_user(), 1);
		read_values(&got);
		if (values_differ(&got, &want))
			KFAIL("without %#llx: %s", missing[i], values_differ(&got, &want));
	}
}

/* Key 0 stays open, or the kernel could not touch ring 3's memory. */
#define PKRU_OTHER	0x55555550U

/* fails with: XFEATURE_MASK_FPSTATE including PKRU */
KTEST(pkru_is_saved_but_not_lazily_restored)
{
	KEEP_USER_FPU;
	u32 *saved;

	if (!cpu_has.pku)
		KSKIP("no protection keys");
	fpregs_lock();
	write_pkru(PKRU_OTHER);
	own_in_both(OWN);
	saved = get_xsave_addr(&own_fpu()->fpstate->regs.xsave, XFEATURE_PKRU);
	KEXPECT(saved && *saved == PKRU_OTHER);
	write_pkru(PKRU_DEFAULT);
	own_fpu()->last_cpu = -1;
	KEXPECT_EQ(restores_to_user(), 1);
	KEXPECT_EQ(read_pkru(), PKRU_DEFAULT);
	fpregs_unlock();
}

/* fails with: x86_pkru_load() keeping prev->pkru as it was */
KTEST(pkru_is_switched_at_once)
{
	KEEP_USER_FPU;
	struct task_struct *prev, *next;

	if (!cpu_has.pku)
		KSKIP("no protection keys");
	prev = fake_task();
	next = fake_task();
	preempt_disable();
	write_pkru(PKRU_OTHER);
	next->thread.pkru = PKRU_DEFAULT;
	x86_pkru_load(&prev->thread, &next->thread);
	KEXPECT_EQ(prev->thread.pkru, PKRU_OTHER);
	KEXPECT_EQ(read_pkru(), PKRU_DEFAULT);
	preempt_enable();
	kfree(prev);
	kfree(next);
}
