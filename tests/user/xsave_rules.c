/* SPDX-License-Identifier: MIT */
/*
 * What the manual says of the XSAVE instructions and of tiles, asked of the CPU itself; nothing
 * here is Splat's. For silicon, and for an emulator that claims to be right: others have mistakes,
 * and the kernel works around them (arch/x86/fpu/core/quirks.h). So these tests run with RULES=1
 * only, under make bochs-xfd's Bochs and, for what the host's CPU has, on the host
 * (host/xsave-rules).
 */
#include "user/lib/dynstate.h"
#include "user/lib/ktap.h"

#define SSE		BIT(1)
#define AVX		BIT(2)
#define OPMASK		BIT(5)
#define ALL		(SSE | AVX | OPMASK)
#define TILE_CONFIG	BIT(17)
#define TILE_DATA	BIT(18)
#define COMPACTED	BIT(63)
#define MXCSR_DEFAULT	0x1f80
#define MXCSR_OTHER	0x3f80		/* rounds down */
#define POISON		0xa5
#define AREA		576		/* where the extended components begin */
#define SIGILL		4

struct image {
	u8 x87[24];
	u32 mxcsr, mxcsr_mask;
	u8 st[128], xmm[16][16], unused[96];
	u64 xstate_bv, xcomp_bv, zero[6];
	u8 area[16384 - AREA];
} __aligned(64);

static struct image before, tested, after;

static void cpuid(u32 leaf, u32 subleaf, u32 out[4])
{
	__asm__ volatile("cpuid" : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
			 : "a"(leaf), "c"(subleaf));
}

static u32 xcr0(void)
{
	u32 low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return low;
}

/* XSAVEC, XGETBV(1), and the components. */
static bool has_all(void)
{
	u32 leaf1[4], leafd[4];

	cpuid(1, 0, leaf1);
	if (!(leaf1[2] & BIT(27)) || (xcr0() & ALL) != ALL)
		return false;
	cpuid(0xd, 1, leafd);
	return (leafd[0] & 6) == 6;
}

#define NEEDS_ALL									\
	do {										\
		if (!ktap_rules)							\
			SKIP("asked for by RULES=1: emulators have mistakes");		\
		if (!has_all())								\
			SKIP("this CPU has no XSAVEC, or no AVX-512");			\
	} while (0)

static u32 size_of(unsigned int nr)
{
	u32 out[4];

	cpuid(0xd, nr, out);
	return out[0];
}

static u32 standard_offset(unsigned int nr)
{
	u32 out[4];

	cpuid(0xd, nr, out);
	return out[1];
}

static bool is_aligned(unsigned int nr)
{
	u32 out[4];

	cpuid(0xd, nr, out);
	return out[2] & 2;
}

/* Where component @nr begins in an image with room for @room (SDM vol. 1, 13.4.3). */
static u32 compacted_offset(u64 room, unsigned int nr)
{
	u32 at = AREA;

	for (unsigned int i = 2; i <= nr; i++) {
		if (!(room & BIT(i)))
			continue;
		if (is_aligned(i))
			at = (at + 63) & ~63;
		if (i < nr)
			at += size_of(i);
	}
	return at;
}

static u8 *at(struct image *image, u32 offset)
{
	return (u8 *)image + offset;
}

static bool all_are(const u8 *bytes, size_t size, u8 value)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i] != value)
			return false;
	return true;
}

static void clear(struct image *image, u8 value, u64 xstate_bv, u64 xcomp_bv)
{
	memset(image, value, sizeof(*image));
	memset(&image->xstate_bv, 0, 64);
	image->xstate_bv = xstate_bv;
	image->xcomp_bv = xcomp_bv;
	image->mxcsr = MXCSR_DEFAULT;
}

/* All of ALL in use, with these values in the registers. */
static void fill_before(u8 sse, u8 avx, u8 opmask, u32 mxcsr)
{
	clear(&before, 0, ALL, 0);
	before.mxcsr = mxcsr;
	memset(before.xmm, sse, sizeof(before.xmm));
	memset(at(&before, standard_offset(2)), avx, size_of(2));
	memset(at(&before, standard_offset(5)), opmask, size_of(5));
}

/*
 * One after the other, so that the compiler has no register in between: load @before, XRSTOR @load
 * of @tested, XSAVE or XSAVEC @save to @after. MXCSR is the default again afterwards.
 */
static noinline void run(u64 load, u64 save, bool compact)
{
	static const u32 mxcsr = MXCSR_DEFAULT;

#define MASK(mask)	"movl %k[" #mask "], %%eax; xorl %%edx, %%edx;"
	if (compact)
		__asm__ volatile(MASK(all) "xrstor64 %[before];" MASK(load) "xrstor64 %[tested];"
				 MASK(save) "xsavec64 %[after]; ldmxcsr %[mxcsr]; vzeroupper"
				 : [after] "+m"(after)
				 : [before] "m"(before), [tested] "m"(tested), [mxcsr] "m"(mxcsr),
				   [all] "r"(ALL), [load] "r"(load), [save] "r"(save)
				 : "rax", "rdx", "memory");
	else
		__asm__ volatile(MASK(all) "xrstor64 %[before];" MASK(load) "xrstor64 %[tested];"
				 MASK(save) "xsave64 %[after]; ldmxcsr %[mxcsr]; vzeroupper"
				 : [after] "+m"(after)
				 : [before] "m"(before), [tested] "m"(tested), [mxcsr] "m"(mxcsr),
				   [all] "r"(ALL), [load] "r"(load), [save] "r"(save)
				 : "rax", "rdx", "memory");
}

/* --- The compacted form --- */

TEST(xsavec_packs_what_it_was_asked_for)
{
	NEEDS_ALL;
	fill_before(0x11, 0x22, 0x33, MXCSR_DEFAULT);
	clear(&tested, 0, 0, 0);
	clear(&after, POISON, 0, 0);
	run(0, OPMASK, true);
	EXPECT_EQ(after.xcomp_bv, COMPACTED | OPMASK);
	EXPECT_EQ(after.xstate_bv, OPMASK);
	EXPECT(all_are(at(&after, AREA), size_of(5), 0x33));
	EXPECT(all_are(at(&after, AREA) + size_of(5), 64, POISON));
	run(0, AVX | OPMASK, true);
	EXPECT(all_are(at(&after, AREA), size_of(2), 0x22));
	EXPECT(all_are(at(&after, compacted_offset(AVX | OPMASK, 5)), size_of(5), 0x33));
}

TEST(xsavec_leaves_out_what_is_initial)
{
	NEEDS_ALL;
	fill_before(0x11, 0x22, 0x33, MXCSR_DEFAULT);
	clear(&tested, 0, 0, 0);
	clear(&after, POISON, 0, 0);
	run(AVX, ALL, true);
	EXPECT_EQ(after.xstate_bv, SSE | OPMASK);
	EXPECT(all_are(at(&after, AREA), size_of(2), POISON));	/* its room stays as it was */
	EXPECT(all_are(at(&after, compacted_offset(ALL, 5)), size_of(5), 0x33));
}

/* SDM vol. 1, 13.10: MXCSR is SSE's here; 13.7: XSAVE stores it with AVX, too. */
TEST(mxcsr_is_saved_with_its_component)
{
	NEEDS_ALL;
	fill_before(0, 0x22, 0, MXCSR_DEFAULT);
	clear(&tested, 0, 0, 0);
	clear(&after, POISON, 0, 0);
	after.mxcsr = 0;
	run(SSE, AVX, true);
	EXPECT_EQ(after.mxcsr, 0);
	run(SSE, AVX, false);
	EXPECT_EQ(after.mxcsr, MXCSR_DEFAULT);
}

/* SDM vol. 1, 13.8.2: room that the mask does not name is stepped over. */
TEST(xrstor_goes_by_xcomp_bv)
{
	NEEDS_ALL;
	fill_before(0x11, 0x22, 0x33, MXCSR_DEFAULT);
	clear(&tested, 0, AVX | OPMASK, COMPACTED | AVX | OPMASK);
	memset(at(&tested, AREA), 0x44, size_of(2));
	memset(at(&tested, compacted_offset(AVX | OPMASK, 5)), 0x55, size_of(5));
	clear(&after, 0, 0, 0);
	run(OPMASK, ALL, false);
	EXPECT(all_are(at(&after, standard_offset(5)), size_of(5), 0x55));
	EXPECT(all_are(at(&after, standard_offset(2)), size_of(2), 0x22));
}

/* --- MXCSR in XRSTOR --- */

TEST(standard_xrstor_loads_mxcsr_with_avx)
{
	NEEDS_ALL;
	fill_before(0x11, 0x22, 0x33, MXCSR_DEFAULT);
	clear(&tested, 0, 0, 0);
	tested.mxcsr = MXCSR_OTHER;
	clear(&after, 0, 0, 0);
	run(AVX, SSE, false);
	EXPECT_EQ(after.mxcsr, MXCSR_OTHER);
	EXPECT(all_are(after.xmm[0], sizeof(after.xmm), 0x11));
}

TEST(compacted_xrstor_initialises_mxcsr_with_sse)
{
	NEEDS_ALL;
	fill_before(0x11, 0x22, 0x33, MXCSR_OTHER);
	clear(&tested, 0, 0, COMPACTED | ALL);
	tested.mxcsr = MXCSR_OTHER;
	clear(&after, 0, 0, 0);
	run(AVX, SSE, false);
	EXPECT_EQ(after.mxcsr, MXCSR_OTHER);	/* the one before: AVX has no part in it */
	run(SSE, SSE, false);
	EXPECT_EQ(after.mxcsr, MXCSR_DEFAULT);
}

/* --- XINUSE --- */

/* Which of ALL are in use once @image is loaded? */
static noinline u32 in_use_after(const struct image *image)
{
	u32 low = ALL, high = 0;

	__asm__ volatile("xrstor64 %2; movl $1, %%ecx; xgetbv"
			 : "+a"(low), "+d"(high) : "m"(*image) : "ecx", "memory");
	return low & ALL;
}

TEST(xinuse_says_what_is_in_use)
{
	NEEDS_ALL;
	fill_before(0x11, 0x22, 0x33, MXCSR_DEFAULT);
	clear(&tested, 0, 0, 0);
	EXPECT_EQ(in_use_after(&before), ALL);
	EXPECT_EQ(in_use_after(&tested) & (AVX | OPMASK), 0);
}

/* --- Tiles --- */

struct tile_config {
	u8 palette, start_row, zero[14];
	u16 colsb[8], zero2[8];
	u8 rows[8], zero3[8];
};

static const struct tile_config full = {
	.palette = 1, .colsb = { 64, 64, 64, 64, 64, 64, 64, 64 },
	.rows = { 16, 16, 16, 16, 16, 16, 16, 16 },
}, mixed = {
	.palette = 1, .colsb = { 4, 8, 64 }, .rows = { 16, 3, 1 },
};
static u8 data[8][16 * 64] __aligned(64);

#define NEEDS_TILES									\
	do {										\
		NEEDS_ALL;								\
		if ((xcr0() & (TILE_CONFIG | TILE_DATA)) != (TILE_CONFIG | TILE_DATA))	\
			SKIP("this CPU has no tiles");					\
	} while (0)

static void load_full(void)
{
	for (unsigned int i = 0; i < sizeof(data); i++)
		((u8 *)data)[i] = i * 7 + i / 256 + 1;
	__asm__ volatile("ldtilecfg %0" :: "m"(full));
#define LOAD(n)		__asm__ volatile("tileloadd (%0,%1,1), %%tmm" #n		\
					 :: "r"(data[n]), "r"(64L) : "memory")
	LOAD(0); LOAD(1); LOAD(2); LOAD(3); LOAD(4); LOAD(5); LOAD(6); LOAD(7);
}

static void save_tiles(u64 mask)
{
	__asm__ volatile("xsave64 %0" : "+m"(after) : "a"(mask), "d"(0) : "memory");
}

static void restore_tiles(struct image *image, u64 mask)
{
	__asm__ volatile("xrstor64 %0" :: "m"(*image), "a"(mask), "d"(0) : "memory");
}

/* In a child, since the permission stays. */
static void all_of_every_tile(void *arg __unused)
{
	if (dyn_request(DYN_TILES))
		_exit(9);
	load_full();
	clear(&after, POISON, 0, 0);
	save_tiles(TILE_CONFIG | TILE_DATA);
	EXPECT_EQ(after.xstate_bv, TILE_CONFIG | TILE_DATA);
	EXPECT(!memcmp(at(&after, standard_offset(17)), &full, sizeof(full)));
	EXPECT(!memcmp(at(&after, standard_offset(18)), data, sizeof(data)));
	/* The configuration alone comes back, and the tiles stay as they are. */
	memcpy(&tested, &after, sizeof(after));
	memcpy(at(&tested, standard_offset(17)), &mixed, sizeof(mixed));
	restore_tiles(&tested, TILE_CONFIG);
	clear(&after, POISON, 0, 0);
	save_tiles(TILE_CONFIG | TILE_DATA);
	EXPECT(!memcmp(at(&after, standard_offset(17)), &mixed, sizeof(mixed)));
	EXPECT(!memcmp(at(&after, standard_offset(18)), data, sizeof(data)));
	__asm__ volatile("tilerelease");
	save_tiles(TILE_CONFIG | TILE_DATA);
	EXPECT_EQ(after.xstate_bv, 0);
	/* Data needs no configuration, on which Linux's own test of tiles relies (x86/amx.c). */
	restore_tiles(&tested, TILE_DATA);
	clear(&after, POISON, 0, 0);
	save_tiles(TILE_CONFIG | TILE_DATA);
	EXPECT_EQ(after.xstate_bv, TILE_DATA);
	EXPECT(!memcmp(at(&after, standard_offset(18)), data, sizeof(data)));
	_exit(ktap_failures != 0);
}

TEST(tiles_have_16_rows_of_64_bytes)
{
	NEEDS_TILES;
	EXPECT_EQ(size_of(18), sizeof(data));
	EXPECT(is_aligned(18));
	EXPECT_EQ(run_child(all_of_every_tile, NULL), EXITED(0));
}

static void store_config(void *arg __unused)
{
	static struct tile_config stored;

	__asm__ volatile("ldtilecfg %1; sttilecfg %0" : "=m"(stored) : "m"(mixed));
	EXPECT(!memcmp(&stored, &mixed, sizeof(stored)));
	__asm__ volatile("tilerelease; sttilecfg %0" : "=m"(stored));
	EXPECT(all_are((u8 *)&stored, sizeof(stored), 0));
	_exit(ktap_failures != 0);
}

static void zero_a_tile(void *arg __unused)
{
	__asm__ volatile("ldtilecfg %0; tilezero %%tmm0" :: "m"(full));
	_exit(9);
}

/*
 * With IA32_XFD[18] set, TILEDATA is out of reach, but its configuration is not: on silicon the
 * first of LDTILECFG and TILELOADD that faults is TILELOADD, as Linux's own test of KVM has it.
 */
TEST(the_gate_shuts_off_tiles_not_their_configuration)
{
	u32 out[4];

	NEEDS_TILES;
	cpuid(0xd, 1, out);
	if (!(out[0] & BIT(4)))
		SKIP("this CPU has no IA32_XFD");
	EXPECT_EQ(run_child(store_config, NULL), EXITED(0));
	EXPECT_EQ(run_child(zero_a_tile, NULL), SIGILL);
}
