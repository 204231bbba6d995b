/* SPDX-License-Identifier: MIT */
/*
 * xsave=soft against silicon: the kernel's layout.c and compact.c, built as a Linux program, beside
 * the XSAVEC and XRSTOR of the CPU that it runs on. Ring 3 may use both, so no emulator stands
 * between. Supervisor state is not seen here. lib/string.c comes along, for the C library's
 * memset() uses the registers that are looked at.
 *
 * Exit status 0: equal; 1: not, and a line says where; 77: this CPU has no XSAVEC.
 */
#include "arch/x86/cpu/insns.h"
#include "arch/x86/fpu/core/compact.h"
#include "arch/x86/fpu/core/xsave_insns.h"
#include "arch/x86/fpu/core/xstate.h"
#include "kernel/mm/kmalloc.h"
#include "lib/string.h"
#include "tests/kernel/random.h"

#define STATES		20000
#define POISON		0x9c
#define SKIPPED		77
#define IMAGE_SIZE	(2 * XSTATE_SIZE_MAX)
/* PKRU and tiles need the system's leave; MPX and the rest are nobody's. */
#define TRIED		(XFEATURE_MASK_FPSSE | XFEATURE_MASK(YMM) | XFEATURE_MASK_AVX512)

int printf(const char *fmt, ...);
void exit(int status) __noreturn;

struct native_cpu native_cpu;
enum fpu_form fpu_form = FORM_SOFT;
bool used_tiles_unmarked;
struct xstate_layout xstate_layout;
struct fpu_state_config fpu_user_cfg;

static u8 images[5][IMAGE_SIZE] __aligned(64);
static u64 seed, digest;

void *kzalloc(size_t size, int gfp)
{
	static u8 scratch[IMAGE_SIZE] __aligned(64);

	return size <= sizeof(scratch) ? scratch : NULL;
}

void panic(const char *fmt, ...)
{
	printf("%s\n", fmt);
	exit(1);
}

static void read_layout(void)
{
	struct xstate_cpuid c = {};
	const char *wrong;

	if (!(cpuid(1, 0).ecx & BIT(27)) || !(cpuid(0xd, 1).eax & BIT(1)))
		exit(SKIPPED);
	c.user = xgetbv(0);
	for (unsigned int nr = 2; nr < XFEATURE_MAX; nr++) {
		struct cpuid_regs r = cpuid(0xd, nr);

		c.sub[nr].size = r.eax;
		c.sub[nr].offset = r.ebx;
		c.sub[nr].flags = r.ecx;
	}
	wrong = xstate_layout_init(&xstate_layout, &c, TRIED);
	if (wrong) {
		printf("CPUID: %s\n", wrong);
		exit(1);
	}
	fpu_user_cfg.max_size = xstate_image_size(&xstate_layout, xstate_layout.features, false);
}

static u8 *component(struct xregs_state *xs, unsigned int nr)
{
	return (u8 *)xs + xstate_image_offset(&xstate_layout, xs->header.xcomp_bv, nr);
}

static void random_bytes(void *to, size_t size)
{
	for (u8 *at = to; size--; at++)
		*at = next_random(&seed);
}

/* A standard image in which @in_use has random values; x87's are what silicon gives back. */
static void make_state(struct xregs_state *xs, u64 in_use)
{
	unsigned int nr;

	memset(xs, 0, IMAGE_SIZE);
	xs->header.xfeatures = in_use;
	xs->i387.cwd = FCW_DEFAULT;
	xs->i387.mxcsr = MXCSR_DEFAULT;
	if (in_use & XFEATURE_MASK(FP)) {
		xs->i387.cwd |= next_random(&seed) & 0x0c00;
		xs->i387.twd = 0xff;
		for (int i = 0; i < 8; i++)
			random_bytes(xs->i387.st_space[i], 10);
	}
	if (in_use & XFEATURE_MASK(SSE)) {
		xs->i387.mxcsr |= next_random(&seed) & 0xe03f;
		/* Now and then MXCSR alone: that counts as SSE in use. */
		if (next_random(&seed) % 4)
			random_bytes(xs->i387.xmm_space, sizeof(xs->i387.xmm_space));
	}
	for_each_xfeature(nr, in_use & ~XFEATURE_MASK_FPSSE)
		random_bytes(component(xs, nr), xstate_layout.size[nr]);
	for (size_t i = 0; i < fpu_user_cfg.max_size; i++)
		digest = (digest ^ ((u8 *)xs)[i]) * 0x100000001b3;
}

static void differs(const char *what, unsigned int number, u64 got, u64 want)
{
	printf("state %u: %s: %#llx, not %#llx\n", number, what, got, want);
	exit(1);
}

/* In the standard format MXCSR stands there in any case, and does not count as SSE in use. */
static u32 mxcsr_of(const struct xregs_state *xs)
{
	bool stands = !(xs->header.xcomp_bv & XCOMP_BV_COMPACTED) ||
		      (xs->header.xfeatures & XFEATURE_MASK(SSE));

	return stands ? xs->i387.mxcsr : MXCSR_DEFAULT;
}

/* Values, with the initial ones for what XSTATE_BV lacks. @mask: what counts. */
static void compare(struct xregs_state *got, struct xregs_state *want, u64 mask, unsigned int n)
{
	static const u8 zeros[PAGE_SIZE];
	static const struct fxregs_state initial = { .cwd = FCW_DEFAULT, .mxcsr = MXCSR_DEFAULT };
	u64 has_got = got->header.xfeatures, has_want = want->header.xfeatures;
	const struct fxregs_state *g, *w;
	unsigned int nr;

	if (mask & XFEATURE_MASK(FP)) {
		g = has_got & XFEATURE_MASK(FP) ? &got->i387 : &initial;
		w = has_want & XFEATURE_MASK(FP) ? &want->i387 : &initial;
		if (g->cwd != w->cwd || g->twd != w->twd ||
		    memcmp(g->st_space, w->st_space, sizeof(g->st_space)))
			differs("x87", n, g->cwd, w->cwd);
	}
	if (mask & XFEATURE_MASK(SSE)) {
		g = has_got & XFEATURE_MASK(SSE) ? &got->i387 : &initial;
		w = has_want & XFEATURE_MASK(SSE) ? &want->i387 : &initial;
		if (mxcsr_of(got) != mxcsr_of(want) ||
		    memcmp(g->xmm_space, w->xmm_space, sizeof(g->xmm_space)))
			differs("SSE", n, mxcsr_of(got), mxcsr_of(want));
	}
	for_each_xfeature(nr, mask & ~XFEATURE_MASK_FPSSE)
		if (memcmp(has_got & BIT_ULL(nr) ? component(got, nr) : zeros,
			   has_want & BIT_ULL(nr) ? component(want, nr) : zeros,
			   xstate_layout.size[nr]))
			differs("component", n, nr, nr);
}

/* From the load to the save nothing may touch a vector register: no library, and inlined. */
static __always_inline void restore_and_save(struct xregs_state *from, u64 mask,
					     struct xregs_state *others, struct xregs_state *to)
{
	to->header = (struct xstate_header){};
	xrstor(others, xstate_layout.features);
	xrstor(from, mask);
	xsave(to, xstate_layout.features);
}

static void try_state(unsigned int n)
{
	struct xregs_state *state = (void *)images[0], *hard = (void *)images[1];
	struct xregs_state *soft = (void *)images[2], *others = (void *)images[3];
	struct xregs_state *back = (void *)images[4];
	u64 all = xstate_layout.features, mask = next_random(&seed) & all;

	make_state(others, all);
	make_state(state, next_random(&seed) & all);
	memset(hard, POISON, IMAGE_SIZE);
	memset(soft, POISON, IMAGE_SIZE);
	memset(hard->header.reserved, 0, sizeof(hard->header.reserved));
	memset(soft->header.reserved, 0, sizeof(soft->header.reserved));
	xrstor(state, all);
	xsavec(hard, mask);
	xrstor(state, all);
	soft_xsaves(soft, mask);

	/* 1. The same image. */
	if (soft->header.xcomp_bv != hard->header.xcomp_bv)
		differs("XCOMP_BV", n, soft->header.xcomp_bv, hard->header.xcomp_bv);
	if (soft->header.xfeatures & ~mask)
		differs("XSTATE_BV", n, soft->header.xfeatures, hard->header.xfeatures);
	compare(soft, hard, mask, n);
	compare(hard, state, mask, n);

	/* 2. Each is restored by the other, over other values. */
	memset(back, 0, IMAGE_SIZE);
	restore_and_save(soft, mask, others, back);
	compare(back, state, mask, n);
	compare(back, others, all & ~mask, n);
	back->header = (struct xstate_header){};
	/* What the scratch buffer held before must not matter. */
	memset(native_cpu.xsave_scratch, 0, fpu_user_cfg.max_size);
	xrstor(others, all);
	if (soft_xrstors(hard, mask))
		differs("refused", n, 1, 0);
	xsave(back, all);
	compare(back, state, mask, n);
	compare(back, others, all & ~mask, n);
}

/*
 * What chapter 4 of the book says of MXCSR: from a standard image with SSE or AVX in the mask,
 * whatever XSTATE_BV has; from a compacted one as the XMM registers.
 */
static void try_mxcsr(void)
{
	enum { BEFORE = MXCSR_DEFAULT | 0x2000, IMAGE = MXCSR_DEFAULT | 0x4000 };
	struct xregs_state *state = (void *)images[0];
	u64 avx = xstate_layout.features & XFEATURE_MASK(YMM);

	/* Bits: SSE in the mask, AVX in the mask, SSE in XSTATE_BV, compacted. */
	for (unsigned int n = 0; n < 16; n++) {
		u64 mask = (n & 1 ? XFEATURE_MASK(SSE) : 0) | (n & 2 ? avx : 0);
		u32 due = mask ? IMAGE : BEFORE, got;

		if (n & 8)
			due = !(n & 1) ? BEFORE : n & 4 ? IMAGE : MXCSR_DEFAULT;
		memset(state, 0, IMAGE_SIZE);
		state->i387.mxcsr = IMAGE;
		state->header.xfeatures = n & 4 ? XFEATURE_MASK(SSE) : 0;
		state->header.xcomp_bv = n & 8 ? XCOMP_BV_COMPACTED | xstate_layout.features : 0;
		ldmxcsr(BEFORE);
		xrstor(state, mask);
		got = stmxcsr();
		ldmxcsr(MXCSR_DEFAULT);
		if (got != due)
			differs("MXCSR", n, got, due);
	}
}

int main(int argc, char **argv)
{
	for (seed = 1; argc > 1 && *argv[1]; argv[1]++)
		seed = seed * 31 + *argv[1];
	digest = seed;
	read_layout();
	this_cpu_write(xsave_scratch, kzalloc(fpu_user_cfg.max_size, GFP_ATOMIC));
	try_mxcsr();
	for (unsigned int n = 0; n < STATES; n++)
		try_state(n);
	printf("%u states of features %#llx, digest %llx\n", STATES, xstate_layout.features,
	       digest);
	return 0;
}
