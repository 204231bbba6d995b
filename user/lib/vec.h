/* SPDX-License-Identifier: MIT */
/*
 * Known values in every vector register, across one system call or a long loop.
 *
 * A test fills an image, has it loaded, and compares what is in the registers afterwards. Between
 * the load and the store stand only the instructions under test: the compiler gets no chance to
 * use, spill or restore a register.
 */
#ifndef USER_LIB_VEC_H
#define USER_LIB_VEC_H

/* Offsets for vec_regs.S; vec.c asserts that they are right. */
#define VEC_REG		512
#define VEC_K		2560
#define VEC_PKRU	2624
#define VEC_REG_SIZE	64

/* What is live: bits of XCR0. x87 and SSE always are. */
#define VEC_AVX		(1 << 2)
#define VEC_AVX512	(7 << 5)
#define VEC_PKU		(1 << 9)

#define SYSARGS_CHILD	40
#define SYSARGS_RET	48

#ifndef __ASSEMBLER__

#include "lib/types.h"

/* Used of @fx: the x87 registers, their control, status and tag words, and MXCSR. */
struct vec_image {
	u8 fx[512];			/* as FXSAVE writes it */
	u8 reg[32][VEC_REG_SIZE];	/* xmm, ymm or zmm: the low bytes that the CPU has */
	u64 k[8];			/* opmask registers */
	u32 pkru;
} __aligned(64);

/* One system call. CLONE_SETTLS can't be used, because its argument's register is taken. */
struct sysargs {
	long nr, arg[4];
	/*
	 * Where a call that returns 0 stores its registers; NULL: in @out, like any other call. For
	 * the child of clone() with shared memory, which would otherwise overwrite its parent's.
	 */
	struct vec_image *child_out;
	long ret;			/* vec_syscall()'s own */
};

/* Different seeds give images in which every register differs; so does another vec_salt. */
void vec_fill(struct vec_image *image, u64 seed);
extern u64 vec_salt;
/* What every program must find in its registers when it starts. */
void vec_initial(struct vec_image *image);

/**
 * vec_syscall() - load all registers from @in, make one system call, store all to @out.
 *
 * The child of fork and vfork stores and returns as its parent does. The child of clone() with a
 * new stack stores and then "returns" to the address that lies on top of that stack. MXCSR and the
 * x87 unit have their reset values on return, the other registers any value. Return: what the
 * system call returned.
 */
long vec_syscall(const struct vec_image *in, struct vec_image *out, struct sysargs *args)
	__attribute__((returns_twice));

/*
 * Load all registers from @in, count @loops down to 0 without touching any of them, store all to
 * @out.
 */
void vec_spin(const struct vec_image *in, struct vec_image *out, unsigned long loops);

/*
 * Store all registers as they are. Changes none that holds a vector, so a _start_hook may jump
 * here.
 */
void vec_store(struct vec_image *out);

/* Live state, as VEC_ bits, and as text: "x87 sse avx". */
unsigned int vec_live_mask(void);
const char *vec_features(void);

#define VEC_WHERE 64
/**
 * vec_compare() - is the live state of @got that of @want?
 * Return: 0, or 1 and the first difference in @where: "ymm3[17]: 0x5a, not 0x81".
 */
int vec_compare(const struct vec_image *want, const struct vec_image *got, char where[VEC_WHERE]);

#endif /* __ASSEMBLER__ */
#endif
