/* SPDX-License-Identifier: MIT */
/*
 * The instructions that save and restore FPU state, one wrapper each; they stand nowhere else. The
 * wrappers count themselves, so that "one save and one restore per switch" can be read from a
 * number. None sleeps; preemption must be off, or the answer to "whose registers were these?" could
 * change on the way.
 *
 * Images must be aligned to 64 bytes (FXSAVE: 16), else #GP (SDM vol. 1, 13.7 to 13.9).
 */
#pragma once

#include "arch/x86/cpu/percpu.h"
#include "arch/x86/fpu/core/fpu_types.h"
#include "arch/x86/fpu/core/quirks.h"
#include "arch/x86/mm/uaccess.h"

#define SPLIT_MASK(mask) "a"((u32)(mask)), "d"((u32)((mask) >> 32))

static inline void fxsave(struct fxregs_state *fx)
{
	this_cpu_add_int(fpu_saves, 1);
	__asm__ volatile("fxsave64 %0" : "=m"(*fx) :: "memory");
}

/* The whole image, in the standard format. */
static inline void xsave(struct xregs_state *xs, u64 mask)
{
	this_cpu_add_int(fpu_saves, 1);
	__asm__ volatile("xsave64 %0" : "+m"(*xs) : SPLIT_MASK(mask) : "memory");
	if (unlikely(used_tiles_unmarked) && (xs->header.xfeatures & XFEATURE_MASK(XTILE_CFG)))
		xs->header.xfeatures |= XFEATURE_MASK(XTILE_DATA);
}

/*
 * Like xsave(), but the CPU may leave out what is in its initial state or unchanged since the last
 * xrstor() from here.
 */
static inline void xsaveopt(struct xregs_state *xs, u64 mask)
{
	this_cpu_add_int(fpu_saves, 1);
	__asm__ volatile("xsaveopt64 %0" : "+m"(*xs) : SPLIT_MASK(mask) : "memory");
}

/* Like xsaveopt(), in the compacted format; user components only. Never skips what is unchanged. */
static inline void xsavec(struct xregs_state *xs, u64 mask)
{
	this_cpu_add_int(fpu_saves, 1);
	__asm__ volatile("xsavec64 %0" : "+m"(*xs) : SPLIT_MASK(mask) : "memory");
}

/* Like xsaveopt(), in the compacted format, with supervisor components. */
static inline void xsaves(struct xregs_state *xs, u64 mask)
{
	this_cpu_add_int(fpu_saves, 1);
	__asm__ volatile("xsaves64 %0" : "+m"(*xs) : SPLIT_MASK(mask) : "memory");
}

/* Run an instruction that may fault: 0, or -1 with the registers in an unknown state. */
#define FAULTABLE(insn, ...) ({							\
	int __err;								\
										\
	__asm__ volatile("1:	" insn "\n\t"					\
			 "	xorl %0, %0\n"					\
			 "2:\n\t"						\
			 ".pushsection .text.fixup, \"ax\"\n"			\
			 "3:	movl $-1, %0\n\t"				\
			 "	jmp 2b\n\t"					\
			 ".popsection\n\t"					\
			 EX_TABLE("1b", "3b")					\
			 : "=r"(__err) : __VA_ARGS__ : "memory");		\
	__err; })

static inline int write_faultable(u8 *to)
{
	return FAULTABLE("movb $0, %1", "m"(*to));
}

/* Faults on a bad MXCSR. */
static inline int fxrstor(const struct fxregs_state *fx)
{
	this_cpu_add_int(fpu_restores, 1);
	return FAULTABLE("fxrstor64 %1", "m"(*fx));
}

/*
 * Components in @mask are loaded from the image if its XSTATE_BV has them, else initialised. But
 * MXCSR of a standard image is loaded with SSE or AVX in @mask, whatever XSTATE_BV says. Faults on
 * a bad header or MXCSR.
 */
static inline int xrstor(const struct xregs_state *xs, u64 mask)
{
	this_cpu_add_int(fpu_restores, 1);
	return FAULTABLE("xrstor64 %1", "m"(*xs), SPLIT_MASK(mask));
}

/* Like xrstor(), for compacted images only, with supervisor components. */
static inline int xrstors(const struct xregs_state *xs, u64 mask)
{
	this_cpu_add_int(fpu_restores, 1);
	return FAULTABLE("xrstors64 %1", "m"(*xs), SPLIT_MASK(mask));
}

/*
 * Loads nothing, but makes the CPU forget from where it loaded last, so that the next save skips
 * nothing (SDM vol. 1, 13.8.3: XRSTOR_INFO). Not counted, because no registers move. @compacted:
 * the image is as XSAVES saves it, with room for supervisor state, which XRSTOR does not take.
 */
static inline void forget_last_xrstor(const struct xregs_state *another, bool compacted)
{
	if (compacted)
		__asm__ volatile("xrstors64 %0" :: "m"(*another), SPLIT_MASK(0ULL) : "memory");
	else
		__asm__ volatile("xrstor64 %0" :: "m"(*another), SPLIT_MASK(0ULL) : "memory");
}

static inline u64 xgetbv(u32 index)
{
	u32 low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(index));
	return (u64)high << 32 | low;
}

static inline void xsetbv(u32 index, u64 value)
{
	__asm__ volatile("xsetbv" :: "c"(index), SPLIT_MASK(value) : "memory");
}

static inline u32 rdpkru_insn(void)
{
	u32 pkru, edx;

	__asm__ volatile("rdpkru" : "=a"(pkru), "=d"(edx) : "c"(0));
	return pkru;
}

static inline void wrpkru_insn(u32 pkru)
{
	__asm__ volatile("wrpkru" :: "a"(pkru), "c"(0), "d"(0) : "memory");
}

static inline u32 stmxcsr(void)
{
	u32 mxcsr;

	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
	return mxcsr;
}

static inline void ldmxcsr(u32 mxcsr)
{
	__asm__ volatile("ldmxcsr %0" :: "m"(mxcsr));
}

/*
 * Some CPUs save and restore the pointers to the last x87 instruction and its operand only if an
 * exception is pending; else the last task's pointers stay. So load something harmless, which sets
 * them to the kernel's own. Destroys the x87 registers.
 */
static inline void overwrite_x87_pointers(void)
{
	static const u32 zero;

	__asm__ volatile("fnclex; emms; fildl %0" :: "m"(zero));
}

/* Set up tile 0 as @config says, and load it from @config. */
static inline void load_tile(const u8 config[64])
{
	__asm__ volatile("ldtilecfg (%0); tileloadd (%0,%1,1), %%tmm0"
			 :: "r"(config), "r"(0UL) : "memory");
}

static inline void tilerelease(void)
{
	__asm__ volatile("tilerelease");
}

/* Deliver a pending x87 exception now; swallow it. */
static inline void fwait_swallow(void)
{
	(void)FAULTABLE("fwait", "i"(0));
}
