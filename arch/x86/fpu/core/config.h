/* SPDX-License-Identifier: MIT */
/* What xstate.c chooses at boot. It does not change afterwards. */
#pragma once

#include "arch/x86/fpu/core/layout.h"

/*
 * How states are saved, the best last. FORM_SOFT stands apart: it is for xsave=soft, and for
 * dynamic=ymm where the CPU has no compacted format.
 */
enum fpu_form {
	FORM_FXSAVE,
	FORM_XSAVE,
	FORM_XSAVEOPT,
	FORM_XSAVEC,
	FORM_XSAVES,
	FORM_SOFT,			/* XSAVES' format, in software: compact.h */
};

extern enum fpu_form fpu_form;

/* What keeps dynamic features off (see gate.h). */
enum fpu_gate { GATE_NONE, GATE_XCR0, GATE_XFD };
extern enum fpu_gate fpu_gate;

/*
 * Bytes and features of the kernel's images, and of what ring 3 may see (always in the standard
 * format). "default" leaves out the dynamic features.
 */
struct fpu_state_config {
	u32	max_size, default_size;
	u64	max_features, default_features;
};

extern struct fpu_state_config fpu_kernel_cfg, fpu_user_cfg;
extern struct xstate_layout xstate_layout;

/* All components in their initial state. Its xfd: the dynamic features, off until asked for. */
extern struct fpstate init_fpstate;

/* Are the kernel's images in the compacted format? */
static inline bool fpu_compacted(void)
{
	return fpu_form >= FORM_XSAVEC;
}
