/* SPDX-License-Identifier: MIT */
/*
 * fork's half of the FPU: the child gets the parent's registers, whatever way it is made, wherever
 * the parent's registers are, in both orders of fpu_clone().
 */
#include "arch/x86/mm/stack.h"
#include "arch/x86/process.h"
#include "kernel/exit.h"
#include "kernel/locking/wait.h"
#include "tests/kernel/fpu_worlds.h"
#include "tests/kernel/threads.h"

KTEST_SUITE(fpu_clone);

/* --- Registers: three places where the parent's may be --- */

static void expect_parents_values(struct ktest_run *kt, const struct kind *kind,
				  const struct task_struct *child)
{
	unsigned int before = kt->complaints;

	if (!kind->minimal)		/* else see a_kernel_function_starts_clean */
		EXPECT_IMAGE(child->thread.fpu.fpstate, OWN);
	NAME_FAILURES(kind, before);
}

/* Flag 0. fails with: save_parent_regs() copying the parent's fpstate instead of saving */
KTEST(fork_copies_live_registers)
{
	KEEP_WORLD;
	KEEP_USER_FPU;

	FOR_EACH_WORLD_AND_KIND(kind) {
		unsigned int restores = this_cpu_read(fpu_restores);
		struct task_struct *child;

		own_in_registers();
		child = clone_child(kind);
		expect_parents_values(kt, kind, child);
		expect_parent_intact(kt);
		EXPECT_IMAGE(own_fpu()->fpstate, STALE);	/* nothing goes to the parent's */
		KEXPECT_EQ(this_cpu_read(fpu_restores), restores);
		kfree(child);
	}
}

/*
 * Flag 1, not valid. A child forked while the parent's registers are in memory gets the parent's
 * values, not the last owner's.
 * fails with: save_parent_regs() not looking at the flag
 */
KTEST(fork_reloads_before_saving)
{
	KEEP_WORLD;
	KEEP_USER_FPU;
	struct task_struct *intruder = fake_task();

	FOR_EACH_WORLD_AND_KIND(kind) {
		struct task_struct *child;

		own_in_memory(intruder);
		child = clone_child(kind);
		expect_parents_values(kt, kind, child);
		EXPECT_IMAGE(own_fpu()->fpstate, OWN);
		EXPECT_IMAGE(intruder->thread.fpu.fpstate, INIT);
		if (!kind->minimal) {
			expect_parent_intact(kt);
		} else {
			KEXPECT(test_thread_flag(TIF_NEED_FPU_LOAD));
			KEXPECT_EQ(fpu_owner(), &intruder->thread.fpu);
		}
		kfree(child);
	}
	kfree(intruder);
}

/* Flag 1, valid: a load would be wasted. fails with: fpu_clone() invalidating the CPU first */
KTEST(fork_does_not_reload_a_valid_copy)
{
	KEEP_WORLD;
	KEEP_USER_FPU;

	FOR_EACH_WORLD_AND_KIND(kind) {
		unsigned int restores, saves, clone_saves;
		struct task_struct *child;

		own_in_both(OWN);
		restores = this_cpu_read(fpu_restores);
		saves = this_cpu_read(fpu_saves);
		clone_saves = this_cpu_read(fpu_clone_saves);
		child = clone_child(kind);
		expect_parents_values(kt, kind, child);
		KEXPECT_EQ(this_cpu_read(fpu_restores), restores);
		KEXPECT_EQ(this_cpu_read(fpu_saves) - saves, !kind->minimal);
		KEXPECT_EQ(this_cpu_read(fpu_clone_saves) - clone_saves, !kind->minimal);
		KEXPECT(fpu_valid());
		EXPECT_REGS(OWN);
		kfree(child);
	}
}

/*
 * The parent's buffer may be another than its own, larger and otherwise laid out (AMX, a guest's).
 * fails with: fpstate_reset() keeping a pointer that is there
 */
KTEST(the_child_does_not_share_the_parents_buffer)
{
	KEEP_WORLD;
	KEEP_USER_FPU;
	struct fpstate *large = kzalloc(2 * sizeof(struct fpstate), GFP_KERNEL);
	struct task_struct *intruder = fake_task(), *child;

	BUG_ON(!large);
	memcpy(large, own_fpu()->fpstate,
	       offsetof(struct fpstate, regs) + fpu_kernel_cfg.default_size);
	large->size = 2 * PAGE_SIZE;
	own_fpu()->fpstate = large;
	set_world("fixed", "off");
	own_in_memory(intruder);
	child = new_child();
	child->thread.fpu.fpstate = large;	/* as a plain copy of the parent would have */
	fpu_clone(child, 0, false);
	KEXPECT_EQ(child->thread.fpu.fpstate, &child->thread.fpu.__fpstate);
	KEXPECT_EQ(child->thread.fpu.fpstate->size, fpu_kernel_cfg.default_size);
	EXPECT_IMAGE(child->thread.fpu.fpstate, OWN);
	KEXPECT_EQ(own_fpu()->fpstate, large);
	own_fpu()->fpstate = &own_fpu()->__fpstate;
	kfree(child);
	kfree(intruder);
	kfree(large);
}

/*
 * What the child will load is what it got, and the CPU takes it.
 * fails with: fpu_clone() setting XCOMP_BV's bit 63 in the child's header
 */
KTEST(the_child_can_load_its_image)
{
	KEEP_WORLD;
	KEEP_USER_FPU;
	u64 warnings = splat_counts[SPLAT_WARN];

	FOR_EACH_WORLD_AND_KIND(kind) {
		unsigned int before = kt->complaints;
		struct task_struct *child;

		own_in_registers();
		child = clone_child(kind);
		fpregs_lock();
		load_regs(INTRUDER);
		restore_fpregs_from_fpstate(child->thread.fpu.fpstate, XFEATURE_MASK_FPSTATE);
		if (kind->minimal)
			EXPECT_REGS(INIT);
		else
			EXPECT_REGS(OWN);
		fpregs_unlock();
		NAME_FAILURES(kind, before);
		kfree(child);
	}
	KEXPECT_EQ(splat_counts[SPLAT_WARN], warnings);
}

/* --- The child's side of the ownership table --- */

/* fails with: fpu_clone() without __fpu_invalidate_fpregs_state() */
KTEST(the_childs_registers_are_on_no_cpu)
{
	KEEP_WORLD;
	KEEP_USER_FPU;

	FOR_EACH_WORLD_AND_KIND(kind) {
		unsigned int before = kt->complaints;
		struct task_struct *child;
		struct fpu *fpu;

		own_in_registers();
		child = new_child();
		fpu = &child->thread.fpu;
		/* Recycled memory: a dead task's owner pointer and last_cpu may point here. */
		fpu->last_cpu = smp_processor_id();
		fpu_clone(child, kind->flags, kind->minimal);
		KEXPECT_EQ(fpu_owner(), own_fpu());	/* the child's record, not the CPU's */
		KEXPECT_EQ(fpu->last_cpu, -1U);
		fpregs_lock();
		this_cpu_write(fpu_fpregs_owner_ctx, fpu);
		KEXPECT(!fpregs_state_valid(fpu, smp_processor_id()));
		this_cpu_write(fpu_fpregs_owner_ctx, own_fpu());
		fpregs_unlock();
		NAME_FAILURES(kind, before);
		kfree(child);
	}
}

/* fails with: fpu_clone() without set_tsk_thread_flag() */
KTEST(the_child_must_load_before_ring_3)
{
	KEEP_WORLD;
	KEEP_USER_FPU;

	FOR_EACH_WORLD_AND_KIND(kind) {
		unsigned int before = kt->complaints;
		struct task_struct *child;
		struct fpu *fpu;

		own_in_registers();
		child = new_child();		/* so its flag is clear, as the parent's */
		fpu = &child->thread.fpu;
		fpu_clone(child, kind->flags, kind->minimal);
		KEXPECT(!test_thread_flag(TIF_NEED_FPU_LOAD));	/* the child's, not ours */
		KEXPECT(test_tsk_thread_flag(child, TIF_NEED_FPU_LOAD));
		KEXPECT_EQ(fpu->fpstate, &fpu->__fpstate);
		KEXPECT_EQ(fpu->fpstate->size, fpu_kernel_cfg.default_size);
		KEXPECT_EQ(fpu->fpstate->user_size, fpu_user_cfg.default_size);
		KEXPECT_EQ(fpu->fpstate->xfeatures, fpu_kernel_cfg.default_features);
		KEXPECT_EQ(fpu->fpstate->user_xfeatures, fpu_user_cfg.default_features);
		KEXPECT_EQ(fpu->fpstate->xfd, init_fpstate.xfd);
		NAME_FAILURES(kind, before);
		kfree(child);
	}
}

/* --- The bytes of the child's image --- */

/*
 * A secret in the parent's registers, and none of it anywhere in the image.
 * fails with: fpu_clone() not returning after fpstate_init_minimal()
 */
KTEST(a_kernel_function_starts_clean)
{
	KEEP_WORLD;
	KEEP_USER_FPU;
	u32 size = fpu_kernel_cfg.default_size, clean = cpu_has.xsave ? XSAVE_MIN_SIZE : size;

	FOR_EACH_WORLD_AND_KIND(kind) {
		unsigned int before = kt->complaints;
		struct task_struct *child;
		union fpregs_state *image;

		if (!kind->minimal)
			continue;
		own_in_registers();
		child = new_child();
		image = &child->thread.fpu.__fpstate.regs;
		memset(image, 0xcc, clean);
		fpu_clone(child, kind->flags, kind->minimal);
		EXPECT_IMAGE(&child->thread.fpu.__fpstate, INIT);
		for (u32 i = 0; i < clean; i++) {
			u8 got = image->bytes[i], want = init_fpstate.regs.bytes[i];

			if (got != want && kt->complaints == before)
				KFAIL("byte %u of its image is %#x, expected %#x", i, got, want);
		}
		KEXPECT(!memchr_inv(image->bytes + clean, 0, size - clean));
		NAME_FAILURES(kind, before);
		kfree(child);
	}
}

static struct {
	bool kthread;
	const char *differs;
} started;

static int look_at_own_registers(void *arg)
{
	started.kthread = current->flags & PF_KTHREAD;
	fpregs_lock();
	switch_fpu_return();
	started.differs = regs_differ(INIT);
	fpregs_unlock();
	do_exit(0);
}

/*
 * "Minimal" goes by the kernel function, not by PF_KTHREAD: init before its exec is a user task.
 * fails with: copy_thread() passing args->kthread to fpu_clone()
 */
KTEST(a_user_task_in_a_kernel_function_starts_clean)
{
	KEEP_USER_FPU;
	int status = -1;
	pid_t pid;

	memset(&started, 0, sizeof(started));
	own_in_registers();
	pid = user_mode_thread(look_at_own_registers, NULL, "fpu_minimal");
	KEXPECT_GE(pid, 1);
	if (pid < 1)
		return;
	KEXPECT_EQ(do_wait(pid, &status, 0), pid);
	KEXPECT_EQ(status, 0);
	KEXPECT(!started.kthread);
	if (started.differs)
		KFAIL("it starts with %s", started.differs);
}

/* fails with: fpu_clone() not clearing the PASID bit */
KTEST(header_is_clean_and_has_no_pasid)
{
	KEEP_WORLD;
	KEEP_USER_FPU;

	if (!cpu_has.xsave)
		KSKIP("FXSAVE's image has no header");
	FOR_EACH_WORLD_AND_KIND(kind) {
		unsigned int before = kt->complaints;
		struct task_struct *child;
		struct xstate_header *header;

		if (kind->minimal)
			continue;		/* see a_kernel_function_starts_clean */
		own_in_registers();
		child = new_child();
		header = &child->thread.fpu.__fpstate.regs.xsave.header;
		/* XSAVE keeps the bits of what it does not save: this one would stay. */
		header->xfeatures = XFEATURE_MASK(PASID);
		fpu_clone(child, kind->flags, kind->minimal);
		KEXPECT_EQ(header->xfeatures & ~fpu_kernel_cfg.default_features, 0);
		KEXPECT_EQ(header->xfeatures & XFEATURE_MASK(PASID), 0);
		KEXPECT_EQ(header->xcomp_bv, init_fpstate.regs.xsave.header.xcomp_bv);
		KEXPECT(!memchr_inv(header->reserved, 0, sizeof(header->reserved)));
		NAME_FAILURES(kind, before);
		kfree(child);
	}
}

/*
 * XSAVEOPT may leave a component's old bytes where they are and only clear its bit: whoever reads
 * the image must ask for the bit. TCG's XSAVEOPT writes everything, and so do XSAVE and FXSAVE.
 * fails with: save_parent_regs() copying the parent's fpstate instead of saving
 */
KTEST(old_bytes_of_the_buffer_are_not_state)
{
	KEEP_WORLD;
	KEEP_USER_FPU;
	struct task_struct *child = new_child();
	union fpregs_state *image = &child->thread.fpu.__fpstate.regs;
	struct fpu_values initial;
	const u8 *ymmh;

	memset(image->fxsave.st_space, 0xcc, sizeof(image->fxsave.st_space));
	memset(image->fxsave.xmm_space, 0xcc, sizeof(image->fxsave.xmm_space));
	if (fpu_kernel_cfg.default_size > XSAVE_MIN_SIZE)
		memset(image->bytes + XSAVE_MIN_SIZE, 0xcc,
		       fpu_kernel_cfg.default_size - XSAVE_MIN_SIZE);
	own_in_registers();
	make_values(&initial, INIT);
	fpregs_lock();
	load_values(&initial);
	if (has_avx())
		__asm__ volatile("vzeroall");
	fpregs_unlock();
	fpu_clone(child, 0, false);
	EXPECT_IMAGE(child->thread.fpu.fpstate, INIT);
	ymmh = has_avx() ? get_xsave_addr(&image->xsave, XFEATURE_YMM) : NULL;
	KEXPECT(!ymmh || !memchr_inv(ymmh, 0, xstate_size(XFEATURE_YMM)));
	kfree(child);
}

/*
 * The image is the end of its task, and ends at byte 512 with FXSAVE: there is no header then.
 * fails with: fpu_clone() not asking for cpu_has.xsave
 */
KTEST(nothing_is_written_behind_the_image)
{
	KEEP_WORLD;
	KEEP_USER_FPU;

	FOR_EACH_WORLD_AND_KIND(kind) {
		struct task_struct *child = new_child();
		u8 *behind = (u8 *)child + task_struct_size();
		unsigned int before = kt->complaints;

		memset(behind, 0xff, BEHIND);
		own_in_registers();
		fpu_clone(child, kind->flags, kind->minimal);
		KEXPECT(!memchr_inv(behind, 0xff, BEHIND));
		NAME_FAILURES(kind, before);
		kfree(child);
	}
}

/* thread.pkru is valid while switched out only. fails with: copy_thread() copying thread.pkru */
KTEST(pkru_comes_from_the_register)
{
	struct kernel_clone_args args = { .flags = 0 };
	KEEP_USER_FPU;
	struct task_struct *child;
	void *stack;

	if (!cpu_has.pku)
		KSKIP("no protection keys");
	child = new_child();
	child->stack = stack = alloc_kernel_stack();
	BUG_ON(IS_ERR(stack));
	fpregs_lock();
	write_pkru(0x55555550);
	current->thread.pkru = PKRU_DEFAULT;
	fpregs_unlock();
	KEXPECT_EQ(copy_thread(child, &args), 0);
	KEXPECT_EQ(child->thread.pkru, 0x55555550);
	free_kernel_stack(stack);
	kfree(child);
}

/*
 * Nobody takes a lock here if nothing is dynamic; the caller must be one that may sleep all the
 * same. fails with: fault/clones-registers-anywhere
 */
KTEST(where_nothing_may_sleep_it_is_reported)
{
	KEEP_WORLD;
	KMAY_WARN;
	struct task_struct *child = new_child();
	struct splats before = splats_now();

	set_world("fixed", "off");
	might_sleep_ratelimit_reset();
	preempt_disable();
	fpu_clone(child, 0, false);
	preempt_enable();
	EXPECT_SPLATS(before, SPLAT_MIGHT_SLEEP, 1);
	kfree(child);
}
