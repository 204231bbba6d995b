/* SPDX-License-Identifier: MIT */
/*
 * The registers at a task switch: a save on the way out if only the registers are true, and a load
 * no earlier than the exit to ring 3. First with made-up tasks, then in real switches.
 */
#include "kernel/exit.h"
#include "kernel/fork.h"
#include "kernel/locking/wait.h"
#include "kernel/report/panic.h"
#include "lib/errno.h"
#include "lib/options.h"
#include "tests/kernel/fpu_regs.h"

KTEST_SUITE(fpu_switch);

#define OTHER_CPU	5

/* --- Switching out: switch_fpu_prepare() --- */

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
	/* Nor if this CPU's owner pointer says that it is ours, from before it went elsewhere. */
	this_cpu_write(fpu_fpregs_owner_ctx, own_fpu());
	KEXPECT_EQ(saves_to_leave(current), 0);
	EXPECT_IMAGE(own_fpu()->fpstate, OWN);
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

	/* After exchange_current_mm(NULL) a user task has no mm, and is still none of these. */
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
		ktest_skip(kt, "no component beyond the legacy area");
	else
		memset(extended, 0xcc, fpu_kernel_cfg.default_size - XSAVE_MIN_SIZE);
	fpstate->xfeatures = XFEATURE_MASK_FPSSE;
	own_in_registers();
	clear_tsk_thread_flag(task, TIF_NEED_FPU_LOAD);
	KEXPECT_EQ(saves_to_leave(task), 1);
	if (!kt->skip_reason) {
		KEXPECT_EQ(fpstate->regs.xsave.header.xfeatures & ~XFEATURE_MASK_FPSSE, 0);
		/* fpu_poison=on writes over it, but saves nothing there. */
		KEXPECT(!memchr_inv(extended, extended[0],
				    fpu_kernel_cfg.default_size - XSAVE_MIN_SIZE));
		KEXPECT(extended[0] == 0xcc || extended[0] == FPU_POISON);
	}
	kfree(task);
}

#define SOFTWARE_BYTES	464		/* in the legacy area: no instruction writes there */

/* Saves nothing but x87 and SSE; what is outside of them then. */
static void save_among(struct ktest_run *kt, const char *poison, u8 wanted)
{
	struct task_struct *task = fake_task();
	struct fpstate *fpstate = task->thread.fpu.fpstate;
	u8 *bytes = fpstate->regs.bytes;

	fpstate->xfeatures = XFEATURE_MASK_FPSSE;
	bytes[SOFTWARE_BYTES] = 0xcc;
	if (fpstate->size > XSAVE_MIN_SIZE)
		bytes[XSAVE_MIN_SIZE] = bytes[fpstate->size - 1] = 0xcc;
	KEXPECT_EQ(option_set_runtime(poison), 0);
	save_fpregs_to_fpstate(fpstate);
	KEXPECT_EQ(bytes[SOFTWARE_BYTES], wanted);
	if (fpstate->size > XSAVE_MIN_SIZE) {
		KEXPECT_EQ(bytes[XSAVE_MIN_SIZE], wanted);
		KEXPECT_EQ(bytes[fpstate->size - 1], wanted);
	}
	kfree(task);
}

/* fails with: fault/no-poison-in-the-legacy-area and fault/no-poison-behind-the-header */
KTEST(what_is_not_saved_is_poison)
{
	KEEP_USER_FPU;

	if (fpu_form == FORM_XSAVEC || fpu_form == FORM_XSAVES)
		KSKIP("emulators' compacting saves write there, too");
	preempt_disable();
	save_among(kt, "fpu_poison=off", 0xcc);
	save_among(kt, "fpu_poison=on", FPU_POISON);	/* as the runner's boots have it */
	preempt_enable();
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

	KMAY_WARN;
	own_in_registers();
	restores = this_cpu_read(fpu_restores);
	sleep_for_kthread(kt, kthread_restores);
	KEXPECT(visit.flag);
	KEXPECT_EQ(visit.owner, own_fpu());
	KEXPECT_EQ(visit.restores, restores);
	EXPECT_REGS(OWN);
}
