/* SPDX-License-Identifier: MIT */
/* Splat's own calls, by several processes and by those who mean no good. */
#include "user/lib/ktap.h"

#define STEPS_MAX	10000000	/* HOLD_STEPS_MAX of kernel/splat/splat_calls.c */

static struct splat_info info;

#define NEEDS_SPLAT	do { if (!on_splat(&info)) SKIP("needs Splat"); } while (0)

/* ---- two at once ---- */

static void set_slow_option(void *arg __unused)
{
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(splat_setopt("slow=1"), 0);
}

/* Its owner refuses a second one that comes meanwhile. fails with: fault/options-at-once */
TEST(options_are_set_one_at_a_time)
{
	pid_t pids[3];

	NEEDS_SPLAT;
	for (int i = 0; i < 3; i++)
		pids[i] = start_child(set_slow_option, NULL);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(wait_child(pids[i]), 0);
}

static volatile int answer;

static void run_a_suite(void *arg __unused)
{
	static struct splat_ktest test;

	answer = splat_ktest(SPLAT_KTEST_RUN, 0, &test);
}

/* The others could end it meanwhile. fails with: run_suite() not counting threads */
TEST(a_process_with_threads_runs_no_suite)
{
	static struct thread runner;

	NEEDS_SPLAT;
	answer = 1;
	thread_create(&runner, run_a_suite, NULL, 16384);
	thread_join(&runner);
	EXPECT_EQ(answer, -EINVAL);
}

/* ---- sizes and numbers ---- */

TEST(an_answer_is_as_long_as_asked_for)
{
	struct splat_info part;

	NEEDS_SPLAT;
	memset(&part, 0x5a, sizeof(part));
	EXPECT_EQ(syscall(SYS_splat_info, &part, 16UL), 0);
	EXPECT_EQ(((u64 *)&part)[2], 0x5a5a5a5a5a5a5a5a);
	EXPECT_EQ(syscall(SYS_splat_info, &part, 0UL), 0);
	EXPECT_EQ(syscall(SYS_splat_info, &part, ~0UL), 0);
	EXPECT_EQ(part.cpus, info.cpus);
}

TEST(a_name_fits_or_is_refused)
{
	char name[64];
	int len;

	NEEDS_SPLAT;
	memset(name, 'x', sizeof(name));
	len = splat_readdir(0, name, sizeof(name));
	ASSERT(len > 0 && len < 63);
	EXPECT_EQ(strlen(name), len);
	EXPECT_EQ(name[len + 1], 'x');
	EXPECT_EQ(splat_readdir(0, name, len + 1), len);
	memset(name, 'x', sizeof(name));
	EXPECT_EQ(splat_readdir(0, name, len), -ENAMETOOLONG);
	EXPECT_EQ(splat_readdir(0, name, 0), -ENAMETOOLONG);
	EXPECT_EQ(name[0], 'x');
}

TEST(a_suite_that_is_not_there)
{
	struct splat_ktest test;
	int count = splat_ktest(SPLAT_KTEST_COUNT, 0, NULL);

	NEEDS_SPLAT;
	EXPECT(count > 0);
	EXPECT_EQ(splat_ktest(SPLAT_KTEST_NAME, count - 1, &test), 0);
	EXPECT_EQ(splat_ktest(SPLAT_KTEST_NAME, count, &test), -ENOENT);
	EXPECT_EQ(splat_ktest(SPLAT_KTEST_RUN, count, &test), -ENOENT);
	EXPECT_EQ(splat_ktest(SPLAT_KTEST_RUN, -1, &test), -ENOENT);
	EXPECT_EQ(splat_ktest(4, 0, &test), -EINVAL);
	EXPECT_EQ(splat_ktest(-1, 0, &test), -EINVAL);
}

/* ---- those who wait can be killed ---- */

static struct thread waiter;
static volatile bool waits;

static void await(void *arg __unused)
{
	waits = true;
	splat_await_siglock();
}

/* Nobody holds it, so this waits for ever. */
static void hold(void *arg __unused)
{
	waits = true;
	splat_hold_siglock(0);
}

static void end_group_beside(void *fn)
{
	waits = false;
	thread_create(&waiter, (void (*)(void *))fn, NULL, 16384);
	while (!waits)
		sched_yield();
	for (int i = 0; i < 10; i++)
		sched_yield();
	syscall(SYS_exit_group, 5);
}

TEST(who_waits_in_a_call_can_be_killed)
{
	NEEDS_SPLAT;
	EXPECT_EQ(wait_child(start_child(end_group_beside, await)), 5 << 8);
	if (info.siglock_sleeps || info.cpus > 1)
		EXPECT_EQ(wait_child(start_child(end_group_beside, hold)), 5 << 8);
	EXPECT_EQ(splat_hold_siglock(STEPS_MAX + 1), -EINVAL);
	EXPECT_EQ(splat_hold_siglock(-1), -EINVAL);
	EXPECT_EQ(splat_hold_siglock(1), 0);
}
