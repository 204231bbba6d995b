/* SPDX-License-Identifier: MIT */
/*
 * Calls that fail half way leave nothing behind: no descriptor, no page, no pipe's end that stays
 * open. And small answers that nothing else asks for.
 */
#include "user/lib/ktap.h"

#define AT_PHDR		3
#define AT_PHENT	4
#define AT_PHNUM	5
#define AT_PAGESZ	6
#define AT_ENTRY	9

#define MANY	40		/* more than there are descriptors: one lost each time is seen */

static int fds[2];

static bool splat_here(void)
{
	struct splat_info info;

	return on_splat(&info);
}

static void fail_nth(int n)
{
	char option[] = "fail_alloc=0";

	option[sizeof(option) - 2] += n;
	EXPECT_EQ(splat_setopt(option), 0);
}

/* ---- pipe ---- */

static void pipes_to_nowhere(void)
{
	int i;

	for (i = 0; i < MANY; i++)
		EXPECT_EQ(syscall(SYS_pipe, 8), -EFAULT);
}

/* fails with: fault/pipe-to-nowhere-stays */
TEST(a_pipe_that_cannot_be_told_is_gone)
{
	int before[2];

	ASSERT_EQ(pipe(before), 0);
	close(before[0]);
	close(before[1]);
	if (splat_here())
		EXPECT(costs_no_page(pipes_to_nowhere));
	else
		pipes_to_nowhere();
	ASSERT_EQ(pipe(fds), 0);
	EXPECT_EQ(fds[0], before[0]);
	EXPECT_EQ(fds[1], before[1]);
	close(fds[0]);
	close(fds[1]);
}

static void pipes_without_memory(void)
{
	int n;

	for (n = 1; n <= 3; n++) {
		fail_nth(n);
		EXPECT_EQ(pipe(fds), -ENOMEM);
	}
	fail_nth(0);
	EXPECT_EQ(pipe(fds), 0);
	close(fds[0]);
	close(fds[1]);
}

/* fails with: do_pipe() keeping the pipe when a file cannot be had */
TEST(a_pipe_fails_cleanly_at_each_allocation)
{
	if (!splat_here())
		SKIP("needs Splat's fail_alloc");
	EXPECT(costs_no_page(pipes_without_memory));
}

/* ---- dup2 ---- */

static void write_without_reader(void *arg __unused)
{
	struct { long handler, flags, restorer, mask; } ignore = { .handler = 1 };

	syscall(SYS_rt_sigaction, SIGPIPE, &ignore, 0, 8);	/* Splat has no signals */
	ASSERT_EQ(pipe(fds), 0);
	EXPECT_EQ(dup2(fds[0], -1), -EBADF);
	EXPECT_EQ(dup2(fds[0], 1 << 30), -EBADF);
	EXPECT_EQ(dup2(fds[0], fds[0]), fds[0]);
	close(fds[0]);
	EXPECT_EQ(write(fds[1], "x", 1), -EPIPE);
}

/* fails with: fault/refused-dup2-keeps-the-file */
TEST(a_dup2_that_copies_nothing_keeps_nothing_open)
{
	EXPECT_EQ(run_child(write_without_reader, NULL), EXITED(0));
}

/* ---- execve ---- */

/* The program's headers, entry and page size, as the kernel tells them behind envp. */
static bool auxv_is_right(const unsigned long *auxv)
{
	extern char _start[];
	unsigned long value[10] = { 0 };
	unsigned int first_type = 0;

	for (; auxv[0]; auxv += 2)
		if (auxv[0] < ARRAY_SIZE(value))
			value[auxv[0]] = auxv[1];
	if (value[AT_PHDR])
		memcpy(&first_type, (void *)value[AT_PHDR], sizeof(first_type));
	return first_type && first_type < 8 && value[AT_PHENT] == 56 && value[AT_PHNUM] > 1 &&
	       value[AT_PHNUM] < 16 && value[AT_PAGESZ] == PAGE_SIZE &&
	       value[AT_ENTRY] == (unsigned long)_start;
}

int test_reexec(int argc, char **argv)
{
	if (argc != 2 || strcmp(argv[1], "--exec"))
		return -1;
	/* There is no environment: auxv lies behind argv's end and envp's. */
	return auxv_is_right((unsigned long *)(argv + argc + 2)) ? 33 : 34;
}

static void exec_at_once(void *arg __unused)
{
	static char option[] = "--exec";
	char *argv[] = { (char *)ktap_self, option, NULL };

	execve(ktap_self, argv, argv + 2);
}

/* fails with: fault/auxv-without-entry */
TEST(exec_tells_where_the_program_is)
{
	EXPECT_EQ(run_child(exec_at_once, NULL), EXITED(33));
}

/* In a child: each of the first allocations fails, and the last try gets through. */
static void exec_without_memory(void *arg __unused)
{
	static char option[] = "--exec";
	char *argv[] = { (char *)ktap_self, option, NULL };
	int n;

	for (n = 1; n <= 9; n++) {
		fail_nth(n);
		EXPECT_EQ(execve(ktap_self, argv, argv + 2), -ENOMEM);
	}
	fail_nth(0);
	if (!ktap_failures)
		execve(ktap_self, argv, argv + 2);
}

static void execs_without_memory(void)
{
	EXPECT_EQ(run_child(exec_without_memory, NULL), EXITED(33));
}

TEST(exec_fails_cleanly_at_its_first_allocations)
{
	if (!splat_here())
		SKIP("needs Splat's fail_alloc");
	EXPECT(costs_no_page(execs_without_memory));
}

/* ---- small answers ---- */

/* fails with: fault/terminal-has-no-size */
TEST(the_console_says_how_large_it_is)
{
	unsigned short size[5] = { 1, 2, 3, 4, 5 };

	if (!splat_here())
		SKIP("a Linux console may have any size, or be a file");
	EXPECT_EQ(syscall(SYS_ioctl, 1, TIOCGWINSZ, size), 0);
	EXPECT_EQ(size[0], 25);
	EXPECT_EQ(size[1], 80);
	EXPECT_EQ(size[4], 5);
	EXPECT_EQ(syscall(SYS_ioctl, 1, TIOCGWINSZ, 8), -EFAULT);
	EXPECT_EQ(syscall(SYS_ioctl, 1, TIOCGWINSZ + 1, size), -ENOTTY);
}

TEST(getcpu_says_where_we_are)
{
	unsigned int cpu = 77, node = 77;

	if (!splat_here())
		SKIP("Linux may have more nodes than one");
	EXPECT_EQ(syscall(SYS_getcpu, &cpu, &node), 0);
	EXPECT(cpu < 64 && sched_getaffinity(0) & BIT(cpu));
	EXPECT_EQ(node, 0);
	EXPECT_EQ(syscall(SYS_getcpu, NULL, NULL), 0);
	EXPECT_EQ(syscall(SYS_getcpu, 8, &node), -EFAULT);
	EXPECT_EQ(syscall(SYS_getcpu, &cpu, 8), -EFAULT);
}

/* ---- the heap after a fork ---- */

static char *heap;

static void grow_and_shrink(void *arg __unused)
{
	char *here = brk(NULL);

	EXPECT_EQ(here, heap);
	EXPECT_EQ(heap[-1], 'h');
	EXPECT_EQ(brk(here + PAGE_SIZE), here + PAGE_SIZE);
	here[0] = here[PAGE_SIZE - 1] = 1;
	EXPECT_EQ(brk(here - PAGE_SIZE), here - PAGE_SIZE);
	EXPECT_EQ(brk((void *)PAGE_SIZE), here - PAGE_SIZE);	/* below the heap: unchanged */
}

/* fails with: fault/child-forgets-its-heap, fault/child-forgets-where-its-heap-begins */
TEST(a_child_has_its_parents_heap)
{
	char *start = brk(NULL);

	heap = start + 2 * PAGE_SIZE;
	ASSERT_EQ(brk(heap), heap);
	heap[-1] = 'h';
	EXPECT_EQ(run_child(grow_and_shrink, NULL), EXITED(0));
	EXPECT_EQ(brk(NULL), heap);
	EXPECT_EQ(heap[-1], 'h');
	EXPECT_EQ(brk(start), start);
}

/* fails with: fault/brk-takes-more-than-there-is */
TEST(a_heap_is_not_larger_than_memory)
{
	struct splat_info info;
	char *start = brk(NULL);

	if (!on_splat(&info))
		SKIP("Linux counts swap, too");
	EXPECT_EQ(brk(start + (info.pages_total + 2) * PAGE_SIZE), start);
	EXPECT_EQ(brk(start + (info.pages_total - 2) * PAGE_SIZE),
		  start + (info.pages_total - 2) * PAGE_SIZE);
	EXPECT_EQ(brk(start), start);
}
