/* SPDX-License-Identifier: MIT */
/*
 * Every component that the CPU has, through everything that can happen to a task: it survives, or
 * is initial, exactly as it must. What survives is compared as an image, so that a component needs
 * no instructions of its own here; the values come from the option "seed=".
 *
 * Each event runs once with all components in use, and once for each with only that one: then
 * nothing may appear in the others. Where state is dynamic, all that again with the gate open.
 */
#include "arch/x86/fpu/core/kernel_fpu.h"
#include "kernel/debug/scrub.h"
#include "kernel/locking/wait.h"
#include "kernel/policy.h"
#include "kernel/time/tick.h"
#include "lib/errno.h"
#include "lib/printk.h"
#include "tests/kernel/fpu_gates.h"
#include "tests/kernel/fpu_worlds.h"
#include "tests/kernel/random.h"

KTEST_SUITE(fpu_matrix);

/* PKRU is not switched with the rest: its tests are in fpu_restore. */
#define EVERYBODYS	(fpu_kernel_cfg.default_features & ~XFEATURE_MASK(PKRU))
/* Dynamic state is initial in a child. */
#define NEVER_INHERITED	(XFEATURE_MASK(PASID) | GROUP)

/* Of this pass: EVERYBODYS, or what is dynamic, too, with the gate open for current. */
static u64 components;

/* With room for all that there is. */
union any_image {
	union fpregs_state regs;
	u8 bytes[XSTATE_SIZE_MAX];
};

/* --- Values --- */

static u64 random_state, digest;

static u64 random(void)
{
	return next_random64(&random_state);
}

static void fill_random(void *to, size_t size)
{
	u8 *bytes = to;

	for (size_t i = 0; i < size; i++)
		bytes[i] = random();
}

/* Palette 1, eight tiles of 8 rows of 8 bytes: see dyn_use_small_tiles() (user/lib/dynstate.h). */
#define SMALL_TILE	8

static void fill_tile_config(u8 *config)
{
	memset(config, 0, xstate_layout.size[XFEATURE_XTILE_CFG]);
	config[0] = 1;
	for (int i = 0; i < 8; i++)
		config[16 + 2 * i] = config[48 + i] = SMALL_TILE;
}

static void fill_tiles(u8 *tiles)
{
	memset(tiles, 0, xstate_layout.size[XFEATURE_XTILE_DATA]);
	for (int row = 0; row < 8 * 16; row++)
		if (row % 16 < SMALL_TILE)
			fill_random(tiles + 64 * row, SMALL_TILE);
}

/* Legal values, none of them initial. */
static void fill_component(union fpregs_state *image, unsigned int nr)
{
	struct fxregs_state *fx = &image->fxsave;
	u64 *at = nr > XFEATURE_SSE ? get_xsave_addr(&image->xsave, nr) : NULL;

	switch (nr) {
	case XFEATURE_FP:
		fx->cwd = FCW_DEFAULT | (random() & 0x0c00);
		fx->swd = random() & 0x7f7f;		/* flags, top of stack; all masked */
		fx->twd = 0xff;
		for (int i = 0; i < 8; i++)
			fill_random(fx->st_space[i], 10);
		break;
	case XFEATURE_SSE:
		fx->mxcsr = MXCSR_DEFAULT | (random() & 0xe07f);
		fill_random(fx->xmm_space, sizeof(fx->xmm_space));
		break;
	case XFEATURE_CET_USER:
		at[0] = BIT(0);				/* SH_STK_EN; CR4.CET is off */
		at[1] = random() & 0x7ffffffffff8;	/* PL3_SSP */
		break;
	case XFEATURE_XTILE_CFG:
		fill_tile_config((u8 *)at);
		break;
	case XFEATURE_XTILE_DATA:
		fill_tiles((u8 *)at);
		break;
	default:
		fill_random(at, xstate_layout.size[nr]);
	}
}

static u64 image_features(void)
{
	return components & GROUP ? fpu_kernel_cfg.max_features : fpu_kernel_cfg.default_features;
}

/* An image in which the components in @mask are in use, and the others initial. */
static union fpregs_state *random_image(u64 mask)
{
	static union any_image any;
	union fpregs_state *image = &any.regs;
	unsigned int nr;

	memset(&any, 0, sizeof(any));
	image->fxsave.cwd = FCW_DEFAULT;
	image->fxsave.mxcsr = MXCSR_DEFAULT;
	if (cpu_has.xsave) {
		image->xsave.header.xcomp_bv = fpu_xcomp_bv(image_features());
		image->xsave.header.xfeatures = mask;
	}
	for_each_xfeature(nr, mask)
		fill_component(image, nr);
	for (size_t i = 0; i < fpu_image_size(image_features()); i++)
		digest = (digest ^ any.bytes[i]) * 0x100000001b3;
	return image;
}

/* --- Comparing, with initial values for what XSTATE_BV lacks --- */

static const void *component(const union fpregs_state *image, unsigned int nr)
{
	static const u8 zeros[XSTATE_SIZE_MAX];
	const void *at = get_xsave_addr((struct xregs_state *)&image->xsave, nr);

	return at ? at : zeros;
}

static bool same_legacy(const union fpregs_state *got, const union fpregs_state *want)
{
	struct fpu_values a, b;

	image_values(&a, got);
	image_values(&b, want);
	if (a.fcw != b.fcw || a.mxcsr != b.mxcsr || memcmp(a.ymm, b.ymm, sizeof(a.ymm)))
		return false;
	/* Beyond what image_values() looks at: all eight registers of x87, 10 bytes of 16 each. */
	if (cpu_has.xsave && !(want->xsave.header.xfeatures & XFEATURE_MASK(FP)))
		return true;
	for (int i = 0; i < 8; i++)
		if (memcmp(got->fxsave.st_space[i], want->fxsave.st_space[i], 10))
			return false;
	return got->fxsave.swd == want->fxsave.swd && got->fxsave.twd == want->fxsave.twd;
}

/* Of tiles, what their shape says. */
static bool same_bytes(unsigned int nr, const u8 *got, const u8 *want)
{
	if (nr != XFEATURE_XTILE_DATA)
		return !memcmp(got, want, xstate_layout.size[nr]);
	for (int row = 0; row < 8 * 16; row++)
		if (row % 16 < SMALL_TILE && memcmp(got + 64 * row, want + 64 * row, SMALL_TILE))
			return false;
	return true;
}

static void expect_image(struct ktest_run *kt, const union fpregs_state *got,
			 const union fpregs_state *want, const char *what, u64 mask)
{
	unsigned int nr;

	if (!same_legacy(got, want))
		KFAIL("%s, in use %#llx: x87, SSE or AVX differs", what, mask);
	for_each_xfeature(nr, components & ~XFEATURE_MASK_FPSSE)
		if (!same_bytes(nr, component(got, nr), component(want, nr)))
			KFAIL("%s, in use %#llx: component %u differs", what, mask, nr);
}

/* --- Into the registers and out --- */

static void make_live(const union fpregs_state *image)
{
	fpregs_lock();
	memcpy(&own_fpu()->fpstate->regs, image, own_fpu()->fpstate->size);
	set_thread_flag(TIF_NEED_FPU_LOAD);
	__fpu_invalidate_fpregs_state(own_fpu());
	restores_to_user();
	fpregs_unlock();
}

static void take_live(union fpregs_state *image)
{
	fpregs_lock();
	restores_to_user();
	save_fpregs_to_fpstate(own_fpu()->fpstate);
	memcpy(image, &own_fpu()->fpstate->regs, own_fpu()->fpstate->size);
	fpregs_unlock();
}

/* Whoever has the CPU next leaves other values in every component. */
static void scramble(void)
{
	static union {
		struct fpstate state;
		u8 bytes[sizeof(struct fpstate) + XSTATE_SIZE_MAX];
	} other;

	kernel_fpu_begin();
	memcpy(&other, &init_fpstate, offsetof(struct fpstate, regs));
	other.state.xfd = GROUP & ~components;
	memcpy(&other.state.regs, random_image(components), fpu_image_size(image_features()));
	restore_fpregs_from_fpstate(&other.state, XFEATURE_MASK_FPSTATE);
	kernel_fpu_end();
}

static int scrambler(void *done)
{
	scramble();
	complete(done);
	return 0;
}

/* Another thread does so while we sleep; @cpu: where. */
static void scramble_elsewhere(struct ktest_run *kt, unsigned int cpu)
{
	struct task_struct *thread;
	struct completion done;

	init_completion(&done);
	thread = kthread_create(scrambler, &done, "fpu_scrambler");
	if (IS_ERR(thread)) {
		KFAIL("no thread: %ld", PTR_ERR(thread));
		return;
	}
	set_cpus_allowed(thread, BIT(cpu));
	wait_for_completion(&done);
	put_task_struct(thread);
}

/* --- What can happen --- */

static void nothing(struct ktest_run *kt)
{
}

static void kernel_section(struct ktest_run *kt)
{
	scramble();
}

static void switched(struct ktest_run *kt)
{
	scramble_elsewhere(kt, smp_processor_id());
}

/* Away and back, with another state in the registers here, and there. */
static void migrated(struct ktest_run *kt)
{
	unsigned int here = smp_processor_id(), there = (here + 1) % nr_cpus;

	set_cpus_allowed(current, BIT(there));
	restores_to_user();
	scramble_elsewhere(kt, here);
	scramble_elsewhere(kt, there);
	set_cpus_allowed(current, BIT(here));
}

static void executed(struct ktest_run *kt)
{
	u32 pkru = read_pkru();

	fpu_flush_thread();
	write_pkru(pkru);
}

static void cloned(struct ktest_run *kt, const struct kind *kind)
{
	struct task_struct *child = clone_child(kind);
	static union any_image any;
	union fpregs_state *want = &any.regs, *got = &child->thread.fpu.fpstate->regs;

	take_live(want);
	if (kind->minimal)
		memcpy(want, &init_fpstate.regs, XSAVE_MIN_SIZE);
	else if (cpu_has.xsave)
		want->xsave.header.xfeatures &= ~NEVER_INHERITED;
	if (cpu_has.xsave)
		KEXPECT_EQ(got->xsave.header.xcomp_bv, init_fpstate.regs.xsave.header.xcomp_bv);
	expect_image(kt, got, want, kind->name, components);
	kfree(child);
}

static void cloned_as_each(struct ktest_run *kt)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!kinds[i].minimal)
			cloned(kt, &kinds[i]);
}

static void cloned_minimally(struct ktest_run *kt)
{
	cloned(kt, KIND_MINIMAL);
}

/* Preempted between the system call's entry and fpu_clone(): the registers are another's. */
static void preempted_in_clone(struct ktest_run *kt)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		scramble_elsewhere(kt, smp_processor_id());
		cloned(kt, &kinds[i]);
	}
}

static void through(struct ktest_run *kt, const char *what, void (*event)(struct ktest_run *kt),
		    u64 mask, bool survives)
{
	static union any_image want, got;

	if (components & own_fpu()->fpstate->xfd) {
		grant(true);
		KEXPECT_EQ(first_use(), 0);
	}
	memcpy(&want, random_image(mask), sizeof(want));
	make_live(&want.regs);
	event(kt);
	take_live(&got.regs);
	expect_image(kt, &got.regs, survives ? &want.regs : &init_fpstate.regs, what, mask);
}

static void through_with_each(struct ktest_run *kt, const char *what,
			      void (*event)(struct ktest_run *kt), bool survives)
{
	unsigned int nr;

	through(kt, what, event, components, survives);
	for_each_xfeature(nr, components & ~XFEATURE_MASK(XTILE_DATA)) {
		u64 mask = nr == XFEATURE_XTILE_CFG ? XFEATURE_MASK_XTILE : BIT_ULL(nr);

		/* IA32_XFD keeps off the tiles alone, XCR0 their configuration as well. */
		through(kt, what, event, cpu_has.xsave ? mask & components : components, survives);
	}
	pr_plain("  # %s: components %#llx by %s, gate %s, seed %llx, digest %llx", what,
		 components, fpu_form_name(), fpu_gate_name(), ktest_seed, digest);
}

static void with_open_gate(struct ktest_run *kt, enum fpu_gate gate, const char *what,
			   void (*event)(struct ktest_run *kt), bool survives)
{
	WITH_GATE(gate);

	components = fpu_kernel_cfg.max_features & ~XFEATURE_MASK(PKRU);
	through_with_each(kt, what, event, survives);
}

static void in_each_world(struct ktest_run *kt, const char *what,
			  void (*event)(struct ktest_run *kt), bool survives)
{
	KEEP_WORLD;
	KEEP_USER_FPU;

	random_state = digest = ktest_seed;
	components = EVERYBODYS;
	through_with_each(kt, what, event, survives);
	if (!GROUP || scrub_is_on())
		return;
	with_open_gate(kt, fpu_gate, what, event, survives);
	/* The other CPUs go by the gate that was chosen at boot. */
	if (nr_cpus == 1 && fpu_gate != GATE_XFD)
		with_open_gate(kt, GATE_XFD, what, event, survives);
}

/*
 * Images are one thing, registers another: supervisor state has MSRs, or a model of them.
 * fails with: soft_xrstors() not writing the model, soft_xsaves() not reading it
 */
KTEST(supervisor_state_is_where_the_cpu_looks)
{
	u64 mask = fpu_kernel_cfg.default_features &
		   (XFEATURE_MASK(PASID) | XFEATURE_MASK(CET_USER));
	static union fpregs_state image, got;
	u64 pasid, *cet;
	KEEP_USER_FPU;

	components = EVERYBODYS;
	if (!mask)
		KSKIP("this form saves no supervisor state");
	random_state = ktest_seed;
	memcpy(&image, random_image(mask), sizeof(image));
	make_live(&image);
	fpregs_lock();
	if (mask & XFEATURE_MASK(PASID)) {
		pasid = *(u64 *)component(&image, XFEATURE_PASID);
		KEXPECT_EQ(read_pasid(), pasid);
		write_pasid(pasid + 1);		/* as ENQCMD's driver would */
	}
	if (mask & XFEATURE_MASK(CET_USER)) {
		cet = (u64 *)component(&image, XFEATURE_CET_USER);
		KEXPECT_EQ(rdmsr(MSR_IA32_U_CET), cet[0]);
		KEXPECT_EQ(rdmsr(MSR_IA32_PL3_SSP), cet[1]);
		wrmsr(MSR_IA32_PL3_SSP, cet[1] + 8);
	}
	fpregs_unlock();
	scramble();
	take_live(&got);
	if (mask & XFEATURE_MASK(PASID))
		KEXPECT_EQ(*(u64 *)component(&got, XFEATURE_PASID), pasid + 1);
	if (mask & XFEATURE_MASK(CET_USER))
		KEXPECT_EQ(((u64 *)component(&got, XFEATURE_CET_USER))[1], cet[1] + 8);
	make_live(&init_fpstate.regs);
	fpregs_lock();
	if (mask & XFEATURE_MASK(PASID))
		KEXPECT_EQ(read_pasid(), 0);
	if (mask & XFEATURE_MASK(CET_USER))
		KEXPECT_EQ(rdmsr(MSR_IA32_PL3_SSP), 0);
	fpregs_unlock();
}

KTEST(nothing_changes_them_by_itself)
{
	in_each_world(kt, "nothing", nothing, true);
}

/* fails with: switch_fpu_prepare() never saving */
KTEST(they_survive_a_switch)
{
	in_each_world(kt, "a switch", switched, true);
}

KTEST(they_survive_a_migration)
{
	if (nr_cpus < 2)
		KSKIP("there is one CPU");
	in_each_world(kt, "a migration", migrated, true);
}

/* fails with: kernel_fpu_begin() saving nothing */
KTEST(they_survive_the_kernels_own_use)
{
	in_each_world(kt, "a kernel_fpu section", kernel_section, true);
}

/* fails with: fpu_flush_thread() without fpstate_init_minimal() */
KTEST(exec_resets_them)
{
	in_each_world(kt, "exec", executed, false);
}

/* fails with: fpu_clone() leaving PASID in XSTATE_BV */
KTEST(a_child_has_what_it_inherits)
{
	in_each_world(kt, "clone", cloned_as_each, true);
}

/* fails with: fpu_clone() not asking for @minimal */
KTEST(who_starts_in_the_kernel_inherits_nothing)
{
	in_each_world(kt, "a kernel function's start", cloned_minimally, true);
}

/* fails with: save_parent_regs() not asking for TIF_NEED_FPU_LOAD */
KTEST(a_child_of_a_preempted_parent_has_it_too)
{
	in_each_world(kt, "clone after preemption", preempted_in_clone, true);
}
