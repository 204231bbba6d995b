/* SPDX-License-Identifier: MIT */
/*
 * Tasks that share memory: threads and vfork. What they share, what ends them, who waits for whom.
 */
#include "user/lib/ktap.h"

#define STACK_SIZE	16384
#define THREADS		16
#define INCREMENTS	500

static volatile int never_true;		/* what spinning threads wait for */

/* ---- sharing ---- */

static int counter;

static void increment(void *arg __unused)
{
	int i;

	for (i = 0; i < INCREMENTS; i++) {
		__atomic_add_fetch(&counter, 1, __ATOMIC_RELAXED);
		if (i % 50 == 0)
			sched_yield();
	}
}

TEST(threads_share_memory)
{
	struct thread t[THREADS];
	int i;

	counter = 0;
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(thread_create(&t[i], increment, NULL, STACK_SIZE), 0);
	for (i = 0; i < THREADS; i++)
		thread_join(&t[i]);
	EXPECT_EQ(counter, THREADS * INCREMENTS);
}

static volatile pid_t pid_in_thread, tid_in_thread;
static int fds_from_thread[2];

static void look_around(void *arg __unused)
{
	pid_in_thread = getpid();
	tid_in_thread = gettid();
	pipe(fds_from_thread);
}

TEST(threads_share_pid_and_files)
{
	struct thread t;
	char c = 0;

	ASSERT_EQ(thread_create(&t, look_around, NULL, STACK_SIZE), 0);
	thread_join(&t);
	EXPECT_EQ(pid_in_thread, getpid());
	EXPECT(tid_in_thread != gettid() && tid_in_thread > 0);
	EXPECT_EQ(write(fds_from_thread[1], "z", 1), 1);	/* opened there, used here */
	EXPECT_EQ(read(fds_from_thread[0], &c, 1), 1);
	EXPECT_EQ(c, 'z');
	close(fds_from_thread[0]);
	close(fds_from_thread[1]);
}

TEST(threads_are_not_children)
{
	struct thread t;

	ASSERT_EQ(thread_create(&t, look_around, NULL, STACK_SIZE), 0);
	EXPECT_EQ(wait4(-1, NULL, 0, NULL), -ECHILD);
	thread_join(&t);
	close(fds_from_thread[0]);
	close(fds_from_thread[1]);
}

/* ---- the FS base: one per thread, inherited by fork ---- */

static long read_fs(void)
{
	long value;

	__asm__ volatile("mov %%fs:0, %0" : "=r"(value));
	return value;
}

static long tls[3] = { 100, 101, 102 };
static volatile long fs_in_thread;

static void set_fs_in_thread(void *arg __unused)
{
	if (syscall(SYS_arch_prctl, ARCH_SET_FS, &tls[1]) == 0) {
		sched_yield();
		fs_in_thread = read_fs();
	}
}

static void check_fs(void *arg __unused)
{
	EXPECT_EQ(read_fs(), 100);
	sched_yield();
	EXPECT_EQ(read_fs(), 100);
}

TEST(fs_base_belongs_to_the_thread)
{
	struct thread t;

	ASSERT_EQ(syscall(SYS_arch_prctl, ARCH_SET_FS, &tls[0]), 0);
	ASSERT_EQ(thread_create(&t, set_fs_in_thread, NULL, STACK_SIZE), 0);
	sched_yield();
	EXPECT_EQ(read_fs(), 100);
	thread_join(&t);
	EXPECT_EQ(fs_in_thread, 101);
	EXPECT_EQ(run_child(check_fs, NULL), EXITED(0));
	EXPECT_EQ(read_fs(), 100);
}

TEST(clone_sets_fs_base_and_child_tid)
{
	static volatile int tid;
	pid_t pid;

	flush();
	pid = syscall(SYS_clone, CLONE_SETTLS | CLONE_CHILD_SETTID | SIGCHLD, 0, 0, &tid, &tls[2]);
	if (pid == 0)
		_exit(read_fs() == 102 && tid == getpid() ? 0 : 1);
	ASSERT(pid > 0);
	EXPECT_EQ(tid, 0);		/* set in the child's copy */
	EXPECT_EQ(wait_child(pid), EXITED(0));
}

TEST(bad_fs_base_is_refused)
{
	EXPECT_EQ(syscall(SYS_arch_prctl, ARCH_SET_FS, 0xffffffff81000000), -EPERM);
	EXPECT_EQ(syscall(SYS_arch_prctl, ARCH_SET_FS, 0x4141414141414141), -EPERM);
	EXPECT_EQ(syscall(SYS_arch_prctl, 0x7777, 0), -EINVAL);
}

/* ---- ends ---- */

static int silent_pipe[2];

static void sleep_long(void *arg __unused)
{
	sleep_ms(1000000);
}

static void read_silent_pipe(void *arg __unused)
{
	char c;

	read(silent_pipe[0], &c, 1);
}

static void spin(void *arg __unused)
{
	while (!never_true)
		;
}

static void yield_forever(void *arg __unused)
{
	while (!never_true)
		sched_yield();
}

/* In a child: starts a thread of each kind that would never end. */
static void start_endless_threads(void)
{
	static void (*const fn[])(void *) = { sleep_long, read_silent_pipe, spin, yield_forever };
	static struct thread t[ARRAY_SIZE(fn)];
	size_t i;

	if (pipe(silent_pipe))
		exit(99);
	for (i = 0; i < ARRAY_SIZE(fn); i++) {
		if (thread_create(&t[i], fn[i], NULL, STACK_SIZE))
			exit(98);
	}
	sleep_ms(20);		/* until the first two are blocked */
}

static void leader_ends_group(void *arg __unused)
{
	start_endless_threads();
	exit(7);
}

TEST(exit_group_ends_blocked_threads)
{
	EXPECT_EQ(run_child(leader_ends_group, NULL), EXITED(7));
}

static void exit_8(void *arg __unused)
{
	_exit(8);
}

static void thread_ends_group(void *arg __unused)
{
	struct thread t;

	start_endless_threads();
	thread_create(&t, exit_8, NULL, STACK_SIZE);
	sleep_long(NULL);
}

TEST(exit_group_in_a_thread_ends_its_leader)
{
	EXPECT_EQ(run_child(thread_ends_group, NULL), EXITED(8));
}

static noinline void fault(void *address)
{
	*(volatile int *)address = 1;
}

static void thread_faults(void *arg __unused)
{
	struct thread t;

	start_endless_threads();
	thread_create(&t, fault, (void *)8, STACK_SIZE);
	sleep_long(NULL);
}

TEST(fault_in_a_thread_ends_the_group)
{
	EXPECT_EQ(run_child(thread_faults, NULL), KILLED(SIGSEGV));
}

static void outlive_leader(void *fd)
{
	sleep_ms(20);
	write((long)fd, "o", 1);
	syscall(SYS_exit, 0);
}

static void leader_exits_first(void *fd)
{
	struct thread t;

	thread_create(&t, outlive_leader, fd, STACK_SIZE);
	syscall(SYS_exit, 0);
}

/* exit ends the leader, but the process is there until its last thread is gone. */
TEST(wait_waits_for_the_last_thread)
{
	int fds[2];
	pid_t pid;
	char c = 0;

	ASSERT_EQ(pipe(fds), 0);
	pid = start_child(leader_exits_first, (void *)(long)fds[1]);
	EXPECT_EQ(wait_child(pid), EXITED(0));
	close(fds[1]);
	/* Written before wait4 returned; if not, this is the end of the file: 0. */
	EXPECT_EQ(read(fds[0], &c, 1), 1);
	EXPECT_EQ(c, 'o');
	close(fds[0]);
}

/* ---- exec ---- */

/* This program again, with an order to itself: read a byte from that pipe, or just exit with 33. */
int test_reexec(int argc, char **argv)
{
	char c;

	if (argc != 3 || strcmp(argv[1], "--exec"))
		return -1;
	if (strcmp(argv[2], "-") && read(strtoul(argv[2], NULL, 10), &c, 1) != 1)
		return 1;
	return 33;
}

static int exec_self(const char *arg)
{
	static char option[] = "--exec";
	char *argv[] = { (char *)ktap_self, option, (char *)arg, NULL }, *envp[] = { NULL };

	return execve(ktap_self, argv, envp);
}

static void exec_with_threads(void *arg __unused)
{
	start_endless_threads();
	EXPECT_EQ(exec_self("-"), 0);
}

TEST(exec_ends_the_other_threads)
{
	EXPECT_EQ(run_child(exec_with_threads, NULL), EXITED(33));
}

/* ---- vfork ---- */

static volatile int step;

TEST(vfork_shares_memory_and_waits_for_exit)
{
	pid_t pid;

	step = 0;
	flush();
	pid = vfork();
	if (pid == 0) {
		step = 1;
		sleep_ms(20);
		step = 2;
		_exit(4);
	}
	EXPECT_EQ(step, 2);
	ASSERT(pid > 0);
	EXPECT_EQ(wait_child(pid), EXITED(4));
}

/* The exec'd program ends only after we wrote to it: so exec, not its end, let us go on. */
TEST(vfork_waits_for_exec_only)
{
	static char number[12];
	int fds[2];
	pid_t pid;

	ASSERT_EQ(pipe(fds), 0);
	snprintf(number, sizeof(number), "%d", fds[0]);
	step = 0;
	flush();
	pid = vfork();
	if (pid == 0) {
		step = 1;
		exec_self(number);
		_exit(1);
	}
	EXPECT_EQ(step, 1);
	ASSERT(pid > 0);
	EXPECT_EQ(wait4(pid, NULL, WNOHANG, NULL), 0);
	EXPECT_EQ(write(fds[1], "", 1), 1);
	EXPECT_EQ(wait_child(pid), EXITED(33));
	close(fds[0]);
	close(fds[1]);
}

TEST(vfork_ends_when_the_child_faults)
{
	pid_t pid;

	flush();
	pid = vfork();
	if (pid == 0)
		fault((void *)8);
	ASSERT(pid > 0);
	EXPECT_EQ(wait_child(pid), KILLED(SIGSEGV));
}
