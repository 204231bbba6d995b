/* SPDX-License-Identifier: MIT */
/*
 * fork and the permissions to use dynamic features: who gets whose, and when the lock that guards
 * them, a sleeping one, is reported because the FPU's is held around it.
 */
#include "kernel/report/panic.h"
#include "tests/kernel/fpu_worlds.h"
#include "tests/kernel/threads.h"
#include "tests/kernel/watch.h"

KTEST_SUITE(fpu_perms);

/* --- Whose permissions --- */

static void expect_default_perm(struct ktest_run *kt, const struct fpu_state_perm *perm)
{
	KEXPECT_EQ(perm->__state_perm, fpu_kernel_cfg.default_features);
	KEXPECT_EQ(perm->__state_size, fpu_kernel_cfg.default_size);
	KEXPECT_EQ(perm->__user_state_size, fpu_user_cfg.default_size);
}

/* What stands in field @nr of the record with @mark, by "seed=". */
static u32 value(unsigned int nr, u32 mark)
{
	return (u32)ktest_seed << 16 | nr << 12 | mark;
}

static void mark_perm(struct fpu *fpu, u32 mark)
{
	fpu->perm = (struct fpu_state_perm){ value(1, mark), value(2, mark), value(3, mark) };
	fpu->guest_perm = (struct fpu_state_perm){ value(4, mark), value(5, mark), value(6, mark) };
}

static void expect_marked_perm(struct ktest_run *kt, const struct fpu *fpu, u32 mark)
{
	KEXPECT_EQ(fpu->perm.__state_perm, value(1, mark));
	KEXPECT_EQ(fpu->perm.__state_size, value(2, mark));
	KEXPECT_EQ(fpu->perm.__user_state_size, value(3, mark));
	KEXPECT_EQ(fpu->guest_perm.__state_perm, value(4, mark));
	KEXPECT_EQ(fpu->guest_perm.__state_size, value(5, mark));
	KEXPECT_EQ(fpu->guest_perm.__user_state_size, value(6, mark));
}

#define LEADERS		1
#define OURS		2

/* Clone as @kind from a thread whose leader has other permissions than itself. */
static struct task_struct *clone_from_thread(const struct kind *kind)
{
	struct task_struct *leader = current->group_leader, *fake = fake_task(), *child;

	mark_perm(&fake->thread.fpu, LEADERS);
	mark_perm(own_fpu(), OURS);
	own_in_registers();
	current->group_leader = fake;
	child = clone_child(kind);
	current->group_leader = leader;
	kfree(fake);
	return child;
}

/*
 * fails with: fpu_inherit_perms() reading current's; or not copying guest_perm; or inheriting on
 * CLONE_THREAD
 */
KTEST(permissions_come_from_the_leader_except_in_threads)
{
	KEEP_WORLD;
	KEEP_USER_FPU;

	set_world("fixed", "force");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		bool inherits = !(kinds[i].flags & CLONE_THREAD) && !kinds[i].minimal;
		struct task_struct *child = clone_from_thread(&kinds[i]);
		unsigned int before = kt->complaints;

		if (inherits) {
			expect_marked_perm(kt, &child->thread.fpu, LEADERS);
		} else {
			expect_default_perm(kt, &child->thread.fpu.perm);
			expect_default_perm(kt, &child->thread.fpu.guest_perm);
		}
		/* Permission only: neither mask nor size of the buffer crosses the fork. */
		KEXPECT_EQ(child->thread.fpu.fpstate->xfeatures, fpu_kernel_cfg.default_features);
		KEXPECT_EQ(child->thread.fpu.fpstate->size, fpu_kernel_cfg.default_size);
		NAME_FAILURES(&kinds[i], before);
		expect_marked_perm(kt, own_fpu(), OURS);
		kfree(child);
	}
}

/* fails with: fpu_inherit_perms() not asking fpu_state_size_dynamic() */
KTEST(without_dynamic_features_permissions_are_defaults)
{
	static const char *const off[] = { "off", "auto" };
	static const char *const orders[] = { "fixed", "buggy" };
	KEEP_WORLD;
	KEEP_USER_FPU;

	for (size_t i = 0; i < 4; i++) {
		struct task_struct *child;

		set_world(orders[i / 2], off[i % 2]);
		KEXPECT_EQ(fpu_state_size_dynamic(), i % 2 && init_fpstate.xfd);
		if (fpu_state_size_dynamic())
			continue;
		child = clone_from_thread(KIND_FORK);
		expect_default_perm(kt, &child->thread.fpu.perm);
		expect_default_perm(kt, &child->thread.fpu.guest_perm);
		kfree(child);
	}
}

/* --- Which lock for which step, in the fixed order --- */

/* The parent's registers are somebody else's: they are loaded first, under the same lock. */
static void watch_registers(struct ktest_run *kt, const struct kind *kind)
{
	struct task_struct *child = new_child(), *intruder = fake_task();
	struct watch watches[] = {
		{ .at = &child->thread.fpu.__fpstate.regs, .name = "the child's image",
		  .rule = with_fpregs_lock },
		{ .at = &this_cpu()->fpu_fpregs_owner_ctx, .name = "the owner",
		  .rule = with_fpregs_lock },
	};

	own_in_memory(intruder);
	watch_start(watches, ARRAY_SIZE(watches));
	fpu_clone(child, kind->flags, kind->minimal);
	watch_end(kt);
	kfree(child);
	kfree(intruder);
}

/* fails with: fpu_clone_fixed() without fpregs_lock() */
KTEST(registers_are_saved_under_fpregs_lock)
{
	KEEP_WORLD;
	KEEP_USER_FPU;

	set_world("fixed", "force");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		unsigned int before = kt->complaints;

		if (!kinds[i].minimal)
			watch_registers(kt, &kinds[i]);
		NAME_FAILURES(&kinds[i], before);
	}
}

static void watch_permissions(struct ktest_run *kt, const struct kind *kind)
{
	const struct fpu *leaders = &current->group_leader->thread.fpu;
	struct watch watches[] = {
		{ .at = &leaders->perm.__state_perm, .name = "the leader's bitmap", .reads = true,
		  .rule = with_siglock },
		{ .at = &leaders->perm.__state_size, .name = "its sizes", .reads = true,
		  .rule = with_siglock },
		{ .at = &leaders->guest_perm.__state_perm, .name = "its guest's bitmap",
		  .reads = true, .rule = with_siglock },
		{ .at = &leaders->guest_perm.__state_size, .name = "its guest's sizes",
		  .reads = true, .rule = with_siglock },
	};

	own_in_registers();
	watch_start(watches, ARRAY_SIZE(watches));
	kfree(clone_child(kind));
	watch_end(kt);
}

/* fails with: fpu_inherit_perms() without spin_lock_irq() */
KTEST(permissions_are_read_under_siglock)
{
	KEEP_WORLD;
	KEEP_USER_FPU;

	set_world("fixed", "force");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		bool inherits = !(kinds[i].flags & CLONE_THREAD) && !kinds[i].minimal;
		u32 taken = current->sighand->siglock.record.acquired;
		unsigned int before = kt->complaints;

		if (inherits)
			watch_permissions(kt, &kinds[i]);
		else
			kfree(clone_child(&kinds[i]));
		KEXPECT_EQ(current->sighand->siglock.record.acquired - taken, inherits);
		NAME_FAILURES(&kinds[i], before);
	}
}

/* --- The report --- */

static const struct world seed_world = { "buggy", "force" };

/* fpu_clone() in world @w: how many reports of sleeping in the wrong place? siglock is free. */
static u64 might_sleep_reports(struct ktest_run *kt, const struct world *w, const struct kind *kind)
{
	u64 reports = splat_counts[SPLAT_MIGHT_SLEEP];
	u64 others = splat_counts[SPLAT_WARN] + splat_counts[SPLAT_ATOMIC_SCHED];
	struct task_struct *child;

	set_world(w->order, w->dynamic);
	own_in_registers();
	might_sleep_ratelimit_reset();
	child = clone_child(kind);
	might_sleep_ratelimit_reset();
	kfree(child);
	KEXPECT_EQ(splat_counts[SPLAT_WARN] + splat_counts[SPLAT_ATOMIC_SCHED], others);
	KEXPECT_EQ(preempt_count(), 0);
	KEXPECT_EQ(current->sighand->siglock.lock.owner, NULL);
	KEXPECT(!raw_spin_is_locked(&current->sighand->siglock.rlock));
	return splat_counts[SPLAT_MIGHT_SLEEP] - reports;
}

/*
 * The seed's report needs no contention, only the order, and a siglock that may sleep.
 * fails with: the fixed order in the place of the buggy one; or rt_spin_lock() checking only when
 * the lock is taken
 */
KTEST(buggy_order_with_dynamic_reports_once)
{
	KEEP_WORLD;
	KEEP_USER_FPU;

	if (system_state != SYSTEM_RUNNING)
		KSKIP("reports are silent before SYSTEM_RUNNING");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		bool inherits = !(kinds[i].flags & CLONE_THREAD) && !kinds[i].minimal;
		unsigned int before = kt->complaints;

		KEXPECT_EQ(might_sleep_reports(kt, &seed_world, &kinds[i]),
			   inherits && spinlock_sleeps(&current->sighand->siglock));
		NAME_FAILURES(&kinds[i], before);
	}
}

/* fails with: fault/fork-always-buggy */
KTEST(other_worlds_report_nothing)
{
	KEEP_WORLD;
	KEEP_USER_FPU;

	if (system_state != SYSTEM_RUNNING)
		KSKIP("reports are silent before SYSTEM_RUNNING");
	for (size_t w = 0; w < ARRAY_SIZE(worlds); w++)
		for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
			KEXPECT_EQ(might_sleep_reports(kt, &worlds[w], &kinds[i]), 0);
}

/*
 * But for the report the buggy order does its work.
 * fails with: fpu_clone_buggy() without save_parent_regs()
 */
KTEST(buggy_order_with_dynamic_copies_all_the_same)
{
	KEEP_WORLD;
	KEEP_USER_FPU;
	struct task_struct *intruder = fake_task(), *child;

	set_world("buggy", "force");
	child = clone_from_thread(KIND_FORK);
	EXPECT_IMAGE(child->thread.fpu.fpstate, OWN);
	expect_marked_perm(kt, &child->thread.fpu, LEADERS);
	expect_parent_intact(kt);
	kfree(child);
	own_in_memory(intruder);
	child = clone_child(KIND_THREAD);
	EXPECT_IMAGE(child->thread.fpu.fpstate, OWN);
	expect_parent_intact(kt);
	kfree(child);
	kfree(intruder);
}
