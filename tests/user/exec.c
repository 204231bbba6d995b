/* SPDX-License-Identifier: MIT */
/*
 * What a new program shares with the task that made it: nothing, whatever clone() had shared. And
 * what exec leaves alone.
 */
#include "user/lib/ktap.h"

#define STACK_SIZE	16384

static u64 entry_flags __used;
__asm__(".globl _start_hook\n"
	"_start_hook:\n"
	"	pushf\n"
	"	pop	entry_flags(%rip)\n"
	"	ret\n");

static volatile int tid_word;

static void look_at_word(void *arg __unused)
{
	for (int i = 0; i < 200; i++)	/* the leader is gone by then */
		sched_yield();
	syscall(SYS_exit_group, tid_word == 1 ? 0 : 1);
}

/* What the old program gave clone() as an address is a word of the new one's. */
static void leave_to_a_thread(void)
{
	static struct thread t;

	tid_word = 1;
	thread_create(&t, look_at_word, NULL, STACK_SIZE);
	syscall(SYS_exit, 0);
}

/* Of the siglock that is ours now: taken never. */
static int look_at_siglock(void)
{
	struct splat_info info = { 0 };

	return on_splat(&info) && info.siglock_acquired;
}

static int look_at_scheduling(void)
{
	return sched_getscheduler(0) != SCHED_FIFO || sched_getaffinity(0) != BIT(getcpu());
}

int test_reexec(int argc, char **argv)
{
	int fd;

	if (argc < 2)
		return -1;
	if (!strcmp(argv[1], "--nothing"))
		return 0;
	if (!strcmp(argv[1], "--siglock"))
		return look_at_siglock();
	if (!strcmp(argv[1], "--flags"))
		return entry_flags != 0x202;
	if (!strcmp(argv[1], "--scheduling"))
		return look_at_scheduling();
	if (!strcmp(argv[1], "--identity"))
		return getpid() != gettid() ||
		       (unsigned long)getpid() != strtoul(argv[2], NULL, 10);
	if (!strcmp(argv[1], "--wait"))
		return wait4(strtoul(argv[2], NULL, 10), NULL, 0, NULL) < 0;
	if (!strcmp(argv[1], "--word"))
		leave_to_a_thread();
	if (strcmp(argv[1], "--close"))
		return -1;
	for (fd = 3; fd < 10; fd++)
		close(fd);
	return 0;
}

static void exec_self(char *option, char *arg)
{
	char *argv[] = { (char *)ktap_self, option, arg, NULL }, *envp[] = { NULL };

	execve(ktap_self, argv, envp);
	_exit(77);
}

/* ---- shared by clone() ---- */

static void exec_option(void *option)
{
	exec_self(option, NULL);
}

/* A task made with @flags execs this program with @option: its status. */
static int exec_in_clone(unsigned long flags, char *option, volatile int *tid)
{
	void *stack = mmap_anon(STACK_SIZE);
	long pid;
	int status;

	pid = clone_call(flags | CLONE_VM | SIGCHLD, (char *)stack + STACK_SIZE, NULL, tid,
			 exec_option, option);
	EXPECT(pid > 0);
	status = wait_child(pid);
	munmap(stack, STACK_SIZE);
	return status;
}

static void share_sighand(void *arg __unused)
{
	struct splat_info info;

	EXPECT_EQ(splat_hold_siglock(1), 0);
	on_splat(&info);
	EXPECT(info.siglock_acquired > 0);
	EXPECT_EQ(exec_in_clone(CLONE_SIGHAND, "--siglock", NULL), EXITED(0));
	EXPECT_EQ(exec_in_clone(CLONE_SIGHAND | CLONE_VFORK, "--siglock", NULL), EXITED(0));
}

/* fails with: fault/exec-shares-sighand */
TEST(signal_handlers)
{
	struct splat_info info;

	if (!on_splat(&info))
		SKIP("the counters are Splat's");
	EXPECT_EQ(run_child(share_sighand, NULL), EXITED(0));
}

static void exec_once(void *arg __unused)
{
	EXPECT_EQ(exec_in_clone(CLONE_SIGHAND, "--nothing", NULL), EXITED(0));
}

/* Each time handlers of a process of its own: as many as there are in a page. */
static void exec_often(void)
{
	for (int i = 0; i < 80; i++)
		EXPECT_EQ(run_child(exec_once, NULL), EXITED(0));
}

/* fails with: fault/exec-keeps-the-old-sighand */
TEST(what_was_shared_is_given_back)
{
	struct splat_info info;

	if (!on_splat(&info))
		SKIP("needs splat_info");
	EXPECT(costs_no_page(exec_often));
}

/* The word is in the memory that the task leaves, where others wait for it. */
static void share_memory(void *arg __unused)
{
	static volatile int tid;

	tid = 1;
	EXPECT_EQ(exec_in_clone(CLONE_CHILD_CLEARTID, "--nothing", &tid), EXITED(0));
	EXPECT_EQ(tid, 0);
}

/* fails with: fault/exec-forgets-the-tid-word */
TEST(memory)
{
	EXPECT_EQ(run_child(share_memory, NULL), EXITED(0));
}

static void exec_with_word(void *arg __unused)
{
	EXPECT_EQ(exec_in_clone(CLONE_CHILD_CLEARTID, "--word", &tid_word), EXITED(0));
}

/* fails with: fault/exec-remembers-the-tid-word */
TEST(the_words_address_is_forgotten)
{
	EXPECT_EQ(run_child(exec_with_word, NULL), EXITED(0));
}

static void share_files(void *arg __unused)
{
	int fds[2];

	ASSERT_EQ(pipe(fds), 0);
	EXPECT_EQ(exec_in_clone(CLONE_FILES | CLONE_SIGHAND, "--close", NULL), EXITED(0));
	EXPECT_EQ(write(fds[1], "", 1), 1);
}

/* fails with: fault/exec-shares-files */
TEST(files)
{
	EXPECT_EQ(run_child(share_files, NULL), EXITED(0));
}

/* ---- vfork: its parent waits for this child, and for no other ---- */

static volatile int done;

TEST(a_grandchild_does_not_end_a_vfork)
{
	pid_t pid;

	done = 0;
	flush();
	pid = vfork();
	if (!pid) {
		pid_t grandchild = syscall(SYS_fork);

		if (!grandchild)
			_exit(0);
		wait4(grandchild, NULL, 0, NULL);
		for (int i = 0; i < 50; i++)
			sched_yield();
		done = 1;
		_exit(0);
	}
	EXPECT_EQ(done, 1);
	EXPECT_EQ(wait_child(pid), EXITED(0));
}

/* ---- what a program starts with, and what stays ---- */

static void exec_with_odd_flags(void *arg __unused)
{
	/* DF, AC, ID; and carry. */
	__asm__ volatile("pushf; orl $0x240401, (%%rsp); popf; syscall"
			 :: "a"(SYS_execve), "D"(ktap_self),
			    "S"((char *[]){ (char *)ktap_self, "--flags", NULL }),
			    "d"((char *[]){ NULL }) : "rcx", "r11", "memory", "cc");
	_exit(77);
}

/* fails with: fault/exec-starts-with-ac */
TEST(flags_are_initial)
{
	EXPECT_EQ(run_child(exec_with_odd_flags, NULL), EXITED(0));
}

static void exec_on_one_cpu(void *arg __unused)
{
	EXPECT_EQ(sched_setaffinity(0, BIT(nth_cpu(ktap_cpus - 1))), 0);
	EXPECT_EQ(sched_setscheduler(0, SCHED_FIFO, 7), 0);
	if (!ktap_failures)
		exec_self("--scheduling", NULL);
}

/* fails with: fault/exec-resets-the-policy */
TEST(priority_and_cpus_stay)
{
	struct splat_info info;

	if (!on_splat(&info))
		SKIP("Linux wants a privilege for FIFO");
	EXPECT_EQ(run_child(exec_on_one_cpu, NULL), EXITED(0));
}

static void exec_and_wait(void *number)
{
	exec_self("--wait", number);
}

/* The leader made it, another thread execs: the child is the process's, whoever leads it. */
static void thread_execs_and_waits(void *arg __unused)
{
	static char number[12];
	static struct thread t;

	flush();
	tid_word = syscall(SYS_fork);
	if (!tid_word) {
		_exit(0);
	}
	snprintf(number, sizeof(number), "%d", tid_word);
	ASSERT_EQ(thread_create(&t, exec_and_wait, number, STACK_SIZE), 0);
	for (;;)
		sched_yield();
}

/* fails with: fault/new-leader-without-children */
TEST(children_stay)
{
	EXPECT_EQ(run_child(thread_execs_and_waits, NULL), EXITED(0));
}

static void exec_named(void *number)
{
	exec_self("--identity", number);
}

static void exec_with_own_pid(void *by_thread)
{
	static char number[12];
	static struct thread t;

	snprintf(number, sizeof(number), "%d", getpid());
	if (!by_thread)
		exec_named(number);
	ASSERT_EQ(thread_create(&t, exec_named, number, STACK_SIZE), 0);
	for (;;)
		sched_yield();
}

TEST(the_pid_stays)
{
	EXPECT_EQ(run_child(exec_with_own_pid, NULL), EXITED(0));
	EXPECT_EQ(run_child(exec_with_own_pid, (void *)1), EXITED(0));
}
