/* SPDX-License-Identifier: MIT */
/*
 * What some emulators get wrong about registers and images, found by trying it at boot, because
 * CPUID does not tell. No silicon is known to have any of this, except what cpu_has.fxsave_leak
 * says.
 */
#pragma once

#include "lib/types.h"

/*
 * Does YMM, saved alone by XSAVEC or XSAVES, lie behind the header? Bochs 2.7 puts it over the
 * legacy area and the header, so its compacted format is not used. XCR0 is set up; YMM is initial
 * afterwards.
 */
bool compacts_as_documented(void);

/*
 * Does XRSTOR(S) look for a component where its mask says, instead of XCOMP_BV? Bochs 3.0 does, and
 * it does not reset MXCSR either. Then restores are made by xrstors_by_mask().
 */
bool restores_go_by_mask(void);

/* Which of these quirks a restore must work around; 0 on almost every machine. */
#define RESTORES_BY_MASK	BIT(0)
#define KEEPS_X87_POINTERS	BIT(1)		/* overwrite_x87_pointers() comes first */
extern unsigned int restore_quirks;

struct xregs_state;
int xrstors_by_mask(const struct xregs_state *xs, u64 mask);

/*
 * Does the CPU tell tiles in use from tiles that are not? Bochs 3 confuses them: XSAVE writes what
 * is in use, but XSTATE_BV does not say so, and the other instructions leave it out. Then XSAVE
 * does all saves, and xsave() marks the tiles. XCR0 is set up; tiles are initial afterwards.
 */
bool knows_used_tiles(void);
extern bool used_tiles_unmarked;

/*
 * Do protection keys hold for ring 0's own pages? The keys are ring 3's (SDM vol. 3, 4.6.2). In
 * Bochs a key that ring 3 has closed for writing closes the kernel's stack too, and nothing can be
 * done about it afterwards, so then there are no keys. CR4.PKE is set.
 */
bool keys_bind_supervisor(void);
