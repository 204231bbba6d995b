/* SPDX-License-Identifier: MIT */
/*
 * Where components lie, from made-up answers of CPUID: numbers that real machines gave, every set
 * of components up to APX, and answers that make no sense.
 */
#include "arch/x86/fpu/core/layout.h"
#include "kernel/splat/ktest.h"
#include "lib/string.h"
#include "tests/kernel/random.h"

KTEST_SUITE(xstate_layout);

/* --- Answers --- */

/*
 * Sizes are the same everywhere; places are not. Intel's leave a hole where MPX was, and APX has
 * moved into it: there the order of the numbers is not the order of the places. 0: it has none.
 */
enum vendor { INTEL, AMD };
static const struct {
	u32 size, flags, place[2];
} component[XFEATURE_MAX] = {
	[XFEATURE_YMM] = { 256, 0, { 576, 576 } },
	[XFEATURE_BNDREGS] = { 64, 0, { 960, 0 } },
	[XFEATURE_BNDCSR] = { 64, 0, { 1024, 0 } },
	[XFEATURE_OPMASK] = { 64, 0, { 1088, 832 } },
	[XFEATURE_ZMM_Hi256] = { 512, 0, { 1152, 896 } },
	[XFEATURE_Hi16_ZMM] = { 1024, 0, { 1664, 1408 } },
	[XFEATURE_PKRU] = { 8, 0, { 2688, 2432 } },
	[XFEATURE_PASID] = { 8, XSTATE_SUPERVISOR, {} },
	[XFEATURE_CET_USER] = { 16, XSTATE_SUPERVISOR, {} },
	[XFEATURE_XTILE_CFG] = { 64, XSTATE_ALIGN64, { 2752, 0 } },
	[XFEATURE_XTILE_DATA] = { 8192, XSTATE_ALIGN64, { 2816, 0 } },
	[XFEATURE_APX] = { 128, 0, { 960, 0 } },
};

#define AVX		XFEATURE_MASK(YMM)
#define AVX512		(AVX | XFEATURE_MASK_AVX512)
#define PKRU		XFEATURE_MASK(PKRU)
#define CET		XFEATURE_MASK(CET_USER)
#define PASID		XFEATURE_MASK(PASID)
#define TILES		XFEATURE_MASK_XTILE
#define APX		XFEATURE_MASK(APX)
#define MPX		(XFEATURE_MASK(BNDREGS) | XFEATURE_MASK(BNDCSR))
#define ALL		(AVX512 | PKRU | PASID | CET | TILES | APX)
#define COMPACTED(set)	(XCOMP_BV_COMPACTED | (set))

static void answer(struct xstate_cpuid *c, enum vendor vendor, u64 features)
{
	unsigned int nr;

	memset(c, 0, sizeof(*c));
	c->user = XFEATURE_MASK_FPSSE;
	for_each_xfeature(nr, features) {
		bool supervisor = component[nr].flags & XSTATE_SUPERVISOR;

		if (!supervisor && !component[nr].place[vendor])
			continue;
		*(supervisor ? &c->supervisor : &c->user) |= BIT_ULL(nr);
		c->sub[nr].size = component[nr].size;
		c->sub[nr].offset = component[nr].place[vendor];
		c->sub[nr].flags = component[nr].flags;
	}
}

static void lay_out(struct ktest_run *kt, struct xstate_layout *l, enum vendor vendor, u64 features)
{
	struct xstate_cpuid c;
	const char *wrong;

	answer(&c, vendor, features);
	wrong = xstate_layout_init(l, &c, -1ULL);
	if (wrong)
		KFAIL("features %#llx: %s", features, wrong);
	KEXPECT_EQ(l->features, features | XFEATURE_MASK_FPSSE);
	KEXPECT_EQ(l->dropped, 0);
}

/* --- Known numbers --- */

/* fails with: compacted_offset() without ALIGN_UP() */
KTEST(compacted_images_have_the_known_sizes)
{
	static const struct {
		u64 features;
		u32 total, nr, offset;
	} known[] = {
		{ 0, 576, 0, 0 },
		{ AVX, 832, XFEATURE_YMM, 576 },
		{ AVX | PKRU, 840, XFEATURE_PKRU, 832 },
		{ AVX512, 2432, XFEATURE_OPMASK, 832 },
		{ AVX512, 2432, XFEATURE_ZMM_Hi256, 896 },
		{ AVX512, 2432, XFEATURE_Hi16_ZMM, 1408 },
		{ AVX512 | PKRU, 2440, XFEATURE_PKRU, 2432 },
		{ AVX512 | PKRU | CET, 2456, XFEATURE_CET_USER, 2440 },
		{ AVX512 | PKRU | TILES, 10752, XFEATURE_XTILE_CFG, 2496 },
		{ AVX512 | PKRU | TILES, 10752, XFEATURE_XTILE_DATA, 2560 },
		{ AVX512 | PKRU | TILES | APX, 10880, XFEATURE_APX, 10752 },
		{ PKRU, 584, XFEATURE_PKRU, 576 },
		{ PASID, 584, XFEATURE_PASID, 576 },
	};
	struct xstate_layout l;

	lay_out(kt, &l, INTEL, ALL);
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		u64 set = known[i].features | XFEATURE_MASK_FPSSE;

		KEXPECT_EQ(xstate_image_size(&l, set, true), known[i].total);
		KEXPECT_EQ(xstate_image_offset(&l, COMPACTED(set), known[i].nr), known[i].offset);
	}
}

/* fails with: xstate_image_size() adding sizes up, as if there were no holes */
KTEST(standard_places_are_the_vendors)
{
	struct xstate_layout intel, amd;
	unsigned int nr;

	lay_out(kt, &intel, INTEL, ALL);
	lay_out(kt, &amd, AMD, AVX512 | PKRU | PASID | CET);
	for_each_xfeature(nr, ALL) {
		KEXPECT_EQ(xstate_image_offset(&intel, 0, nr), component[nr].place[INTEL]);
		KEXPECT_EQ(xstate_image_offset(&amd, 0, nr), component[nr].place[AMD]);
	}
	KEXPECT_EQ(xstate_image_size(&intel, AVX, false), 832);
	KEXPECT_EQ(xstate_image_size(&intel, AVX512, false), 2688);
	KEXPECT_EQ(xstate_image_size(&intel, PKRU, false), 2696);
	KEXPECT_EQ(xstate_image_size(&intel, APX, false), 1088);
	KEXPECT_EQ(xstate_image_size(&intel, ALL, false), 11008);
	KEXPECT_EQ(xstate_image_size(&amd, AVX, false), 832);
	KEXPECT_EQ(xstate_image_size(&amd, AVX512, false), 2432);
	KEXPECT_EQ(xstate_image_size(&amd, PKRU, false), 2440);
}

/*
 * Two releases of one emulator answer differently for the same model: both are to be believed.
 * fails with: add_component() taking @nr > 16 as aligned
 */
KTEST(the_align_bit_is_cpuids)
{
	static const unsigned int tiles[] = { XFEATURE_XTILE_CFG, XFEATURE_XTILE_DATA };
	u64 set = COMPACTED(AVX512 | PKRU | TILES);
	struct xstate_layout l;
	struct xstate_cpuid c;

	answer(&c, INTEL, set);
	for (size_t i = 0; i < ARRAY_SIZE(tiles); i++)
		c.sub[tiles[i]].flags = 0;
	KEXPECT_EQ(xstate_layout_init(&l, &c, set), NULL);
	KEXPECT_EQ(xstate_image_offset(&l, set, XFEATURE_XTILE_CFG), 2440);
	KEXPECT_EQ(xstate_image_offset(&l, set, XFEATURE_XTILE_DATA), 2504);
	KEXPECT_EQ(xstate_image_size(&l, set, true), 10696);
	KEXPECT_EQ(xstate_image_size(&l, set, false), 11008);
}

/* --- What holds for every image --- */

/* NULL, or what is wrong with a compacted image that has room for @set. */
static const char *compacted_wrong(const struct xstate_layout *l, u64 set)
{
	u64 room = set & l->features & ~XFEATURE_MASK_FPSSE;
	u32 size = xstate_image_size(l, set, true), end = XSAVE_MIN_SIZE;

	for (unsigned int nr = 0; nr < XFEATURE_MAX; nr++) {
		u32 at = xstate_image_offset(l, COMPACTED(set), nr);
		u32 pad = l->aligned & BIT_ULL(nr) ? -end % 64 : 0;

		if (!(room & BIT_ULL(nr))) {
			if (at)
				return "a place without room";
			continue;
		}
		if (at != end + pad)
			return "not behind the one before";
		end = at + l->size[nr];
		if (xstate_image_size(l, set & ~BIT_ULL(nr), true) > size)
			return "larger without a component";
	}
	return size != end ? "not the size" : NULL;
}

/* The same of the standard format: places do not depend on @set, nor follow the numbers. */
static const char *standard_wrong(const struct xstate_layout *l, u64 set)
{
	u64 placed = l->features & ~l->supervisor & ~XFEATURE_MASK_FPSSE;
	u32 size = xstate_image_size(l, set, false), largest = XSAVE_MIN_SIZE;
	unsigned int a, b;

	for (a = 0; a < XFEATURE_MAX; a++) {
		u32 at = xstate_image_offset(l, set & ~XCOMP_BV_COMPACTED, a);

		if (!(placed & BIT_ULL(a))) {
			if (at)
				return "a place in the standard format that is not there";
			continue;
		}
		if (at < XSAVE_MIN_SIZE)
			return "a place in the header";
		if (set & BIT_ULL(a))
			largest = max(largest, at + l->size[a]);
		for_each_xfeature(b, placed & (BIT_ULL(a) - 1))
			if (at < l->offset[b] ? l->offset[b] - at < l->size[a]
					      : at - l->offset[b] < l->size[b])
				return "two components in one place";
		if (xstate_image_size(l, set & ~BIT_ULL(a), false) > size)
			return "larger without a component";
	}
	return size != largest ? "not the size, in the standard format" : NULL;
}

static void expect_images(struct ktest_run *kt, const struct xstate_layout *l, u64 set)
{
	const char *wrong = compacted_wrong(l, set);

	if (!wrong)
		wrong = standard_wrong(l, set);
	if (wrong)
		KFAIL("features %#llx, image %#llx: %s", l->features, set, wrong);
}

/* The subset of @of that @index numbers. */
static u64 subset(u64 of, unsigned int index)
{
	u64 set = 0;
	unsigned int nr;

	for_each_xfeature(nr, of) {
		if (index & 1)
			set |= BIT_ULL(nr);
		index >>= 1;
	}
	return set;
}

/* fails with: xstate_image_offset() using l->features in place of XCOMP_BV */
KTEST(in_every_image_components_lie_apart)
{
	struct xstate_layout l;

	for (unsigned int align = 0; align < 2; align++) {
		lay_out(kt, &l, INTEL, ALL);
		if (!align)
			l.aligned = 0;
		for (unsigned int i = 0; i < 1 << 10; i++)
			expect_images(kt, &l, subset(ALL, i));
	}
}

/* What XCR0 could be set to, of those that are @wanted. */
static u64 whole_groups(u64 wanted)
{
	if ((wanted & AVX512) != AVX512)
		wanted &= ~XFEATURE_MASK_AVX512;
	if ((wanted & TILES) != TILES)
		wanted &= ~TILES;
	return wanted;
}

/* fails with: drop_incomplete() looking at the first of its groups only */
KTEST(any_set_can_be_wanted_but_groups_come_whole)
{
	struct xstate_layout l;
	struct xstate_cpuid c;

	answer(&c, INTEL, ALL);
	for (unsigned int i = 0; i < 1 << 10; i++) {
		u64 wanted = subset(ALL, i), usable = whole_groups(wanted);

		KEXPECT_EQ(xstate_layout_init(&l, &c, wanted), NULL);
		KEXPECT_EQ(l.features, usable | XFEATURE_MASK_FPSSE);
		KEXPECT_EQ(l.dropped, wanted & ~usable);
		expect_images(kt, &l, ALL);
	}
}

/* --- Rules of the two formats --- */

/* fails with: xstate_layout_init() giving supervisor components their sub-leaf's offset */
KTEST(supervisor_state_has_no_standard_place)
{
	struct xstate_layout l;
	struct xstate_cpuid c;

	answer(&c, AMD, AVX | CET);
	c.sub[XFEATURE_CET_USER].offset = 700;		/* nonsense, and inside of AVX */
	KEXPECT_EQ(xstate_layout_init(&l, &c, AVX | CET), NULL);
	KEXPECT_EQ(l.supervisor, CET);
	KEXPECT_EQ(xstate_image_offset(&l, AVX | CET, XFEATURE_CET_USER), 0);
	KEXPECT_EQ(xstate_image_size(&l, AVX | CET, false), 832);
	KEXPECT_EQ(xstate_image_offset(&l, COMPACTED(AVX | CET), XFEATURE_CET_USER), 832);
}

/* fails with: xstate_image_offset() without its test of XCOMP_BV_COMPACTED */
KTEST(bit_63_of_xcomp_bv_says_which_format)
{
	struct xstate_layout l;

	lay_out(kt, &l, INTEL, ALL);
	KEXPECT_EQ(xstate_image_offset(&l, 0, XFEATURE_PKRU), 2688);
	KEXPECT_EQ(xstate_image_offset(&l, AVX | PKRU, XFEATURE_PKRU), 2688);
	KEXPECT_EQ(xstate_image_offset(&l, COMPACTED(AVX | PKRU), XFEATURE_PKRU), 832);
	KEXPECT_EQ(xstate_image_offset(&l, COMPACTED(AVX), XFEATURE_PKRU), 0);
	/* Bits of what is not there take no room. */
	KEXPECT_EQ(xstate_image_offset(&l, COMPACTED(-1ULL), XFEATURE_OPMASK), 832);
	KEXPECT_EQ(xstate_image_offset(&l, COMPACTED(-1ULL), XFEATURE_SSE), 0);
	KEXPECT_EQ(xstate_image_offset(&l, COMPACTED(-1ULL), XFEATURE_LBR), 0);
}

/* --- What is left out --- */

/* fails with: add_component() noting in l->dropped nothing but user components */
KTEST(an_empty_sub_leaf_is_dropped_and_noted)
{
	unsigned int nr;

	for_each_xfeature(nr, ALL) {
		u64 gone = ALL & ~whole_groups(ALL & ~BIT_ULL(nr));
		struct xstate_layout l;
		struct xstate_cpuid c;

		answer(&c, INTEL, ALL);
		c.sub[nr].size = c.sub[nr].offset = c.sub[nr].flags = 0;
		KEXPECT_EQ(xstate_layout_init(&l, &c, ALL), NULL);
		KEXPECT_EQ(l.dropped, gone);
		KEXPECT_EQ(l.features, (ALL & ~gone) | XFEATURE_MASK_FPSSE);
		for (unsigned int i = 0; i < XFEATURE_MAX; i++)
			KEXPECT_EQ(!!l.size[i], !!(l.features & BIT_ULL(i)));
	}
}

/* fails with: xstate_layout_init() looking at all that is offered */
KTEST(what_nobody_wants_is_not_looked_at)
{
	struct xstate_layout l;
	struct xstate_cpuid c;

	answer(&c, INTEL, ALL & ~APX);
	/* MPX where AVX is, and a component that nobody knows, of 4 GiB at 4 GiB. */
	c.user |= MPX | BIT_ULL(14) | BIT_ULL(62);
	c.sub[XFEATURE_BNDREGS].size = c.sub[XFEATURE_BNDCSR].size = 64;
	c.sub[XFEATURE_BNDREGS].offset = c.sub[XFEATURE_BNDCSR].offset = 600;
	c.sub[14].size = c.sub[14].offset = c.sub[14].flags = -1;
	KEXPECT_EQ(xstate_layout_init(&l, &c, ALL), NULL);
	KEXPECT_EQ(l.features, (ALL & ~APX) | XFEATURE_MASK_FPSSE);
	KEXPECT_EQ(l.dropped, 0);
	KEXPECT_EQ(xstate_image_offset(&l, 0, XFEATURE_BNDREGS), 0);
	expect_images(kt, &l, -1ULL);
}

/* --- Nonsense --- */

struct guarded {
	u64 before[8];
	struct xstate_layout l;
	u64 after[8];
};

#define GUARD 0xa5

static const char *lay_out_guarded(struct ktest_run *kt, struct guarded *g,
				   const struct xstate_cpuid *c, u64 wanted)
{
	const char *wrong;

	memset(g, GUARD, sizeof(*g));
	wrong = xstate_layout_init(&g->l, c, wanted);
	KEXPECT(!memchr_inv(g->before, GUARD, sizeof(g->before)));
	KEXPECT(!memchr_inv(g->after, GUARD, sizeof(g->after)));
	return wrong;
}

#define MAX_SIZE XSTATE_SIZE_MAX
static const struct lie {
	u32 nr, size, offset, flags;
	bool fits;			/* no lie: the last that is right */
} lies[] = {
	/* One in another, from below, from above, inside, around, and side by side. */
	{ XFEATURE_OPMASK, 64, 831, 0, false },
	{ XFEATURE_OPMASK, 8, 1700, 0, false },
	{ XFEATURE_OPMASK, 4096, 600, 0, false },
	{ XFEATURE_OPMASK, 64, 1664, 0, false },
	{ XFEATURE_OPMASK, 64, 832, 0, true },
	{ XFEATURE_APX, 129, 960, 0, false },
	{ XFEATURE_XTILE_DATA, 8192, 2815, 0, false },
	/* In the legacy area or the header. */
	{ XFEATURE_YMM, 256, 0, 0, false },
	{ XFEATURE_YMM, 256, 575, 0, false },
	{ XFEATURE_YMM, 256, 576, 0, true },
	/* Too large, and sums that do not fit in 32 bits. */
	{ XFEATURE_APX, MAX_SIZE - 11008, 11008, 0, true },
	{ XFEATURE_APX, MAX_SIZE - 11007, 11008, 0, false },
	{ XFEATURE_APX, 128, MAX_SIZE - 127, 0, false },
	{ XFEATURE_APX, MAX_SIZE + 1, 11008, 0, false },
	{ XFEATURE_APX, 0xffffffff, 11008, 0, false },
	{ XFEATURE_APX, 128, 0xffffff80, 0, false },
	{ XFEATURE_APX, 128, 0x80000000, 0, false },
	{ XFEATURE_PASID, 0xffffffff, 0, XSTATE_SUPERVISOR, false },
	{ XFEATURE_PASID, MAX_SIZE + 1, 0, XSTATE_SUPERVISOR, false },
	{ XFEATURE_PASID, MAX_SIZE - 10000, 0, XSTATE_SUPERVISOR, false },	/* with others */
	/* Whose is it? The masks say otherwise. */
	{ XFEATURE_PASID, 8, 0, 0, false },
	{ XFEATURE_PASID, 8, 11008, 0, false },
	{ XFEATURE_PKRU, 8, 2688, XSTATE_SUPERVISOR, false },
};

/* fails with: add_component() asking if offset + size is too large: a sum that can wrap */
KTEST(nonsense_is_refused_in_words)
{
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		const struct lie *lie = &lies[i];
		struct xstate_cpuid c;
		const char *wrong;
		struct guarded g;

		answer(&c, INTEL, ALL);
		c.sub[lie->nr].size = lie->size;
		c.sub[lie->nr].offset = lie->offset;
		c.sub[lie->nr].flags = lie->flags;
		wrong = lay_out_guarded(kt, &g, &c, ALL);
		if (!wrong != lie->fits)
			KFAIL("component %u, %#x bytes at %#x, flags %u: %s", lie->nr, lie->size,
			      lie->offset, lie->flags, wrong ? wrong : "taken");
		if (!wrong)
			expect_images(kt, &g.l, ALL);
	}
}

/* fails with: xstate_layout_init() asking only if x87 is there */
KTEST(masks_that_make_no_sense_are_refused_in_words)
{
	static const struct {
		u64 user, supervisor;
	} masks[] = {
		{ 0, 0 },
		{ XFEATURE_MASK(FP) | AVX, 0 },
		{ XFEATURE_MASK(SSE) | AVX, 0 },
		{ AVX, XFEATURE_MASK_FPSSE },
		{ XFEATURE_MASK_FPSSE, XFEATURE_MASK(SSE) },
		{ XFEATURE_MASK_FPSSE | AVX, AVX },
		{ -1ULL, -1ULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(masks); i++) {
		struct xstate_cpuid c;
		struct guarded g;

		answer(&c, INTEL, ALL);
		c.user = masks[i].user;
		c.supervisor = masks[i].supervisor;
		if (!lay_out_guarded(kt, &g, &c, ALL))
			KFAIL("taken: user %#llx, supervisor %#llx", c.user, c.supervisor);
	}
}

/* One of the numbers becomes another, at some limit. */
static void spoil(struct xstate_cpuid *c, u64 *seed)
{
	static const u32 limits[] = {
		0, 1, 2, 8, 64, 575, 576, 577, 831, 832, 960, 2688, 4096, 10000, 11008,
		MAX_SIZE - 1, MAX_SIZE, MAX_SIZE + 1, 0x7fffffff, 0x80000000, 0xfffffe00, -1U,
	};
	u32 nr = next_random(seed) % XFEATURE_MAX, what = next_random(seed) % 5;
	u32 *numbers[] = { &c->sub[nr].size, &c->sub[nr].offset, &c->sub[nr].flags };

	if (what < 3)
		*numbers[what] = limits[next_random(seed) % ARRAY_SIZE(limits)];
	else
		*(what == 3 ? &c->user : &c->supervisor) ^= BIT_ULL(nr);
}

/* Refused, or right in all that images need. fails with: add_component() without overlap() */
KTEST(random_answers_are_refused_or_right)
{
	unsigned int taken = 0, rounds = 3000;
	u64 seed = 0x5eed1a404ULL ^ ktest_seed;
	struct xstate_cpuid c;
	struct guarded g;

	for (unsigned int i = 0; i < rounds; i++) {
		u64 wanted = next_random64(&seed);

		answer(&c, next_random(&seed) % 2, next_random(&seed) & (ALL | MPX));
		for (u32 n = next_random(&seed) % 4; n; n--)
			spoil(&c, &seed);
		if (lay_out_guarded(kt, &g, &c, wanted))
			continue;
		taken++;
		KEXPECT_EQ(g.l.features & ~(wanted | XFEATURE_MASK_FPSSE), 0);
		KEXPECT_EQ(g.l.features & ~(c.user | c.supervisor), 0);
		KEXPECT_EQ(g.l.features & g.l.dropped, 0);
		KEXPECT_GE(MAX_SIZE, xstate_image_size(&g.l, -1ULL, true));
		KEXPECT_GE(MAX_SIZE, xstate_image_size(&g.l, -1ULL, false));
		expect_images(kt, &g.l, next_random(&seed));
		expect_images(kt, &g.l, -1ULL);
	}
	/* Neither side is empty. */
	KEXPECT_GE(taken, rounds / 10);
	KEXPECT_GE(rounds - taken, rounds / 10);
}
