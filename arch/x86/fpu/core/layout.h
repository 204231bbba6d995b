/* SPDX-License-Identifier: MIT */
/*
 * Where the components lie in an image: CPUID leaf 0xD's answers to offsets and sizes, for both
 * formats (SDM vol. 1, 13.4). This code knows nothing of the CPU it runs on, so the answers may be
 * made up.
 *
 * Standard: each component has a fixed offset, with holes for those that are off. Compacted: the
 * components that XCOMP_BV names follow each other, some rounded up to 64 bytes first. Offsets
 * differ between vendors, and sizes between emulators, so nothing is hard-coded but the legacy area
 * and the header.
 */
#pragma once

#include "arch/x86/fpu/core/fpu_types.h"

#define XSTATE_SIZE_MAX		(4 * PAGE_SIZE)	/* of any image; AMX takes 11008 bytes */

/* Bits of ECX of sub-leaf i. */
#define XSTATE_SUPERVISOR	BIT(0)
#define XSTATE_ALIGN64		BIT(1)

/* What leaf 0xD says. */
struct xstate_cpuid {
	u64	user, supervisor;		/* offered for XCR0 and XSS */
	struct {
		u32	size, offset, flags;	/* EAX, EBX, ECX of the component's sub-leaf */
	} sub[XFEATURE_MAX];
};

struct xstate_layout {
	u64	features;			/* all there are, supervisor's among them */
	u64	supervisor, aligned;
	u64	dropped;			/* offered, wanted, and not usable */
	u32	size[XFEATURE_MAX];		/* bytes; 0: no such component */
	u32	offset[XFEATURE_MAX];		/* in the standard format; 0 for supervisor state */
};

#define for_each_xfeature(nr, mask)				\
	for ((nr) = 0; (nr) < XFEATURE_MAX; (nr)++)		\
		if ((mask) & BIT_ULL(nr))

/**
 * xstate_layout_init() - lay out those of the components @wanted that @cpuid offers.
 * A component with an empty sub-leaf is dropped, and so is what cannot be without it.
 * Return: NULL, or in words what is wrong with the answers; @l is of no use then.
 */
const char *xstate_layout_init(struct xstate_layout *l, const struct xstate_cpuid *cpuid,
			       u64 wanted);

/* Bytes of an image with room for @features. The standard format has no supervisor state. */
u32 xstate_image_size(const struct xstate_layout *l, u64 features, bool compacted);

/*
 * Offset of component @nr in an image with this XCOMP_BV, which is 0 in the standard format. Return
 * 0 if the component has no place there.
 */
u32 xstate_image_offset(const struct xstate_layout *l, u64 xcomp_bv, unsigned int nr);
