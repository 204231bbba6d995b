/* SPDX-License-Identifier: MIT */
/*
 * fork, exit and wait: storms of processes, what wait4 reports, who inherits orphans, and that no
 * page is lost.
 */
#include "user/lib/ktap.h"

static void do_nothing(void *arg __unused)
{
}

static void fork_and_wait(int count)
{
	int i;

	for (i = 0; i < count; i++)
		ASSERT_EQ(run_child(do_nothing, NULL), EXITED(0));
}

TEST(two_hundred_forks)
{
	fork_and_wait(200);
}

/*
 * Each node is a process that forks two until @depth is used up, and returns how many processes are
 * below.
 */
static int tree(int depth)
{
	int i, status, sum = 1;
	pid_t pid;

	if (depth == 0)
		return 1;
	for (i = 0; i < 2; i++) {
		pid = fork();
		if (pid < 0)
			exit(255);
		if (pid == 0)
			exit(tree(depth - 1));
	}
	for (i = 0; i < 2; i++) {
		wait4(-1, &status, 0, NULL);
		sum += WEXITSTATUS(status);
	}
	return sum;
}

TEST(tree_of_depth_4)
{
	EXPECT_EQ(tree(4), 31);
}

/* Blocks until all write ends of the pipe are closed. */
static void await_end(void *fds)
{
	char c;

	close(((int *)fds)[1]);
	EXPECT_EQ(read(((int *)fds)[0], &c, 1), 0);
}

#define MANY 64

TEST(sixty_four_live_children)
{
	pid_t pid[MANY], got;
	int i, status, fds[2];

	ASSERT_EQ(pipe(fds), 0);
	for (i = 0; i < MANY; i++) {
		pid[i] = start_child(await_end, fds);
		EXPECT(pid[i] > 0);
	}
	EXPECT_EQ(wait4(-1, &status, WNOHANG, NULL), 0);
	close(fds[0]);
	close(fds[1]);
	/* Half by name, from the last; the rest as they come. */
	for (i = MANY - 1; i >= MANY / 2; i--)
		EXPECT_EQ(wait_child(pid[i]), EXITED(0));
	for (i = 0; i < MANY / 2; i++) {
		got = wait4(-1, &status, 0, NULL);
		EXPECT(got > 0);
		EXPECT_EQ(status, EXITED(0));
	}
	EXPECT_EQ(wait4(-1, &status, 0, NULL), -ECHILD);
}

static void storm(void)
{
	pid_t pid[MANY];
	int i, fds[2];

	fork_and_wait(20);
	EXPECT_EQ(tree(3), 15);
	ASSERT_EQ(pipe(fds), 0);
	for (i = 0; i < MANY; i++)
		pid[i] = start_child(await_end, fds);
	close(fds[0]);
	close(fds[1]);
	for (i = 0; i < MANY; i++)
		EXPECT_EQ(wait_child(pid[i]), EXITED(0));
}

TEST(storms_leave_no_page_behind)
{
	struct splat_info before, after;

	if (!on_splat(&before))
		SKIP("needs splat_info");
	EXPECT(costs_no_page(storm));
	on_splat(&after);
	EXPECT(after.forks - before.forks >= 20 + 14 + MANY);
}

static void exit_with(void *code)
{
	exit((long)code);
}

static void exit_thread_with(void *code)
{
	syscall(SYS_exit, code);
}

static void crash(void *address)
{
	*(volatile int *)address = 1;
}

TEST(wait_status_values)
{
	EXPECT_EQ(run_child(exit_with, (void *)1), EXITED(1));
	EXPECT_EQ(run_child(exit_with, (void *)255), EXITED(255));
	EXPECT_EQ(run_child(exit_with, (void *)256), EXITED(0));	/* eight bits are kept */
	EXPECT_EQ(run_child(exit_with, (void *)-1), EXITED(255));
	EXPECT_EQ(run_child(exit_thread_with, (void *)7), EXITED(7));
	EXPECT_EQ(run_child(crash, (void *)8), KILLED(SIGSEGV));
}

TEST(wait_errors)
{
	int status = 1234;

	EXPECT_EQ(wait4(-1, &status, 0, NULL), -ECHILD);
	EXPECT_EQ(wait4(-1, &status, WNOHANG, NULL), -ECHILD);
	EXPECT_EQ(wait4(getpid(), &status, 0, NULL), -ECHILD);		/* not a child */
	EXPECT_EQ(wait4(0x3fffffff, &status, 0, NULL), -ECHILD);
	EXPECT_EQ(wait4(-1, &status, 0x10000000, NULL), -EINVAL);	/* an unknown option */
	EXPECT_EQ(status, 1234);
}

TEST(wait_without_status)
{
	pid_t pid = start_child(exit_with, (void *)3);

	EXPECT_EQ(wait4(pid, NULL, 0, NULL), pid);
	EXPECT_EQ(wait4(pid, NULL, 0, NULL), -ECHILD);	/* it can be had only once */
}

TEST(wnohang_does_not_wait)
{
	int fds[2], status = 1234;
	pid_t pid;

	ASSERT_EQ(pipe(fds), 0);
	pid = start_child(await_end, fds);
	EXPECT_EQ(wait4(pid, &status, WNOHANG, NULL), 0);
	EXPECT_EQ(status, 1234);
	close(fds[0]);
	close(fds[1]);
	EXPECT_EQ(wait_child(pid), EXITED(0));
}

static void expect_no_children(void *arg __unused)
{
	EXPECT_EQ(wait4(-1, NULL, WNOHANG, NULL), -ECHILD);
}

TEST(children_are_not_inherited)
{
	int fds[2];
	pid_t pid;

	ASSERT_EQ(pipe(fds), 0);
	pid = start_child(await_end, fds);
	EXPECT_EQ(run_child(expect_no_children, NULL), EXITED(0));
	close(fds[0]);
	close(fds[1]);
	EXPECT_EQ(wait_child(pid), EXITED(0));
}

TEST(process_ids)
{
	pid_t self = getpid(), pid;
	int fds[2];

	ASSERT_EQ(pipe(fds), 0);
	EXPECT_EQ(gettid(), self);
	pid = fork();
	if (pid == 0) {
		pid_t ids[3] = { getpid(), gettid(), getppid() };

		write(fds[1], ids, sizeof(ids));
		exit(0);
	} else {
		pid_t ids[3] = { 0 };

		EXPECT_EQ(read(fds[0], ids, sizeof(ids)), sizeof(ids));
		EXPECT_EQ(ids[0], pid);
		EXPECT_EQ(ids[1], pid);
		EXPECT_EQ(ids[2], self);
	}
	EXPECT_EQ(wait_child(pid), EXITED(0));
	close(fds[0]);
	close(fds[1]);
}

/*
 * The middle of three generations. Its child tells the eldest through a pipe who its parent is in
 * the end.
 */
static void orphan_a_child(void *arg)
{
	pid_t self = getpid(), parent = self;
	int i, fd = ((int *)arg)[1];

	if (fork() != 0)
		return;		/* ends this process, before or after its child looks */
	for (i = 0; i < 1000 && parent == self; i++) {
		sleep_ms(1);
		parent = getppid();
	}
	write(fd, &parent, sizeof(parent));
	exit(0);
}

TEST(orphans_go_to_init)
{
	struct splat_info info;
	pid_t pid, parent = 0;
	int fds[2];

	ASSERT_EQ(pipe(fds), 0);
	pid = start_child(orphan_a_child, fds);
	EXPECT_EQ(wait_child(pid), EXITED(0));
	EXPECT_EQ(read(fds[0], &parent, sizeof(parent)), sizeof(parent));
	EXPECT(parent != pid);
	if (on_splat(&info))		/* elsewhere, a "subreaper" may come before init */
		EXPECT_EQ(parent, 1);
	EXPECT_EQ(wait4(-1, NULL, 0, NULL), -ECHILD);	/* not ours, at any rate */
	close(fds[0]);
	close(fds[1]);
}

TEST(exit_closes_files)
{
	int fds[2];
	pid_t pid;
	char c;

	ASSERT_EQ(pipe(fds), 0);
	pid = start_child(do_nothing, NULL);
	close(fds[1]);
	EXPECT_EQ(read(fds[0], &c, 1), 0);	/* the child's copy of fds[1] was the last */
	EXPECT_EQ(wait_child(pid), EXITED(0));
	close(fds[0]);
}
