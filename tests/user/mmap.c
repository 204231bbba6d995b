/* SPDX-License-Identifier: MIT */
/*
 * mmap, munmap, mprotect and brk: which pages are there, what may be done with them, and that their
 * contents stay when the areas around them are split and joined.
 */
#include "user/lib/ktap.h"

#define RW	(PROT_READ | PROT_WRITE)
#define PAGES	8
#define SIZE	(PAGES * PAGE_SIZE)

static noinline void read_at(void *address)
{
	(void)*(volatile char *)address;
}

static noinline void write_at(void *address)
{
	*(volatile char *)address = 1;
}

static void call_at(void *address)
{
	((void (*)(void))address)();
}

/* What a child may do there. */
#define EXPECT_NOTHING(p)	EXPECT_EQ(run_child(read_at, p), KILLED(SIGSEGV))
#define EXPECT_READABLE(p)	EXPECT_EQ(run_child(read_at, p), EXITED(0))
#define EXPECT_READ_ONLY(p)									\
	do {											\
		EXPECT_READABLE(p);								\
		EXPECT_EQ(run_child(write_at, p), KILLED(SIGSEGV));				\
	} while (0)
#define EXPECT_WRITABLE(p)	EXPECT_EQ(run_child(write_at, p), EXITED(0))

/* PAGES pages with a number in each, from 1 on, and no neighbours. */
static char *numbered_pages(void)
{
	char *p = mmap_anon(SIZE + 2 * PAGE_SIZE);
	int i;

	if (IS_ERR(p) || munmap(p, PAGE_SIZE) || munmap(p + SIZE + PAGE_SIZE, PAGE_SIZE))
		exit(97);
	p += PAGE_SIZE;
	for (i = 0; i < PAGES; i++)
		p[i * PAGE_SIZE] = i + 1;
	return p;
}

/* Pages @from..@to still hold their numbers. */
static void expect_numbers(const char *p, int from, int to)
{
	int i;

	for (i = from; i <= to; i++)
		EXPECT_EQ(p[i * PAGE_SIZE], i + 1);
}

static char *page(char *p, int number)
{
	return p + number * PAGE_SIZE;
}

/* ---- munmap ---- */

TEST(munmap_in_the_middle)
{
	char *p = numbered_pages();

	EXPECT_EQ(munmap(page(p, 2), 2 * PAGE_SIZE - 100), 0);	/* rounds up */
	expect_numbers(p, 0, 1);
	expect_numbers(p, 4, PAGES - 1);
	EXPECT_WRITABLE(page(p, 2) - 1);
	EXPECT_NOTHING(page(p, 2));
	EXPECT_NOTHING(page(p, 4) - 1);
	EXPECT_WRITABLE(page(p, 4));
	EXPECT_EQ(munmap(p, SIZE), 0);			/* over the hole */
}

TEST(munmap_at_the_edges_and_all)
{
	char *p = numbered_pages();

	EXPECT_EQ(munmap(p, PAGE_SIZE), 0);
	EXPECT_EQ(munmap(page(p, PAGES - 1), PAGE_SIZE), 0);
	expect_numbers(p, 1, PAGES - 2);
	EXPECT_NOTHING(page(p, 1) - 1);
	EXPECT_NOTHING(page(p, PAGES - 1));
	/* More than there is, on both sides. */
	EXPECT_EQ(munmap(p, SIZE), 0);
	EXPECT_NOTHING(page(p, 1));
	EXPECT_NOTHING(page(p, PAGES - 1) - 1);
}

TEST(munmap_of_nothing)
{
	char *p = numbered_pages();

	EXPECT_EQ(munmap(p, SIZE), 0);
	EXPECT_EQ(munmap(p, SIZE), 0);
	EXPECT_EQ(munmap(p, 0), -EINVAL);
	EXPECT_EQ(munmap(p + 1, PAGE_SIZE), -EINVAL);
	EXPECT_EQ(munmap(p, ~0UL), -EINVAL);
	EXPECT_EQ(munmap((void *)0xffffffff81000000, PAGE_SIZE), -EINVAL);
	EXPECT_EQ(munmap((void *)0xfffffffffffff000, PAGE_SIZE), -EINVAL);
}

static void munmap_then_read(void *p)
{
	*(volatile char *)p = 1;
	EXPECT_EQ(munmap(p, PAGE_SIZE), 0);
	read_at(p);
}

/* No CPU may remember the page: nobody else runs in between who would make it forget. */
TEST(munmapped_memory_is_gone_at_once)
{
	EXPECT_EQ(run_child(munmap_then_read, mmap_anon(PAGE_SIZE)), KILLED(SIGSEGV));
}

TEST(munmap_gives_the_pages_back)
{
	struct splat_info before, after;
	size_t size = 300 * PAGE_SIZE;
	char *p = mmap_anon(size);

	ASSERT(!IS_ERR(p));
	if (!on_splat(&before))
		SKIP("needs splat_info");
	memset(p, 1, size);
	settled_pages();
	on_splat(&before);
	EXPECT_EQ(munmap(p + 10 * PAGE_SIZE, 200 * PAGE_SIZE), 0);
	on_splat(&after);
	EXPECT_EQ(after.pages_free - before.pages_free, 200);
	EXPECT_EQ(munmap(p, size), 0);
	on_splat(&after);
	EXPECT_EQ(after.pages_free - before.pages_free, 300);
}

/* ---- mprotect ---- */

TEST(mprotect_of_a_part)
{
	char *p = numbered_pages();

	EXPECT_EQ(mprotect(page(p, 2), 2 * PAGE_SIZE, PROT_READ), 0);
	expect_numbers(p, 0, PAGES - 1);
	EXPECT_WRITABLE(page(p, 2) - 1);
	EXPECT_READ_ONLY(page(p, 2));
	EXPECT_READ_ONLY(page(p, 4) - 1);
	EXPECT_WRITABLE(page(p, 4));
	/* Over three areas, two of them in part. */
	EXPECT_EQ(mprotect(page(p, 1), 5 * PAGE_SIZE, PROT_READ), 0);
	EXPECT_WRITABLE(page(p, 1) - 1);
	EXPECT_READ_ONLY(page(p, 1));
	EXPECT_READ_ONLY(page(p, 6) - 1);
	EXPECT_WRITABLE(page(p, 6));
	EXPECT_EQ(mprotect(p, SIZE, RW), 0);
	expect_numbers(p, 0, PAGES - 1);
	memset(p, 5, SIZE);
	munmap(p, SIZE);
}

TEST(prot_none)
{
	char *p = numbered_pages();
	int fds[2];

	ASSERT_EQ(pipe(fds), 0);
	EXPECT_EQ(mprotect(page(p, 3), PAGE_SIZE, PROT_NONE), 0);
	EXPECT_NOTHING(page(p, 3));
	EXPECT_EQ(write(fds[1], page(p, 3), 1), -EFAULT);	/* nor through the kernel */
	EXPECT_EQ(mprotect(page(p, 3), PAGE_SIZE, PROT_READ), 0);
	EXPECT_EQ(write(fds[1], page(p, 3), 1), 1);
	EXPECT_READ_ONLY(page(p, 3));
	EXPECT_EQ(mprotect(page(p, 3), PAGE_SIZE, RW), 0);
	expect_numbers(p, 0, PAGES - 1);
	write_at(page(p, 3));
	munmap(p, SIZE);

	p = mmap(NULL, SIZE, PROT_NONE, 0);
	EXPECT_NOTHING(p);
	EXPECT_EQ(mprotect(page(p, 1), PAGE_SIZE, RW), 0);
	EXPECT_NOTHING(page(p, 1) - 1);
	EXPECT_WRITABLE(page(p, 1));
	EXPECT_NOTHING(page(p, 2));
	munmap(p, SIZE);
	close(fds[0]);
	close(fds[1]);
}

static void change_what_is_hidden(void *p)
{
	EXPECT_EQ(mprotect(p, SIZE, RW), 0);
	expect_numbers(p, 0, PAGES - 1);
	memset(p, 99, SIZE);
}

/* Shared pages stay shared, whatever rights each side takes and gives. */
TEST(mprotect_does_not_undo_copy_on_write)
{
	char *p = numbered_pages();
	int prot;

	for (prot = PROT_NONE; prot <= RW; prot++) {
		EXPECT_EQ(mprotect(p, SIZE, prot), 0);
		EXPECT_EQ(run_child(change_what_is_hidden, p), EXITED(0));
		EXPECT_EQ(mprotect(p, SIZE, PROT_READ), 0);
		expect_numbers(p, 0, PAGES - 1);
	}
	munmap(p, SIZE);
}

static void mprotect_then_write(void *p)
{
	write_at(p);
	EXPECT_EQ(mprotect(p, PAGE_SIZE, PROT_READ), 0);
	write_at(p);
}

TEST(rights_shrink_at_once)
{
	EXPECT_EQ(run_child(mprotect_then_write, mmap_anon(PAGE_SIZE)), KILLED(SIGSEGV));
}

TEST(mprotect_to_execute)
{
	unsigned char *code = mmap_anon(PAGE_SIZE);

	*code = 0xc3;			/* RET */
	EXPECT_EQ(run_child(call_at, code), KILLED(SIGSEGV));
	EXPECT_EQ(mprotect(code, PAGE_SIZE, PROT_READ | PROT_EXEC), 0);
	EXPECT_EQ(run_child(call_at, code), EXITED(0));
	EXPECT_EQ(run_child(write_at, code), KILLED(SIGSEGV));
	munmap(code, PAGE_SIZE);
}

TEST(mprotect_over_a_hole)
{
	char *p = numbered_pages();

	EXPECT_EQ(mprotect(p + 1, PAGE_SIZE, PROT_READ), -EINVAL);
	EXPECT_EQ(mprotect(p, 0, PROT_READ), 0);
	EXPECT_EQ(mprotect(p, PAGE_SIZE, 0x1000), -EINVAL);
	EXPECT_EQ(mprotect(p, ~0UL, PROT_READ), -ENOMEM);	/* rounds up to 0 */
	EXPECT_EQ(mprotect(p, -(unsigned long)p, PROT_READ), -ENOMEM);
	EXPECT_EQ(mprotect(page(p, PAGES), PAGE_SIZE, PROT_READ), -ENOMEM);
	EXPECT_WRITABLE(p);

	EXPECT_EQ(munmap(page(p, 3), PAGE_SIZE), 0);
	EXPECT_EQ(mprotect(page(p, 3), 2 * PAGE_SIZE, PROT_READ), -ENOMEM);
	EXPECT_WRITABLE(page(p, 4));
	EXPECT_EQ(mprotect(page(p, 1), 4 * PAGE_SIZE, PROT_READ), -ENOMEM);
	EXPECT_READ_ONLY(page(p, 2));			/* as far as it came */
	EXPECT_WRITABLE(page(p, 4));
	munmap(p, SIZE);
}

/* ---- mmap ---- */

TEST(map_fixed_replaces)
{
	char *p = numbered_pages();
	int i;

	EXPECT_EQ(mmap(page(p, 2), 3 * PAGE_SIZE, RW, MAP_FIXED), page(p, 2));
	for (i = 2; i < 5; i++)
		EXPECT_EQ(*page(p, i), 0);
	EXPECT_EQ(mmap(page(p, 1), 2 * PAGE_SIZE, PROT_READ, MAP_FIXED), page(p, 1));
	EXPECT_EQ(*page(p, 1), 0);
	EXPECT_READ_ONLY(page(p, 2));
	EXPECT_WRITABLE(page(p, 3));
	expect_numbers(p, 0, 0);
	expect_numbers(p, 5, PAGES - 1);
	/* And what was in no area before. */
	EXPECT_EQ(mmap(p, SIZE + PAGE_SIZE, RW, MAP_FIXED), p);
	EXPECT_EQ(*p, 0);
	EXPECT_WRITABLE(page(p, PAGES));
	munmap(p, SIZE + PAGE_SIZE);
}

TEST(hints_are_taken_if_free)
{
	char *p = numbered_pages(), *q;

	EXPECT_EQ(munmap(page(p, 2), 3 * PAGE_SIZE), 0);
	EXPECT_EQ(mmap(page(p, 3) + 10, PAGE_SIZE, RW, 0), page(p, 3));
	q = mmap(page(p, 3), PAGE_SIZE, RW, 0);				/* taken */
	ASSERT(!IS_ERR(q) && q != page(p, 3));
	munmap(q, PAGE_SIZE);
	q = mmap(page(p, 4), 2 * PAGE_SIZE, RW, 0);			/* half taken */
	ASSERT(!IS_ERR(q) && q != page(p, 4));
	munmap(q, 2 * PAGE_SIZE);
	q = mmap((void *)0xffffffff81000000, PAGE_SIZE, RW, 0);		/* not ours at all */
	EXPECT(!IS_ERR(q));
	munmap(q, PAGE_SIZE);
	expect_numbers(p, 5, PAGES - 1);
	munmap(p, SIZE);
}

TEST(more_than_there_is)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	struct splat_info info;

	EXPECT_EQ(mmap((void *)~0xfffUL, 2 * PAGE_SIZE, RW, MAP_FIXED), -ENOMEM);
	EXPECT_EQ(mmap(NULL, 1UL << 56, RW, 0), -ENOMEM);
	EXPECT_EQ(syscall(SYS_mmap, 0, PAGE_SIZE, RW, flags, -1, 100), -EINVAL);
	if (!on_splat(&info))
		SKIP("how much there is: needs splat_info");
	EXPECT_EQ(mmap(NULL, (info.pages_total + 1) * PAGE_SIZE, RW, 0), -ENOMEM);
	EXPECT_EQ(mmap((void *)PAGE_SIZE, PAGE_SIZE, RW, MAP_FIXED), -EPERM);
}

/* ---- brk ---- */

TEST(brk_grows_and_shrinks)
{
	char *heap = brk(NULL), *start = (char *)ALIGN_UP((uintptr_t)heap, PAGE_SIZE);

	EXPECT_EQ(brk(start + SIZE), start + SIZE);
	memset(start, 7, SIZE);
	EXPECT_EQ(brk(page(start, 3) + 1), page(start, 3) + 1);
	EXPECT_EQ(*page(start, 3), 7);			/* a byte of this page is still ours */
	EXPECT_WRITABLE(page(start, 4) - 1);
	EXPECT_NOTHING(page(start, 4));
	EXPECT_EQ(brk(start + SIZE), start + SIZE);
	EXPECT_EQ(*page(start, 3), 7);
	EXPECT_EQ(*page(start, 4), 0);
	/* It is an area like any other. */
	EXPECT_EQ(mprotect(page(start, 2), PAGE_SIZE, PROT_READ), 0);
	EXPECT_READ_ONLY(page(start, 2));
	EXPECT_EQ(munmap(page(start, 4), PAGE_SIZE), 0);
	EXPECT_NOTHING(page(start, 4));
	EXPECT_EQ(*page(start, 3), 7);
	EXPECT_EQ(brk(heap), heap);
	EXPECT_NOTHING(start);
}

TEST(brk_stops_at_the_next_mapping)
{
	char *heap = brk(NULL), *start = (char *)ALIGN_UP((uintptr_t)heap, PAGE_SIZE);

	ASSERT_EQ(mmap(page(start, 4), PAGE_SIZE, RW, 0), page(start, 4));
	*page(start, 4) = 44;
	EXPECT_EQ(brk(start + 5 * PAGE_SIZE), heap);
	EXPECT_EQ(brk(start + 100 * PAGE_SIZE), heap);
	EXPECT_EQ(brk(start + 3 * PAGE_SIZE + 1), heap);	/* one page stays free in between */
	EXPECT_EQ(brk(start + 3 * PAGE_SIZE), start + 3 * PAGE_SIZE);
	EXPECT_WRITABLE(page(start, 3) - 1);
	EXPECT_NOTHING(page(start, 3));
	EXPECT_EQ(*page(start, 4), 44);
	EXPECT_EQ(munmap(page(start, 4), PAGE_SIZE), 0);
	EXPECT_EQ(brk(start + 5 * PAGE_SIZE), start + 5 * PAGE_SIZE);
	EXPECT_EQ(*page(start, 4), 0);
	EXPECT_EQ(brk(heap), heap);
}

/* ---- the list of areas ---- */

#define ROUNDS	6000		/* more than an address space may have areas */

TEST(areas_are_joined_again)
{
	char *p = numbered_pages(), *heap = brk(NULL);
	int i;

	for (i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(mprotect(page(p, i % PAGES), PAGE_SIZE, PROT_READ), 0);
		ASSERT_EQ(mprotect(page(p, i % PAGES), PAGE_SIZE, RW), 0);
	}
	expect_numbers(p, 0, PAGES - 1);
	for (i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(munmap(page(p, i % PAGES), PAGE_SIZE), 0);
		ASSERT_EQ(mmap(page(p, i % PAGES), PAGE_SIZE, RW, 0), page(p, i % PAGES));
	}
	for (i = 1; i < ROUNDS; i++)
		ASSERT_EQ(brk(heap + i * PAGE_SIZE), heap + i * PAGE_SIZE);
	EXPECT_EQ(brk(heap), heap);
	munmap(p, SIZE);
}

/* Every second page of another kind: as many areas as pages, until there may be no more. */
static long split_until_refused(char *p, size_t pages)
{
	size_t i;
	long ret = 0;

	for (i = 0; i < pages && !ret; i += 2)
		ret = mprotect(p + i * PAGE_SIZE, PAGE_SIZE, PROT_READ);
	return ret;
}

TEST(the_number_of_areas_has_a_limit)
{
	struct splat_info before, after;
	size_t size = ROUNDS * PAGE_SIZE;
	int round;

	for (round = 0; round < 2; round++) {
		char *p = mmap_anon(size);

		if (!on_splat(&before))
			SKIP("Linux takes ten times as many");
		EXPECT_EQ(split_until_refused(p, ROUNDS), -ENOMEM);
		EXPECT_EQ(munmap(p, size), 0);
		on_splat(&after);
	}
	EXPECT_EQ(after.pages_free, before.pages_free);
}
