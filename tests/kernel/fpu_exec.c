/* SPDX-License-Identifier: MIT */
/*
 * exec and exit of the FPU state, watched: a few instructions in the wrong order, or outside the
 * lock, are a window in which a switch does harm.
 */
#include "kernel/report/panic.h"
#include "tests/kernel/fpu_worlds.h"
#include "tests/kernel/watch.h"

KTEST_SUITE(fpu_exec);

/* --- exec --- */

/* A switch would save the old program's registers over the new image. */
KTEST(exec_edits_the_image_under_fpregs_lock)
{
	KEEP_USER_FPU;
	struct watch watches[] = {
		{ .at = &own_fpu()->__fpstate.regs.fxsave.rip, .name = "the image",
		  .rule = with_fpregs_lock },
		{ .at = &own_fpu()->fpstate, .name = "the buffer", .rule = with_fpregs_lock },
		{ .at = &own_fpu()->last_cpu, .half = true, .name = "the CPU",
		  .rule = with_fpregs_lock },
	};

	own_in_registers();
	watch_start(watches, ARRAY_SIZE(watches));
	fpu_flush_thread();
	watch_end(kt);
}

static bool flag_seen;

/* The flag's first appearance; others may write the word at any time. */
static bool flag_comes_with_fpregs_lock(const struct pt_regs *regs)
{
	bool first = !flag_seen && test_thread_flag(TIF_NEED_FPU_LOAD);

	flag_seen |= first;
	return !first || with_fpregs_lock(regs);
}

static void watch_flag(struct ktest_run *kt, void (*fn)(void))
{
	KEEP_USER_FPU;
	struct watch watch = {
		.at = &current->thread_flags, .name = "the flag",
		.rule = flag_comes_with_fpregs_lock,
	};

	own_in_registers();
	flag_seen = false;
	watch_start(&watch, 1);
	fn();
	watch_end(kt);
	KEXPECT(flag_seen);
	KEXPECT(test_thread_flag(TIF_NEED_FPU_LOAD));
	KEXPECT_EQ(saves_to_leave(current), 0);
}

/* fails with: fault/exec-flag-after-unlock */
KTEST(exec_sets_the_flag_under_fpregs_lock)
{
	watch_flag(kt, fpu_flush_thread);
}

/* --- exit --- */

/* fails with: fault/exit-saves-nobodys-registers */
KTEST(exit_sets_the_flag_under_fpregs_lock)
{
	watch_flag(kt, fpu_exit_thread);
}

/* Flag 0 and no owner would be "nowhere: a bug". fails with: fault/exit-saves-nobodys-registers */
KTEST(exit_leaves_a_legal_row)
{
	KEEP_USER_FPU;
	u64 warnings = splat_counts[SPLAT_WARN];

	KMAY_WARN;
	own_in_registers();
	fpu_exit_thread();
	fpregs_assert_state_consistent();
	KEXPECT_EQ(splat_counts[SPLAT_WARN] - warnings, 0);
	KEXPECT_EQ(fpu_owner(), NULL);
	KEXPECT_EQ(own_fpu()->fpstate, &own_fpu()->__fpstate);
}

/* --- The large buffer --- */

static const struct fpstate *large;

static bool no_task_points_there(const struct pt_regs *regs)
{
	return own_fpu()->fpstate != large;
}

/* What is freed is written to, by who frees it: the task must have let go of it. */
static void watch_buffer(struct ktest_run *kt, void (*fn)(void))
{
	if (!POISON_MEMORY)
		KSKIP("this build does not poison what is freed");
	KEEP_USER_FPU;
	size_t size = offsetof(struct fpstate, regs) + fpu_kernel_cfg.max_size;
	struct fpstate *buffer = kzalloc(size, GFP_KERNEL), *neighbour = kzalloc(size, GFP_KERNEL);
	struct watch watch = {
		.at = buffer, .name = "the buffer", .rule = no_task_points_there,
	};

	BUG_ON(!buffer || !neighbour);		/* the neighbour keeps the page */
	own_in_registers();
	memcpy(buffer, own_fpu()->fpstate,
	       offsetof(struct fpstate, regs) + own_fpu()->fpstate->size);
	fpregs_lock();
	own_fpu()->fpstate = buffer;
	fpregs_unlock();
	large = buffer;
	watch_start(&watch, 1);
	fn();
	watch_end(kt);
	KEXPECT_EQ(own_fpu()->fpstate, &own_fpu()->__fpstate);
	kfree(neighbour);
}

/* fails with: fpu_flush_thread() freeing before fpstate_reset() */
KTEST(exec_frees_what_nobody_points_to)
{
	watch_buffer(kt, fpu_flush_thread);
}

/* fails with: fault/exit-frees-first */
KTEST(exit_frees_what_nobody_points_to)
{
	watch_buffer(kt, fpu_exit_thread);
}
