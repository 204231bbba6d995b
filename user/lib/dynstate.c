/* SPDX-License-Identifier: MIT */
/* Dynamic state (see dynstate.h): AVX, AVX-512, or AMX tiles. */
#include "user/lib/dynstate.h"
#include "user/lib/vec.h"

#define EACH_OF_16(op)		op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9)	\
				op(10) op(11) op(12) op(13) op(14) op(15)
#define EACH_UPPER_16(op)	op(16) op(17) op(18) op(19) op(20) op(21) op(22) op(23) op(24)	\
				op(25) op(26) op(27) op(28) op(29) op(30) op(31)
#define EACH_OF_8(op)	op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7)

#define TILE_ROWS	16
#define TILE_COLUMNS	64		/* bytes */

static int tile_rows = TILE_ROWS, tile_columns = TILE_COLUMNS;

/* All the state there may be, as one image. */
struct dyn_image {
	u8 ymmh[16][16];
	/* Not zmm0-15's upper halves: any AVX instruction clears them, those of vec.h too. */
	u8 hi16[16 + 16][64];			/* from 16 on */
	u16 k[8];
	u8 tiles[8][TILE_ROWS * TILE_COLUMNS];
} __aligned(64);

int dyn_number(void)
{
	struct splat_info info;
	u64 mask = 0;

	if (splat_info(&info) >= 0)
		return info.xfd & BIT(DYN_YMM) ? DYN_YMM : info.xfd & BIT(DYN_ZMM) ? DYN_ZMM :
		       info.xfd & BIT(DYN_TILES) ? DYN_TILES : 0;
	/* Linux: tiles, where the CPU has them. */
	return dyn_supported(&mask) == 0 && (mask & BIT(DYN_TILES)) ? DYN_TILES : 0;
}

long dyn_supported(u64 *mask)
{
	return syscall(SYS_arch_prctl, ARCH_GET_XCOMP_SUPP, mask);
}

long dyn_permitted(u64 *mask)
{
	return syscall(SYS_arch_prctl, ARCH_GET_XCOMP_PERM, mask);
}

long dyn_request(unsigned long number)
{
	return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, number);
}

static void fill(struct dyn_image *image, u64 seed)
{
	u8 *bytes = (u8 *)image;

	if (seed)
		seed = (seed ^ vec_salt) ?: 1;		/* 0 is the initial state */
	for (size_t i = 0; i < sizeof(*image); i++) {
		seed = seed * 6364136223846793005 + !!seed;
		bytes[i] = seed >> 56;
	}
}

static void put_avx(const struct dyn_image *image)
{
#define PUT(n) __asm__ volatile("vinsertf128 $1, %0, %%ymm" #n ", %%ymm" #n :: "m"(image->ymmh[n]));
	EACH_OF_16(PUT)
#undef PUT
}

static void get_avx(struct dyn_image *image)
{
#define GET(n) __asm__ volatile("vextractf128 $1, %%ymm" #n ", %0" : "=m"(image->ymmh[n]));
	EACH_OF_16(GET)
#undef GET
}

static void put_avx512(const struct dyn_image *image)
{
#define PUT(n) __asm__ volatile("vmovdqu64 %0, %%zmm" #n :: "m"(image->hi16[n]));
	EACH_UPPER_16(PUT)
#undef PUT
#define PUT(n) __asm__ volatile("kmovw %0, %%k" #n :: "m"(image->k[n]));
	EACH_OF_8(PUT)
#undef PUT
}

static void get_avx512(struct dyn_image *image)
{
#define GET(n) __asm__ volatile("vmovdqu64 %%zmm" #n ", %0" : "=m"(image->hi16[n]));
	EACH_UPPER_16(GET)
#undef GET
#define GET(n) __asm__ volatile("kmovw %%k" #n ", %0" : "=m"(image->k[n]));
	EACH_OF_8(GET)
#undef GET
}

/* Palette 1: eight tiles. Loading it clears the tiles. */
static void configure_tiles(void)
{
	struct {
		u8 palette, start_row, reserved[14];
		u16 colsb[16];
		u8 rows[16];
	} __aligned(64) config = { .palette = 1 };

	for (int i = 0; i < 8; i++) {
		config.colsb[i] = tile_columns;
		config.rows[i] = tile_rows;
	}
	__asm__ volatile("ldtilecfg %0" :: "m"(config));
}

static void put_tiles(const struct dyn_image *image)
{
	configure_tiles();
#define PUT(n) __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #n					\
				:: "r"(image->tiles[n]), "r"((long)TILE_COLUMNS) : "memory");
	EACH_OF_8(PUT)
#undef PUT
}

/* What a tile does not write stays 0, so that a lost shape shows, too. */
static void get_tiles(struct dyn_image *image)
{
	memset(image->tiles, 0, sizeof(image->tiles));
#define GET(n) __asm__ volatile("tilestored %%tmm" #n ", (%0,%1,1)"				\
				:: "r"(image->tiles[n]), "r"((long)TILE_COLUMNS) : "memory");
	EACH_OF_8(GET)
#undef GET
}

void dyn_put(u64 seed)
{
	struct dyn_image image;

	fill(&image, seed);
	switch (dyn_number()) {
	case DYN_YMM:
		put_avx(&image);
		break;
	case DYN_ZMM:
		put_avx512(&image);
		break;
	case DYN_TILES:
		if (seed)
			put_tiles(&image);
		else
			__asm__ volatile("tilerelease");
	}
}

/* Beyond its shape, a tile stores nothing. */
static void clear_beyond_shape(struct dyn_image *image)
{
	for (int i = 0; i < 8; i++)
		for (int at = 0; at < TILE_ROWS * TILE_COLUMNS; at++)
			if (at / TILE_COLUMNS >= tile_rows || at % TILE_COLUMNS >= tile_columns)
				image->tiles[i][at] = 0;
}

/*
 * Ask XINUSE (SDM vol. 1, 13.6), because tiles without a palette cannot be stored, and Bochs 3.0
 * then takes even STTILECFG for an undefined instruction. IA32_XFD keeps off the tiles only: their
 * configuration is inherited. XCR0 keeps off both, and Bochs 3.0 answers wrongly about the tiles.
 */
static bool tiles_are_initial(void)
{
	struct splat_info info = {};
	u32 in_use, high;

	splat_info(&info);
	__asm__ volatile("xgetbv" : "=a"(in_use), "=d"(high) : "c"(1));
	return !(in_use & (info.xfd & BIT(DYN_TILES - 1) ? BIT(DYN_TILES - 1) : BIT(DYN_TILES)));
}

bool dyn_holds(u64 seed)
{
	struct dyn_image want, got;

	fill(&want, seed);
	got = want;
	switch (dyn_number()) {
	case DYN_YMM:
		get_avx(&got);
		break;
	case DYN_ZMM:
		get_avx512(&got);
		break;
	case DYN_TILES:
		if (tiles_are_initial() || !seed)
			return tiles_are_initial() && !seed;
		get_tiles(&got);
		clear_beyond_shape(&want);
	}
	return !memcmp(&want, &got, sizeof(want));
}

void dyn_use_small_tiles(void)
{
	tile_rows = tile_columns = 8;
}

bool dyn_can_be_saved(void)
{
	static u8 image[16384] __aligned(64);
	u32 group = dyn_number() == DYN_YMM ? BIT(2) :
		    dyn_number() == DYN_ZMM ? BIT(5) | BIT(6) | BIT(7) : BIT(17) | BIT(18);

	dyn_put(1);
	__asm__ volatile("xsave64 %0" : "+m"(image) : "a"(group), "d"(0) : "memory");
	dyn_put(2);
	__asm__ volatile("xrstor64 %0" :: "m"(image), "a"(group), "d"(0) : "memory");
	return dyn_holds(1);
}
