/* SPDX-License-Identifier: MIT */
/*
 * The FPU part of a task, in Linux's names (asm/fpu/types.h): images as the hardware writes them
 * (SDM vol. 1, 10.5.1 and 13.4), the buffer that holds one, the permission record, and struct fpu
 * which ties them together.
 */
#pragma once

#include "lib/types.h"

/* State components, by number (SDM vol. 1, 13.1). */
enum xfeature {
	XFEATURE_FP,
	XFEATURE_SSE,
	XFEATURE_YMM,
	XFEATURE_BNDREGS,
	XFEATURE_BNDCSR,
	XFEATURE_OPMASK,
	XFEATURE_ZMM_Hi256,
	XFEATURE_Hi16_ZMM,
	XFEATURE_PT,
	XFEATURE_PKRU,
	XFEATURE_PASID,
	XFEATURE_CET_USER,
	XFEATURE_CET_KERNEL,
	XFEATURE_LBR = 15,
	XFEATURE_XTILE_CFG = 17,
	XFEATURE_XTILE_DATA,
	XFEATURE_APX,
	XFEATURE_MAX
};

#define XFEATURE_MASK(name)		BIT_ULL(XFEATURE_##name)
#define XFEATURE_MASK_FPSSE		(XFEATURE_MASK(FP) | XFEATURE_MASK(SSE))
#define XFEATURE_MASK_AVX512		(XFEATURE_MASK(OPMASK) | XFEATURE_MASK(ZMM_Hi256) | \
					 XFEATURE_MASK(Hi16_ZMM))
#define XFEATURE_MASK_XTILE		(XFEATURE_MASK(XTILE_CFG) | XFEATURE_MASK(XTILE_DATA))
/* What Splat saves for ring 3. MPX is left out on purpose, as in Linux since 5.6. */
#define XFEATURE_MASK_USER_SUPPORTED	(XFEATURE_MASK_FPSSE | XFEATURE_MASK(YMM) | \
					 XFEATURE_MASK_AVX512 | XFEATURE_MASK(PKRU) | \
					 XFEATURE_MASK_XTILE)

#define MXCSR_DEFAULT			0x1f80
#define FCW_DEFAULT			0x037f

/* 512 bytes. Every XSAVE image has it as its legacy area, too. */
struct fxregs_state {
	u16	cwd, swd, twd, fop;
	u64	rip, rdp;
	u32	mxcsr, mxcsr_mask;
	u8	st_space[8][16];
	u8	xmm_space[16][16];
	u8	padding[48];
	u8	sw_reserved[48];		/* software's: bytes 464-511 */
} __packed __aligned(16);

struct xstate_header {
	/* XSTATE_BV: components not in their initial state. */
	u64	xfeatures;
	/* Bit 63: the image is compacted. Then the other bits say which components have room. */
	u64	xcomp_bv;
	u64	reserved[6];			/* must be zero */
} __packed;

#define XCOMP_BV_COMPACTED	BIT_ULL(63)

#define XSAVE_HDR_OFFSET	512
#define XSAVE_MIN_SIZE		576		/* legacy area and header */

struct xregs_state {
	struct fxregs_state	i387;
	struct xstate_header	header;
	u8			extended_state_area[];
} __packed __aligned(64);

union fpregs_state {
	struct fxregs_state	fxsave;
	struct xregs_state	xsave;
	u8			bytes[PAGE_SIZE];	/* so that the static init_task has room */
};

/* A buffer and what it is for. */
struct fpstate {
	u32			size;		/* bytes of the kernel's image */
	u32			user_size;	/* bytes in the standard format */
	u64			xfeatures;	/* that it has room for: the save mask */
	u64			user_xfeatures;	/* that ring 3 may see */
	u64			xfd;		/* what the gate keeps off while it is active */
	union fpregs_state	regs __aligned(64);
} __aligned(64);

/*
 * Which features a process may use. Only the group leader's record counts. The bitmap may be read
 * without a lock as a quick check; the sizes only under sighand->siglock, which keeps all three
 * consistent.
 */
struct fpu_state_perm {
	u64			__state_perm;
	u32			__state_size;
	u32			__user_state_size;
};

struct fpu {
	/*
	 * The CPU on which this context was last loaded into, or saved from, registers. -1 means
	 * that memory is newer than any register file, so reload. The field says something only
	 * together with that CPU's fpu_fpregs_owner_ctx.
	 */
	unsigned int		last_cpu;
	struct fpstate		*fpstate;	/* the active buffer: __fpstate, or a larger one */
	struct fpu_state_perm	perm;
	struct fpu_state_perm	guest_perm;	/* inherited alike; for virtual machines in Linux */

	/*
	 * The default buffer. It is the task's last field, because its register area is cut to
	 * fpu_kernel_cfg.default_size.
	 */
	struct fpstate		__fpstate;
};
