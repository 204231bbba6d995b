/* SPDX-License-Identifier: MIT */
/*
 * State on demand from the inside: the first use, memory that is not there, the gate in the switch;
 * permission is in fpu_permission.c. All tests run with the gate that the machine has, and again
 * with IA32_XFD's, whose MSRs are a model on a CPU without them. What programs see is in
 * tests/user/dynamic.c.
 */
#include "arch/x86/fpu/core/kernel_fpu.h"
#include "lib/errno.h"
#include "tests/kernel/fpu_gates.h"
#include "tests/kernel/fpu_worlds.h"
#include "tests/kernel/threads.h"
#include "tests/kernel/watch.h"

KTEST_SUITE(fpu_dynamic);

static bool gate_is(u64 off)
{
	u64 user = fpu_user_cfg.max_features;

	if (this_cpu_read(xfd_state) != off)
		return false;
	return fpu_gate == GATE_XCR0 ? xgetbv(0) == (user & ~off) : read_xfd() == off;
}

/* --- Values in the dynamic components, by way of the image --- */

static void fill_bytes(u8 *to, size_t size, u8 seed)
{
	u64 random = (ktest_seed ^ (u64)seed << 32) | 1;

	for (size_t i = 0; i < size; i++)
		to[i] = next_random(&random);
}

/* Not tiles, whose bytes are not all free: fpu_matrix and tests/user/dynamic.c have them. */
#define WITH_VALUES	(GROUP & ~XFEATURE_MASK_XTILE)

/* Edits the image as the rules demand: saved first, loaded again afterwards. */
static void put_dynamic(struct ktest_run *kt, u8 seed)
{
	struct xregs_state *xsave = &own_fpu()->fpstate->regs.xsave;
	unsigned int nr;

	fpregs_lock();
	restores_to_user();
	save_fpregs_to_fpstate(own_fpu()->fpstate);
	xsave->header.xfeatures |= WITH_VALUES;
	for_each_xfeature(nr, WITH_VALUES) {
		u8 *at = get_xsave_addr(xsave, nr);

		if (at)
			fill_bytes(at, xstate_layout.size[nr], seed);
		else
			KFAIL("component %u has no room", nr);
	}
	set_thread_flag(TIF_NEED_FPU_LOAD);
	__fpu_invalidate_fpregs_state(own_fpu());
	restores_to_user();
	fpregs_unlock();
}

/* @seed 0: initial. */
static void expect_dynamic(struct ktest_run *kt, u8 seed)
{
	static u8 want[PAGE_SIZE];
	struct xregs_state *xsave = &own_fpu()->fpstate->regs.xsave;
	unsigned int nr;

	fpregs_lock();
	restores_to_user();
	save_fpregs_to_fpstate(own_fpu()->fpstate);
	for_each_xfeature(nr, WITH_VALUES) {
		const u8 *at = get_xsave_addr(xsave, nr);

		memset(want, 0, xstate_layout.size[nr]);
		if (seed)
			fill_bytes(want, xstate_layout.size[nr], seed);
		for (u32 i = 0; i < xstate_layout.size[nr]; i++) {
			if ((at ? at[i] : 0) == want[i])
				continue;
			KFAIL("component %u, byte %u: %#x, not %#x (seed %u)", nr, i,
			      at ? at[i] : 0, want[i], seed);
			break;
		}
	}
	fpregs_unlock();
}

/* --- Tests --- */

static void room_for_all(struct ktest_run *kt, enum fpu_gate gate)
{
	WITH_GATE(gate);
	struct fpstate *large;

	grant(true);
	own_in_registers();
	restores_to_user();
	fpregs_lock();
	KEXPECT(gate_is(GROUP));
	fpregs_unlock();
	KEXPECT_EQ(first_use(), 0);
	large = own_fpu()->fpstate;
	KEXPECT_NE(large, &own_fpu()->__fpstate);
	KEXPECT_EQ(large->xfeatures, fpu_kernel_cfg.max_features);
	KEXPECT_EQ(large->user_xfeatures, fpu_user_cfg.max_features);
	KEXPECT_EQ(large->size, own_fpu()->perm.__state_size);
	KEXPECT_EQ(large->user_size, own_fpu()->perm.__user_state_size);
	KEXPECT_EQ(large->xfd, 0);
	KEXPECT_EQ(large->regs.xsave.header.xcomp_bv, fpu_xcomp_bv(large->xfeatures));
	KEXPECT(gate_is(0));
	EXPECT_REGS(OWN);		/* the others came along */
	expect_dynamic(kt, 0);
	put_dynamic(kt, 0x31);
	expect_dynamic(kt, 0x31);
}

/* fails with: fpstate_realloc() not writing xcomp_bv, not calling xfd_update_state() */
KTEST(first_use_gives_room)
{
	FOR_BOTH_GATES(room_for_all);
}

static void without_memory(struct ktest_run *kt, enum fpu_gate gate)
{
	WITH_GATE(gate);

	grant(true);
	own_in_registers();
	restores_to_user();
	fail_nth_alloc(1);
	KEXPECT_EQ(first_use(), SIGSEGV);
	fail_nth_alloc(0);
	KEXPECT_EQ(own_fpu()->fpstate, &own_fpu()->__fpstate);
	fpregs_lock();
	KEXPECT(gate_is(GROUP));
	fpregs_unlock();
	EXPECT_REGS(OWN);
	KEXPECT_EQ(first_use(), 0);	/* the next one finds memory */
}

/* fails with: fpstate_realloc() without the check of kzalloc() */
KTEST(first_use_without_memory_changes_nothing)
{
	FOR_BOTH_GATES(without_memory);
}

static void no_report(struct ktest_run *kt, enum fpu_gate gate)
{
	WITH_GATE(gate);
	struct splats before = splats_now();

	grant(true);
	might_sleep_ratelimit_reset();
	KEXPECT_EQ(first_use(), 0);
	EXPECT_SPLATS_IN_ALL(before, 0);
	KEXPECT_EQ(preempt_count(), 0);
}

/* fails with: fpstate_realloc() allocating inside fpregs_lock; fpu_first_use() inside siglock */
KTEST(memory_is_asked_for_where_one_may_sleep)
{
	FOR_BOTH_GATES(no_report);
}

static void preempted_first_use(struct ktest_run *kt, enum fpu_gate gate)
{
	WITH_GATE(gate);
	struct task_struct *intruder = fake_task();

	grant(true);
	own_in_memory(intruder);
	KEXPECT_EQ(first_use(), 0);
	KEXPECT(fpu_valid());
	EXPECT_REGS(OWN);
	kfree(intruder);
}

/* fails with: fpstate_realloc() without fpregs_restore_userregs() */
KTEST(registers_are_loaded_before_the_layout_changes)
{
	FOR_BOTH_GATES(preempted_first_use);
}

static void watched_first_use(struct ktest_run *kt, enum fpu_gate gate)
{
	WITH_GATE(gate);
	struct task_struct *intruder = fake_task();
	struct watch watches[] = {
		{ .at = &own_fpu()->fpstate, .name = "the task's buffer",
		  .rule = with_fpregs_lock },
		{ .at = &this_cpu()->xfd_state, .name = "the gate",
		  .rule = with_fpregs_lock },
		{ .at = &this_cpu()->fpu_fpregs_owner_ctx, .name = "the owner",
		  .rule = with_fpregs_lock },
	};

	grant(true);
	own_in_memory(intruder);
	watch_start(watches, ARRAY_SIZE(watches));
	first_use();
	watch_end(kt);
	kfree(intruder);
}

/* fails with: fpstate_realloc() opening the gate after fpregs_unlock(), or without a lock at all */
KTEST(the_change_is_made_under_fpregs_lock)
{
	FOR_BOTH_GATES(watched_first_use);
}

static void another_tasks(struct ktest_run *kt, enum fpu_gate gate)
{
	WITH_GATE(gate);
	struct task_struct *other = fake_task();

	grant(true);
	KEXPECT_EQ(first_use(), 0);
	put_dynamic(kt, 0x55);
	fpregs_lock();
	KEXPECT(gate_is(0));
	/* Another task, without the state, has its turn; then it gets it. */
	set_thread_flag(TIF_NEED_FPU_LOAD);
	save_fpregs_to_fpstate(own_fpu()->fpstate);
	restore_fpregs_from_fpstate(other->thread.fpu.fpstate, XFEATURE_MASK_FPSTATE);
	__cpu_invalidate_fpregs_state();
	KEXPECT(gate_is(GROUP));
	xfd_update_state(0);
	fpregs_unlock();
	expect_dynamic(kt, 0x55);
	fpregs_lock();
	KEXPECT(gate_is(0));
	fpregs_unlock();
	kfree(other);
}

/* fails with: restore_fpregs_from_fpstate() without the last xfd_update_state() */
KTEST(the_gate_goes_with_the_task)
{
	FOR_BOTH_GATES(another_tasks);
}

/* What is left of the last owner when a task that had the gate closed opens it: nothing. */
static void no_leftovers(struct ktest_run *kt, enum fpu_gate gate)
{
	WITH_GATE(gate);
	struct task_struct *other = fake_task();
	struct fpstate *large;

	grant(true);
	KEXPECT_EQ(first_use(), 0);
	put_dynamic(kt, 0x77);
	large = own_fpu()->fpstate;
	fpregs_lock();
	restore_fpregs_from_fpstate(other->thread.fpu.fpstate, XFEATURE_MASK_FPSTATE);
	xfd_update_state(0);
	save_fpregs_to_fpstate(large);
	fpregs_unlock();
	/* The registers now are what they were for the other task. */
	set_thread_flag(TIF_NEED_FPU_LOAD);
	__fpu_invalidate_fpregs_state(own_fpu());
	expect_dynamic(kt, 0);
	kfree(other);
}

/* fails with: restore_fpregs_from_fpstate() without fpu_gate_widen() */
KTEST(a_closed_gate_hides_nothing_from_a_restore)
{
	FOR_BOTH_GATES(no_leftovers);
}

static void kernel_computes(struct ktest_run *kt, enum fpu_gate gate)
{
	WITH_GATE(gate);

	own_in_registers();
	grant(false);
	kernel_fpu_begin();
	if (gate == GATE_XCR0)
		KEXPECT_EQ(xgetbv(0), fpu_user_cfg.max_features);
	kernel_fpu_end();
	restores_to_user();
	fpregs_lock();
	KEXPECT(gate_is(GROUP));
	fpregs_unlock();
	EXPECT_REGS(OWN);
}

/* fails with: kernel_fpu_begin() without fpu_gate_widen() */
KTEST(the_kernel_computes_with_all_there_is)
{
	FOR_BOTH_GATES(kernel_computes);
}

static unsigned int writes_to_load(const struct fpstate *fpstate)
{
	unsigned int before = this_cpu_read(fpu_gate_writes);

	restore_fpregs_from_fpstate(fpstate, XFEATURE_MASK_FPSTATE);
	return this_cpu_read(fpu_gate_writes) - before;
}

static void counted_writes(struct ktest_run *kt, enum fpu_gate gate)
{
	WITH_GATE(gate);
	struct task_struct *closed = fake_task();
	const struct fpstate *open;
	unsigned int wide = gate == GATE_XCR0;		/* XCR0 is opened for the restore itself */

	grant(true);
	KEXPECT_EQ(first_use(), 0);
	open = own_fpu()->fpstate;
	fpregs_lock();
	writes_to_load(open);
	KEXPECT_EQ(writes_to_load(open), 0);
	KEXPECT_EQ(writes_to_load(closed->thread.fpu.fpstate), 1);
	KEXPECT_EQ(writes_to_load(closed->thread.fpu.fpstate), 2 * wide);
	KEXPECT_EQ(writes_to_load(open), 1);
	set_thread_flag(TIF_NEED_FPU_LOAD);
	__cpu_invalidate_fpregs_state();
	fpregs_unlock();
	kfree(closed);
}

/* fails with: xfd_update_state() without the comparison */
KTEST(the_gate_is_written_only_when_it_changes)
{
	FOR_BOTH_GATES(counted_writes);
}

static void child_of_a_user(struct ktest_run *kt, enum fpu_gate gate)
{
	WITH_GATE(gate);
	KEEP_WORLD;
	struct task_struct *child;
	struct fpstate *large;

	set_world("fixed", "auto");
	grant(true);
	own_in_registers();
	KEXPECT_EQ(first_use(), 0);
	put_dynamic(kt, 0x99);
	large = own_fpu()->fpstate;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		bool inherits = !(kinds[i].flags & CLONE_THREAD) && !kinds[i].minimal;

		child = clone_child(&kinds[i]);
		KEXPECT_EQ(child->thread.fpu.fpstate, &child->thread.fpu.__fpstate);
		KEXPECT_EQ(child->thread.fpu.fpstate->xfd, GROUP);
		KEXPECT_EQ(child->thread.fpu.fpstate->regs.xsave.header.xfeatures & GROUP, 0);
		KEXPECT_EQ(child->thread.fpu.perm.__state_perm & GROUP, inherits ? GROUP : 0);
		kfree(child);		/* as a fork that failed: the parent keeps what it has */
	}
	KEXPECT_EQ(own_fpu()->fpstate, large);
	expect_dynamic(kt, 0x99);
}

/* fails with: fpu_clone() without fpstate_reset() */
KTEST(a_child_gets_permission_and_nothing_else)
{
	FOR_BOTH_GATES(child_of_a_user);
}

static void exec_of_a_user(struct ktest_run *kt, enum fpu_gate gate)
{
	WITH_GATE(gate);
	u64 pages = 0;

	/* Four small buffers share a page: a leak shows after a few. */
	for (int i = 0; i < 16; i++) {
		if (i == 1)
			pages = nr_free_pages();
		grant(true);
		KEXPECT_EQ(first_use(), 0);
		fpu_flush_thread();
		KEXPECT_EQ(own_fpu()->fpstate, &own_fpu()->__fpstate);
		KEXPECT_EQ(own_fpu()->perm.__state_perm & GROUP, 0);
		KEXPECT_EQ(own_fpu()->fpstate->xfd, GROUP);
	}
	KEXPECT_EQ(nr_free_pages(), pages);
	restores_to_user();
	fpregs_lock();
	KEXPECT(gate_is(GROUP));
	fpregs_unlock();
}

/* fails with: fault/exec-keeps-the-buffer */
KTEST(exec_gives_all_back)
{
	FOR_BOTH_GATES(exec_of_a_user);
}

/* Not every #UD or #NM is a first use. */
KTEST(other_faults_are_what_they_were)
{
	WITH_GATE(fpu_gate);

	KEXPECT_EQ((local_irq_disable(), fpu_first_use(X86_TRAP_GP, SIGSEGV)), SIGSEGV);
	KEXPECT_EQ((local_irq_disable(), fpu_first_use(X86_TRAP_NM, SIGSEGV)), SIGSEGV);
	KEXPECT_EQ((local_irq_disable(), fpu_first_use(X86_TRAP_PF, SIGBUS)), SIGBUS);
	if (!GROUP || fpu_gate == GATE_XFD)
		KEXPECT_EQ((local_irq_disable(), fpu_first_use(X86_TRAP_UD, SIGILL)), SIGILL);
	if (!GROUP)
		return;
	set_gate(GATE_XFD);
	write_xfd_err(0);
	KEXPECT_EQ((local_irq_disable(), fpu_first_use(X86_TRAP_NM, SIGSEGV)), SIGSEGV);
	KEXPECT_EQ((local_irq_disable(), fpu_first_use(X86_TRAP_UD, SIGILL)), SIGILL);
	grant(true);
	KEXPECT_EQ(first_use(), 0);
	KEXPECT_EQ(read_xfd_err(), 0);
	set_gate(__gate);
	if (fpu_gate == GATE_XCR0)	/* open: an ordinary one */
		KEXPECT_EQ((local_irq_disable(), fpu_first_use(X86_TRAP_UD, SIGILL)), SIGILL);
	KEXPECT_EQ((local_irq_disable(), fpu_first_use(X86_TRAP_GP, SIGSEGV)), SIGSEGV);
}
