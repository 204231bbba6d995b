/* SPDX-License-Identifier: MIT */
/*
 * Permission to use dynamic state: noted and looked at under siglock, for the whole process, and
 * nothing else happens. What programs see of it is in tests/user/dynamic_perm.c.
 */
#include "kernel/report/panic.h"
#include "tests/kernel/fpu_gates.h"
#include "tests/kernel/fpu_worlds.h"
#include "tests/kernel/threads.h"
#include "tests/kernel/watch.h"

KTEST_SUITE(fpu_permission);

/* How often current's siglock has been taken. */
static u32 siglock_taken(void)
{
	return current->sighand->siglock.record.acquired;
}

static void ask_and_look(struct ktest_run *kt, enum fpu_gate gate)
{
	WITH_GATE(gate);
	struct fpu_state_perm guest;
	struct splats before;
	u32 taken;

	grant(false);
	guest = own_fpu()->guest_perm;
	before = splats_now();
	taken = siglock_taken();
	grant(true);
	KEXPECT_EQ(siglock_taken() - taken, 1);
	KEXPECT_EQ(current->sighand->siglock.record.preempt_count, 0);
	EXPECT_SPLATS_IN_ALL(before, 0);
	KEXPECT_EQ(own_fpu()->perm.__state_perm, fpu_kernel_cfg.default_features | GROUP);
	KEXPECT_EQ(own_fpu()->perm.__state_size, fpu_image_size(fpu_kernel_cfg.max_features));
	KEXPECT_EQ(own_fpu()->perm.__user_state_size, fpu_user_cfg.max_size);
	KEXPECT(!memcmp(&guest, &own_fpu()->guest_perm, sizeof(guest)));
	KEXPECT_EQ(own_fpu()->fpstate, &own_fpu()->__fpstate);	/* it allocates nothing */
	KEXPECT_EQ(own_fpu()->fpstate->xfd, GROUP);
}

/* fails with: xstate_request_perm() without siglock, or without one of the sizes */
KTEST(asking_is_noted_under_siglock)
{
	FOR_BOTH_GATES(ask_and_look);
}

static void ask_for_guests(struct ktest_run *kt, enum fpu_gate gate)
{
	WITH_GATE(gate);
	struct fpu_state_perm own;
	u32 taken;

	grant(false);
	own = own_fpu()->perm;
	taken = siglock_taken();
	ask_as(REQ_GUEST_PERM);
	ask_as(REQ_GUEST_PERM);
	KEXPECT_EQ(siglock_taken() - taken, 1);
	KEXPECT(!memcmp(&own, &own_fpu()->perm, sizeof(own)));
	KEXPECT_EQ(own_fpu()->guest_perm.__state_perm, fpu_kernel_cfg.default_features | GROUP);
	KEXPECT_EQ(own_fpu()->guest_perm.__state_size, fpu_image_size(fpu_kernel_cfg.max_features));
	KEXPECT_EQ(own_fpu()->guest_perm.__user_state_size, fpu_user_cfg.max_size);
	KEXPECT_EQ(first_use(), SIGILL);
}

/* fails with: fault/guest-permission-is-ours */
KTEST(guests_have_a_record_of_their_own)
{
	FOR_BOTH_GATES(ask_for_guests);
}

static void ask_while_watched(struct ktest_run *kt, enum fpu_gate gate)
{
	WITH_GATE(gate);
	struct fpu_state_perm *perm = &current->group_leader->thread.fpu.perm;
	struct watch watches[] = {
		{ .at = &perm->__state_perm, .name = "the bitmap", .rule = with_siglock },
		{ .at = &perm->__state_size, .name = "the sizes", .rule = with_siglock },
	};

	grant(false);
	watch_start(watches, ARRAY_SIZE(watches));
	ask();
	watch_end(kt);
}

/* fails with: xstate_request_perm() writing the sizes after its spin_unlock_irq() */
KTEST(the_record_is_written_under_siglock)
{
	FOR_BOTH_GATES(ask_while_watched);
}

/* The sizes only: the bitmap alone may be looked at without the lock. */
static void use_while_watched(struct ktest_run *kt, enum fpu_gate gate)
{
	WITH_GATE(gate);
	struct watch watch = {
		.at = &current->group_leader->thread.fpu.perm.__state_size, .name = "the sizes",
		.reads = true, .rule = with_siglock,
	};

	own_in_registers();
	grant(true);
	watch_start(&watch, 1);
	first_use();
	watch_end(kt);
}

/* fails with: fpu_first_use() reading the record after its spin_unlock_irq() */
KTEST(the_sizes_are_read_under_siglock)
{
	FOR_BOTH_GATES(use_while_watched);
}

static void use_without_permission(struct ktest_run *kt, enum fpu_gate gate)
{
	WITH_GATE(gate);
	struct splats before;
	u32 taken;

	own_in_registers();
	grant(false);
	restores_to_user();
	before = splats_now();
	taken = siglock_taken();
	KEXPECT_EQ(first_use(), SIGILL);
	KEXPECT_EQ(siglock_taken() - taken, 1);
	KEXPECT_EQ(current->sighand->siglock.record.preempt_count, 0);
	KEXPECT_EQ(current->sighand->siglock.lock.owner, NULL);
	KEXPECT_EQ(preempt_count(), 0);
	KEXPECT(!irqs_disabled());
	EXPECT_SPLATS_IN_ALL(before, 0);
	KEXPECT_EQ(own_fpu()->fpstate, &own_fpu()->__fpstate);
	EXPECT_REGS(OWN);
}

/* fails with: fpu_first_use() looking at the record without siglock */
KTEST(without_permission_nothing_changes)
{
	FOR_BOTH_GATES(use_without_permission);
}

/* A thread whose leader may not what the thread's own record says. */
static void ask_the_leader(struct ktest_run *kt, enum fpu_gate gate)
{
	WITH_GATE(gate);
	struct task_struct *leader = current->group_leader, *fake = fake_task();
	int signal;

	grant(true);
	fpu_reset_perms(&fake->thread.fpu);
	current->group_leader = fake;
	signal = first_use();
	current->group_leader = leader;
	KEXPECT_EQ(signal, SIGILL);
	kfree(fake);
}

/* fails with: fpu_first_use() looking at current's record */
KTEST(the_leaders_record_counts)
{
	FOR_BOTH_GATES(ask_the_leader);
}

/* IA32_XFD_ERR names what was touched: here something that nobody can ask for. */
KTEST(what_is_not_in_the_group_is_illegal)
{
	WITH_GATE(GATE_XFD);

	if (!GROUP)
		KSKIP("nothing is dynamic here");
	if (cpu_has.xfd)
		KSKIP("this CPU writes IA32_XFD_ERR itself");
	grant(true);
	this_cpu_write(xfd_err_model, BIT(40 + ktest_seed % 20));
	KEXPECT_EQ((local_irq_disable(), fpu_first_use(X86_TRAP_NM, SIGBUS)), SIGILL);
	KEXPECT_EQ(own_fpu()->fpstate, &own_fpu()->__fpstate);
	KEXPECT_EQ(this_cpu_read(xfd_err_model), 0);
}
