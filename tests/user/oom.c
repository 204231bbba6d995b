/* SPDX-License-Identifier: MIT */
/*
 * No memory left: who uses most ends, and everybody else goes on, in ring 3 and in system calls.
 * As init ("eat" as its argument) this program uses all there is, and the kernel must say so.
 */
#include "user/lib/ktap.h"

static u64 pages_free(void)
{
	struct splat_info info = { 0 };

	on_splat(&info);
	return info.pages_free;
}

/* Touches pages until that ends us. */
static void eat(void *arg __unused)
{
	struct splat_info info;
	size_t size, i;
	char *p;

	on_splat(&info);
	size = info.pages_total * PAGE_SIZE;
	p = mmap_anon(size);
	for (i = 0; i < size; i += PAGE_SIZE)
		p[i] = 1;
}

int test_reexec(int argc, char **argv)
{
	if (argc != 2 || strcmp(argv[1], "eat"))
		return -1;
	eat(NULL);
	return 1;
}

/* ---- hogs that never stop ---- */

static void do_nothing(void *arg __unused)
{
}

#define HOGS	2

/* fails with: fault/fault-fails-for-want-of-memory */
TEST(hogs_end_and_nobody_else)
{
	pid_t hogs[HOGS], pid;
	int i, status, left = HOGS;

	if (!pages_free())
		SKIP("needs Splat: Linux would swap");
	for (i = 0; i < HOGS; i++)
		hogs[i] = start_child(eat, NULL);
	/* As long as there is one, others are made, write to their memory, and end as always. */
	while (left) {
		EXPECT_EQ(run_child(do_nothing, NULL), EXITED(0));
		for (i = 0; i < HOGS; i++) {
			pid = hogs[i] ? wait4(hogs[i], &status, WNOHANG, NULL) : 0;
			if (!pid)
				continue;
			EXPECT_EQ(pid, hogs[i]);
			EXPECT_EQ(status, KILLED(SIGKILL));
			hogs[i] = 0;
			left--;
		}
	}
}

/* ---- an allocation that fails although there is memory ---- */

static void fail_nth(int n)
{
	char option[] = "fail_alloc=0";

	option[sizeof(option) - 2] += n;
	EXPECT_EQ(splat_setopt(option), 0);
}

/* Pages that lack tables, too: so far apart that each needs three. In a child, which then ends. */
static void *far_page(int i)
{
	return mmap((void *)(0x100000000000 + i * 0x8000000000), PAGE_SIZE, PROT_READ | PROT_WRITE,
		    MAP_FIXED);
}

static void fault_while_allocations_fail(void *arg __unused)
{
	volatile char *page;
	int n;

	for (n = 1; n <= 4; n++) {
		page = far_page(n);
		ASSERT(!IS_ERR((void *)page));
		fail_nth(n);
		*page = n;
		EXPECT_EQ(*page, n);
		fail_nth(0);
	}
}

/* fails with: fault/fault-fails-for-want-of-memory */
TEST(a_fault_is_tried_again)
{
	if (!pages_free())
		SKIP("needs Splat's fail_alloc");
	EXPECT_EQ(run_child(fault_while_allocations_fail, NULL), EXITED(0));
}

static void copy_while_allocations_fail(void *arg __unused)
{
	int n, fds[2];
	char *page;

	ASSERT_EQ(pipe(fds), 0);
	for (n = 1; n <= 4; n++) {
		page = far_page(8 + n);
		ASSERT(!IS_ERR(page));
		EXPECT_EQ(write(fds[1], "copied", 6), 6);
		fail_nth(n);
		EXPECT_EQ(read(fds[0], page, 6), 6);
		fail_nth(0);
		EXPECT_EQ(memcmp(page, "copied", 6), 0);
	}
}

/* fails with: fault/fault-fails-for-want-of-memory */
TEST(a_copy_in_a_system_call_is_tried_again)
{
	if (!pages_free())
		SKIP("needs Splat's fail_alloc");
	EXPECT_EQ(run_child(copy_while_allocations_fail, NULL), EXITED(0));
}

/* ---- a fork bomb ---- */

static int fuse[2];

static void wait_for_the_end(void)
{
	char c;

	close(fuse[1]);
	read(fuse[0], &c, 1);
	_exit(0);
}

/* Forks until that fails, then lets all go. Exits with the errno. */
static void bomb(void *arg __unused)
{
	int count = 0;
	long pid;

	if (pipe(fuse))
		exit(99);
	while ((pid = syscall(SYS_fork)) > 0)
		count++;
	if (!pid)
		wait_for_the_end();
	close(fuse[1]);
	close(fuse[0]);
	for (; count; count--)
		wait4(-1, NULL, 0, NULL);
	exit(-pid);
}

/* fails with: fault/stacks-for-all-of-memory */
TEST(a_fork_bomb_gets_an_eighth_of_memory)
{
	struct splat_info before, after;

	if (!on_splat(&before))
		SKIP("Linux has other limits");
	EXPECT_EQ(run_child(bomb, NULL), EXITED(EAGAIN));
	EXPECT_EQ(run_child(do_nothing, NULL), EXITED(0));
	after.pages_free = settled_pages();
	EXPECT(after.pages_free + before.pages_total / 8 >= before.pages_free);
}
