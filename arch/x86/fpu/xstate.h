/* SPDX-License-Identifier: MIT */
/*
 * Which components there are, how large they are and where they lie: read from CPUID leaf 0xD at
 * boot, never changed.
 */
#pragma once

#include "arch/x86/fpu/types.h"

/* The way in which states are saved: chosen once at boot. */
enum fpu_form {
	FORM_FXSAVE,
	FORM_XSAVE,
	FORM_XSAVEOPT,
};

extern enum fpu_form fpu_form;
const char *fpu_form_name(void);

/*
 * Bytes and features: of the kernel's images, and of what ring 3 may see (always the standard
 * format).
 */
struct fpu_state_config {
	u32	max_size, default_size;
	u64	max_features, default_features, legacy_features;
};

extern struct fpu_state_config fpu_kernel_cfg, fpu_user_cfg;

/* All components in their initial state. Its xfd: the dynamic features, off until asked for. */
extern struct fpstate init_fpstate;

#define for_each_xfeature(nr, mask)				\
	for ((nr) = 0; (nr) < XFEATURE_MAX; (nr)++)		\
		if ((mask) & BIT_ULL(nr))

/*
 * Limit cpu_has to what "xsave=" allows. After cpu_features_init(), before the control registers
 * are set.
 */
void fpu_choose_form(void);
void fpu_init_system(void);		/* layout and init_fpstate; CR4 is set up */
void fpu_init_cpu(void);		/* XCR0, and a clean register file; on each CPU */

/*
 * Where component @nr stands in an image, or NULL if it is not there or in its initial state
 * (XSTATE_BV).
 */
void *get_xsave_addr(struct xregs_state *xsave, enum xfeature nr);

/* Offset in the kernel's format; 0 if the component does not exist. */
u32 xstate_offset(enum xfeature nr);
u32 xstate_size(enum xfeature nr);
