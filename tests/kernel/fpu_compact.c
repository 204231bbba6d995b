/* SPDX-License-Identifier: MIT */
/*
 * XSAVES and XRSTORS in software (arch/x86/fpu/core/compact.h) on random states: against the rules
 * of SDM vol. 1, 13.10 to 13.12, against the hardware where that has them, and on headers that no
 * CPU takes. Where the kernel does not use them, the CPU gets a scratch buffer for the time of a
 * test.
 */
#include "arch/x86/fpu/core/xsave_insns.h"
#include "kernel/report/panic.h"
#include "lib/options.h"
#include "tests/kernel/fpu_states.h"

KTEST_SUITE(fpu_compact);

#define STATES		2000
#define SAVE_SEED	0x5a4e5ULL
#define RESTORE_SEED	0x4e5704e5ULL
#define HARDWARE_SEED	0x4a4d3a4eULL

#define NEEDS_XSAVE								\
	do {									\
		if (!cpu_has.xsave)						\
			KSKIP("no XSAVE in use");				\
	} while (0)

/* --- Saves --- */

/* fails with: soft_xsaves() with copy_legacy() of XFEATURE_MASK_FPSSE in any case */
KTEST(a_save_writes_what_is_in_use_and_nothing_else)
{
	struct bench *b;

	NEEDS_XSAVE;
	KEEP_USER_FPU;
	b = bench_start(SAVE_SEED);
	for (int i = 0; i < STATES; i++) {
		u64 mask = i % 8 ? random_features(b, b->all) : b->all;

		poison(b, b->image);
		registers_lock(b);
		load_random(b, b->first);
		soft_xsaves(b->image, mask);
		read_registers(b, b->second);
		registers_unlock(b);
		expect_saved(kt, b, b->image, b->first, mask);
		expect_same(kt, b, b->second, b->first, "the registers, after a save", mask);
	}
	bench_end(b, SAVE_SEED, STATES);
}

/*
 * The header of a save with all bits set says what the system has, or no restore would take it.
 * fails with: soft_xsaves() not limiting @mask to xstate_layout.features
 */
KTEST(a_save_of_everything_is_of_what_there_is)
{
	struct bench *b;
	u64 all;

	NEEDS_XSAVE;
	KEEP_USER_FPU;
	b = bench_start(SAVE_SEED);
	all = b->all;
	if (all == xstate_layout.features) {
		poison(b, b->image);
		registers_lock(b);
		load_random(b, b->first);
		soft_xsaves(b->image, -1ULL);
		scramble(b);
		KEXPECT_EQ(soft_xrstors(b->image, -1ULL), 0);
		read_registers(b, b->got);
		registers_unlock(b);
		expect_same(kt, b, b->got, b->first, "the registers", -1ULL);
		expect_saved(kt, b, b->image, b->first, all);
	}
	bench_end(b, 0, 0);
	if (all != xstate_layout.features)
		KSKIP("a component that cannot be tested here");
}

/* --- Restores --- */

/* fails with: soft_xrstors() with a mask of what the image has: present & user, for xrstor() */
KTEST(a_restore_loads_initialises_or_leaves)
{
	struct bench *b;

	NEEDS_XSAVE;
	KEEP_USER_FPU;
	b = bench_start(RESTORE_SEED);
	for (int i = 0; i < STATES; i++) {
		u64 mask = i % 8 ? with_company(b, random_features(b, b->all)) : b->all;
		u64 room = random_features(b, b->all) | random_features(b, b->all);

		poison(b, b->image);
		registers_lock(b);
		load_random(b, b->first);
		soft_xsaves(b->image, room);
		/* As fork and ptrace do: initial by the bit, whatever the bytes say. */
		b->image->header.xfeatures &= random_features(b, b->all) |
					      random_features(b, b->all);
		scramble(b);
		KEXPECT_EQ(soft_xrstors(b->image, mask), 0);
		expect_restored(kt, b, b->image, b->first, b->second, mask);
		registers_unlock(b);
	}
	bench_end(b, RESTORE_SEED, 2 * STATES);
}

/*
 * A plain XRSTOR loads it with AVX, too (not TCG's), and takes the bytes whatever XSTATE_BV says.
 * fails with: soft_xrstors() leaving scratch->i387.mxcsr as the last save left it
 */
KTEST(mxcsr_comes_and_goes_with_sse)
{
	static const u64 masks[] = {
		XFEATURE_MASK(FP), XFEATURE_MASK(SSE), XFEATURE_MASK(YMM),
		XFEATURE_MASK(FP) | XFEATURE_MASK(YMM), XFEATURE_MASK(SSE) | XFEATURE_MASK(YMM),
	};
	struct bench *b;

	NEEDS_XSAVE;
	KEEP_USER_FPU;
	b = bench_start(SAVE_SEED);
	for (size_t i = 0; i < 2 * ARRAY_SIZE(masks); i++) {
		u64 mask = masks[i / 2] & b->user;
		u32 expected = MXCSR_DEFAULT | 0x6000;

		registers_lock(b);
		load_random(b, b->first);
		ldmxcsr(MXCSR_DEFAULT | 0x2000);
		poison(b, b->image);
		soft_xsaves(b->image, b->user);
		if (i % 2)
			b->image->header.xfeatures &= ~XFEATURE_MASK(SSE);
		if (mask & XFEATURE_MASK(SSE))
			expected = i % 2 ? MXCSR_DEFAULT : MXCSR_DEFAULT | 0x2000;
		scramble(b);
		ldmxcsr(MXCSR_DEFAULT | 0x6000);
		KEXPECT_EQ(soft_xrstors(b->image, mask), 0);
		KEXPECT_EQ(stmxcsr(), expected);
		registers_unlock(b);
	}
	bench_end(b, 0, 0);
}

/* fails with: get_xsave_addr() taking XSTATE_BV for XCOMP_BV */
KTEST(a_cleared_bit_moves_nothing)
{
	unsigned int nr, other;
	struct bench *b;

	NEEDS_XSAVE;
	KEEP_USER_FPU;
	b = bench_start(SAVE_SEED);
	b->image->header.xcomp_bv = XCOMP_BV_COMPACTED | b->all;
	for_each_xfeature(nr, b->all & ~XFEATURE_MASK_FPSSE) {
		b->image->header.xfeatures = BIT_ULL(nr);
		KEXPECT_EQ(get_xsave_addr(b->image, nr), state_place(b->image, nr));
		for_each_xfeature(other, b->all & ~XFEATURE_MASK_FPSSE & ~BIT_ULL(nr))
			KEXPECT_EQ(get_xsave_addr(b->image, other), NULL);
	}
	bench_end(b, 0, 0);
}

/* --- Against the hardware --- */

/* NULL, or why there is no hardware to compare with. */
static const char *probe_hardware(struct bench *b)
{
	const char *reason = NULL;

	registers_lock(b);
	for (int supervisor = 0; supervisor < 2 && !reason; supervisor++)
		if (supervisor ? cpu_has.xsaves : cpu_has.xsavec)
			reason = probe_compacted(b, supervisor);
	registers_unlock(b);
	if (b->by_mask)
		pr_plain("  # this CPU's XRSTORS goes by the mask, not by XCOMP_BV");
	if (b->keeps_mxcsr)
		pr_plain("  # this CPU's XRSTORS does not initialise MXCSR");
	return reason;
}

/* Either form, if both are there in turn. */
static bool supervisor_form(int i)
{
	return cpu_has.xsaves && (i % 2 || !cpu_has.xsavec);
}

static void save_by_both(struct ktest_run *kt, struct bench *b, int i)
{
	u64 mask = i % 8 ? random_features(b, b->user) : b->user;

	poison(b, b->image);
	poison(b, b->other);
	registers_lock(b);
	load_random(b, b->first);
	soft_xsaves(b->image, mask);
	hardware_save(supervisor_form(i), b->other, mask);
	registers_unlock(b);
	KEXPECT_EQ(b->image->header.xcomp_bv, b->other->header.xcomp_bv);
	whole_values(b, b->want, b->other);
	whole_values(b, b->got, b->image);
	expect_same(kt, b, b->got, b->want, "software's image", mask);
	/* The rules for software are the hardware's; but Bochs writes MXCSR in any case. */
	if (!(b->other->header.xfeatures & XFEATURE_MASK(SSE)))
		memset(&b->other->i387.mxcsr, STATE_POISON, 8);
	expect_saved(kt, b, b->other, b->first, mask);
	expect_saved(kt, b, b->image, b->first, mask);
}

/* @by_both on random states, where the hardware can do what the software models. */
static void try_both_forms(struct ktest_run *kt, unsigned int states,
			   void (*by_both)(struct ktest_run *kt, struct bench *b, int i))
{
	const char *reason;
	struct bench *b;

	NEEDS_XSAVE;
	if (!cpu_has.xsavec && !cpu_has.xsaves)
		KSKIP("this CPU has neither XSAVEC nor XSAVES");
	KEEP_USER_FPU;
	b = bench_start(HARDWARE_SEED);
	reason = probe_hardware(b);
	for (int i = 0; i < STATES && !reason; i++)
		by_both(kt, b, i);
	bench_end(b, HARDWARE_SEED, reason ? 0 : states);
	if (reason)
		KSKIP(reason);
}

/* fails with: copy_extended() stopping before AVX-512 */
KTEST(hardware_and_software_save_alike)
{
	try_both_forms(kt, STATES, save_by_both);
}

static void restore_by_both(struct ktest_run *kt, struct bench *b, int i)
{
	u64 room = random_features(b, b->user) | random_features(b, b->user);
	u64 mask = with_company(b, i % 8 ? random_features(b, b->user) : b->user);

	if (b->by_mask) {
		room = with_company(b, i % 8 ? room : b->user);
		mask = (mask & XFEATURE_MASK_FPSSE) | (room & ~XFEATURE_MASK_FPSSE);
	}
	poison(b, b->image);
	poison(b, b->other);
	registers_lock(b);
	load_random(b, b->first);
	soft_xsaves(b->image, room);
	hardware_save(supervisor_form(i), b->other, room);
	scramble(b);
	KEXPECT_EQ(hardware_restore(supervisor_form(i), b->image, mask), 0);
	if (b->keeps_mxcsr && (mask & ~b->image->header.xfeatures & XFEATURE_MASK(SSE)))
		ldmxcsr(MXCSR_DEFAULT);
	expect_restored(kt, b, b->image, b->first, b->second, mask);
	scramble(b);
	KEXPECT_EQ(soft_xrstors(b->other, mask), 0);
	expect_restored(kt, b, b->other, b->first, b->second, mask);
	registers_unlock(b);
}

/* fails with: soft_xsaves() writing XCOMP_BV without bit 63 */
KTEST(hardware_and_software_restore_each_others_images)
{
	try_both_forms(kt, 3 * STATES, restore_by_both);
}

/* --- As the kernel uses them --- */

static struct fpstate *new_fpstate(void)
{
	struct fpstate *fpstate = kzalloc(sizeof(*fpstate) + fpu_kernel_cfg.max_size, GFP_KERNEL);

	BUG_ON(!fpstate);
	fpstate->size = fpu_kernel_cfg.max_size;
	fpstate->xfeatures = fpu_kernel_cfg.max_features;
	return fpstate;
}

/*
 * Whatever the form: an image says what the registers held, to those who go by XCOMP_BV, and brings
 * it back, but for PKRU. fails with: soft_xrstors() copying x87's part of the legacy area only
 */
KTEST(this_kernels_form_keeps_random_states)
{
	struct fpstate *fpstate;
	struct bench *b;

	NEEDS_XSAVE;
	KEEP_USER_FPU;
	b = bench_start(SAVE_SEED);
	fpstate = new_fpstate();
	for (int i = 0; i < STATES / 4; i++) {
		registers_lock(b);
		load_random(b, b->first);
		save_fpregs_to_fpstate(fpstate);
		whole_values(b, b->got, &fpstate->regs.xsave);
		expect_same(kt, b, b->got, b->first, "the image", fpstate->xfeatures);
		scramble(b);
		restore_fpregs_from_fpstate(fpstate, XFEATURE_MASK_FPSTATE);
		memcpy(b->want, b->first, b->size);
		copy_values(b->want, b->second, b->all & XFEATURE_MASK(PKRU));
		read_registers(b, b->got);
		expect_same(kt, b, b->got, b->want, "the registers", XFEATURE_MASK_FPSTATE);
		registers_unlock(b);
	}
	kfree(fpstate);
	bench_end(b, 0, 0);
}

/* --- Images that are refused --- */

static const char *const spoiled[] = { "XCOMP_BV bit", "XSTATE_BV bit", "reserved byte" };
#define SPOILS		(ARRAY_SIZE(spoiled) * 64)

/* One way of many; false: the @n-th would not be illegal. */
static bool spoil_header(struct xstate_header *header, unsigned int n)
{
	u64 bit = BIT_ULL(n % 64), room = header->xcomp_bv & ~XCOMP_BV_COMPACTED;

	switch (n / 64) {
	case 0:			/* no bit 63, or more than the system has */
		if (bit & xstate_layout.features)
			return false;
		header->xcomp_bv ^= bit;
		return true;
	case 1:			/* more than there is room for */
		if (bit & (room ? room : xstate_layout.features))
			return false;
		header->xfeatures |= bit;
		return true;
	default:
		if (n % 64 >= sizeof(header->reserved))
			return false;
		((u8 *)header->reserved)[n % 64] = 1 << n % 8;
		return true;
	}
}

/* fails with: bad_header() looking at the first 8 reserved bytes only */
KTEST(software_refuses_a_bad_header_and_loads_nothing)
{
	unsigned int tried = 0;
	struct bench *b;
	u64 room;

	NEEDS_XSAVE;
	KEEP_USER_FPU;
	b = bench_start(RESTORE_SEED);
	room = b->user & ~XFEATURE_MASK(YMM);
	for (unsigned int n = 0; n < SPOILS; n++) {
		registers_lock(b);
		load_random(b, b->first);
		poison(b, b->image);
		soft_xsaves(b->image, room);
		scramble(b);
		if (spoil_header(&b->image->header, n)) {
			if (!soft_xrstors(b->image, b->all))
				KFAIL("%s %u: taken", spoiled[n / 64], n % 64);
			read_registers(b, b->got);
			expect_same(kt, b, b->got, b->second, "the registers", b->all);
			tried++;
		}
		registers_unlock(b);
	}
	KEXPECT_GE(tried, 48 + 64 + 64 - 2 * XFEATURE_MAX);
	bench_end(b, 0, 0);
}

/* Not a CPU's laxness but ours? TCG takes any MXCSR. */
static bool cpu_takes_mxcsr(struct bench *b, u32 mxcsr)
{
	b->standard->header = (struct xstate_header){ .xfeatures = XFEATURE_MASK(SSE) };
	b->standard->i387.mxcsr = mxcsr;
	return !xrstor(b->standard, XFEATURE_MASK(SSE));
}

/* fails with: soft_xrstors() ignoring what xrstor() says */
KTEST(software_refuses_what_the_cpu_finds_in_mxcsr)
{
	unsigned int refused = 0;
	struct bench *b;

	NEEDS_XSAVE;
	KEEP_USER_FPU;
	b = bench_start(RESTORE_SEED);
	for (unsigned int bit = 16; bit < 32; bit++) {
		registers_lock(b);
		load_random(b, b->first);
		ldmxcsr(MXCSR_DEFAULT | 0x2000);
		poison(b, b->image);
		soft_xsaves(b->image, b->user);
		b->image->i387.mxcsr |= 1U << bit;
		if (!cpu_takes_mxcsr(b, b->image->i387.mxcsr)) {
			KEXPECT_EQ(soft_xrstors(b->image, b->user), -1);
			KEXPECT_EQ(soft_xrstors(b->image, b->user & ~XFEATURE_MASK(SSE)), 0);
			/* Bytes that XSTATE_BV lacks are nobody's. */
			b->image->header.xfeatures &= ~XFEATURE_MASK(SSE);
			KEXPECT_EQ(soft_xrstors(b->image, b->user), 0);
			KEXPECT_EQ(stmxcsr(), MXCSR_DEFAULT);
			refused++;
		}
		registers_unlock(b);
	}
	bench_end(b, 0, 0);
	if (!refused)
		KSKIP("this CPU takes any MXCSR");
}

/* The form's own restore, as restore_fpregs_from_fpstate() uses it. */
static bool form_refuses(const struct fpstate *fpstate)
{
	const struct xregs_state *image = &fpstate->regs.xsave;

	switch (fpu_form) {
	case FORM_SOFT:
		return soft_xrstors(image, XFEATURE_MASK_FPSTATE);
	case FORM_XSAVES:
		return xrstors(image, XFEATURE_MASK_FPSTATE);
	default:
		return xrstor(image, XFEATURE_MASK_FPSTATE);
	}
}

/* @fpstate's header was spoiled: is it refused, and are the registers initial then? */
static bool try_refused(struct ktest_run *kt, struct bench *b, const struct fpstate *fpstate)
{
	u64 warnings = splat_counts[SPLAT_WARN];

	if (!form_refuses(fpstate))
		return false;
	scramble(b);
	restore_fpregs_from_fpstate(fpstate, XFEATURE_MASK_FPSTATE);
	KEXPECT_EQ(splat_counts[SPLAT_WARN] - warnings, 1);
	initial_values(b, b->want);
	copy_values(b->want, b->second, b->all & ~XFEATURE_MASK_FPSTATE);	/* PKRU */
	read_registers(b, b->got);
	expect_same(kt, b, b->got, b->want, "the registers", XFEATURE_MASK_FPSTATE);
	return true;
}

/*
 * CPUs differ in what they look at; the reserved bytes past the first 8 are nothing to a plain
 * XRSTOR. fails with: restore_fpregs_from_fpstate() trying init_fpstate with XFEATURE_MASK_FPSSE
 */
KTEST(after_any_refusal_the_registers_are_initial)
{
	unsigned int refused = 0;
	struct fpstate *fpstate;
	struct bench *b;
	bool bad;

	NEEDS_XSAVE;
	KMAY_WARN;
	KEEP_USER_FPU;
	b = bench_start(RESTORE_SEED);
	fpstate = new_fpstate();
	fpstate->xfeatures &= ~XFEATURE_MASK(YMM);
	for (unsigned int n = 0; n < SPOILS; n++) {
		registers_lock(b);
		load_random(b, b->first);
		save_fpregs_to_fpstate(fpstate);
		bad = spoil_header(&fpstate->regs.xsave.header, n);
		if (bad && try_refused(kt, b, fpstate))
			refused++;
		else if (bad && fpu_form == FORM_SOFT)
			KFAIL("%s %u: taken", spoiled[n / 64], n % 64);
		fpstate->regs.xsave.header = (struct xstate_header){};
		registers_unlock(b);
	}
	KEXPECT_GE(refused, fpu_compacted() ? 48 : 8);
	kfree(fpstate);
	bench_end(b, 0, 0);
}
