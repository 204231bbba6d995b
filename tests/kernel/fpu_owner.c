/* SPDX-License-Identifier: MIT */
/*
 * Who owns the registers: the table in arch/x86/fpu/core/regs.h row by row, and what takes the
 * ownership away. The task is current, a real user task; the others are made up.
 */
#include "arch/x86/irqflags.h"
#include "tests/kernel/fpu_regs.h"

KTEST_SUITE(fpu_owner);

#define OTHER_CPU	5

/* --- The table --- */

/* fails with: fpregs_state_valid() looking at the owner only */
KTEST(valid_only_where_it_was_last)
{
	KEEP_USER_FPU;
	const unsigned int cpu = smp_processor_id();
	struct fpu *fpu = own_fpu();

	fpregs_lock();
	this_cpu_write(fpu_fpregs_owner_ctx, fpu);
	fpu->last_cpu = OTHER_CPU;
	KEXPECT(!fpregs_state_valid(fpu, cpu));
	fpu->last_cpu = -1;
	KEXPECT(!fpregs_state_valid(fpu, cpu));
	fpu->last_cpu = cpu;
	KEXPECT(fpregs_state_valid(fpu, cpu));
	fpregs_unlock();
}

/* fails with: fpregs_state_valid() looking at last_cpu only */
KTEST(valid_only_for_the_owner)
{
	KEEP_USER_FPU;
	struct task_struct *other = fake_task();
	const unsigned int cpu = smp_processor_id();
	struct fpu *fpu = own_fpu();

	fpregs_lock();
	fpu->last_cpu = cpu;
	this_cpu_write(fpu_fpregs_owner_ctx, &other->thread.fpu);
	KEXPECT(!fpregs_state_valid(fpu, cpu));
	this_cpu_write(fpu_fpregs_owner_ctx, NULL);
	KEXPECT(!fpregs_state_valid(fpu, cpu));
	this_cpu_write(fpu_fpregs_owner_ctx, fpu);
	KEXPECT(fpregs_state_valid(fpu, cpu));
	fpregs_unlock();
	kfree(other);
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
 * On RT fpregs_lock() is preempt_disable(); else it holds softirqs off, by 0x200.
 * fails with: fpregs_lock() adding the other world's number to the count
 */
KTEST(fpregs_lock_is_preemption_off)
{
	KEXPECT_EQ(preempt_count(), 0);
	fpregs_lock();
	KEXPECT_EQ(preempt_count(), preempt_rt() ? 1 : 0x200);
	fpregs_unlock();
	KEXPECT_EQ(preempt_count(), 0);
	KEXPECT(!irqs_disabled());
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
