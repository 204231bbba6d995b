/* SPDX-License-Identifier: MIT */
/*
 * Where a task runs: masks of CPUs, as a task asks for them and as it inherits them, what is
 * refused; and how real-time tasks spread over the CPUs.
 */
#include "user/lib/ktap.h"

#define STACK_SIZE	16384
#define MAX_CPUS	8
#define NO_SUCH_PID	0x3fffffff

#define ALL_CPUS	sched_getaffinity(0)
#define NEED_TWO_CPUS	if (ktap_cpus < 2) SKIP("there is one CPU")

static long set_mask(long size, const void *mask)
{
	return syscall(SYS_sched_setaffinity, 0, size, mask);
}

static long get_mask(long size, void *mask)
{
	return syscall(SYS_sched_getaffinity, 0, size, mask);
}

/* ---- masks ---- */

TEST(masks_of_any_size_are_taken)
{
	u64 mask[16], all = ALL_CPUS;
	size_t i;

	EXPECT(all & 1);
	memset(mask, 0, sizeof(mask));
	mask[0] = all;
	EXPECT_EQ(set_mask(128, mask), 0);
	EXPECT_EQ(set_mask(8, mask), 0);
	EXPECT_EQ(set_mask(1, mask), 0);	/* the CPUs 0 to 7 */
	EXPECT_EQ(ALL_CPUS, all & 0xff);
	/* CPUs that are not there do not matter, as long as one is. */
	memset(mask, 0xff, sizeof(mask));
	EXPECT_EQ(set_mask(128, mask), 0);
	EXPECT_EQ(ALL_CPUS, all);
	/* Read back: the kernel says how many bytes it wrote, and leaves the others alone. */
	memset(mask, 0xaa, sizeof(mask));
	i = get_mask(128, mask);
	EXPECT(i >= 8 && i <= 128);
	EXPECT_EQ(mask[0], all);
	EXPECT_EQ(mask[15], 0xaaaaaaaaaaaaaaaa);
}

TEST(bad_masks_are_refused)
{
	u64 mask[16], all = ALL_CPUS;

	memset(mask, 0, sizeof(mask));
	EXPECT_EQ(set_mask(0, mask), -EINVAL);
	EXPECT_EQ(set_mask(8, mask), -EINVAL);
	EXPECT_EQ(set_mask(128, mask), -EINVAL);
	mask[15] = 1;					/* CPU 960 */
	EXPECT_EQ(set_mask(128, mask), -EINVAL);
	EXPECT_EQ(set_mask(8, NULL), -EFAULT);
	EXPECT_EQ(set_mask(8, (void *)0xffffffff81000000), -EFAULT);
	EXPECT_EQ(get_mask(0, mask), -EINVAL);
	EXPECT_EQ(get_mask(7, mask), -EINVAL);
	EXPECT_EQ(get_mask(12, mask), -EINVAL);		/* no multiple of a word */
	EXPECT_EQ(get_mask(8, NULL), -EFAULT);
	EXPECT_EQ(get_mask(8, (void *)0xffffffff81000000), -EFAULT);
	EXPECT_EQ(ALL_CPUS, all);			/* none of that changed anything */
}

TEST(tasks_that_are_not_there)
{
	u64 mask = 1;
	struct splat_info info;

	EXPECT_EQ(sched_setaffinity(NO_SUCH_PID, 1), -ESRCH);
	EXPECT_EQ(syscall(SYS_sched_getaffinity, NO_SUCH_PID, 8, &mask), -ESRCH);
	EXPECT_EQ(sched_setaffinity(-1, 1), -ESRCH);
	EXPECT_EQ(syscall(SYS_sched_getaffinity, -1, 8, &mask), -ESRCH);
	/* The mask is read first. */
	EXPECT_EQ(syscall(SYS_sched_setaffinity, NO_SUCH_PID, 8, NULL), -EFAULT);
	/* ksoftirqd/0 is the first task that init made, and belongs to its CPU. */
	if (on_splat(&info))
		EXPECT_EQ(sched_setaffinity(2, 1), -EINVAL);
}

TEST(getcpu_takes_what_it_is_given)
{
	unsigned int cpu = 99, node = 99;

	EXPECT_EQ(syscall(SYS_getcpu, NULL, NULL, NULL), 0);
	EXPECT_EQ(syscall(SYS_getcpu, &cpu, &node, NULL), 0);
	EXPECT(cpu < 64 && ALL_CPUS & BIT(cpu));
	EXPECT_EQ(node, 0);
	EXPECT_EQ(syscall(SYS_getcpu, 8, NULL, NULL), -EFAULT);
	EXPECT_EQ(syscall(SYS_getcpu, NULL, 8, NULL), -EFAULT);
	EXPECT_EQ(syscall(SYS_getcpu, &cpu, NULL, 8), 0);	/* the third is not used */
}

/* ---- going where one may be ---- */

TEST(a_task_is_where_it_may_be_when_the_call_returns)
{
	u64 all = ALL_CPUS;
	int i;

	for (i = 0; i < 20 * ktap_cpus; i++) {
		EXPECT_EQ(sched_setaffinity(0, BIT(nth_cpu(i))), 0);
		EXPECT_EQ(getcpu(), nth_cpu(i));
		EXPECT_EQ(ALL_CPUS, BIT(nth_cpu(i)));
	}
	EXPECT_EQ(sched_setaffinity(0, all), 0);
}

static void expect_mask(void *mask)
{
	int i;

	for (i = 0; i < 20; i++) {
		EXPECT_EQ(ALL_CPUS, (u64)mask);
		EXPECT((u64)mask & BIT(getcpu()));
		sched_yield();
	}
}

TEST(fork_inherits_the_mask)
{
	u64 all = ALL_CPUS, one = BIT(nth_cpu(ktap_cpus - 1));
	pid_t pid[8];
	int i;

	sched_setaffinity(0, one);
	for (i = 0; i < 8; i++)
		pid[i] = start_child(expect_mask, (void *)one);
	sched_setaffinity(0, all);
	for (i = 0; i < 8; i++)
		EXPECT_EQ(wait_child(pid[i]), EXITED(0));
}

/* ---- others' masks ---- */

static volatile bool stop;
static volatile int where[MAX_CPUS];	/* what each thread saw last */

static void watch(void *number)
{
	int i;

	while (!stop) {
		where[(long)number] = getcpu() + 1;
		for (i = 0; i < 1000; i++)
			__asm__ volatile("");
	}
	where[(long)number] = 0;
}

/* It is in ring 3, or in a system call, on another CPU, and goes before the call returns. */
TEST(a_running_thread_is_sent_elsewhere)
{
	struct thread t;
	int i;

	NEED_TWO_CPUS;
	stop = false;
	ASSERT_EQ(thread_create(&t, watch, (void *)0, STACK_SIZE), 0);
	for (i = 0; i < 20; i++) {
		int cpu = nth_cpu(i);

		EXPECT_EQ(sched_setaffinity(t.tid, BIT(cpu)), 0);
		where[0] = 0;
		while (!where[0])
			sched_yield();
		/* One look may have been under way; the next is from there. */
		where[0] = 0;
		while (!where[0])
			sched_yield();
		EXPECT_EQ(where[0] - 1, cpu);
	}
	stop = true;
	thread_join(&t);
}

/* ---- real-time tasks ---- */

static volatile int arrived;

/* Pauses until a test gives up: a busy host may let an emulated CPU wait for long. */
#define PATIENCE 8000000

/* Waits without giving way; false: the others did not come. */
static bool all_are_here(int count)
{
	int i, j;

	for (i = 0; i < PATIENCE; i++) {
		if (__atomic_load_n(&arrived, __ATOMIC_SEQ_CST) >= count)
			return true;
		__builtin_ia32_pause();
		for (j = 0; j < 100; j++)
			__asm__ volatile("");
	}
	return false;
}

static volatile int missing;

/* At one priority nobody gives way: so all can be here at once only on a CPU each. */
static void spread(void *number)
{
	where[(long)number] = getcpu();
	__atomic_add_fetch(&arrived, 1, __ATOMIC_SEQ_CST);
	if (!all_are_here(ktap_cpus))
		__atomic_add_fetch(&missing, 1, __ATOMIC_SEQ_CST);
}

static void fifo_threads_spread(void *arg __unused)
{
	struct thread t[MAX_CPUS];
	u64 used = 0;
	long i;

	arrived = missing = 0;
	EXPECT_EQ(sched_setscheduler(0, SCHED_FIFO, 20), 0);
	for (i = 0; i < ktap_cpus; i++)
		ASSERT_EQ(thread_create(&t[i], spread, (void *)i, STACK_SIZE), 0);
	sched_setscheduler(0, SCHED_OTHER, 0);		/* now there is a CPU for each */
	for (i = 0; i < ktap_cpus; i++)
		thread_join(&t[i]);
	for (i = 0; i < ktap_cpus; i++)
		used |= BIT(where[i]);
	EXPECT_EQ(missing, 0);
	EXPECT_EQ(used, ALL_CPUS);
}

TEST(fifo_tasks_spread_over_all_cpus)
{
	NEED_TWO_CPUS;
	if (ktap_cpus > MAX_CPUS)
		SKIP("more than %d CPUs", MAX_CPUS);
	EXPECT_EQ(run_child(fifo_threads_spread, NULL), EXITED(0));
}

/*
 * A more urgent task comes to the CPU of a less urgent one, which goes on elsewhere at once: the
 * other CPUs have only tasks of SCHED_OTHER. One each, so that none is idle and looks for work.
 */
static volatile int low_cpu;

static void keep_cpu_busy(void *number)
{
	sched_setaffinity(0, BIT(nth_cpu((long)number)));
	sched_setscheduler(0, SCHED_OTHER, 0);
	__atomic_add_fetch(&arrived, 1, __ATOMIC_SEQ_CST);
	while (!stop)
		__builtin_ia32_pause();
}

static void low_goes_on(void *arg __unused)
{
	__atomic_add_fetch(&arrived, 1, __ATOMIC_SEQ_CST);
	sched_setscheduler(0, SCHED_FIFO, 10);
	while (!stop) {
		low_cpu = getcpu();
		__builtin_ia32_pause();
	}
}

/* Where the other one runs; @not: but not there. -1: it did not come to that. */
static int await_low(int not)
{
	int cpu, tries;

	for (tries = 0; tries < PATIENCE; tries++) {
		cpu = low_cpu;
		if (cpu >= 0 && cpu != not)
			return cpu;
		__builtin_ia32_pause();
	}
	return -1;
}

static void push_it(void *arg __unused)
{
	struct thread low, busy[MAX_CPUS];
	long i;
	int cpu;

	low_cpu = -1;
	stop = false;
	sched_setscheduler(0, SCHED_FIFO, 20);
	for (i = 0; i < ktap_cpus; i++)
		ASSERT_EQ(thread_create(&busy[i], keep_cpu_busy, (void *)i, STACK_SIZE), 0);
	/* Asleep: one that still is as urgent as we would otherwise never get to be less. */
	while (arrived < ktap_cpus)
		sleep_ms(1);
	ASSERT_EQ(thread_create(&low, low_goes_on, NULL, STACK_SIZE), 0);
	while (arrived < ktap_cpus + 1)
		sched_yield();
	cpu = await_low(-1);
	for (i = 0; i < 20 && cpu >= 0; i++) {
		sched_setaffinity(0, BIT(cpu));		/* it runs there, and must give way */
		EXPECT_EQ(getcpu(), cpu);
		cpu = await_low(cpu);
	}
	EXPECT(cpu >= 0);
	stop = true;
	sched_setscheduler(0, SCHED_OTHER, 0);
	sched_setaffinity(0, ~0UL);
	thread_join(&low);
	for (i = 0; i < ktap_cpus; i++)
		thread_join(&busy[i]);
}

/* fails with: schedule() that pushes nobody */
TEST(a_fifo_task_that_must_give_way_goes_on_elsewhere)
{
	NEED_TWO_CPUS;
	if (ktap_cpus > MAX_CPUS)
		SKIP("more than %d CPUs", MAX_CPUS);
	EXPECT_EQ(run_child(push_it, NULL), EXITED(0));
}
