/* SPDX-License-Identifier: MIT */
/*
 * XSAVES and XRSTORS in software (option "xsave=soft"): the compacted format over a plain XSAVE to
 * a scratch buffer of the CPU, for machines that have neither. It follows SDM vol. 1, 13.10 to
 * 13.12: the same XCOMP_BV, the same values, components in their initial state not written.
 *
 * It brings one supervisor component, PASID, in place of the MSR that such machines do not have.
 */
#pragma once

#include "arch/x86/fpu/core/layout.h"

/* Add what leaf 0xD would say of the modelled component. */
void soft_add_components(struct xstate_cpuid *c);

/*
 * They do what xsaves() and xrstors() in xsave_insns.h do. Preemption off. They must not run on top
 * of each other; an interrupt that asks irq_fpu_usable() keeps that rule.
 */
void soft_xsaves(struct xregs_state *xs, u64 mask);
int soft_xrstors(const struct xregs_state *xs, u64 mask);
