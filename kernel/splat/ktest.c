/* SPDX-License-Identifier: MIT */
/*
 * Tests that run inside the kernel. The linker lays all struct ktest out as one array. A suite is a
 * run of entries with the same suite pointer, because each suite is one file.
 */
#include "lib/options.h"
#include "kernel/policy.h"
#include "kernel/report/panic.h"
#include "kernel/sched/sched.h"
#include "kernel/splat/ktest.h"
#include "lib/errno.h"
#include "lib/printk.h"
#include "lib/string.h"

/* From the linker script; equal if there are no tests. */
extern const struct ktest __start_ktests[], __stop_ktests[];

u64 ktest_seed = 1;

/* Any word will do. */
static int set_seed(const char *value)
{
	for (ktest_seed = 1; *value; value++)
		ktest_seed = (ktest_seed ^ (u8)*value) * 0x100000001b3;	/* FNV-1a */
	return 0;
}
BOOT_OPTION(seed, set_seed, false, "any word");

static const struct ktest *suite_end(const struct ktest *test)
{
	const char *suite = test->suite;

	while (test < __stop_ktests && test->suite == suite)
		test++;
	return test;
}

/* The first test of suite @index, or NULL. */
static const struct ktest *suite_start(unsigned int index)
{
	const struct ktest *test = __start_ktests;

	while (test < __stop_ktests && index--)
		test = suite_end(test);
	return test < __stop_ktests ? test : NULL;
}

unsigned int ktap_suite_count(void)
{
	const struct ktest *test = __start_ktests;
	unsigned int count = 0;

	for (; test < __stop_ktests; test = suite_end(test))
		count++;
	return count;
}

const char *ktap_suite_name(unsigned int index)
{
	const struct ktest *test = suite_start(index);

	return test ? test->suite : NULL;
}

void ktest_fail(struct ktest_run *kt, const char *file, int line, const char *fmt, ...)
{
	char text[PRINTK_LINE_MAX];
	va_list args;

	kt->failed = true;
	if (++kt->complaints > KTEST_COMPLAINTS_MAX)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	pr_plain("  # %s:%d: %s", file, line, text);
}

void ktest_skip(struct ktest_run *kt, const char *reason)
{
	kt->skip_reason = reason;
}

static void run_test(const struct ktest *test, unsigned int number, struct ktest_run *kt)
{
	u64 warnings = READ_ONCE(splat_counts[SPLAT_WARN]);

	*kt = (struct ktest_run) { .failed = false };
	test->fn(kt);
	if (READ_ONCE(splat_counts[SPLAT_WARN]) != warnings && !kt->may_warn)
		KFAIL("the kernel warned, and this test does not say that it may (KMAY_WARN)");

	if (kt->complaints > KTEST_COMPLAINTS_MAX)
		pr_plain("  # and %u more", kt->complaints - KTEST_COMPLAINTS_MAX);
	/* A test that failed before it found a reason to skip has failed. */
	if (kt->failed)
		pr_plain("  not ok %u %s", number, test->name);
	else if (kt->skip_reason)
		pr_plain("  ok %u %s # SKIP %s", number, test->name, kt->skip_reason);
	else
		pr_plain("  ok %u %s", number, test->name);
}

/*
 * A suite and the threads it makes stay on one CPU, so priorities alone decide their order. Each
 * suite has a different CPU. Tests of several CPUs let themselves go. Nobody else may move the
 * threads or change their priorities, or they would wait for what never comes.
 */
static u64 pin_suite(unsigned int index)
{
	u64 old = current->cpus_mask;

	current->flags |= PF_KTEST | PF_NO_SETAFFINITY;	/* threads that it makes inherit them */
	set_cpus_allowed(current, BIT(index % nr_cpus));
	return old;
}

int ktap_run_suite(unsigned int index, u32 *run, u32 *failed, u32 *skipped)
{
	u64 cpus_mask;

	const struct ktest *start = suite_start(index), *end;

	*run = *failed = *skipped = 0;
	if (!start)
		return -ENOENT;
	end = suite_end(start);

	cpus_mask = pin_suite(index);
	pr_plain("  KTAP version 1");
	pr_plain("  # Subtest: %s", start->suite);
	pr_plain("  1..%u", (unsigned int)(end - start));
	for (const struct ktest *test = start; test < end; test++) {
		struct ktest_run kt;

		run_test(test, ++*run, &kt);
		*failed += kt.failed;
		*skipped += kt.skip_reason && !kt.failed;
	}
	set_cpus_allowed(current, cpus_mask);
	current->flags &= ~(PF_KTEST | PF_NO_SETAFFINITY);
	return 0;
}
