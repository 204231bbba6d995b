/* SPDX-License-Identifier: MIT */
/*
 * How state is saved, which components there are, and which of them a process must ask for: chosen
 * at boot from CPUID and the options "xsave=" and "dynamic=". config.h has what was chosen.
 */
#pragma once

#include "arch/x86/fpu/core/config.h"

const char *fpu_form_name(void);
const char *fpu_gate_name(void);

/*
 * Limit cpu_has to what "xsave=" allows and leaf 0xD makes sense of. After cpu_features_init(),
 * before the control registers are set.
 */
void fpu_choose_form(void);
void fpu_init_system(void);		/* sizes and init_fpstate; CR4 is set up */
void fpu_init_cpu(void);		/* XCR0, XSS, and a clean register file; on each CPU */

/* Bytes of the kernel's images with room for @features. */
u32 fpu_image_size(u64 features);
/* What the header of such an image says in XCOMP_BV. */
u64 fpu_xcomp_bv(u64 features);

/*
 * Where component @nr stands in an image, or NULL if it is not there or in its initial state
 * (XSTATE_BV).
 */
void *get_xsave_addr(struct xregs_state *xsave, enum xfeature nr);

/*
 * Are there features that a process must ask for? Then fork has permissions to inherit. Option
 * "dynamic=".
 */
bool fpu_state_size_dynamic(void);
const char *fpu_dynamic_name(void);
