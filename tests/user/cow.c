/* SPDX-License-Identifier: MIT */
/*
 * fork copies memory: neither process sees what the other writes afterwards, whoever writes first,
 * and whether a page was written by an instruction or by the kernel on the process' behalf.
 */
#include "user/lib/ktap.h"

#define HEAP_SIZE	(16 * PAGE_SIZE)

/* One place in each kind of memory. */
static struct places {
	volatile long *data, *bss, *stack, *heap, *mapping;
} at;

static volatile long in_data = 1;
static volatile long in_bss;

static void set_all(long value)
{
	*at.data = *at.bss = *at.stack = *at.heap = *at.mapping = value;
}

#define EXPECT_ALL(value)									\
	do {											\
		EXPECT_EQ(*at.data, value);							\
		EXPECT_EQ(*at.bss, value);							\
		EXPECT_EQ(*at.stack, value);							\
		EXPECT_EQ(*at.heap, value);							\
		EXPECT_EQ(*at.mapping, value);							\
	} while (0)

/* A step of one process that the other waits for. */
static int child_says[2], parent_says[2];

static void tell(int fds[2])
{
	EXPECT_EQ(write(fds[1], "", 1), 1);
}

static void await(int fds[2])
{
	char c;

	EXPECT_EQ(read(fds[0], &c, 1), 1);
}

/* Gives the program memory of each kind; false: no. @on_stack belongs to the caller. */
static bool make_places(volatile long *on_stack)
{
	static char *heap, *mapping;

	if (!heap) {
		heap = brk(NULL);
		mapping = mmap_anon(HEAP_SIZE);
		if (brk(heap + HEAP_SIZE) != heap + HEAP_SIZE || IS_ERR(mapping) ||
		    pipe(child_says) || pipe(parent_says))
			return false;
	}
	at = (struct places){ &in_data, &in_bss, on_stack, (long *)heap, (long *)mapping };
	set_all(1);
	return true;
}

static void write_first(void *arg __unused)
{
	EXPECT_ALL(1);
	set_all(2);
	tell(child_says);
	await(parent_says);	/* the parent has looked, and written */
	EXPECT_ALL(2);
}

TEST(child_writes_stay_in_the_child)
{
	volatile long on_stack;
	pid_t pid;

	ASSERT(make_places(&on_stack));
	pid = start_child(write_first, NULL);
	await(child_says);
	EXPECT_ALL(1);
	set_all(3);
	tell(parent_says);
	EXPECT_EQ(wait_child(pid), EXITED(0));
	EXPECT_ALL(3);
}

static void read_after_parent_wrote(void *arg __unused)
{
	await(parent_says);
	EXPECT_ALL(1);
	set_all(2);
	EXPECT_ALL(2);
}

TEST(parent_writes_stay_in_the_parent)
{
	volatile long on_stack;
	pid_t pid;

	ASSERT(make_places(&on_stack));
	pid = start_child(read_after_parent_wrote, NULL);
	set_all(3);
	tell(parent_says);
	EXPECT_EQ(wait_child(pid), EXITED(0));
	EXPECT_ALL(3);
}

/*
 * A page shared three ways: every process that writes takes its own copy, and the last one keeps
 * the page.
 */
static void generation(void *number)
{
	long n = (long)number;

	EXPECT_ALL(n);
	if (n < 5) {
		set_all(n + 1);
		EXPECT_EQ(run_child(generation, (void *)(n + 1)), EXITED(0));
		EXPECT_ALL(n + 1);
	}
}

TEST(five_generations)
{
	volatile long on_stack;

	ASSERT(make_places(&on_stack));
	EXPECT_EQ(run_child(generation, (void *)1), EXITED(0));
	EXPECT_ALL(1);
}

static void read_into_shared_page(void *fds)
{
	EXPECT_EQ(read(((int *)fds)[0], (void *)at.heap, 8), 8);
	EXPECT_EQ(*at.heap, 7);
}

TEST(kernel_writes_copy_the_page_too)
{
	long seven = 7;
	volatile long on_stack;
	int fds[2];

	ASSERT(make_places(&on_stack));
	ASSERT_EQ(pipe(fds), 0);
	EXPECT_EQ(write(fds[1], &seven, 8), 8);
	EXPECT_EQ(run_child(read_into_shared_page, fds), EXITED(0));
	EXPECT_ALL(1);
	close(fds[0]);
	close(fds[1]);
}

static void write_text(void *arg __unused)
{
	*(volatile char *)(uintptr_t)write_text = 0;
}

static const long constant __used = 5;

static void write_constant(void *address)
{
	*(volatile long *)address = 6;
}

/* A write to a copied page makes a copy; a write to a page that was never writable must not. */
TEST(fork_does_not_make_text_writable)
{
	EXPECT_EQ(run_child(write_text, NULL), KILLED(SIGSEGV));
	EXPECT_EQ(run_child(write_constant, (void *)&constant), KILLED(SIGSEGV));
	EXPECT_EQ(READ_ONCE(constant), 5);
}

static void write_all_pages(void *arg)
{
	volatile char *p = arg;
	size_t i;

	for (i = 0; i < HEAP_SIZE; i += PAGE_SIZE)
		p[i] = 1;
}

static char *shared;

static void copy_ten_times(void)
{
	int i;

	for (i = 0; i < 10; i++)
		EXPECT_EQ(run_child(write_all_pages, shared), EXITED(0));
}

TEST(copies_are_freed)
{
	shared = mmap_anon(HEAP_SIZE);
	ASSERT(!IS_ERR(shared));
	memset(shared, 9, HEAP_SIZE);
	EXPECT(costs_no_page(copy_ten_times));
	munmap(shared, HEAP_SIZE);
}

/* ---- every page comes back ---- */

/* This program again, to end at once. */
int test_reexec(int argc, char **argv)
{
	return argc == 2 && !strcmp(argv[1], "--exec") ? 0 : -1;
}

static void exec_self(void *arg __unused)
{
	static char option[] = "--exec";
	char *argv[] = { (char *)ktap_self, option, NULL }, *envp[] = { NULL };

	EXPECT_EQ(execve(ktap_self, argv, envp), 0);
}

/* Ends with two threads still there, and all of its memory in use. */
static void end_in_the_middle(void *p)
{
	struct thread t[2];
	char *more = mmap_anon(HEAP_SIZE);

	EXPECT_EQ(thread_create(&t[0], write_all_pages, p, PAGE_SIZE), 0);
	EXPECT_EQ(thread_create(&t[1], write_all_pages, p, PAGE_SIZE), 0);
	write_all_pages(more);
	EXPECT_EQ(mprotect(more + PAGE_SIZE, PAGE_SIZE, PROT_NONE), 0);
	EXPECT_EQ(munmap(more + 3 * PAGE_SIZE, 5 * PAGE_SIZE), 0);
	EXPECT_EQ(run_child(write_all_pages, p), EXITED(0));
	brk((char *)brk(NULL) + HEAP_SIZE);
	exit(0);
}

static void just_exit(void *arg __unused)
{
}

static void (*const lives[])(void *) = {
	just_exit, write_all_pages, exec_self, end_in_the_middle, write_text,
};

static void live_and_die_200_times(void)
{
	int i;

	for (i = 0; i < 200; i++) {
		int kind = i % ARRAY_SIZE(lives);

		EXPECT_EQ(run_child(lives[kind], shared),
			  lives[kind] == write_text ? KILLED(SIGSEGV) : EXITED(0));
	}
}

TEST(two_hundred_lives_cost_no_page)
{
	shared = mmap_anon(HEAP_SIZE);
	ASSERT(!IS_ERR(shared));
	memset(shared, 9, HEAP_SIZE);
	EXPECT(costs_no_page(live_and_die_200_times));
	munmap(shared, HEAP_SIZE);
}

TEST(new_memory_is_zero)
{
	char *heap = brk(NULL), *p = mmap_anon(HEAP_SIZE);
	size_t i, sum = 0;

	ASSERT(!IS_ERR(p));
	ASSERT_EQ(brk(heap + HEAP_SIZE), heap + HEAP_SIZE);
	for (i = 0; i < HEAP_SIZE; i++)
		sum += heap[i] + p[i];
	EXPECT_EQ(sum, 0);
	memset(heap, 0xaa, HEAP_SIZE);

	/* Given back and taken again, it is zero again. */
	EXPECT_EQ(brk(heap), heap);
	EXPECT_EQ(brk(heap + HEAP_SIZE), heap + HEAP_SIZE);
	for (i = 0; i < HEAP_SIZE; i++)
		sum += heap[i];
	EXPECT_EQ(sum, 0);
	EXPECT_EQ(brk(heap), heap);
}

static void touch(void *address)
{
	*(volatile char *)address = 1;
}

TEST(memory_given_back_is_gone)
{
	char *heap = brk(NULL), *end = (char *)ALIGN_UP((uintptr_t)heap, PAGE_SIZE);

	ASSERT_EQ(brk(end + HEAP_SIZE), end + HEAP_SIZE);
	EXPECT_EQ(run_child(touch, end + HEAP_SIZE - 1), EXITED(0));
	EXPECT_EQ(run_child(touch, end + HEAP_SIZE), KILLED(SIGSEGV));
	EXPECT_EQ(brk(heap), heap);
	EXPECT_EQ(run_child(touch, end), KILLED(SIGSEGV));
}

TEST(impossible_brk_changes_nothing)
{
	char *heap = brk(NULL);

	EXPECT_EQ(brk((char *)0x1000), heap);			/* below the program */
	EXPECT_EQ(brk((char *)0x7ffffffff000), heap);		/* over the stack */
	EXPECT_EQ(brk((char *)0xffffffff81000000), heap);	/* the kernel's */
	EXPECT_EQ(brk((char *)~0UL), heap);
}
