/* SPDX-License-Identifier: MIT */
/*
 * What some emulators get wrong about images, found by trying it at boot: CPUID does not tell.
 * Silicon is not known to have any of this.
 */
#pragma once

#include "lib/types.h"

/*
 * Does YMM, saved alone by XSAVEC or XSAVES, come to lie behind the header? Bochs 2.7 puts it over
 * the legacy area and the header: not to be used. XCR0 is set up; YMM is initial afterwards.
 */
bool compacts_as_documented(void);

/*
 * Does XRSTOR(S) look for a component where its mask says, instead of XCOMP_BV? Bochs 3.0 does, and
 * it does not reset MXCSR either. Then restores are made by xrstors_by_mask().
 */
bool restores_go_by_mask(void);
extern bool xrstors_by_mask_only;

struct xregs_state;
int xrstors_by_mask(const struct xregs_state *xs, u64 mask);

/*
 * Does the CPU know tiles in use from tiles that are not? Bochs 3 takes one for the other: XSAVE
 * writes what is in use, but XSTATE_BV does not say so, and the other instructions leave it out.
 * Then saves are XSAVE's, and marked in xsave(). XCR0 is set up; tiles are initial afterwards.
 */
bool knows_used_tiles(void);
extern bool used_tiles_unmarked;
