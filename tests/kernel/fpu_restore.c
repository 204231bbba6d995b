/* SPDX-License-Identifier: MIT */
/*
 * What a restore loads: every component the system has, whether the image holds it or not, and the
 * initial state if the CPU refuses the image. PKRU is not its business.
 */
#include "lib/options.h"
#include "kernel/report/panic.h"
#include "tests/kernel/fpu_regs.h"

KTEST_SUITE(fpu_restore);

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
	switch (fpu_form) {
	case FORM_FXSAVE:
		return fxrstor(&image->fxsave);
	case FORM_SOFT:
		return soft_xrstors(&image->xsave, XFEATURE_MASK_FPSTATE);
	case FORM_XSAVES:
		return xrstors(&image->xsave, XFEATURE_MASK_FPSTATE);
	default:
		return xrstor(&image->xsave, XFEATURE_MASK_FPSTATE);
	}
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

	KMAY_WARN;
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

	KMAY_WARN;
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

	make_values(&want, OWN);		/* x87's */
	memset(want.ymm, 0, sizeof(want.ymm));
	if (fpu_compacted())			/* else MXCSR comes in any case */
		want.mxcsr = MXCSR_DEFAULT;
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
	if (!(fpu_kernel_cfg.max_features & XFEATURE_MASK(PKRU)))
		KSKIP("CPUID has no place for PKRU in an image");
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
