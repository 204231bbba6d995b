/* SPDX-License-Identifier: MIT */
/*
 * A process ends, and its exec goes on, whatever its threads wait for: a child of vfork() that
 * stays, a pipe with an eager reader, a console that is slow.
 */
#include "user/lib/ktap.h"

#define STACK_SIZE	16384
#define TRIES		1000		/* of 1 ms; what works needs a few */

static struct thread thread;
static volatile int begun;
static int fuse[2];

static void await_fuse(void)
{
	char c;

	close(fuse[1]);
	read(fuse[0], &c, 1);
}

/* As init, with a watchdog that panics: a wait of vfork()'s that is long is not a hung task. */
static int vfork_for_long(void)
{
	pid_t pid = vfork();

	if (!pid) {
		sleep_ms(1000);
		_exit(0);
	}
	return wait_child(pid);
}

int test_reexec(int argc, char **argv)
{
	if (argc != 2)
		return -1;
	return !strcmp(argv[1], "vfork-for-long") ? vfork_for_long() :
	       !strcmp(argv[1], "exit") ? 33 : -1;
}

/* The child lives until the fuse burns. It has a table of files of its own, and our memory. */
static void vfork_a_stayer(void *arg __unused)
{
	pid_t pid = vfork();

	if (!pid) {
		begun = 1;
		await_fuse();
		_exit(0);
	}
}

/* It is in the kernel all the time, and sleeps little: there is always room. */
static void write_endlessly(void *arg __unused)
{
	static char much[1 << 20];
	int fds[2];

	if (pipe(fds))
		return;
	if (!fork()) {
		close(fds[1]);
		close(fuse[1]);
		while (read(fds[0], much, sizeof(much)) > 0)
			;
		_exit(0);
	}
	begun = 1;
	for (;;)
		write(fds[1], much, sizeof(much));
}

static char *exec_argv[] = { NULL, (char *)"exit", NULL };

struct end {
	void (*wait)(void *);
	bool by_exec;
};

static void end_while_a_thread_waits(void *arg)
{
	const struct end *end = arg;

	close(fuse[1]);
	begun = 0;
	if (thread_create(&thread, end->wait, NULL, STACK_SIZE))
		exit(99);
	while (!begun)
		sched_yield();
	sleep_ms(4);			/* it is well inside */
	exec_argv[0] = (char *)ktap_self;
	if (end->by_exec)
		execve(ktap_self, exec_argv, exec_argv + 2);
	_exit(5);
}

static void expect_end(const struct end *end, int wanted)
{
	pid_t pid, got = 0;
	int i, status = 0;

	ASSERT_EQ(pipe(fuse), 0);
	pid = start_child(end_while_a_thread_waits, (void *)end);
	for (i = 0; i < TRIES && !got; i++) {
		sleep_ms(1);
		got = wait4(pid, &status, WNOHANG, NULL);
	}
	EXPECT_EQ(got, pid);
	close(fuse[0]);
	close(fuse[1]);
	if (!got)
		status = wait_child(pid);
	EXPECT_EQ(status, wanted);
}

/* fails with: fault/vfork-cannot-be-killed */
TEST(exit_group_does_not_wait_for_a_child_of_vfork)
{
	expect_end(&(struct end){ vfork_a_stayer, false }, EXITED(5));
}

TEST(exec_does_not_wait_for_a_child_of_vfork)
{
	expect_end(&(struct end){ vfork_a_stayer, true }, EXITED(33));
}

TEST(exit_group_does_not_wait_for_a_pipe_to_take_all)
{
	expect_end(&(struct end){ write_endlessly, false }, EXITED(5));
}
