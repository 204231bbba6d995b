/* SPDX-License-Identifier: MIT */
/*
 * Tests in ring 3. A program is a list of TEST()s; main() is in ktap.c and prints a KTAP subtest,
 * two blanks in.
 *
 *	TEST(pipe_ends) { EXPECT_EQ(read(fd, buf, 1), 0); }
 *
 * An EXPECT that fails prints where and what, and the test goes on; an ASSERT leaves the test.
 */
#ifndef USER_LIB_KTAP_H
#define USER_LIB_KTAP_H

#include "lib/test_site.h"
#include "user/lib/libc.h"

struct ktap_test {
	const char *name;
	int line;
	void (*run)(void);
};

#define TEST(id)										\
	static void id(void);									\
	static const struct ktap_test ktap_##id							\
		__used __section("ktap_tests") __aligned(8) = { #id, __LINE__, id };		\
	static void id(void)

/*
 * A program that execs itself with arguments defines this. It is called first; a result >= 0 is the
 * exit status.
 */
int test_reexec(int argc, char **argv);

/* A program that tests which task runs next defines this as true; all then runs on one CPU. */
extern const bool ktap_one_cpu;

/* Defined as true by a program that makes the kernel report; otherwise a report is a failure. */
extern const bool ktap_kernel_reports;

/* "LONG=1" in the environment: as many rounds as `make test-all` has time for. */
extern bool ktap_long;

/* "RULES=1": this machine is expected to be as the manual says (tests/user/xsave_rules.c). */
extern bool ktap_rules;

/* The path of this program, for a program that execs itself. */
extern const char *ktap_self;

/* Failures in this test so far, in this process. */
extern int ktap_failures;

void ktap_fail(const char *file, int line, const char *fmt, ...) __printf(3, 4);
void ktap_skip(const char *fmt, ...) __printf(1, 2);

#define SKIP(...)	do { ktap_skip(__VA_ARGS__); return; } while (0)

#define EXPECT(cond)		ktap_expect(cond, #cond, )
#define ASSERT(cond)		ktap_expect(cond, #cond, return)
#define EXPECT_EQ(a, b)		ktap_expect_eq(a, b, #a, )
#define ASSERT_EQ(a, b)		ktap_expect_eq(a, b, #a, return)

#define ktap_expect(cond, text, otherwise)							\
	do {											\
		long __true = !!(cond);								\
		TEST_SITE(__true, "!=", 0L);							\
		if (!__true) {									\
			ktap_fail(__FILE__, __LINE__, "expected %s", text);			\
			otherwise;								\
		}										\
	} while (0)

#define ktap_expect_eq(a, b, text, otherwise)							\
	do {											\
		long __got = (long)(a), __want = (long)(b);					\
		TEST_SITE(__got, "==", __want);							\
		if (__got != __want) {								\
			ktap_fail(__FILE__, __LINE__, "%s is %ld (0x%lx), not %ld (0x%lx)",	\
				  text, __got, __got, __want, __want);				\
			otherwise;								\
		}										\
	} while (0)

/*
 * Starts a child that runs fn(arg) and then exits: with 0, or 1 if an EXPECT failed in it. Returns
 * its pid, as fork() does; never 0.
 */
pid_t start_child(void (*fn)(void *), void *arg);
/* Waits for a child of ours. Returns its wait status, or the negative errno. */
int wait_child(pid_t pid);
/* Both in one: the wait status of a child that ran fn(arg). */
int run_child(void (*fn)(void *), void *arg);

/* Wait statuses. */
#define EXITED(code)	((code) << 8)
#define KILLED(signal)	(signal)

/* Under Splat, true and *@info filled in; on another kernel, false. */
bool on_splat(struct splat_info *info);

/*
 * Free pages, counted once what has ended is gone: the last task's stack goes after the task, and
 * an idle CPU keeps the page tables that it used last. 0: not under Splat.
 */
u64 settled_pages(void);

/*
 * Calls @fn until it leaves as many free pages as it found, at most eight times, because a kernel
 * may keep what it had at its peak, but a leak costs each time.
 */
bool costs_no_page(void (*fn)(void));

/* How many CPUs this program may use when it starts; nth_cpu() goes round them with @i. */
extern int ktap_cpus;
int nth_cpu(int i);

#endif
