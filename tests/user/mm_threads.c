/* SPDX-License-Identifier: MIT */
/*
 * One address space, several threads: some change it, some use it, one forks. What a thread reads
 * is what was written last, and a child has one moment of the parent's memory.
 */
#include "user/lib/ktap.h"

#define RW		(PROT_READ | PROT_WRITE)
#define PAGES		8
#define SIZE		(PAGES * PAGE_SIZE)
#define STACK_SIZE	16384
#define THREADS		4
#define CHURNS		60
#define FORKS		20

static int wrong;		/* threads count here, and one prints: printf() has no lock */
static volatile bool stop;

static char *page(char *p, int number)
{
	return p + number * PAGE_SIZE;
}

static volatile unsigned long *word(void *p, int number)
{
	return (void *)page(p, number);
}

/* ---- map and unmap ---- */


static void must(bool good)
{
	if (!good)
		__atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
}

static bool all_are(const char *p, int byte)
{
	size_t i;

	for (i = 0; i < SIZE; i += PAGE_SIZE / 4)
		if (p[i] != byte)
			return false;
	return true;
}

/* Mappings of one's own come and go while the other threads do the same next to them. */
static void churn(void *number)
{
	int i, byte = (long)number;
	char *p;

	for (i = 0; i < CHURNS; i++) {
		p = mmap_anon(SIZE);
		must(!IS_ERR(p) && all_are(p, 0));
		memset(p, byte, SIZE);
		must(mprotect(page(p, 2), 3 * PAGE_SIZE, PROT_READ) == 0 && all_are(p, byte));
		must(mmap(page(p, 3), PAGE_SIZE, RW, MAP_FIXED) == page(p, 3));
		must(*page(p, 3) == 0 && *page(p, 4) == byte);
		must(munmap(page(p, 5), PAGE_SIZE) == 0);
		must(mprotect(p, 5 * PAGE_SIZE, RW) == 0);
		memset(p, byte + 1, 5 * PAGE_SIZE);
		must(mmap(page(p, 5), PAGE_SIZE, RW, MAP_FIXED) == page(p, 5));
		memset(page(p, 5), byte + 1, 3 * PAGE_SIZE);
		must(all_are(p, byte + 1));
		must(munmap(p, SIZE) == 0);
	}
}

static void write_all(void *p)
{
	EXPECT(all_are(p, 77));
	memset(p, 78, SIZE);
	EXPECT(all_are(p, 78));
}

TEST(threads_map_and_unmap_while_one_forks)
{
	struct thread t[THREADS];
	char *p = mmap_anon(SIZE);
	long i;

	ASSERT(!IS_ERR(p));
	memset(p, 77, SIZE);
	wrong = 0;
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(thread_create(&t[i], churn, (void *)(2 * i + 1), STACK_SIZE), 0);
	for (i = 0; i < FORKS; i++) {
		EXPECT_EQ(run_child(write_all, p), EXITED(0));
		EXPECT(all_are(p, 77));
	}
	for (i = 0; i < THREADS; i++)
		thread_join(&t[i]);
	EXPECT_EQ(wrong, 0);
	munmap(p, SIZE);
}

/* Page 0 is always there and holds 0 or 1; so never a page that somebody else has by now. */
static void read_what_is_replaced(void *p)
{
	while (!stop)
		must((*word(p, 0) & ~1UL) == 0);
}

/* Page 2 stays writable, while the borders of its area move. */
static void count_next_door(void *p)
{
	volatile unsigned long *counter = word(p, 2);
	unsigned long n;

	for (n = 0; !stop; n++) {
		must(*counter == n);
		*counter = n + 1;
	}
}

TEST(one_thread_replaces_what_others_use)
{
	char *p = mmap_anon(3 * PAGE_SIZE);
	struct thread reader, counter;
	int i;

	ASSERT(!IS_ERR(p));
	wrong = 0;
	stop = false;
	ASSERT_EQ(thread_create(&reader, read_what_is_replaced, p, STACK_SIZE), 0);
	ASSERT_EQ(thread_create(&counter, count_next_door, p, STACK_SIZE), 0);
	for (i = 0; i < 300; i++) {
		*word(p, 0) = 1;
		EXPECT_EQ(mprotect(page(p, 1), PAGE_SIZE, i % 4), 0);
		EXPECT_EQ(mmap(p, PAGE_SIZE, RW, MAP_FIXED), p);
		if (i % 10 == 0)
			sched_yield();
	}
	stop = true;
	thread_join(&reader);
	thread_join(&counter);
	EXPECT_EQ(wrong, 0);
	munmap(p, 3 * PAGE_SIZE);
}

/* ---- fork ---- */

/*
 * The writer goes through the pages again and again and leaves a number there, one higher each
 * round. So at any moment each page has its right neighbour's number, or one more.
 */
static unsigned long first_difference(void *p)
{
	int i;

	for (i = 1; i < PAGES && *word(p, i) == *word(p, 0); i++)
		;
	return i;
}

static void write_in_turn(void *p)
{
	unsigned long n;
	int i;

	for (n = *word(p, 0); !stop; n++) {
		for (i = 0; i < PAGES; i++) {
			/* Nobody else writes: the kernel must not lose a write when it copies. */
			must(*word(p, i) == n);
			*word(p, i) = n + 1;
		}
	}
}

static void look_at_the_moment(void *p)
{
	unsigned long before[PAGES];
	int i, border = first_difference(p);

	for (i = 0; i < PAGES; i++) {
		before[i] = *word(p, i);
		EXPECT_EQ(before[i], before[0] - (i >= border));
	}
	sched_yield();			/* the writer goes on in pages of its own */
	sleep_ms(2);
	for (i = 0; i < PAGES; i++)
		EXPECT_EQ(*word(p, i), before[i]);
	memset(p, 0, SIZE);		/* and hears nothing from us */
}

TEST(a_child_has_one_moment_of_what_a_thread_writes)
{
	char *p = mmap_anon(SIZE);
	struct thread writer;
	int i;

	ASSERT(!IS_ERR(p));
	wrong = 0;
	stop = false;
	ASSERT_EQ(thread_create(&writer, write_in_turn, p, STACK_SIZE), 0);
	for (i = 0; i < FORKS; i++) {
		sleep_ms(1);
		EXPECT_EQ(run_child(look_at_the_moment, p), EXITED(0));
	}
	stop = true;
	thread_join(&writer);
	EXPECT_EQ(wrong, 0);
	EXPECT(*word(p, 0) > 1);
	munmap(p, SIZE);
}

/* All threads find the page shared at once; one of them copies it, and all must see that copy. */
static void add_to_each_page(void *p)
{
	int i;

	for (i = 0; i < PAGES; i++)
		__atomic_add_fetch(word(p, i), 1, __ATOMIC_SEQ_CST);
}

TEST(threads_that_copy_the_same_page)
{
	struct thread t[THREADS];
	char *p = mmap_anon(SIZE);
	int round, i, fds[2];
	pid_t pid;
	char c;

	ASSERT(!IS_ERR(p));
	ASSERT_EQ(pipe(fds), 0);
	for (round = 1; round <= 10; round++) {
		pid = fork();
		if (pid == 0) {			/* keeps the pages shared */
			close(fds[1]);
			read(fds[0], &c, 1);
			_exit((int)*word(p, PAGES - 1) == (round - 1) * THREADS ? 0 : 1);
		}
		for (i = 0; i < THREADS; i++)
			ASSERT_EQ(thread_create(&t[i], add_to_each_page, p, STACK_SIZE), 0);
		for (i = 0; i < THREADS; i++)
			thread_join(&t[i]);
		for (i = 0; i < PAGES; i++)
			EXPECT_EQ(*word(p, i), round * THREADS);
		EXPECT_EQ(write(fds[1], "", 1), 1);
		EXPECT_EQ(wait_child(pid), EXITED(0));
	}
	close(fds[0]);
	close(fds[1]);
	munmap(p, SIZE);
}
