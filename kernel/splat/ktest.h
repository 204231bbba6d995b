/* SPDX-License-Identifier: MIT */
/*
 * Tests that run inside the kernel, reported as KTAP (the Kernel Test Anything Protocol: a text
 * both people and scripts can read). A test file is a suite:
 *
 *	KTEST_SUITE(list);
 *
 *	KTEST(new_list_is_empty)
 *	{
 *		LIST_HEAD(head);
 *
 *		KEXPECT(list_empty(&head));
 *	}
 *
 * KTEST() puts a struct ktest into the section "ktests", so a suite takes part by being linked. A
 * failed check marks the test, which goes on. A function that a test calls needs the test's @kt as
 * a parameter to use the checks.
 */
#pragma once

#include "lib/options.h"
#include "lib/test_site.h"
#include "lib/types.h"

/* Option "seed=": tests that try random values start from here. */
extern u64 ktest_seed;

/* One test that is running. */
struct ktest_run {
	bool failed;
	unsigned int complaints;	/* of which the first KTEST_COMPLAINTS_MAX are printed */
	const char *skip_reason;
	bool may_warn;
};


#define KTEST_COMPLAINTS_MAX 5

struct ktest {
	const char *suite;		/* the same pointer for all tests of one suite */
	const char *name;
	void (*fn)(struct ktest_run *kt);
};

/* gcc would lay the tests out backwards; clang doesn't, and has no such attribute. */
#if __has_attribute(no_reorder)
#define __in_order __attribute__((no_reorder))
#else
#define __in_order
#endif

#define KTEST_SUITE(name) static const char ktest_suite[] = #name

#define KTEST(test_name)									\
	static void ktest_fn_##test_name(struct ktest_run *kt);					\
	static const struct ktest ktest_##test_name						\
		__used __in_order __section("ktests") __aligned(8) =				\
		{ ktest_suite, #test_name, ktest_fn_##test_name };				\
	static void ktest_fn_##test_name(struct ktest_run *kt)

/*
 * @a is what the kernel has, @b what the test goes by. They are evaluated once and compared as
 * 64-bit numbers, for KEXPECT_GE as signed ones.
 */
#define KEXPECT(cond)		KEXPECT_OR(cond, "expected %s", #cond)
#define KEXPECT_OR(cond, fmt, ...)						\
	do {									\
		u64 __true = !!(cond);						\
		TEST_SITE(__true, "!=", 0UL);					\
		if (!__true)							\
			KFAIL(fmt, ##__VA_ARGS__);				\
	} while (0)
#define KEXPECT_EQ(a, b)	__KEXPECT(u64, a, ==, "==", b, #a " == " #b)
#define KEXPECT_NE(a, b)	__KEXPECT(u64, a, !=, "!=", b, #a " != " #b)
#define KEXPECT_GE(a, b)	__KEXPECT(s64, a, >=, "s>=", b, #a " >= " #b)
#define KFAIL(fmt, ...)		ktest_fail(kt, __FILE__, __LINE__, fmt, ##__VA_ARGS__)

/* This test makes the kernel WARN. In other tests a warning is a failure. */
#define KMAY_WARN										\
	do {											\
		if (panic_on_warn)								\
			KSKIP("panic_on_warn: this test makes the kernel warn");		\
		kt->may_warn = true;								\
	} while (0)

/* Ends the test, because it lacks something that it needs (a CPU feature, a second CPU). */
#define KSKIP(reason)		do { ktest_skip(kt, reason); return; } while (0)

#define __KEXPECT(type, a, op, op_text, b, text)						\
	do {											\
		type __got_a = (type)(a), __got_b = (type)(b);					\
		TEST_SITE(__got_a, op_text, __got_b);						\
		if (!(__got_a op __got_b))							\
			KFAIL("expected %s: it is 0x%lx, the test has 0x%lx", text,				\
			      (unsigned long)__got_a, (unsigned long)__got_b);			\
	} while (0)

void ktest_fail(struct ktest_run *kt, const char *file, int line, const char *fmt, ...)
	__printf(4, 5);
void ktest_skip(struct ktest_run *kt, const char *reason);

/* Suites are numbered from 0, in link order. The name of a suite that does not exist is NULL. */
unsigned int ktap_suite_count(void);
const char *ktap_suite_name(unsigned int index);

/**
 * ktap_run_suite() - run the tests of one suite, and print them as a KTAP subtest, indented by two
 * blanks.
 * @run, @failed, @skipped: set to how many tests there were, and how many of them failed and were
 * skipped. The caller prints the line for the suite itself.
 * Context: whatever the tests need; they may sleep.
 * Return: 0, whatever the tests said, or -ENOENT if there is no such suite.
 */
int ktap_run_suite(unsigned int index, u32 *run, u32 *failed, u32 *skipped);
