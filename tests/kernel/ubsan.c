/* SPDX-License-Identifier: MIT */
/*
 * What UBSAN=1 reports. This file is compiled with the checks in every build, so that their
 * handlers are tried everywhere; tests/golden/ubsan.txt has the lines. The counter is put back, for
 * at the end of a run it must be zero (tests/user/testrun.c).
 */
#include "kernel/preempt/might_sleep.h"
#include "kernel/report/panic.h"
#include "tests/kernel/threads.h"

KTEST_SUITE(ubsan);

/* What the compiler cannot know. */
static volatile int largest = 0x7fffffff, lowest = -0x7fffffff - 1, one = 1, five = 5, forty = 40;
static volatile unsigned long far = ~0UL >> 1;
static volatile int result;

static struct row {
	int cells[4], behind[4];
} row, *volatile no_row;

static noinline void add_five(void)
{
	result = largest + five;
}

#define EXPECT_REPORT(statement) do {							\
		struct splats before = splats_now();					\
											\
		statement;								\
		EXPECT_SPLATS(before, SPLAT_UBSAN, 1);					\
		EXPECT_SPLATS_IN_ALL(before, 1);					\
		splat_counts[SPLAT_UBSAN] = before.count[SPLAT_UBSAN];			\
	} while (0)

/* fails with: fault/ubsan-not-counted */
KTEST(each_kind_is_counted)
{
	const u8 two = 2;

	EXPECT_REPORT(result = largest + one);
	EXPECT_REPORT(result = lowest - one);
	EXPECT_REPORT(result = largest * five);
	EXPECT_REPORT(result = -lowest);
	EXPECT_REPORT(result = one << forty);
	EXPECT_REPORT(result = row.cells[five]);
	EXPECT_REPORT(result = *(const volatile bool *)&two);
	EXPECT_REPORT(result = (long)&no_row->behind);
	EXPECT_REPORT(result = (long)((char *)&row + far));
	/* A place prints once, and counts each time. */
	EXPECT_REPORT(add_five());
	EXPECT_REPORT(add_five());
}
