/* SPDX-License-Identifier: MIT */
/*
 * Page tables that change on one CPU while another one uses them: what a CPU remembers of a page
 * must be gone when the call that changed it returns, and when a copy takes the page's place.
 */
#include "user/lib/ktap.h"

#define RW		(PROT_READ | PROT_WRITE)
#define STACK_SIZE	16384
#define ROUNDS		(ktap_long ? 50 : 10)
#define FORKS		(ktap_long ? 50 : 10)
#define WRITERS		3
#define PAGES		8
#define SIZE		(PAGES * PAGE_SIZE)

#define NEED_TWO_CPUS	if (ktap_cpus < 2) SKIP("there is one CPU")

/* ---- two threads that wait for each other, on different CPUs ---- */

static volatile int step;
static int wrong;		/* threads count here, and one prints: printf() has no lock */

static void must(bool good)
{
	if (!good)
		__atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
}

/*
 * Stays in ring 3 as long as it can, so that no switch makes the CPU forget; gives way now and
 * then, for the other may have to run here.
 */
static void await_step(int number)
{
	int i;

	for (i = 1; __atomic_load_n(&step, __ATOMIC_SEQ_CST) < number; i++) {
		__builtin_ia32_pause();
		if (i % 100000 == 0)
			sched_yield();
	}
}

static void next_step(int number)
{
	__atomic_store_n(&step, number, __ATOMIC_SEQ_CST);
}

static void pin(int cpu)
{
	sched_setaffinity(0, BIT(nth_cpu(cpu)));
}

static volatile unsigned long *word(void *p, int page)
{
	return (void *)((char *)p + page * PAGE_SIZE);
}

/* ---- gone at once ---- */

/* The page is in this CPU's TLB, to be written to, before step 1; and must not be there after 2. */
static void touch_before_and_after(void *p)
{
	pin(1);
	*word(p, 0) = 1;
	next_step(1);
	await_step(2);
	*word(p, 0) = 2;
	_exit(9);			/* it is still there */
}

struct change {
	const char *name;
	int (*fn)(void *p);
};

static int unmap(void *p)
{
	return munmap(p, PAGE_SIZE);
}

static int unmap_much(void *p)
{
	return munmap(p, SIZE);		/* and all of that was in use */
}

static int make_read_only(void *p)
{
	return mprotect(p, PAGE_SIZE, PROT_READ);
}

static int make_none(void *p)
{
	return mprotect(p, PAGE_SIZE, PROT_NONE);
}

static const struct change changes[] = {
	{ "munmap", unmap }, { "munmap of more", unmap_much },
	{ "mprotect read-only", make_read_only }, { "mprotect none", make_none },
};

static void change_under_a_thread(void *which)
{
	const struct change *change = which;
	char *p = mmap_anon(SIZE);
	struct thread t;

	ASSERT(!IS_ERR(p));
	memset(p, 1, SIZE);
	step = 0;
	pin(0);
	ASSERT_EQ(thread_create(&t, touch_before_and_after, p, STACK_SIZE), 0);
	await_step(1);
	EXPECT_EQ(change->fn(p), 0);
	next_step(2);
	thread_join(&t);
}

/* fails with: flush_tlb_mm_range() that asks no other CPU */
TEST(what_is_taken_away_is_gone_on_all_cpus)
{
	size_t i;
	int round, status;

	NEED_TWO_CPUS;
	for (i = 0; i < ARRAY_SIZE(changes); i++) {
		for (round = 0; round < ROUNDS; round++) {
			status = run_child(change_under_a_thread, (void *)&changes[i]);
			if (status != KILLED(SIGSEGV))
				printf("  # %s: status %#x\n", changes[i].name, status);
			EXPECT_EQ(status, KILLED(SIGSEGV));
		}
	}
}

/* The page itself comes back as another's: who still writes to it would show there. */
static volatile bool stop;
static volatile unsigned long written;

static void write_all_the_time(void *p)
{
	pin(1);
	for (; !stop; written++) {
		*word(p, 0) = written;
		__builtin_ia32_pause();
	}
}

/* Until the writer has gone round, as a whole, since now. */
static void await_writing(void)
{
	unsigned long before = written;

	while (written - before < 2)
		sched_yield();
}

static void replace_under_a_writer(void *arg __unused)
{
	char *p = mmap_anon(PAGE_SIZE), *other;
	struct thread t;
	int i;

	ASSERT(!IS_ERR(p));
	pin(0);
	ASSERT_EQ(thread_create(&t, write_all_the_time, p, STACK_SIZE), 0);
	for (i = 0; i < 5; i++) {
		await_writing();
		EXPECT_EQ(mmap(p, PAGE_SIZE, RW, MAP_FIXED), p);
		other = mmap_anon(PAGE_SIZE);
		EXPECT_EQ(*word(other, 0), 0);
		*word(other, 0) = -1UL;
		await_writing();
		EXPECT_EQ(*word(other, 0), -1UL);
		munmap(other, PAGE_SIZE);
	}
	stop = true;
	thread_join(&t);
}

TEST(a_page_given_back_is_written_to_by_nobody)
{
	int round;

	NEED_TWO_CPUS;
	for (round = 0; round < ROUNDS; round++)
		EXPECT_EQ(run_child(replace_under_a_writer, NULL), EXITED(0));
}

/* ---- copy-on-write ---- */

/* Reads the shared page, waits until the other thread has written to its copy, reads again. */
static void read_before_and_after(void *p)
{
	pin(1);
	must(*word(p, 0) == 5);
	next_step(1);
	await_step(2);
	must(*word(p, 0) == 6);
	next_step(3);
}

static void copy_under_a_reader(void *arg __unused)
{
	char *p = mmap_anon(PAGE_SIZE), c;
	struct thread t;
	int fds[2];
	pid_t pid;

	ASSERT_EQ(pipe(fds), 0);
	pin(0);
	wrong = step = 0;
	*word(p, 0) = 5;
	pid = syscall(SYS_fork);
	if (pid == 0) {				/* keeps the page shared */
		close(fds[1]);
		read(fds[0], &c, 1);
		_exit(*word(p, 0) == 5 ? 0 : 1);
	}
	ASSERT_EQ(thread_create(&t, read_before_and_after, p, STACK_SIZE), 0);
	await_step(1);
	*word(p, 0) = 6;			/* into a copy */
	next_step(2);
	await_step(3);
	thread_join(&t);
	close(fds[1]);
	EXPECT_EQ(wait_child(pid), EXITED(0));
	EXPECT_EQ(wrong, 0);
}

/* fails with: do_cow() without its flush */
TEST(a_copy_is_seen_by_all_cpus)
{
	int round;

	NEED_TWO_CPUS;
	for (round = 0; round < ROUNDS; round++)
		EXPECT_EQ(run_child(copy_under_a_reader, NULL), EXITED(0));
}

/* The writer has the page in its TLB, to be written to, when fork makes it read-only. */
static void write_before_and_after(void *p)
{
	pin(1);
	*word(p, 0) = 5;
	next_step(1);
	await_step(2);
	*word(p, 0) = 6;
	next_step(3);
}

static void fork_under_a_writer(void *arg __unused)
{
	char *p = mmap_anon(PAGE_SIZE), c;
	struct thread t;
	int fds[2];
	pid_t pid;

	ASSERT_EQ(pipe(fds), 0);
	pin(0);
	step = 0;
	ASSERT_EQ(thread_create(&t, write_before_and_after, p, STACK_SIZE), 0);
	await_step(1);
	pid = syscall(SYS_fork);
	if (pid == 0) {
		close(fds[1]);
		read(fds[0], &c, 1);		/* until the thread has written */
		_exit(*word(p, 0) == 5 ? 0 : 1);
	}
	next_step(2);
	await_step(3);
	thread_join(&t);
	EXPECT_EQ(*word(p, 0), 6);
	close(fds[1]);
	EXPECT_EQ(wait_child(pid), EXITED(0));
}

/* fails with: mm_dup() without its flush */
TEST(fork_makes_pages_read_only_on_all_cpus)
{
	int round;

	NEED_TWO_CPUS;
	for (round = 0; round < ROUNDS; round++)
		EXPECT_EQ(run_child(fork_under_a_writer, NULL), EXITED(0));
}

/*
 * Each writer has a row of pages and leaves a number there, one higher each round: at any moment a
 * page has its neighbour's number, or one less. Readers see the numbers only grow.
 */
static char *rows;

static void write_row(void *number)
{
	void *row = rows + (long)number * SIZE;
	unsigned long n;
	int i;

	pin((long)number);
	for (n = 1; !stop; n++) {
		for (i = 0; i < PAGES; i++) {
			must(*word(row, i) == n - 1);
			*word(row, i) = n;
		}
		__builtin_ia32_pause();
	}
}

static void read_rows(void *unused __unused)
{
	unsigned long last[WRITERS] = { 0 };
	int i;

	pin(ktap_cpus - 1);
	while (!stop) {
		for (i = 0; i < WRITERS; i++) {
			unsigned long now = *word(rows + i * SIZE, PAGES - 1);

			must(now >= last[i]);
			last[i] = now;
		}
		__builtin_ia32_pause();
	}
}

static bool row_is_one_moment(void *row)
{
	bool fell = false;
	int i;

	for (i = 1; i < PAGES; i++) {
		if (*word(row, i) == *word(row, i - 1))
			continue;
		if (fell || *word(row, i) != *word(row, i - 1) - 1)
			return false;
		fell = true;
	}
	return true;
}

static void look_twice(void *cpu)
{
	unsigned long before[WRITERS][PAGES];
	int i, j;

	for (i = 0; i < WRITERS; i++) {
		EXPECT(row_is_one_moment(rows + i * SIZE));
		for (j = 0; j < PAGES; j++)
			before[i][j] = *word(rows + i * SIZE, j);
	}
	for (i = 0; i < 2 * ktap_cpus; i++)
		pin((long)cpu + i);		/* the writers go on meanwhile */
	for (i = 0; i < WRITERS; i++) {
		for (j = 0; j < PAGES; j++)
			EXPECT_EQ(*word(rows + i * SIZE, j), before[i][j]);
	}
	memset(rows, 0, WRITERS * SIZE);	/* the parent hears nothing of this */
}

TEST(children_have_one_moment_of_each_writer)
{
	struct thread writer[WRITERS], reader;
	long i;

	NEED_TWO_CPUS;
	rows = mmap_anon(WRITERS * SIZE);
	ASSERT(!IS_ERR(rows));
	wrong = 0;
	stop = false;
	for (i = 0; i < WRITERS; i++)
		ASSERT_EQ(thread_create(&writer[i], write_row, (void *)i, STACK_SIZE), 0);
	ASSERT_EQ(thread_create(&reader, read_rows, NULL, STACK_SIZE), 0);
	for (i = 0; i < FORKS; i++)
		EXPECT_EQ(run_child(look_twice, (void *)i), EXITED(0));
	stop = true;
	for (i = 0; i < WRITERS; i++)
		thread_join(&writer[i]);
	thread_join(&reader);
	EXPECT_EQ(wrong, 0);
	munmap(rows, WRITERS * SIZE);
}
