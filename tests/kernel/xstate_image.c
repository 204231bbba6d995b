/* SPDX-License-Identifier: MIT */
/*
 * The two formats, one rule a test: on layouts that are put together here, from sizes and places
 * that "seed=" chooses, so that neither xstate_layout_init() nor another rule is needed.
 */
#include "arch/x86/fpu/core/layout.h"
#include "kernel/splat/ktest.h"
#include "lib/string.h"
#include "tests/kernel/random.h"

KTEST_SUITE(xstate_image);

#define ROUNDS		300
#define EVERY		(BIT_ULL(XFEATURE_MAX) - 1)

struct made_up {
	struct xstate_layout l;
	u64 placed;		/* those that a standard image has a place for */
	u64 set;		/* of an image: some that there are, and some that are not */
};

/* What is special about a layout, or about the image. */
enum { SHUFFLED = 1, ALIGNED = 2, SUPERVISOR = 4, SUBSET = 8 };

/* One of @of, which is not empty. */
static unsigned int choose(u64 of, bool any, u64 *random)
{
	unsigned int nr;

	if (!any)
		return __builtin_ctzll(of);
	do {
		nr = next_random(random) % XFEATURE_MAX;
	} while (!(of & BIT_ULL(nr)));
	return nr;
}

/* There are holes, and if SHUFFLED the places do not follow the numbers. */
static void place_standard(struct made_up *m, int how, u64 *random)
{
	u32 free = XSAVE_MIN_SIZE;
	u64 left = m->placed;

	while (left) {
		unsigned int nr = choose(left, how & SHUFFLED, random);

		left &= ~BIT_ULL(nr);
		m->l.offset[nr] = free + next_random(random) % 100;
		free = m->l.offset[nr] + m->l.size[nr];
	}
}

/*
 * What must come out. It is computed after the function was asked: while it runs, the answer stands
 * nowhere.
 */
static u32 standard_size(const struct made_up *m)
{
	u32 end = XSAVE_MIN_SIZE;
	unsigned int nr;

	for_each_xfeature(nr, m->set & m->placed)
		if (m->l.offset[nr] + m->l.size[nr] > end)
			end = m->l.offset[nr] + m->l.size[nr];
	return end;
}

/* Of component @number; of XFEATURE_MAX it is the size. Bytes are left out before aligned ones. */
static u32 compacted_place(const struct made_up *m, unsigned int number)
{
	u32 free = XSAVE_MIN_SIZE;
	unsigned int nr;

	for_each_xfeature(nr, m->set & m->l.features & ~XFEATURE_MASK_FPSSE) {
		while ((m->l.aligned & BIT_ULL(nr)) && free % 64)
			free++;
		if (nr == number)
			break;
		free += m->l.size[nr];
	}
	return free;
}

static void make_up(struct made_up *m, int how, u64 *random)
{
	u64 extended = next_random(random) & EVERY & ~XFEATURE_MASK_FPSSE;
	unsigned int nr;

	memset(m, 0, sizeof(*m));
	m->l.features = extended | XFEATURE_MASK_FPSSE;
	m->l.supervisor = how & SUPERVISOR ? next_random(random) & extended : 0;
	m->l.aligned = how & ALIGNED ? next_random(random) & extended : 0;
	m->l.size[XFEATURE_FP] = m->l.size[XFEATURE_SSE] = XSAVE_HDR_OFFSET;
	m->placed = extended & ~m->l.supervisor;
	m->set = how & SUBSET ? (next_random(random) & EVERY) | XFEATURE_MASK_FPSSE : EVERY;
	for_each_xfeature(nr, extended)
		m->l.size[nr] = 1 + next_random(random) % 1000;
	place_standard(m, how, random);
}

#define FOR_EACH_MADE_UP(m, how)								\
	for (u64 __random = ktest_seed | 1, __i = 0;						\
	     __i < ROUNDS && (make_up(&(m), how, &__random), true); __i++)

#define IN_LAYOUT	"; the layout has %#llx (supervisor %#llx, aligned %#llx), the image %#llx"
#define MASKS(m)	(m)->l.features, (m)->l.supervisor, (m)->l.aligned, (m)->set

/* @has: it has a place there; else 0 is right. */
static void expect_place(struct ktest_run *kt, const struct made_up *m, u64 format,
			 unsigned int nr, bool has)
{
	/* XCOMP_BV of a standard image is 0. */
	u32 got = xstate_image_offset(&m->l, format ? m->set | format : 0, nr);
	u32 want = !has ? 0 : format ? compacted_place(m, nr) : m->l.offset[nr];

	KEXPECT_OR(got == want, "component %u is at %u in the %s format, expected %u" IN_LAYOUT, nr,
		   got, format ? "compacted" : "standard", want, MASKS(m));
}

static void expect_size(struct ktest_run *kt, bool compacted, int how)
{
	struct made_up m;

	FOR_EACH_MADE_UP(m, how) {
		u32 got = xstate_image_size(&m.l, m.set, compacted);
		u32 want = compacted ? compacted_place(&m, XFEATURE_MAX) : standard_size(&m);

		KEXPECT_OR(got == want, "the %s size is %u, expected %u" IN_LAYOUT,
			   compacted ? "compacted" : "standard", got, want, MASKS(&m));
	}
}

/* --- Sizes --- */

/* fails with: xstate_image_size() adding sizes up, as if there were no holes */
KTEST(holes_count_in_the_standard_size)
{
	expect_size(kt, false, SUBSET | SUPERVISOR);
}

/* fails with: xstate_image_size() looking at the highest number only */
KTEST(the_last_in_a_standard_image_is_any)
{
	expect_size(kt, false, SUBSET | SHUFFLED);
}

/* fails with: compacted_offset() starting at 512 */
KTEST(a_compacted_image_has_no_holes)
{
	expect_size(kt, true, SHUFFLED);
}

/* fails with: compacted_offset() going by l->features */
KTEST(only_what_is_named_takes_room)
{
	expect_size(kt, true, SUBSET | SHUFFLED);
}

/* fails with: compacted_offset() without ALIGN_UP() */
KTEST(some_components_begin_at_a_multiple_of_64)
{
	expect_size(kt, true, ALIGNED);
}

/* fails with: compacted_offset() leaving out l->supervisor */
KTEST(supervisor_state_takes_room_when_compacted)
{
	expect_size(kt, true, SUPERVISOR);
}

/* --- Places --- */

/* fails with: xstate_image_offset() without its test of XCOMP_BV_COMPACTED */
KTEST(bit_63_says_where_a_component_is)
{
	struct made_up m;
	unsigned int nr;

	FOR_EACH_MADE_UP(m, SHUFFLED) {
		for_each_xfeature(nr, m.placed) {
			expect_place(kt, &m, 0, nr, true);
			expect_place(kt, &m, XCOMP_BV_COMPACTED, nr, true);
		}
	}
}

/* fails with: xstate_image_offset() not looking at the component's own bit */
KTEST(what_has_no_room_has_no_place)
{
	struct made_up m;
	unsigned int nr;

	FOR_EACH_MADE_UP(m, SUBSET | SUPERVISOR) {
		u64 room = m.l.features & m.set & ~XFEATURE_MASK_FPSSE;

		for_each_xfeature(nr, EVERY & ~room)
			expect_place(kt, &m, XCOMP_BV_COMPACTED, nr, false);
		for_each_xfeature(nr, EVERY & ~m.placed)
			expect_place(kt, &m, 0, nr, false);
		/* Else a function that knows no place at all would be right. */
		for_each_xfeature(nr, room)
			KEXPECT_OR(xstate_image_offset(&m.l, m.set | XCOMP_BV_COMPACTED, nr),
				   "component %u has room, and no place" IN_LAYOUT, nr, MASKS(&m));
	}
}

/* fails with: xstate_image_offset() walking along l->features instead of XCOMP_BV */
KTEST(a_place_depends_on_those_before_it)
{
	struct made_up m;
	unsigned int nr;

	FOR_EACH_MADE_UP(m, SUBSET | ALIGNED | SUPERVISOR)
		for_each_xfeature(nr, m.l.features & m.set & ~XFEATURE_MASK_FPSSE)
			expect_place(kt, &m, XCOMP_BV_COMPACTED, nr, true);
}

/* --- Neighbours --- */

/* AVX in @size bytes at @a and PKRU in @other bytes at @b: NULL, or why they are refused. */
static const char *refused(u32 a, u32 size, u32 b, u32 other)
{
	struct xstate_cpuid c = {
		.user = XFEATURE_MASK_FPSSE | XFEATURE_MASK(YMM) | XFEATURE_MASK(PKRU),
		.sub[XFEATURE_YMM] = { .size = size, .offset = a },
		.sub[XFEATURE_PKRU] = { .size = other, .offset = b },
	};
	struct xstate_layout l;

	return xstate_layout_init(&l, &c, c.user);
}

static void expect_taken(struct ktest_run *kt, bool want, u32 a, u32 size, u32 b, u32 other)
{
	const char *why = refused(a, size, b, other);

	KEXPECT_OR(!why == want, "bytes %u-%u and %u-%u were %s%s", a, a + size - 1, b,
		   b + other - 1, why ? "refused: " : "taken", why ?: "");
}

/* PKRU against AVX, which is in @size bytes at @at. */
static void expect_case(struct ktest_run *kt, unsigned int number, u32 at, u32 size, u32 other)
{
	switch (number) {
	case 0: return expect_taken(kt, false, at, size, at + size - 1, other);
	case 1: return expect_taken(kt, false, at, size, at - other + 1, other);
	case 2: return expect_taken(kt, false, at, size, at, size);
	case 3: return expect_taken(kt, false, at, size, at + 1, size - 2);
	case 4: return expect_taken(kt, false, at, size, at - 1, size + 2);
	case 5: return expect_taken(kt, true, at, size, at + size + 1, other);
	case 6: return expect_taken(kt, true, at, size, at + size, other);
	case 7: return expect_taken(kt, true, at, size, at - other, other);
	}
}

/* Cases 0 to @most, in an order that nobody can know who does not look at the bytes. */
static void expect_cases(struct ktest_run *kt, unsigned int most)
{
	u64 random = ktest_seed | 1;

	for (int i = 0; i < 6 * ROUNDS; i++) {
		u32 at = 2000 + next_random(&random) % 1000, size = 3 + next_random(&random) % 500;
		u32 other = 3 + next_random(&random) % 500;

		expect_case(kt, next_random(&random) % (most + 1), at, size, other);
	}
}

/* fails with: overlap() asking one way only */
KTEST(what_shares_a_byte_is_refused)
{
	expect_cases(kt, 5);
}

/* fails with: overlap() taking the byte behind a range for its last */
KTEST(neighbours_may_touch)
{
	expect_cases(kt, 7);
}
