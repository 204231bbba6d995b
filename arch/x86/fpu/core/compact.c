// SPDX-License-Identifier: MIT
/* The compacted format in software (see compact.h). Floor 1: never sleeps. */
#include "arch/x86/fpu/core/compact.h"
#include "arch/x86/fpu/core/xsave_insns.h"
#include "arch/x86/fpu/core/xstate.h"
#include "lib/string.h"

void soft_add_components(struct xstate_cpuid *c)
{
	c->supervisor = XFEATURE_MASK(PASID);	/* no other, as no XSAVES could save it */
	c->sub[XFEATURE_PASID].size = sizeof(u64);
	c->sub[XFEATURE_PASID].offset = 0;
	c->sub[XFEATURE_PASID].flags = XSTATE_SUPERVISOR;
}

/* Copy the part of the legacy area that belongs to x87, or to SSE (SDM vol. 1, 13.4.1). */
static void copy_legacy(struct fxregs_state *to, const struct fxregs_state *from, u64 features)
{
	if (features & XFEATURE_MASK(FP)) {
		memcpy(to, from, offsetof(struct fxregs_state, mxcsr));
		memcpy(to->st_space, from->st_space, sizeof(to->st_space));
	}
	if (features & XFEATURE_MASK(SSE)) {
		to->mxcsr = from->mxcsr;
		to->mxcsr_mask = from->mxcsr_mask;
		memcpy(to->xmm_space, from->xmm_space, sizeof(to->xmm_space));
	}
}

/* Copy those components of @from, 2 and up, that @features names. The formats may differ. */
static void copy_extended(struct xregs_state *to, const struct xregs_state *from, u64 features)
{
	unsigned int nr;

	for_each_xfeature(nr, features & ~XFEATURE_MASK_FPSSE)
		memcpy((u8 *)to + xstate_image_offset(&xstate_layout, to->header.xcomp_bv, nr),
		       (u8 *)from + xstate_image_offset(&xstate_layout, from->header.xcomp_bv, nr),
		       xstate_layout.size[nr]);
}

/* PASID takes 8 bytes, and what lies before it is a multiple of 8. */
static u64 *pasid_place(const struct xregs_state *xs)
{
	return (u64 *)((u8 *)xs + xstate_image_offset(&xstate_layout, xs->header.xcomp_bv,
						      XFEATURE_PASID));
}

void soft_xsaves(struct xregs_state *xs, u64 mask)
{
	struct xregs_state *scratch = this_cpu_read(xsave_scratch);
	u64 user, in_use, pasid = 0;

	mask &= xstate_layout.features;		/* for XSAVES: of what XCR0 and XSS hold */
	user = mask & ~xstate_layout.supervisor;
	if (mask & XFEATURE_MASK(PASID))
		pasid = this_cpu_read(soft_pasid);
	scratch->header = (struct xstate_header){};
	xsave(scratch, user);
	in_use = scratch->header.xfeatures & user;
	/* MXCSR alone makes SSE count as in use. */
	if ((user & XFEATURE_MASK(SSE)) && scratch->i387.mxcsr != MXCSR_DEFAULT)
		in_use |= XFEATURE_MASK(SSE);
	xs->header.xcomp_bv = XCOMP_BV_COMPACTED | mask;
	copy_legacy(&xs->i387, &scratch->i387, in_use);
	copy_extended(xs, scratch, in_use);
	if (pasid) {
		in_use |= XFEATURE_MASK(PASID);
		*pasid_place(xs) = pasid;
	}
	xs->header.xfeatures = in_use;
}

/* Would XRSTORS refuse the header with #GP (SDM vol. 1, 13.12)? */
static bool bad_header(const struct xstate_header *header)
{
	u64 room = header->xcomp_bv & ~XCOMP_BV_COMPACTED;

	return !(header->xcomp_bv & XCOMP_BV_COMPACTED) || (room & ~xstate_layout.features) ||
	       (header->xfeatures & ~room) ||
	       memchr_inv(header->reserved, 0, sizeof(header->reserved));
}

int soft_xrstors(const struct xregs_state *xs, u64 mask)
{
	struct xregs_state *scratch = this_cpu_read(xsave_scratch);
	u64 user, present;

	if (bad_header(&xs->header))
		return -1;
	mask &= xstate_layout.features;
	user = mask & ~xstate_layout.supervisor;
	present = xs->header.xfeatures & mask;
	scratch->header = (struct xstate_header){ .xfeatures = present & user };
	copy_legacy(&scratch->i387, &xs->i387, present);
	copy_extended(scratch, xs, present & user);
	/* XRSTOR loads MXCSR with AVX, too, whatever XSTATE_BV says; XRSTORS only with SSE. */
	if (!(mask & XFEATURE_MASK(SSE)))
		scratch->i387.mxcsr = stmxcsr();
	else if (!(present & XFEATURE_MASK(SSE)))
		scratch->i387.mxcsr = MXCSR_DEFAULT;
	if (xrstor(scratch, user))
		return -1;
	if (mask & XFEATURE_MASK(PASID))
		this_cpu_write(soft_pasid, present & XFEATURE_MASK(PASID) ? *pasid_place(xs) : 0);
	return 0;
}
