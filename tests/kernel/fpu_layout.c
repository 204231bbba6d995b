/* SPDX-License-Identifier: MIT */
/*
 * The layout of FPU images: what CPUID says, what the kernel made of it, and what XCR0 got. And the
 * initial image, which fork and exec start from.
 */
#include "arch/x86/cpu/insns.h"
#include "kernel/fork.h"
#include "kernel/locking/wait.h"
#include "kernel/report/panic.h"
#include "lib/errno.h"
#include "tests/kernel/fpu_regs.h"

KTEST_SUITE(fpu_layout);

#define SUPERVISOR	(XFEATURE_MASK(PASID) | XFEATURE_MASK(CET_USER))

#define EXTENDED	(fpu_kernel_cfg.default_features & ~XFEATURE_MASK_FPSSE)

/* fails with: read_cpuid() taking the offset from EAX and the size from EBX */
KTEST(components_lie_apart_and_inside_the_image)
{
	unsigned int a, b;

	for_each_xfeature(a, EXTENDED) {
		KEXPECT(xstate_size(a) > 0);
		KEXPECT_GE(xstate_offset(a), XSAVE_MIN_SIZE);
		KEXPECT_GE(fpu_kernel_cfg.default_size, xstate_offset(a) + xstate_size(a));
		for_each_xfeature(b, EXTENDED)
			KEXPECT(a == b || xstate_offset(a) + xstate_size(a) <= xstate_offset(b) ||
				xstate_offset(b) + xstate_size(b) <= xstate_offset(a));
	}
}

/*
 * Two ways to the same number: the largest sub-leaf, and sub-leaf 0 for what XCR0 holds now.
 * fails with: xstate_image_size() starting with size = PAGE_SIZE
 */
KTEST(the_size_is_what_the_cpu_says)
{
	if (fpu_form == FORM_FXSAVE)
		KEXPECT_EQ(fpu_kernel_cfg.max_size, sizeof(struct fxregs_state));
	else
		/* IA32_XFD leaves all bits of XCR0 on. */
		KEXPECT_EQ(fpu_gate == GATE_XFD ? fpu_user_cfg.max_size : fpu_user_cfg.default_size,
			   cpuid(0xd, 0).ebx);
	if (!init_fpstate.xfd)
		KEXPECT_EQ(fpu_kernel_cfg.default_size, fpu_kernel_cfg.max_size);
	if (!fpu_compacted())
		KEXPECT_EQ(fpu_user_cfg.default_size, fpu_kernel_cfg.default_size);
}

/* fails with: fpu_choose_form() not clearing cpu_has.xsave for FXSAVE */
KTEST(the_form_fits_the_features)
{
	KEXPECT_EQ(cpu_has.xsave, fpu_form != FORM_FXSAVE);
	KEXPECT_EQ(!!(read_cr4() & CR4_OSXSAVE), cpu_has.xsave);
	KEXPECT(fpu_form != FORM_XSAVEOPT || cpu_has.xsaveopt);
	KEXPECT(cpu_has.xsave || !EXTENDED);
}

/* fails with: default_features = max_features | XFEATURE_MASK(XTILE_DATA) */
KTEST(feature_sets_are_nested)
{
	u64 max = fpu_kernel_cfg.max_features, avx512 = max & XFEATURE_MASK_AVX512;

	KEXPECT_EQ(fpu_kernel_cfg.default_features & ~max, 0);
	KEXPECT_EQ(fpu_user_cfg.max_features & ~max, 0);
	KEXPECT_EQ(fpu_user_cfg.default_features & ~fpu_user_cfg.max_features, 0);
	KEXPECT_EQ(fpu_kernel_cfg.default_features, max & ~init_fpstate.xfd);
	KEXPECT_EQ(fpu_user_cfg.max_features & SUPERVISOR, 0);
	KEXPECT_EQ(max & XFEATURE_MASK_FPSSE, XFEATURE_MASK_FPSSE);
	KEXPECT_EQ(max & ~(XFEATURE_MASK_USER_SUPPORTED | SUPERVISOR), 0);
	KEXPECT_EQ(XFEATURE_MASK_FPSTATE, max & ~XFEATURE_MASK(PKRU));
	/* XCR0 takes the three of AVX-512 together or not at all, and only with AVX. */
	KEXPECT(!avx512 || avx512 == XFEATURE_MASK_AVX512);
	KEXPECT(!avx512 || (max & XFEATURE_MASK(YMM)));
}

/* fails with: fpu_init_cpu() setting XCR0 to XFEATURE_MASK_FPSSE only */
KTEST(xcr0_is_what_ring_3_may_use)
{
	u64 off = fpu_gate == GATE_XCR0 ? init_fpstate.xfd : 0;

	if (!cpu_has.xsave)
		KSKIP("no XSAVE in use, so no XCR0");
	fpregs_lock();
	restores_to_user();
	KEXPECT_EQ(xgetbv(0), fpu_user_cfg.max_features & ~off);
	if (fpu_form == FORM_XSAVES)
		KEXPECT_EQ(rdmsr(MSR_IA32_XSS),
			   fpu_kernel_cfg.max_features & SUPERVISOR);
	fpregs_unlock();
}

/* fails with: init_fpstate's MXCSR or FCW left 0 */
KTEST(initial_image)
{
	const struct fxregs_state *fx = &init_fpstate.regs.fxsave;
	const struct xstate_header *header = &init_fpstate.regs.xsave.header;

	KEXPECT_EQ(fx->cwd, FCW_DEFAULT);
	KEXPECT_EQ(fx->mxcsr, MXCSR_DEFAULT);
	KEXPECT(!memchr_inv(fx->st_space, 0, sizeof(fx->st_space) + sizeof(fx->xmm_space)));
	KEXPECT_EQ(header->xfeatures, 0);
	KEXPECT_EQ(header->xcomp_bv,
		   fpu_compacted() ? BIT_ULL(63) | fpu_kernel_cfg.default_features : 0);
	KEXPECT(!memchr_inv(header->reserved, 0, sizeof(header->reserved)));
	KEXPECT_EQ(init_fpstate.xfeatures, fpu_kernel_cfg.default_features);
	KEXPECT_EQ(init_fpstate.xfd & ~fpu_user_cfg.max_features, 0);
}

/* fails with: try_restore() with the mask XFEATURE_MASK_FPSSE */
KTEST(initial_image_clears_all_registers)
{
	KEEP_USER_FPU;
	u64 warnings = splat_counts[SPLAT_WARN];

	fpregs_lock();
	load_regs(INTRUDER);
	restore_fpregs_from_fpstate(&init_fpstate, XFEATURE_MASK_FPSTATE);
	EXPECT_REGS(INIT);
	fpregs_unlock();
	KEXPECT_EQ(splat_counts[SPLAT_WARN], warnings);
}

/* fails with: task_struct_size() without default_size */
KTEST(a_task_ends_where_its_image_does)
{
	const struct fpu *fpu = own_fpu();

	KEXPECT_GE(task_struct_size(), (const u8 *)&fpu->__fpstate.regs - (const u8 *)current +
					       fpu_kernel_cfg.default_size);
	KEXPECT_GE(sizeof(struct task_struct), task_struct_size());	/* init_task is static */
	KEXPECT_EQ(fpu->fpstate->size, fpu_kernel_cfg.default_size);
	KEXPECT_EQ(fpu->fpstate->xfeatures, fpu_kernel_cfg.default_features);
	KEXPECT_EQ(fpu->fpstate->user_xfeatures, fpu_user_cfg.default_features);
	KEXPECT_EQ(fpu->fpstate->xfd, init_fpstate.xfd);
}

static int stop_at_once(void *arg)
{
	complete(arg);
	return 0;
}

/* fails with: fpu_clone() setting the flag for user tasks only */
KTEST(a_fresh_kthread_has_an_aligned_initial_image)
{
	KEEP_USER_FPU;		/* so the thread does not run before we sleep */
	struct completion ran;
	struct task_struct *thread;
	const struct fpu *fpu;

	init_completion(&ran);
	thread = kthread_create(stop_at_once, &ran, "fpu_fresh");
	if (IS_ERR(thread)) {
		KFAIL("no thread: %ld", PTR_ERR(thread));
		return;
	}
	fpu = &thread->thread.fpu;
	KEXPECT_EQ(fpu->fpstate, &fpu->__fpstate);
	KEXPECT_EQ((unsigned long)&fpu->fpstate->regs % 64, 0);
	KEXPECT_EQ((unsigned long)&own_fpu()->fpstate->regs % 64, 0);
	KEXPECT_EQ((unsigned long)&init_fpstate.regs % 64, 0);
	KEXPECT_EQ((unsigned long)&init_task.thread.fpu.__fpstate.regs % 64, 0);
	KEXPECT(test_tsk_thread_flag(thread, TIF_NEED_FPU_LOAD));
	KEXPECT_EQ(fpu->last_cpu, -1U);
	EXPECT_IMAGE(fpu->fpstate, INIT);
	wait_for_completion(&ran);
	put_task_struct(thread);
}

/* fails with: get_xsave_addr() not looking at XSTATE_BV */
KTEST(a_component_in_initial_state_has_no_address)
{
	struct xregs_state *image = kzalloc(PAGE_SIZE, GFP_KERNEL);
	/* The standard format has a place for each, the compacted one for the defaults. */
	u64 room = fpu_compacted() ? fpu_kernel_cfg.default_features : fpu_kernel_cfg.max_features;
	unsigned int nr;

	BUG_ON(!image);
	for (nr = 0; nr < XFEATURE_MAX; nr++)
		KEXPECT_EQ(get_xsave_addr(image, nr), NULL);
	image->header.xfeatures = -1ULL;
	image->header.xcomp_bv = init_fpstate.regs.xsave.header.xcomp_bv;
	for (nr = 0; nr < XFEATURE_MAX; nr++) {
		bool exists = room & BIT_ULL(nr);

		KEXPECT_EQ(get_xsave_addr(image, nr),
			   exists ? (u8 *)image + xstate_offset(nr) : NULL);
	}
	for_each_xfeature(nr, EXTENDED) {
		image->header.xfeatures = ~BIT_ULL(nr);
		KEXPECT_EQ(get_xsave_addr(image, nr), NULL);
	}
	kfree(image);
}
