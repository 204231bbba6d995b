// SPDX-License-Identifier: MIT
/* The trials, and the way around (see quirks.h). Floor 1: never sleeps. */
#include "arch/x86/fpu/core/quirks.h"
#include "arch/x86/cpu/features.h"
#include "arch/x86/cpu/insns.h"
#include "arch/x86/fpu/core/regs.h"
#include "arch/x86/fpu/core/xsave_insns.h"
#include "arch/x86/mm/pgtable.h"
#include "kernel/mm/pages.h"
#include "lib/string.h"

#define TRIAL_VIRT	(LAPIC_VIRT + PAGE_SIZE)
#define PKRU_CLOSED(key)	(3U << 2 * (key))	/* for reads and writes */
#define OLD_VALUE	0x11
#define VALUE		0x66

unsigned int restore_quirks;
bool used_tiles_unmarked;

static union fpregs_state trial;

static u8 *place(unsigned int nr)
{
	return trial.bytes + xstate_image_offset(&xstate_layout, trial.xsave.header.xcomp_bv, nr);
}

static bool can_try(unsigned int nr)
{
	return (xstate_layout.features & BIT_ULL(nr)) &&
	       xstate_layout.offset[nr] + xstate_layout.size[nr] <= sizeof(trial);
}

/* Load @value into component @nr from a standard image. */
static void load(unsigned int nr, u8 value)
{
	memset(&trial, 0, sizeof(trial));
	trial.xsave.header.xfeatures = BIT_ULL(nr);
	memset(place(nr), value, xstate_layout.size[nr]);
	xrstor(&trial.xsave, BIT_ULL(nr));
}

bool compacts_as_documented(void)
{
	bool right;

	if (!can_try(XFEATURE_YMM))
		return true;
	load(XFEATURE_YMM, VALUE);
	memset(&trial, 0, sizeof(trial));
	if (fpu_form == FORM_XSAVES)
		xsaves(&trial.xsave, XFEATURE_MASK(YMM));
	else
		xsavec(&trial.xsave, XFEATURE_MASK(YMM));
	right = !memchr_inv(trial.xsave.extended_state_area, VALUE,
			    xstate_layout.size[XFEATURE_YMM]);
	load(XFEATURE_YMM, 0);
	return right;
}

/* The image has room for YMM and the opmasks; the mask names the opmasks only. */
bool restores_go_by_mask(void)
{
	u64 mask = XFEATURE_MASK(OPMASK);
	bool right;

	if (!can_try(XFEATURE_OPMASK))
		return false;
	load(XFEATURE_OPMASK, OLD_VALUE);
	memset(&trial, 0, sizeof(trial));
	trial.xsave.header.xcomp_bv = XCOMP_BV_COMPACTED | XFEATURE_MASK(YMM) | mask;
	trial.xsave.header.xfeatures = mask;
	memset(place(XFEATURE_OPMASK), VALUE, xstate_layout.size[XFEATURE_OPMASK]);
	xrstor(&trial.xsave, mask);
	memset(&trial, 0, sizeof(trial));
	xsave(&trial.xsave, mask);
	right = *place(XFEATURE_OPMASK) == VALUE;
	load(XFEATURE_OPMASK, 0);
	return !right;
}

/*
 * The mask names all that the image has room for, PKRU too, so that mask and XCOMP_BV count alike.
 * PKRU must not change (see regs.h).
 */
int xrstors_by_mask(const struct xregs_state *xs, u64 mask)
{
	u32 pkru = read_pkru();
	int err;

	mask |= fpu_kernel_cfg.max_features & XFEATURE_MASK(PKRU);
	ldmxcsr(MXCSR_DEFAULT);
	err = fpu_form == FORM_XSAVES ? xrstors(xs, mask) : xrstor(xs, mask);
	write_pkru(pkru);
	return err;
}

/* Tile 0 gets one row of four bytes (SDM vol. 2, LDTILECFG), loaded from anywhere. */
bool knows_used_tiles(void)
{
	static const u8 config[64] __aligned(64) = { [0] = 1, [16] = 4, [48] = 1 };
	bool in_use;

	if (!(xstate_layout.features & XFEATURE_MASK(XTILE_DATA)) || !cpu_has.xgetbv1)
		return true;
	load_tile(config);
	in_use = xgetbv(1) & XFEATURE_MASK(XTILE_DATA);
	tilerelease();
	return in_use;
}

/* Another mapping of @trial gets a key that is closed, as a fault there hurts nobody. */
bool keys_bind_supervisor(void)
{
	u8 *another = (u8 *)TRIAL_VIRT + (unsigned long)&trial % PAGE_SIZE;
	u32 pkru = read_pkru();
	int err;

	if (kernel_map_page(TRIAL_VIRT, virt_to_phys(&trial), PTE_RW | PTE_NX | PTE_KEY(15)))
		return false;
	write_pkru(PKRU_CLOSED(15));
	err = write_faultable(another);
	write_pkru(pkru);
	*pgtable_pte(kernel_pml4, TRIAL_VIRT, false) = 0;
	invlpg(TRIAL_VIRT);
	return err;
}
