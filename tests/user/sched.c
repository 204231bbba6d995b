/* SPDX-License-Identifier: MIT */
/*
 * Who runs: SCHED_FIFO above SCHED_OTHER, higher priorities above lower ones, equal ones in turn
 * when they yield, SCHED_OTHER in time slices; and nanosleep sleeps.
 *
 * The order of two tasks says something only where they compete for one CPU.
 */
#include "user/lib/ktap.h"

const bool ktap_one_cpu = true;

#define STACK_SIZE	16384
#define NO_RIGHT	"this process may not use SCHED_FIFO"

/*
 * Keeps this process and its children to CPU 0. A kernel without the call has one CPU, or the test
 * fails.
 */
static void use_one_cpu(void)
{
	unsigned long cpus = 1;

	syscall(SYS_sched_setaffinity, 0, sizeof(cpus), &cpus);
}

static bool be_fifo(int priority)
{
	return sched_setscheduler(0, SCHED_FIFO, priority) == 0;
}

static void be_other(void)
{
	sched_setscheduler(0, SCHED_OTHER, 0);
}

TEST(policy_can_be_read_back)
{
	EXPECT_EQ(sched_getscheduler(0), SCHED_OTHER);
	if (!be_fifo(10))
		SKIP(NO_RIGHT);
	EXPECT_EQ(sched_getscheduler(0), SCHED_FIFO);
	EXPECT_EQ(sched_getscheduler(getpid()), SCHED_FIFO);
	be_other();
	EXPECT_EQ(sched_getscheduler(0), SCHED_OTHER);
}

TEST(bad_values_are_refused)
{
	EXPECT_EQ(sched_setscheduler(0, 99, 0), -EINVAL);
	EXPECT_EQ(sched_setscheduler(0, -1, 0), -EINVAL);
	EXPECT_EQ(sched_setscheduler(0, SCHED_FIFO, 0), -EINVAL);
	EXPECT_EQ(sched_setscheduler(0, SCHED_FIFO, 100), -EINVAL);
	EXPECT_EQ(sched_setscheduler(0, SCHED_FIFO, -1), -EINVAL);
	EXPECT_EQ(sched_setscheduler(0, SCHED_OTHER, 1), -EINVAL);
	EXPECT_EQ(sched_setscheduler(-1, SCHED_OTHER, 0), -EINVAL);
	EXPECT_EQ(sched_setscheduler(0x3fffffff, SCHED_OTHER, 0), -ESRCH);
	EXPECT_EQ(syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, NULL), -EINVAL);
	EXPECT_EQ(syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, 1), -EFAULT);
	EXPECT_EQ(sched_getscheduler(-1), -EINVAL);
	EXPECT_EQ(sched_getscheduler(0x3fffffff), -ESRCH);
	EXPECT_EQ(sched_getscheduler(0), SCHED_OTHER);
}

static void expect_fifo(void *arg __unused)
{
	EXPECT_EQ(sched_getscheduler(0), SCHED_FIFO);
}

TEST(fork_inherits_the_policy)
{
	if (!be_fifo(10))
		SKIP(NO_RIGHT);
	EXPECT_EQ(run_child(expect_fifo, NULL), EXITED(0));
	be_other();
}

/*
 * ---- order. These tests run in a child of their own, so that priorities and CPU masks end with
 * it. ----
 */

static int wake_pipe[2];
static volatile int woken;

static void wait_at_priority_20(void *arg __unused)
{
	char c;

	be_fifo(20);
	read(wake_pipe[0], &c, 1);
	woken = 1;
}

static void wake_a_higher_one(void *arg __unused)
{
	struct thread t;

	ASSERT_EQ(pipe(wake_pipe), 0);
	ASSERT_EQ(thread_create(&t, wait_at_priority_20, NULL, STACK_SIZE), 0);
	sleep_ms(20);		/* until it waits */
	be_fifo(10);
	EXPECT_EQ(woken, 0);
	EXPECT_EQ(write(wake_pipe[1], "", 1), 1);
	EXPECT_EQ(woken, 1);	/* it ran before the write returned */
	be_other();
	thread_join(&t);
}

static void wait_at_priority_5(void *arg __unused)
{
	char c;

	be_fifo(5);
	read(wake_pipe[0], &c, 1);
	woken = 1;
}

static void spin_for_a_while(void)
{
	volatile long i;

	for (i = 0; i < 20000000; i++)
		;
}

static void wake_a_lower_one(void *arg __unused)
{
	struct thread t;

	ASSERT_EQ(pipe(wake_pipe), 0);
	ASSERT_EQ(thread_create(&t, wait_at_priority_5, NULL, STACK_SIZE), 0);
	sleep_ms(20);
	be_fifo(10);
	EXPECT_EQ(write(wake_pipe[1], "", 1), 1);
	spin_for_a_while();	/* over many timer ticks */
	sched_yield();		/* to those of our priority: none */
	EXPECT_EQ(woken, 0);
	be_other();		/* now it is above us */
	EXPECT_EQ(woken, 1);
	thread_join(&t);
}

static void run_on_one_cpu(void (*fn)(void *))
{
	if (!be_fifo(10))
		SKIP(NO_RIGHT);
	be_other();
	use_one_cpu();
	EXPECT_EQ(run_child(fn, NULL), EXITED(0));
}

TEST(higher_fifo_priority_preempts_at_once)
{
	run_on_one_cpu(wake_a_higher_one);
}

TEST(lower_fifo_priority_waits)
{
	run_on_one_cpu(wake_a_lower_one);
}

#define TURNS 20

static char turns[2 * TURNS + 1];
static int turn;

static void take_turns(void *letter)
{
	int i;

	be_fifo(20);
	sched_yield();		/* both are there from here on */
	for (i = 0; i < TURNS; i++) {
		turns[__atomic_fetch_add(&turn, 1, __ATOMIC_RELAXED)] = (char)(long)letter;
		sched_yield();
	}
}

static void two_take_turns(void *arg __unused)
{
	struct thread a, b;
	int i, repeats = 0;

	be_fifo(30);		/* the threads inherit it, so neither runs before both are there */
	ASSERT_EQ(thread_create(&a, take_turns, (void *)'a', STACK_SIZE), 0);
	ASSERT_EQ(thread_create(&b, take_turns, (void *)'b', STACK_SIZE), 0);
	be_other();
	thread_join(&a);
	thread_join(&b);
	EXPECT_EQ(turn, 2 * TURNS);
	for (i = 1; i < 2 * TURNS; i++)
		repeats += turns[i] == turns[i - 1];
	if (repeats)
		printf("  # turns: %s\n", turns);
	EXPECT_EQ(repeats, 0);
}

TEST(equal_fifo_priorities_alternate_on_yield)
{
	run_on_one_cpu(two_take_turns);
}

static volatile long progress[2];
static volatile int stop;

static void count(void *which)
{
	while (!stop)
		progress[(long)which]++;
}

static void two_count(void *arg __unused)
{
	struct thread t[2];
	long i, round, before[2];

	for (i = 0; i < 2; i++)
		ASSERT_EQ(thread_create(&t[i], count, (void *)i, STACK_SIZE), 0);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < 2; i++)
			before[i] = progress[i];
		sleep_ms(300);
		for (i = 0; i < 2; i++)
			EXPECT(progress[i] > before[i]);
	}
	stop = 1;
	for (i = 0; i < 2; i++)
		thread_join(&t[i]);
}

TEST(other_tasks_get_time_slices)
{
	use_one_cpu();
	EXPECT_EQ(run_child(two_count, NULL), EXITED(0));
}

/* ---- sleep ---- */

static unsigned long cycles(void)
{
	unsigned int low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (unsigned long)high << 32 | low;
}

/*
 * The shortest of three sleeps, in cycles: a busy machine makes sleeps longer, nothing makes them
 * shorter.
 */
static unsigned long shortest_sleep(unsigned int ms)
{
	unsigned long start, best = ~0UL;
	int i;

	for (i = 0; i < 3; i++) {
		start = cycles();
		EXPECT_EQ(sleep_ms(ms), 0);
		best = min(best, cycles() - start);
	}
	return best;
}

/* Nothing here tells the time, but ten times as long must be about ten times as many cycles. */
TEST(sleep_lasts)
{
	unsigned long brief = shortest_sleep(20), longer = shortest_sleep(200);

	EXPECT(longer > brief * 5);
	EXPECT(longer < brief * 15);
	EXPECT(brief > 1000000);	/* 20 ms at 50 MHz */
}

TEST(bad_times_are_refused)
{
	struct timespec none = { 0, 0 }, too_many_ns = { 0, 1000000000 }, negative_ns = { 0, -1 },
			negative_s = { -1, 0 };

	EXPECT_EQ(nanosleep(&none, NULL), 0);
	/* The time left is written only if a signal cuts the sleep short. */
	EXPECT_EQ(nanosleep(&none, (struct timespec *)1), 0);
	EXPECT_EQ(nanosleep(&too_many_ns, NULL), -EINVAL);
	EXPECT_EQ(nanosleep(&negative_ns, NULL), -EINVAL);
	EXPECT_EQ(nanosleep(&negative_s, NULL), -EINVAL);
	EXPECT_EQ(nanosleep(NULL, NULL), -EFAULT);
}

static void sleep_short(void *arg __unused)
{
	EXPECT_EQ(sleep_ms(20), 0);
}

TEST(many_sleep_at_once)
{
	pid_t pid[20];
	int i;

	for (i = 0; i < 20; i++)
		pid[i] = start_child(sleep_short, NULL);
	for (i = 0; i < 20; i++)
		EXPECT_EQ(wait_child(pid[i]), EXITED(0));
}
