/* SPDX-License-Identifier: MIT */
/*
 * A CPU that is made up: what CPUID says, what its control registers take, and vector registers of
 * which each component is one byte repeated. What silicon would refuse ends the program.
 */
#pragma once

#include "arch/x86/cpu/insns.h"
#include "arch/x86/fpu/core/layout.h"
#include "arch/x86/fpu/core/xsave_insns.h"

enum {
	HAS_PGE = BIT(0), HAS_FXSR = BIT(1), HAS_SSE = BIT(2), HAS_XSAVE = BIT(3),
	HAS_AVX = BIT(4), HAS_AVX2 = BIT(5), HAS_SMEP = BIT(6), HAS_AVX512F = BIT(7),
	HAS_SMAP = BIT(8), HAS_UMIP = BIT(9), HAS_PKU = BIT(10), HAS_CET = BIT(11),
	HAS_AMX = BIT(12), HAS_ENQCMD = BIT(13), HAS_NX = BIT(14), HAS_SYSCALL = BIT(15),
	HAS_ERPTR = BIT(16), IS_AMD = BIT(17), IS_TCG = BIT(18), IS_GUEST = BIT(19),
};

enum { OPT = 1, SAVEC = 2, XGETBV1 = 4, SAVES = 8, XFD = 16 };	/* CPUID(0xd, 1).EAX */

/* What it gets wrong. */
enum { OVER_HEADER = 1, BY_MASK = 2, TILES_UNMARKED = 4, KEYS_BIND = 8 };

struct made_up_cpu {
	u32 has, forms, wrong, family;
	u32 max_leaf, max_extended;
	const char *name;
	struct xstate_cpuid d;			/* leaf 0xd; user and supervisor: what it has */
	int standard_more, compacted_more;	/* it says so many bytes too many */

	/* Registers. */
	u64 xcr0, xss, efer, xfd, pte, mapped;
	unsigned long cr0, cr4;
	u8 value[XFEATURE_MAX];			/* 0: initial */
	u32 mxcsr, pkru;
	unsigned int pointers_overwritten;
};

extern struct made_up_cpu cpu;

/* As it comes from reset, with registers that hold something. */
void cpu_reset(void);
void refused(const char *what, u64 value) __noreturn;
