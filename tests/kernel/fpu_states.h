/* SPDX-License-Identifier: MIT */
/*
 * Random states of all components of this CPU: in the registers, in images of either format, and as
 * values that can be compared.
 *
 * A state's values stand in a "whole" image: compacted, with room for all that the system has, each
 * component written out even if it is in its initial state. What a CPU may save either way (the
 * last x87 instruction's address, what fills a slot up) is 0 there.
 */
#pragma once

#include "lib/printk.h"
#include "tests/kernel/fpu_regs.h"
#include "tests/kernel/random.h"

/* In images before they are saved to. Not what fpu_poison= uses. */
#define STATE_POISON	0x9c

struct bench {
	u64 seed, digest;	/* the digest is of all states so far */
	u64 user, all;		/* the CPU's components; and PASID, where that is modelled */
	/* What the CPU gets wrong: probe_xrstor(), probe_compacted(). */
	u64 along[XFEATURE_MAX];
	bool by_mask, keeps_mxcsr;
	u32 size;		/* of each buffer: of either format's largest image, and more */
	struct xregs_state *standard, *first, *second, *image, *other, *want, *got;
	struct xregs_state *lent;	/* the scratch buffer, if this world has none */
};

/*
 * Around what must have the registers for itself. Nothing is gated there, and the CPU has a scratch
 * buffer. KEEP_USER_FPU brings the gate back, too: the task's next restore does.
 */
static inline void registers_lock(struct bench *b)
{
	fpregs_lock();
	xfd_update_state(0);
	if (fpu_form != FORM_SOFT)
		this_cpu_write(xsave_scratch, b->lent);
}

static inline void registers_unlock(struct bench *b)
{
	if (fpu_form != FORM_SOFT)
		this_cpu_write(xsave_scratch, NULL);
	fpregs_unlock();
}

/* --- Images --- */

static inline u8 *state_place(const struct xregs_state *xs, unsigned int nr)
{
	return (u8 *)xs + xstate_image_offset(&xstate_layout, xs->header.xcomp_bv, nr);
}

/* PKRU is 32 bits in a slot of 64. */
static inline u32 state_bytes(unsigned int nr)
{
	return nr == XFEATURE_PKRU ? sizeof(u32) : xstate_layout.size[nr];
}

/* The values of those components that @features names. Both images have room for them. */
static inline void copy_values(struct xregs_state *to, const struct xregs_state *from, u64 features)
{
	unsigned int nr;

	if (features & XFEATURE_MASK(FP)) {
		to->i387.cwd = from->i387.cwd;
		to->i387.swd = from->i387.swd;
		to->i387.twd = from->i387.twd;
		for (int i = 0; i < 8; i++)
			memcpy(to->i387.st_space[i], from->i387.st_space[i], 10);
	}
	if (features & XFEATURE_MASK(SSE)) {
		to->i387.mxcsr = from->i387.mxcsr;
		memcpy(to->i387.xmm_space, from->i387.xmm_space, sizeof(to->i387.xmm_space));
	}
	for_each_xfeature(nr, features & xstate_layout.features & ~XFEATURE_MASK_FPSSE)
		memcpy(state_place(to, nr), state_place(from, nr), state_bytes(nr));
}

/* In the place of those components: 0 where a CPU may save one thing or another. */
static inline void clear_undefined(struct xregs_state *xs, u64 features)
{
	struct fxregs_state *fx = &xs->i387;

	if (features & XFEATURE_MASK(FP)) {
		fx->fop = fx->rip = fx->rdp = 0;
		for (int i = 0; i < 8; i++)
			memset(&fx->st_space[i][10], 0, 6);
	}
	if (features & XFEATURE_MASK(SSE))
		fx->mxcsr_mask = 0;
	if (features & xstate_layout.features & XFEATURE_MASK(PKRU))
		memset(state_place(xs, XFEATURE_PKRU) + 4, 0, 4);
}

static inline void initial_values(struct bench *b, struct xregs_state *whole)
{
	memset(whole, 0, b->size);
	whole->header.xcomp_bv = XCOMP_BV_COMPACTED | xstate_layout.features;
	whole->i387.cwd = FCW_DEFAULT;
	whole->i387.mxcsr = MXCSR_DEFAULT;
}

/* What @xs stands for. MXCSR is there in any case in the standard format. */
static inline void whole_values(struct bench *b, struct xregs_state *whole,
				const struct xregs_state *xs)
{
	initial_values(b, whole);
	copy_values(whole, xs, xs->header.xfeatures & b->all);
	if (!(xs->header.xcomp_bv & XCOMP_BV_COMPACTED))
		whole->i387.mxcsr = xs->i387.mxcsr;
}

static inline void expect_same(struct ktest_run *kt, struct bench *b, const struct xregs_state *got,
			       const struct xregs_state *want, const char *what, u64 mask)
{
	const u8 *x = (const u8 *)got, *y = (const u8 *)want;
	u32 i = 0;

	if (!memcmp(got, want, b->size))
		return;
	while (x[i] == y[i])
		i++;
	KFAIL("%s, mask %#llx: byte %u is %#x, expected %#x", what, mask, i, x[i], y[i]);
}

/* --- Registers --- */

/* Some of @of. Tiles go in pairs: their data is void without their shape. */
static inline u64 random_features(struct bench *b, u64 of)
{
	u64 features = next_random64(&b->seed) & of;

	if ((features & XFEATURE_MASK_XTILE) != XFEATURE_MASK_XTILE)
		features &= ~XFEATURE_MASK_XTILE;
	return features;
}

/* And those that this CPU can only initialise together with them. */
static inline u64 with_company(struct bench *b, u64 features)
{
	unsigned int nr;

	for_each_xfeature(nr, features)
		features |= b->along[nr];
	return features;
}

/* Eight tiles of 16 rows of 64 bytes, palette 1: each byte of the data counts (SDM, TILECFG). */
static inline void set_tile_shape(u8 *config)
{
	memset(config, 0, 64);
	config[0] = 1;
	for (int i = 0; i < 8; i++) {
		config[16 + 2 * i] = 64;
		config[48 + i] = 16;
	}
}

/*
 * A random state in which @features are in use goes to the registers, by a plain XRSTOR, and its
 * values to @whole. All exceptions are masked in x87; DAZ is not for every CPU; PKRU's key 0 stays
 * open, for Bochs obeys it in the kernel's own pages, too.
 */
static inline void load_state(struct bench *b, struct xregs_state *whole, u64 features)
{
	struct xregs_state *xs = b->standard;
	struct fxregs_state *fx = &xs->i387;
	u64 *words = (u64 *)xs;

	for (u32 i = 0; i < b->size / 8; i++)
		words[i] = next_random64(&b->seed);
	fx->cwd = (fx->cwd & 0xc00) | 0x37f;
	fx->swd &= 0x7f7f;
	fx->twd &= 0xff;
	fx->fop = fx->rip = fx->rdp = 0;
	fx->mxcsr &= 0xffbf;
	for (int i = 0; i < 8; i++)
		memset(&fx->st_space[i][10], 0, 6);
	xs->header = (struct xstate_header){ .xfeatures = features };
	if (b->user & XFEATURE_MASK(XTILE_CFG))
		set_tile_shape(state_place(xs, XFEATURE_XTILE_CFG));
	if (b->user & XFEATURE_MASK(PKRU)) {
		memset(state_place(xs, XFEATURE_PKRU) + 4, 0, 4);
		*state_place(xs, XFEATURE_PKRU) &= ~3;
	}
	BUG_ON(xrstor(xs, b->user));
	whole_values(b, whole, xs);
	if (b->all & XFEATURE_MASK(PASID)) {
		u64 pasid = next_random64(&b->seed) & (0 - (b->seed & 1));

		write_pasid(pasid);
		memcpy(state_place(whole, XFEATURE_PASID), &pasid, sizeof(pasid));
	}
	words = (u64 *)whole;
	for (u32 i = 0; i < b->size / 8; i++)
		b->digest = (b->digest ^ words[i]) * 0x100000001b3;
}

static inline void load_random(struct bench *b, struct xregs_state *whole)
{
	load_state(b, whole, random_features(b, b->user));
}

static inline void read_registers(struct bench *b, struct xregs_state *whole)
{
	b->standard->header = (struct xstate_header){};
	xsave(b->standard, b->user);
	whole_values(b, whole, b->standard);
	if (b->all & XFEATURE_MASK(PASID)) {
		u64 pasid = read_pasid();

		memcpy(state_place(whole, XFEATURE_PASID), &pasid, sizeof(pasid));
	}
}

/*
 * Another state for the registers, and for the scratch buffer: what a restore brings then came from
 * its image.
 */
static inline void scramble(struct bench *b)
{
	load_random(b, b->second);
	soft_xsaves(b->got, b->all);
}

/* --- What the CPU itself gets wrong --- */

static inline bool component_differs(struct bench *b, const struct xregs_state *x,
				     const struct xregs_state *y, unsigned int nr)
{
	memcpy(b->want, x, b->size);
	copy_values(b->want, y, BIT_ULL(nr));
	return memcmp(b->want, x, b->size);
}

static inline void leave_out(struct bench *b, unsigned int nr)
{
	u64 features = BIT_ULL(nr);

	if (features & XFEATURE_MASK_XTILE)
		features = XFEATURE_MASK_XTILE;
	b->user &= ~features;
	b->all &= ~features;
}

/*
 * Emulators' own XRSTOR loads and initialises too much or too little. (Bochs: ZMM_Hi256 is cleared
 * with AVX; of the tiles, only the first.) What goes with another component is restored with it
 * here, and what does not work is left out: the CPU is not what is tested.
 */
static inline void probe_xrstor(struct bench *b)
{
	struct xregs_state *initial = b->second;
	unsigned int nr, other;

	initial_values(b, initial);
	load_state(b, b->first, b->user);
	read_registers(b, b->got);
	for_each_xfeature(nr, b->user)
		if (component_differs(b, b->got, b->first, nr))
			leave_out(b, nr);
	for_each_xfeature(nr, b->user) {
		load_state(b, b->first, b->user);
		b->standard->header = (struct xstate_header){};
		b->standard->i387.mxcsr = nr == XFEATURE_SSE ? MXCSR_DEFAULT : b->first->i387.mxcsr;
		BUG_ON(xrstor(b->standard, BIT_ULL(nr)));
		read_registers(b, b->got);
		if (component_differs(b, b->got, initial, nr))
			leave_out(b, nr);
		for_each_xfeature(other, b->user & ~BIT_ULL(nr))
			if (component_differs(b, b->got, b->first, other))
				b->along[nr] |= BIT_ULL(other);
	}
}

/* XSAVES and XRSTORS, or XSAVEC and XRSTOR of a compacted image. */
static inline void hardware_save(bool supervisor, struct xregs_state *image, u64 mask)
{
	if (supervisor)
		xsaves(image, mask);
	else
		xsavec(image, mask);
}

static inline int hardware_restore(bool supervisor, const struct xregs_state *image, u64 mask)
{
	return supervisor ? xrstors(image, mask) : xrstor(image, mask);
}

/*
 * The same for compacted images. Bochs 2.7 saves from byte 160 on, over the header; any Bochs
 * restores from where components would be if @mask were XCOMP_BV; and 3.0 leaves MXCSR as it was
 * when SSE is initialised.
 * Return: NULL, or why nothing can be learnt from this CPU.
 */
static inline const char *probe_compacted(struct bench *b, bool supervisor)
{
	const u64 last = XFEATURE_MASK(ZMM_Hi256), both = last | XFEATURE_MASK(YMM);
	u8 *reserved = b->image->i387.sw_reserved;

	memset(b->image, 0, b->size);
	load_state(b, b->first, b->user);
	hardware_save(supervisor, b->image, (XFEATURE_MASK(SSE) | both) & b->user);
	if (memchr_inv(reserved, 0, sizeof(b->image->i387.sw_reserved)))
		return "this CPU's XSAVEC writes where bytes are software's";
	if ((b->user & both) == both) {
		soft_xsaves(b->image, both);
		load_state(b, b->second, b->user);
		hardware_restore(supervisor, b->image, last);
		read_registers(b, b->got);
		if (component_differs(b, b->got, b->first, XFEATURE_ZMM_Hi256))
			b->by_mask = true;
	}
	soft_xsaves(b->image, XFEATURE_MASK(SSE));
	b->image->header.xfeatures = 0;
	ldmxcsr(MXCSR_DEFAULT | 0x2000);
	hardware_restore(supervisor, b->image, XFEATURE_MASK(SSE));
	if (stmxcsr() != MXCSR_DEFAULT)
		b->keeps_mxcsr = true;
	return NULL;
}

static inline struct bench *bench_start(u64 seed)
{
	struct bench *b = kzalloc(sizeof(*b), GFP_KERNEL);
	struct xregs_state **buffers[] = {
		&b->standard, &b->first, &b->second, &b->image, &b->other, &b->want, &b->got,
		&b->lent,
	};

	BUG_ON(!b);
	b->seed = (seed ^ ktest_seed) | 1;	/* other states with each "seed=" */
	b->digest = 0xcbf29ce484222325;
	b->user = b->all = fpu_user_cfg.max_features;
	if (fpu_form == FORM_SOFT)
		b->all |= xstate_layout.supervisor;
	b->size = max(fpu_user_cfg.max_size,
		      xstate_image_size(&xstate_layout, xstate_layout.features, true));
	b->size = ALIGN_UP(b->size, 64) + 64;
	for (size_t i = 0; i < ARRAY_SIZE(buffers); i++) {
		*buffers[i] = kzalloc(b->size, GFP_KERNEL);
		BUG_ON(!*buffers[i]);
	}
	registers_lock(b);
	probe_xrstor(b);
	registers_unlock(b);
	return b;
}

/* @states: how many there were; with the digest it shows that they were there. */
static inline void bench_end(struct bench *b, u64 seed, unsigned int states)
{
	struct xregs_state *buffers[] = {
		b->standard, b->first, b->second, b->image, b->other, b->want, b->got, b->lent,
	};

	if (states)
		pr_plain("  # seed %#llx, %u states of features %#llx, digest %#llx",
			 (seed ^ ktest_seed) | 1, states,
			 b->all, b->digest);
	for (size_t i = 0; i < ARRAY_SIZE(buffers); i++)
		kfree(buffers[i]);
	kfree(b);
}

/* --- What a save and a restore must do --- */

/* XSAVES writes two words of the header, and the reserved ones must be zero when it is read. */
static inline void poison(struct bench *b, struct xregs_state *image)
{
	memset(image, STATE_POISON, b->size);
	memset(image->header.reserved, 0, sizeof(image->header.reserved));
}

/*
 * @image was poisoned, and then @mask of the registers saved to it: it has their values, by
 * XSTATE_BV or because they are initial, and nothing else was written.
 */
static inline void expect_saved(struct ktest_run *kt, struct bench *b, struct xregs_state *image,
				const struct xregs_state *values, u64 mask)
{
	u64 present = image->header.xfeatures;

	KEXPECT_EQ(image->header.xcomp_bv, XCOMP_BV_COMPACTED | mask);
	KEXPECT_EQ(present & ~mask, 0);
	if (image->header.xcomp_bv != (XCOMP_BV_COMPACTED | mask) || (present & ~mask))
		return;
	poison(b, b->want);
	b->want->header.xfeatures = present;
	b->want->header.xcomp_bv = XCOMP_BV_COMPACTED | mask;
	copy_values(b->want, values, present);
	clear_undefined(b->want, present);
	clear_undefined(image, present);
	expect_same(kt, b, image, b->want, "the image", mask);

	initial_values(b, b->want);
	copy_values(b->want, values, mask);
	whole_values(b, b->got, image);
	expect_same(kt, b, b->got, b->want, "what the image says", mask);
}

/*
 * The registers held @scrambled when @mask of @image was restored; the values of what the image has
 * are @saved's.
 */
static inline void expect_restored(struct ktest_run *kt, struct bench *b,
				   const struct xregs_state *image,
				   const struct xregs_state *saved,
				   const struct xregs_state *scrambled, u64 mask)
{
	initial_values(b, b->want);
	copy_values(b->want, scrambled, b->all & ~mask);
	copy_values(b->want, saved, mask & image->header.xfeatures);
	read_registers(b, b->got);
	expect_same(kt, b, b->got, b->want, "the registers", mask);
}
