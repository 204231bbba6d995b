/* SPDX-License-Identifier: MIT */
/*
 * Patterns for all vector registers, and the comparison. The loads and stores are in vec_regs.S.
 */
#include "user/lib/vec.h"
#include "user/lib/libc.h"

/* In the FXSAVE image; SDM volume 1, section 10.5.1. */
#define FX_FCW		0
#define FX_FSW		2
#define FX_FTW		4
#define FX_MXCSR	24
#define FX_ST		32
#define FX_ST_SIZE	16	/* of which 10 are used */

#define FCW_RESET	0x037f
#define MXCSR_RESET	0x1f80
#define PKRU_RESET	0x55555554	/* Linux: every key but 0 is closed */

_Static_assert(offsetof(struct vec_image, reg) == VEC_REG, "vec_regs.S");
_Static_assert(offsetof(struct vec_image, k) == VEC_K, "vec_regs.S");
_Static_assert(offsetof(struct vec_image, pkru) == VEC_PKRU, "vec_regs.S");
_Static_assert(offsetof(struct sysargs, child_out) == SYSARGS_CHILD, "vec_regs.S");
_Static_assert(offsetof(struct sysargs, ret) == SYSARGS_RET, "vec_regs.S");

/* The splitmix64 sequence: every seed starts somewhere else in it. */
static u64 next(u64 *state)
{
	u64 z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static void put16(u8 *to, u16 value)
{
	memcpy(to, &value, sizeof(value));
}

static void put32(u8 *to, u32 value)
{
	memcpy(to, &value, sizeof(value));
}

u64 vec_salt;

void vec_fill(struct vec_image *image, u64 seed)
{
	u64 *word = (u64 *)image->reg, state = (seed << 32) + vec_salt;
	size_t i;

	for (i = 0; i < sizeof(image->reg) / sizeof(*word); i++)
		word[i] = next(&state);
	for (i = 0; i < ARRAY_SIZE(image->k); i++)
		image->k[i] = next(&state);
	image->pkru = next(&state) & ~3U;	/* key 0 guards all our pages, so it stays open */

	memset(image->fx, 0, sizeof(image->fx));
	for (i = 0; i < 8; i++) {
		put32(image->fx + FX_ST + i * FX_ST_SIZE, next(&state));
		put32(image->fx + FX_ST + i * FX_ST_SIZE + 4, next(&state));
		put16(image->fx + FX_ST + i * FX_ST_SIZE + 8, next(&state));
	}
	/*
	 * Every bit that may vary, with all exceptions masked: rounding, flags, condition codes,
	 * top of stack.
	 */
	put16(image->fx + FX_FCW, FCW_RESET | (next(&state) & 0x0c00));
	put16(image->fx + FX_FSW, next(&state) & 0x7f7f);
	image->fx[FX_FTW] = 0xff;		/* all eight registers in use */
	put32(image->fx + FX_MXCSR, MXCSR_RESET | (next(&state) & 0xe07f));
}

void vec_initial(struct vec_image *image)
{
	memset(image, 0, sizeof(*image));
	put16(image->fx + FX_FCW, FCW_RESET);
	put32(image->fx + FX_MXCSR, MXCSR_RESET);
	image->pkru = PKRU_RESET;
}

const char *vec_features(void)
{
	static char text[32];
	unsigned int live = vec_live_mask();

	snprintf(text, sizeof(text), "x87 sse%s%s%s", live & VEC_AVX ? " avx" : "",
		 live & VEC_AVX512 ? " avx512" : "", live & VEC_PKU ? " pkru" : "");
	return text;
}

/* Compares one register, byte by byte. */
static int differs(const char *name, int number, const void *want, const void *got, size_t size,
		   char *where)
{
	const u8 *w = want, *g = got;
	char digits[8] = "";
	size_t i;

	for (i = 0; i < size && w[i] == g[i]; i++)
		;
	if (i == size)
		return 0;
	if (number >= 0)
		snprintf(digits, sizeof(digits), "%d", number);
	snprintf(where, VEC_WHERE, "%s%s[%zu]: 0x%02x, not 0x%02x", name, digits, i, g[i], w[i]);
	return 1;
}

int vec_compare(const struct vec_image *want, const struct vec_image *got, char where[VEC_WHERE])
{
	unsigned int live = vec_live_mask();
	bool zmm = live & VEC_AVX512, ymm = live & VEC_AVX;
	const char *name = zmm ? "zmm" : ymm ? "ymm" : "xmm";
	int i, count = zmm ? 32 : 16;
	size_t st, size = zmm ? 64 : ymm ? 32 : 16;

	for (i = 0; i < count; i++) {
		if (differs(name, i, want->reg[i], got->reg[i], size, where))
			return 1;
	}
	for (i = 0; i < 8; i++) {
		st = FX_ST + i * FX_ST_SIZE;
		if (differs("st", i, want->fx + st, got->fx + st, 10, where))
			return 1;
		if (zmm && differs("k", i, &want->k[i], &got->k[i], 8, where))
			return 1;
	}
	if ((live & VEC_PKU) && differs("pkru", -1, &want->pkru, &got->pkru, 4, where))
		return 1;
	return differs("fcw", -1, want->fx + FX_FCW, got->fx + FX_FCW, 2, where) ||
	       differs("fsw", -1, want->fx + FX_FSW, got->fx + FX_FSW, 2, where) ||
	       differs("ftw", -1, want->fx + FX_FTW, got->fx + FX_FTW, 1, where) ||
	       differs("mxcsr", -1, want->fx + FX_MXCSR, got->fx + FX_MXCSR, 4, where);
}
