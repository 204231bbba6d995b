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
	u32 standard_size, compacted_size, compacted_place[XFEATURE_MAX];
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

	m->standard_size = free;
	while (left) {
		unsigned int nr = choose(left, how & SHUFFLED, random);

		left &= ~BIT_ULL(nr);
		m->l.offset[nr] = free + next_random(random) % 100;
		free = m->l.offset[nr] + m->l.size[nr];
		if (m->set & BIT_ULL(nr))
			m->standard_size = free;
	}
}

/* For those that are aligned, bytes are left out before them. */
static void place_compacted(struct made_up *m)
{
	u32 free = XSAVE_MIN_SIZE;
	unsigned int nr;

	for_each_xfeature(nr, m->set & m->l.features & ~XFEATURE_MASK_FPSSE) {
		while ((m->l.aligned & BIT_ULL(nr)) && free % 64)
			free++;
		m->compacted_place[nr] = free;
		free += m->l.size[nr];
	}
	m->compacted_size = free;
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
	place_compacted(m);
}

#define FOR_EACH_MADE_UP(m, how)								\
	for (u64 __random = ktest_seed | 1, __i = 0;						\
	     __i < ROUNDS && (make_up(&(m), how, &__random), true); __i++)

#define IN_LAYOUT	"; the layout has %#llx (supervisor %#llx, aligned %#llx), the image %#llx"
#define MASKS(m)	(m)->l.features, (m)->l.supervisor, (m)->l.aligned, (m)->set

static void expect_place(struct ktest_run *kt, const struct made_up *m, u64 format,
			 unsigned int nr, u32 want)
{
	/* XCOMP_BV of a standard image is 0. */
	u32 got = xstate_image_offset(&m->l, format ? m->set | format : 0, nr);

	if (got != want)
		KFAIL("component %u is at %u in the %s format, expected %u" IN_LAYOUT, nr, got,
		      format ? "compacted" : "standard", want, MASKS(m));
}

static void expect_size(struct ktest_run *kt, bool compacted, int how)
{
	struct made_up m;

	FOR_EACH_MADE_UP(m, how) {
		u32 got = xstate_image_size(&m.l, m.set, compacted);
		u32 want = compacted ? m.compacted_size : m.standard_size;

		if (got != want)
			KFAIL("the %s size is %u, expected %u" IN_LAYOUT,
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
			expect_place(kt, &m, 0, nr, m.l.offset[nr]);
			expect_place(kt, &m, XCOMP_BV_COMPACTED, nr, m.compacted_place[nr]);
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
			expect_place(kt, &m, XCOMP_BV_COMPACTED, nr, 0);
		for_each_xfeature(nr, EVERY & ~m.placed)
			expect_place(kt, &m, 0, nr, 0);
		/* Else a function that knows no place at all would be right. */
		for_each_xfeature(nr, room)
			if (!xstate_image_offset(&m.l, m.set | XCOMP_BV_COMPACTED, nr))
				KFAIL("component %u has room, and no place" IN_LAYOUT, nr,
				      MASKS(&m));
	}
}

/* fails with: xstate_image_offset() walking along l->features instead of XCOMP_BV */
KTEST(a_place_depends_on_those_before_it)
{
	struct made_up m;
	unsigned int nr;

	FOR_EACH_MADE_UP(m, SUBSET | ALIGNED | SUPERVISOR)
		for_each_xfeature(nr, m.l.features & m.set & ~XFEATURE_MASK_FPSSE)
			expect_place(kt, &m, XCOMP_BV_COMPACTED, nr, m.compacted_place[nr]);
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

#define EXPECT_TAKEN(want, a, size, b, other)							\
	do {											\
		const char *__why = refused(a, size, b, other);					\
		if ((!__why) != (want))							\
			KFAIL("bytes %u-%u and %u-%u were %s%s", a, (a) + (size) - 1, b,	\
			      (b) + (other) - 1, __why ? "refused: " : "taken", __why ?: "");	\
	} while (0)

/* fails with: overlap() asking one way only */
KTEST(what_shares_a_byte_is_refused)
{
	u64 random = ktest_seed | 1;

	for (int i = 0; i < ROUNDS; i++) {
		u32 at = 2000 + next_random(&random) % 1000, size = 3 + next_random(&random) % 500;
		u32 other = 3 + next_random(&random) % 500;

		EXPECT_TAKEN(false, at, size, at + size - 1, other);
		EXPECT_TAKEN(false, at, size, at - other + 1, other);
		EXPECT_TAKEN(false, at, size, at, size);
		EXPECT_TAKEN(false, at, size, at + 1, size - 2);
		EXPECT_TAKEN(false, at, size, at - 1, size + 2);
		EXPECT_TAKEN(true, at, size, at + size + 1, other);	/* not just everything */
	}
}

/* fails with: overlap() taking the byte behind a range for its last */
KTEST(neighbours_may_touch)
{
	u64 random = ktest_seed | 1;

	for (int i = 0; i < ROUNDS; i++) {
		u32 at = 2000 + next_random(&random) % 1000, size = 3 + next_random(&random) % 500;
		u32 other = 3 + next_random(&random) % 500;

		EXPECT_TAKEN(true, at, size, at + size, other);
		EXPECT_TAKEN(true, at, size, at - other, other);
	}
}
