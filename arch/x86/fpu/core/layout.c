// SPDX-License-Identifier: MIT
/* Layouts of XSAVE images (see layout.h). Floor 0: arithmetic only. */
#include "arch/x86/fpu/core/layout.h"
#include "lib/string.h"

static bool overlap(const struct xstate_layout *l, unsigned int a, unsigned int b)
{
	return l->offset[a] < l->offset[b] + l->size[b] && l->offset[b] < l->offset[a] + l->size[a];
}

/* Takes component @nr in, or drops it if its sub-leaf is empty. */
static const char *add_component(struct xstate_layout *l, const struct xstate_cpuid *cpuid,
				 unsigned int nr)
{
	u32 size = cpuid->sub[nr].size, offset = cpuid->sub[nr].offset;
	bool supervisor = cpuid->supervisor & BIT_ULL(nr);
	unsigned int other;

	if (!size) {
		l->dropped |= BIT_ULL(nr);
		return NULL;
	}
	if (supervisor != !!(cpuid->sub[nr].flags & XSTATE_SUPERVISOR))
		return "a component is user's and supervisor's";
	if (size > XSTATE_SIZE_MAX || (!supervisor && offset > XSTATE_SIZE_MAX - size))
		return "a component is too large";
	l->size[nr] = size;
	if (supervisor) {
		l->supervisor |= BIT_ULL(nr);
	} else {
		if (offset < XSAVE_MIN_SIZE)
			return "a component lies in the header";
		l->offset[nr] = offset;
		for_each_xfeature(other, l->features & ~l->supervisor & ~XFEATURE_MASK_FPSSE)
			if (overlap(l, nr, other))
				return "components overlap";
	}
	if (cpuid->sub[nr].flags & XSTATE_ALIGN64)
		l->aligned |= BIT_ULL(nr);
	l->features |= BIT_ULL(nr);
	return NULL;
}

/* XCR0 takes some components only together, AVX-512's only with AVX (SDM vol. 1, 13.3). */
static void drop_incomplete(struct xstate_layout *l)
{
	static const u64 groups[][2] = {	/* if not all of these, none of those */
		{ XFEATURE_MASK_AVX512 | XFEATURE_MASK(YMM), XFEATURE_MASK_AVX512 },
		{ XFEATURE_MASK_XTILE, XFEATURE_MASK_XTILE },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(groups); i++) {
		u64 rest = l->features & groups[i][1];
		unsigned int nr;

		if ((l->features & groups[i][0]) == groups[i][0])
			continue;
		l->dropped |= rest;
		l->features &= ~rest;
		for_each_xfeature(nr, rest)
			l->size[nr] = l->offset[nr] = 0;
	}
}

const char *xstate_layout_init(struct xstate_layout *l, const struct xstate_cpuid *cpuid,
			       u64 wanted)
{
	u64 offered = cpuid->user | cpuid->supervisor;
	const char *wrong = NULL;
	unsigned int nr;

	memset(l, 0, sizeof(*l));
	if ((cpuid->user & XFEATURE_MASK_FPSSE) != XFEATURE_MASK_FPSSE)
		return "x87 or SSE is missing";
	if (cpuid->user & cpuid->supervisor)
		return "a component is user's and supervisor's";
	/* The legacy area, together. */
	l->features = XFEATURE_MASK_FPSSE;
	l->size[XFEATURE_FP] = l->size[XFEATURE_SSE] = XSAVE_HDR_OFFSET;
	for_each_xfeature(nr, wanted & offered & ~XFEATURE_MASK_FPSSE)
		if (!wrong)
			wrong = add_component(l, cpuid, nr);
	drop_incomplete(l);
	if (!wrong && xstate_image_size(l, l->features, true) > XSTATE_SIZE_MAX)
		wrong = "an image is too large";
	return wrong;
}

/* Walk along the compacted format to component @nr, or to the end if @nr is XFEATURE_MAX. */
static u32 compacted_offset(const struct xstate_layout *l, u64 features, unsigned int nr)
{
	u32 at = XSAVE_MIN_SIZE;
	unsigned int i;

	for_each_xfeature(i, features & l->features & ~XFEATURE_MASK_FPSSE) {
		if (i > nr)
			break;
		if (l->aligned & BIT_ULL(i))
			at = ALIGN_UP(at, 64);
		if (i < nr)
			at += l->size[i];
	}
	return at;
}

u32 xstate_image_size(const struct xstate_layout *l, u64 features, bool compacted)
{
	u32 size = XSAVE_MIN_SIZE;
	unsigned int nr;

	if (compacted)
		return compacted_offset(l, features, XFEATURE_MAX);
	for_each_xfeature(nr, features & l->features & ~l->supervisor & ~XFEATURE_MASK_FPSSE)
		size = max(size, l->offset[nr] + l->size[nr]);
	return size;
}

u32 xstate_image_offset(const struct xstate_layout *l, u64 xcomp_bv, unsigned int nr)
{
	if (!(l->features & ~XFEATURE_MASK_FPSSE & BIT_ULL(nr)))
		return 0;
	if (!(xcomp_bv & XCOMP_BV_COMPACTED))
		return l->offset[nr];
	return xcomp_bv & BIT_ULL(nr) ? compacted_offset(l, xcomp_bv, nr) : 0;
}
