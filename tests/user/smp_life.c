/* SPDX-License-Identifier: MIT */
/*
 * Lives and deaths on several CPUs at once: threads fork, exec and end their process while others
 * are in ring 3, in a system call, asleep, or wait for a lock. Each ends, its parent learns how,
 * and nothing is left: no page, no process number.
 */
#include "user/lib/ktap.h"

#define STACK_SIZE	16384
#define THREADS		6
#define ROUNDS		(ktap_long ? 30 : 3)
#define PID_MAX		4096

/* ---- what is left ---- */

static bool lived_before[PID_MAX];

static bool lives(int pid)
{
	return sched_getscheduler(pid) >= 0;
}

static void note_who_lives(void)
{
	int pid;

	for (pid = 1; pid < PID_MAX; pid++)
		lived_before[pid] = lives(pid);
}

/* A number, or 0. Who was there before may have ended: the orphan of an earlier test does. */
static int newcomer(void)
{
	int pid;

	for (pid = PID_MAX - 1; pid && (lived_before[pid] || !lives(pid)); pid--)
		;
	return pid;
}

#define NEED_TWO_CPUS	if (ktap_cpus < 2) SKIP("there is one CPU")

/* Orphans may still be on their way to init, and it to them. */
static void in_balance(void (*fn)(void))
{
	note_who_lives();
	EXPECT(costs_no_page(fn));
	for (int i = 0; i < 500 && newcomer(); i++)
		sleep_ms(4);
	EXPECT_EQ(newcomer(), 0);
}

/* ---- threads that never end by themselves ---- */

static volatile int forks;		/* by all threads of this process */
static volatile int running;		/* endless threads that have begun */
static int silent_pipe[2];

static void has_begun(long cpu)
{
	sched_setaffinity(0, BIT(nth_cpu(cpu)));
	__atomic_add_fetch(&running, 1, __ATOMIC_SEQ_CST);
}

/* Pauses now and then: where CPUs take turns, another goes on. */
static void spin(void *cpu)
{
	volatile int i;

	has_begun((long)cpu);
	for (;; __builtin_ia32_pause()) {
		for (i = 0; i < 5000; i++)
			;
	}
}

static void yield(void *cpu)
{
	has_begun((long)cpu);
	for (;;)
		sched_yield();
}

static void sleep_long(void *cpu)
{
	has_begun((long)cpu);
	sleep_ms(100000000);
}

static void read_silence(void *cpu)
{
	char c;

	has_begun((long)cpu);
	read(silent_pipe[0], &c, 1);
}

static void fork_and_wait(void *cpu)
{
	has_begun((long)cpu);
	for (;;) {
		pid_t pid = syscall(SYS_fork);

		if (pid == 0)
			_exit(3);
		if (pid > 0)
			wait4(pid, NULL, 0, NULL);
		__atomic_add_fetch(&forks, 1, __ATOMIC_SEQ_CST);
	}
}

static void vfork_and_wait(void *cpu)
{
	has_begun((long)cpu);
	for (;;) {
		pid_t pid = vfork();

		if (pid == 0)
			_exit(3);
		if (pid > 0)
			wait4(pid, NULL, 0, NULL);
		__atomic_add_fetch(&forks, 1, __ATOMIC_SEQ_CST);
	}
}

/* Leaves children behind that nobody has waited for, in all states. */
static void fork_and_forget(void *cpu)
{
	int i;

	has_begun((long)cpu);
	for (i = 0; i < 20; i++) {
		if (syscall(SYS_fork) == 0) {
			sched_yield();
			_exit(3);
		}
		__atomic_add_fetch(&forks, 1, __ATOMIC_SEQ_CST);
	}
	sleep_long(cpu);
}

static struct thread threads[8];

static void await(volatile int *what, int at_least)
{
	while (__atomic_load_n(what, __ATOMIC_SEQ_CST) < at_least)
		sched_yield();
}

/* One thread of each kind, on different CPUs; returns when all have begun. */
static void start_endless(void (*const fn[])(void *), int count)
{
	long i;

	for (i = 0; i < count; i++) {
		if (thread_create(&threads[i], fn[i], (void *)i, STACK_SIZE))
			exit(99);
	}
	await(&running, count);
}

#define START_ENDLESS(...)									\
	do {											\
		static void (*const fn[])(void *) = { __VA_ARGS__ };				\
		start_endless(fn, ARRAY_SIZE(fn));						\
	} while (0)

/* ---- exit ---- */

static void exit_5(void *arg __unused)
{
	_exit(5);
}

static void end_among_forks(void *from_thread)
{
	struct thread t;

	START_ENDLESS(fork_and_wait, fork_and_wait, vfork_and_wait, spin, yield, fork_and_forget);
	await(&forks, 10);
	if (!from_thread)
		_exit(5);
	thread_create(&t, exit_5, NULL, STACK_SIZE);
	sleep_long(NULL);
}

static void groups_end_among_forks(void)
{
	long i;

	for (i = 0; i < ROUNDS; i++)
		EXPECT_EQ(run_child(end_among_forks, (void *)(i % 2)), EXITED(5));
}

TEST(exit_group_among_threads_that_fork)
{
	NEED_TWO_CPUS;
	in_balance(groups_end_among_forks);
}

/* Every thread wants to be the one that ends the process: its status is one of theirs. */
static void exit_with_number(void *number)
{
	has_begun((long)number);
	await(&running, THREADS);
	_exit(10 + (long)number);
}

static void all_end_it(void *arg __unused)
{
	long i;

	for (i = 0; i < THREADS; i++) {
		if (thread_create(&threads[i], exit_with_number, (void *)i, STACK_SIZE))
			exit(99);
	}
	sleep_long(NULL);
}

static void many_exit_at_once(void)
{
	int i, status;

	for (i = 0; i < ROUNDS; i++) {
		status = run_child(all_end_it, NULL);
		EXPECT(WIFEXITED(status));
		EXPECT(WEXITSTATUS(status) >= 10 && WEXITSTATUS(status) < 10 + THREADS);
	}
}

TEST(all_threads_call_exit_group_at_once)
{
	NEED_TWO_CPUS;
	in_balance(many_exit_at_once);
}

/* A spinning thread makes no system call: an interrupt must take it out of ring 3. */
static void end_a_spinner(void *arg __unused)
{
	START_ENDLESS(spin, spin, spin, spin);
	_exit(6);
}

/* fails with: exit_to_user_mode() not looking at TIF_SIGPENDING */
TEST(threads_in_ring_3_elsewhere_end_too)
{
	int i;

	NEED_TWO_CPUS;
	for (i = 0; i < ROUNDS; i++)
		EXPECT_EQ(run_child(end_a_spinner, NULL), EXITED(6));
}

/* ---- many short lives ---- */

static void live_shortly(void *count)
{
	volatile long i;

	for (i = 0; i < (long)count; i++) {
		pid_t pid = i % 2 ? vfork() : syscall(SYS_fork);

		if (pid == 0)
			_exit(9);
		EXPECT(pid > 0);
		EXPECT_EQ(wait_child(pid), EXITED(9));
	}
}

static void eight_breed(void)
{
	pid_t pid[8];
	int i;

	for (i = 0; i < 8; i++)
		pid[i] = start_child(live_shortly, (void *)(ktap_long ? 600L : 30L));
	for (i = 0; i < 8; i++)
		EXPECT_EQ(wait_child(pid[i]), EXITED(0));
}

TEST(many_short_lives_at_once)
{
	NEED_TWO_CPUS;
	in_balance(eight_breed);
}

/* Three generations: the middle one ends at once, and its children belong to init. */
static void leave_orphans(void *arg __unused)
{
	int i;

	for (i = 0; i < 10; i++) {
		if (syscall(SYS_fork) == 0) {
			sched_yield();
			_exit(1);
		}
	}
}

static void orphans(void)
{
	pid_t pid[8];
	int i;

	for (i = 0; i < 8; i++)
		pid[i] = start_child(leave_orphans, NULL);
	for (i = 0; i < 8; i++)
		EXPECT_EQ(wait_child(pid[i]), EXITED(0));
}

TEST(orphans_are_buried)
{
	NEED_TWO_CPUS;
	in_balance(orphans);
}

/* Threads of one process wait for each other's children: each child is found once. */
static volatile int found;

static void wait_for_any(void *cpu)
{
	sched_setaffinity(0, BIT(nth_cpu((long)cpu)));
	while (wait4(-1, NULL, 0, NULL) > 0)
		__atomic_add_fetch(&found, 1, __ATOMIC_SEQ_CST);
}

static void wait_in_all_threads(void *arg __unused)
{
	long i, children = 40;

	for (i = 0; i < children; i++) {
		if (syscall(SYS_fork) == 0) {
			sched_yield();
			_exit(0);
		}
	}
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(thread_create(&threads[i], wait_for_any, (void *)i, STACK_SIZE), 0);
	for (i = 0; i < THREADS; i++)
		thread_join(&threads[i]);
	EXPECT_EQ(found, children);
}

TEST(each_child_is_found_by_one_thread)
{
	int i;

	NEED_TWO_CPUS;
	for (i = 0; i < ROUNDS; i++)
		EXPECT_EQ(run_child(wait_in_all_threads, NULL), EXITED(0));
}

/* ---- exec ---- */

/* The new program: the only thread, and the leader's number is its own. */
int test_reexec(int argc, char **argv)
{
	if (argc != 3 || strcmp(argv[1], "--pid"))
		return -1;
	return getpid() == (int)strtoul(argv[2], NULL, 10) && gettid() == getpid() ? 33 : 34;
}

static void exec_self(void *arg __unused)
{
	static char option[] = "--pid", number[12];
	char *argv[] = { (char *)ktap_self, option, number, NULL }, *envp[] = { NULL };

	snprintf(number, sizeof(number), "%d", getpid());
	execve(ktap_self, argv, envp);
	_exit(35);
}

static void exec_among_threads(void *from_thread)
{
	struct thread t;

	if (pipe(silent_pipe))
		exit(98);
	START_ENDLESS(spin, yield, sleep_long, read_silence, fork_and_wait, vfork_and_wait);
	await(&forks, 4);
	if (!from_thread)
		exec_self(NULL);
	thread_create(&t, exec_self, NULL, STACK_SIZE);
	if ((long)from_thread == 1)
		sleep_long(NULL);
	spin(NULL);			/* a leader that is in ring 3 */
}

static void execs(void)
{
	long i;

	for (i = 0; i < ROUNDS; i++)
		EXPECT_EQ(run_child(exec_among_threads, (void *)(i % 3)), EXITED(33));
}

TEST(exec_ends_threads_wherever_they_are)
{
	NEED_TWO_CPUS;
	in_balance(execs);
}

/* exec and exit_group, and two execs, race: one wins, and the loser's thread is gone. */
static void exec_when_all_run(void *number)
{
	has_begun((long)number);
	await(&running, 3);
	if ((long)number == 2)
		_exit(36);
	exec_self(NULL);
}

static void race_for_exec(void *arg __unused)
{
	long i;

	for (i = 0; i < 3; i++) {
		if (thread_create(&threads[i], exec_when_all_run, (void *)i, STACK_SIZE))
			exit(99);
	}
	sleep_long(NULL);
}

static void exec_races(void)
{
	int i, status;

	for (i = 0; i < ROUNDS; i++) {
		status = run_child(race_for_exec, NULL);
		if (status != EXITED(36))
			EXPECT_EQ(status, EXITED(33));
	}
}

TEST(exec_races_with_exec_and_exit_group)
{
	NEED_TWO_CPUS;
	in_balance(exec_races);
}

/* ---- siglock ---- */

static void hold(void *cpu)
{
	has_begun((long)cpu);
	for (;;)
		splat_hold_siglock(0);		/* until somebody waits for it; and again */
}

/* Ends while its threads hold siglock, wait for it in fork, or have just got it. */
static void end_with_siglock(void *forks_before)
{
	START_ENDLESS(hold, fork_and_wait, fork_and_wait, fork_and_wait, hold);
	splat_await_siglock();
	await(&forks, (long)forks_before);
	_exit(7);
}

static void ends_with_siglock(void)
{
	long i;

	for (i = 0; i < ROUNDS; i++)
		EXPECT_EQ(run_child(end_with_siglock, (void *)(i % 4)), EXITED(7));
}

TEST(exit_group_with_a_contended_siglock)
{
	struct splat_info info;
	char dynamic[24];

	NEED_TWO_CPUS;
	if (!on_splat(&info))
		SKIP("needs splat_hold_siglock");
	snprintf(dynamic, sizeof(dynamic), "dynamic=%s", info.dynamic);
	splat_setopt("dynamic=force");		/* so that fork takes siglock */
	in_balance(ends_with_siglock);
	splat_setopt(dynamic);
}

/* The holder is alone, and ends although nobody comes. */
static void end_a_lone_holder(void *arg __unused)
{
	START_ENDLESS(hold);
	splat_await_siglock();
	_exit(8);
}

TEST(exit_group_ends_a_holder_of_siglock)
{
	struct splat_info info;
	int i;

	NEED_TWO_CPUS;
	if (!on_splat(&info))
		SKIP("needs splat_hold_siglock");
	for (i = 0; i < ROUNDS; i++)
		EXPECT_EQ(run_child(end_a_lone_holder, NULL), EXITED(8));
}
