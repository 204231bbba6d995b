/* SPDX-License-Identifier: MIT */
/*
 * How state is saved, which components there are, and which of them a process must ask for: chosen
 * at boot from CPUID and the options "xsave=" and "dynamic=", never changed.
 */
#pragma once

#include "arch/x86/fpu/layout.h"

/* The way in which states are saved; the best comes last, but for the one that is asked for. */
enum fpu_form {
	FORM_FXSAVE,
	FORM_XSAVE,
	FORM_XSAVEOPT,
	FORM_XSAVEC,
	FORM_XSAVES,
	FORM_SOFT,			/* XSAVES' format, in software: compact.h */
};

extern enum fpu_form fpu_form;
const char *fpu_form_name(void);

/* What keeps dynamic features off: see gate.h. */
enum fpu_gate { GATE_NONE, GATE_XCR0, GATE_XFD };
extern enum fpu_gate fpu_gate;
const char *fpu_gate_name(void);

/*
 * Bytes and features: of the kernel's images, and of what ring 3 may see (always the standard
 * format). default: without the dynamic features.
 */
struct fpu_state_config {
	u32	max_size, default_size;
	u64	max_features, default_features, legacy_features;
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
