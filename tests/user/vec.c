/* SPDX-License-Identifier: MIT */
/*
 * Every vector register keeps its value: over system calls, switches and interrupts, in both
 * processes after a fork, in new threads; and none keeps it over exec.
 */
#include "user/lib/ktap.h"
#include "user/lib/vec.h"

#define EXPECT_VEC(want, got)									\
	do {											\
		char __where[VEC_WHERE];							\
												\
		if (vec_compare(want, got, __where))						\
			ktap_fail(__FILE__, __LINE__, "%s", __where);				\
	} while (0)

static struct vec_image in, out, child_out;

/*
 * What this program's registers held when it started. Assembly, because C code may use any of them.
 * The general registers are only looked at together: not one bit may be set.
 */
static struct vec_image entry_vec __used;
static u64 entry_gprs __used;
__asm__(".globl _start_hook\n"
	"_start_hook:\n"
	".irp	reg, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15\n"
	"	or	%\\reg, %rax\n"
	".endr\n"
	"	mov	%rax, entry_gprs(%rip)\n"
	"	lea	entry_vec(%rip), %rdi\n"
	"	jmp	vec_store\n");

int test_reexec(int argc, char **argv)
{
	if (argc != 2 || strcmp(argv[1], "--check-clean"))
		return -1;
	vec_initial(&in);
	EXPECT_VEC(&in, &entry_vec);
	EXPECT_EQ(entry_gprs, 0);
	return ktap_failures ? 1 : 0;
}

/* One system call with a fresh pattern in all registers, which must be there afterwards. */
static long checked_syscall(u64 seed, long nr, long a, long b, long c)
{
	struct sysargs args = { .nr = nr, .arg = { a, b, c } };
	long ret;

	vec_fill(&in, seed);
	ret = vec_syscall(&in, &out, &args);
	EXPECT_VEC(&in, &out);
	return ret;
}

/* The tests below prove nothing if a comparison can't fail. */
TEST(comparison_sees_one_bit)
{
	char where[VEC_WHERE];

	vec_fill(&in, 1);
	memcpy(&out, &in, sizeof(in));
	EXPECT(!vec_compare(&in, &out, where));
	out.reg[15][15] ^= 0x80;
	EXPECT(vec_compare(&in, &out, where));
	EXPECT(!strncmp(where + 1, "mm15[15]: ", 10));
	printf("  # live: %s\n", vec_features());
}

TEST(system_calls_keep_registers)
{
	struct timespec ms = { .tv_nsec = 1000000 };
	char byte = 'x';
	int fds[2];

	EXPECT_EQ(checked_syscall(10, SYS_getpid, 0, 0, 0), getpid());
	EXPECT_EQ(checked_syscall(11, SYS_sched_yield, 0, 0, 0), 0);
	EXPECT_EQ(checked_syscall(12, SYS_nanosleep, (long)&ms, 0, 0), 0);
	EXPECT_EQ(checked_syscall(13, SYS_pipe, (long)fds, 0, 0), 0);
	EXPECT_EQ(checked_syscall(14, SYS_write, fds[1], (long)&byte, 1), 1);
	EXPECT_EQ(checked_syscall(15, SYS_read, fds[0], (long)&byte, 1), 1);
	EXPECT_EQ(checked_syscall(16, 999, 0, 0, 0), -ENOSYS);
	EXPECT_EQ(checked_syscall(17, SYS_write, fds[1], 1, 1), -EFAULT);
	close(fds[0]);
	close(fds[1]);
}

static void write_later(void *fd)
{
	sleep_ms(5);
	EXPECT_EQ(write(*(int *)fd, "y", 1), 1);
}

TEST(blocking_read_keeps_registers)
{
	char byte = 0;
	int fds[2];
	pid_t pid;

	ASSERT_EQ(pipe(fds), 0);
	pid = start_child(write_later, &fds[1]);
	EXPECT_EQ(checked_syscall(20, SYS_read, fds[0], (long)&byte, 1), 1);
	EXPECT_EQ(byte, 'y');
	EXPECT_EQ(wait_child(pid), EXITED(0));
	close(fds[0]);
	close(fds[1]);
}

/* Forks with a pattern in the registers: the child has them all, and so has the parent. */
static void checked_fork(u64 seed)
{
	pid_t pid;

	ktap_failures = 0;
	flush();
	pid = checked_syscall(seed, SYS_fork, 0, 0, 0);
	if (pid == 0)
		exit(ktap_failures ? 1 : 0);
	ASSERT(pid > 0);
	EXPECT_EQ(wait_child(pid), EXITED(0));
}

TEST(fork_gives_both_the_registers)
{
	int i, failures = 0;

	for (i = 0; i < 50; i++) {
		checked_fork(100 + i);
		failures += ktap_failures;
	}
	ktap_failures = failures;
}

/* Yields @arg times with a new pattern each time. */
static void yield_with_patterns(void *arg)
{
	u64 seed = (u64)getpid() << 16;
	long i, rounds = (long)arg;

	for (i = 0; i < rounds && !ktap_failures; i++)
		checked_syscall(seed + i, SYS_sched_yield, 0, 0, 0);
}

/*
 * Others own the registers in between: what the forking process had may be in memory when it forks.
 */
TEST(fork_among_intruders_gives_both_the_registers)
{
	int i, failures = 0;
	pid_t intruder[2];

	for (i = 0; i < 2; i++)
		intruder[i] = start_child(yield_with_patterns, (void *)200);
	for (i = 0; i < 30; i++) {
		sched_yield();
		checked_fork(200 + i);
		failures += ktap_failures;
	}
	ktap_failures = failures;
	for (i = 0; i < 2; i++)
		EXPECT_EQ(wait_child(intruder[i]), EXITED(0));
}

TEST(vfork_gives_both_the_registers)
{
	static struct sysargs args = { .nr = SYS_vfork, .child_out = &child_out };
	static volatile pid_t pid;

	flush();
	vec_fill(&in, 30);
	memset(&child_out, 0, sizeof(child_out));
	pid = vec_syscall(&in, &out, &args);
	if (pid == 0)
		_exit(5);
	ASSERT(pid > 0);
	EXPECT_EQ(wait_child(pid), EXITED(5));
	EXPECT_VEC(&in, &out);
	EXPECT_VEC(&in, &child_out);
}

static void thread_exit(void)
{
	for (;;)
		syscall(SYS_exit, 0);
}

TEST(clone_gives_a_thread_the_registers)
{
	static volatile int tid;
	static long stack[512] __aligned(16);
	/* vec_syscall() ends in the child with a RET: to what lies on top of its stack. */
	long *top = &stack[500];
	struct sysargs args = {
		.nr = SYS_clone,
		.arg = { CLONE_AS_THREAD, (long)top, (long)&tid, (long)&tid },
		.child_out = &child_out,
	};
	long ret;

	*top = (long)thread_exit;
	vec_fill(&in, 40);
	memset(&child_out, 0, sizeof(child_out));
	ret = vec_syscall(&in, &out, &args);
	ASSERT(ret > 0);
	while (tid)
		sched_yield();
	EXPECT_VEC(&in, &out);
	EXPECT_VEC(&in, &child_out);
}

#define PROCESSES	16
#define ROUNDS		700	/* the last process has no partner for a few: more than 10,000 */

TEST(registers_survive_10000_switches_of_16_processes)
{
	struct splat_info before, after;
	bool splat = on_splat(&before);
	pid_t pid[PROCESSES];
	int i;

	for (i = 0; i < PROCESSES; i++)
		pid[i] = start_child(yield_with_patterns, (void *)ROUNDS);
	for (i = 0; i < PROCESSES; i++)
		EXPECT_EQ(wait_child(pid[i]), EXITED(0));
	if (splat && on_splat(&after) && after.cpus == 1)
		EXPECT(after.switches - before.switches >= 10000);
}

static void spin(void *seed)
{
	vec_fill(&in, (long)seed);
	vec_spin(&in, &out, 30000000);
	EXPECT_VEC(&in, &out);
}

TEST(registers_survive_preemption)
{
	pid_t pid[4];
	long i;

	for (i = 0; i < 4; i++)
		pid[i] = start_child(spin, (void *)(50 + i));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(wait_child(pid[i]), EXITED(0));
}

/* A fork whose child has to wait for its turn while we use the CPU. Does the child see a change? */
static bool child_was_changed(u64 seed)
{
	struct sysargs args = { .nr = SYS_fork };
	char where[VEC_WHERE];
	int status = -1;
	pid_t pid;

	vec_fill(&in, seed);
	pid = vec_syscall(&in, &out, &args);
	if (pid == 0)
		_exit(vec_compare(&in, &out, where));
	while (wait4(pid, &status, WNOHANG, NULL) == 0)
		vec_spin(&in, &child_out, 100000);
	EXPECT_VEC(&in, &out);
	return status == EXITED(1);
}

/* Until its turn comes its registers are in memory only. fails with: museum/scribble */
TEST(each_child_starts_with_its_parents_registers)
{
	u64 cpus = sched_getaffinity(0);

	sched_setaffinity(0, BIT(getcpu()));
	for (int i = 0; i < 20; i++)
		EXPECT(!child_was_changed(80 + i));
	sched_setaffinity(0, cpus);
}

/* fails with: exit_to_user_mode() calling fpregs_restore_userregs() in any case */
TEST(system_calls_move_no_registers)
{
	struct splat_info before, after;

	if (!on_splat(&before) || before.cpus > 1)
		SKIP("the counters are Splat's, and of all CPUs");
	for (int i = 0; i < 1000; i++)
		getpid();
	on_splat(&after);
	/* A tick or two may switch to a kernel thread and back: saved, but not loaded again. */
	EXPECT(after.fpu_saves - before.fpu_saves <= 10);
	EXPECT(after.fpu_restores - before.fpu_restores <= 10);
}

static void exec_with_full_registers(void *arg __unused)
{
	static char option[] = "--check-clean";
	char *argv[] = { (char *)ktap_self, option, NULL }, *envp[] = { NULL };
	struct sysargs args = {
		.nr = SYS_execve, .arg = { (long)ktap_self, (long)argv, (long)envp },
	};

	vec_fill(&in, 60);
	EXPECT_EQ(vec_syscall(&in, &out, &args), 0);	/* reached only if it fails */
}

TEST(exec_starts_with_clean_registers)
{
	EXPECT_EQ(run_child(exec_with_full_registers, NULL), EXITED(0));
}

static void exec_a_missing_file(void *arg __unused)
{
	char *argv[] = { NULL };

	EXPECT_EQ(checked_syscall(70, SYS_execve, (long)"/nonexistent", (long)argv, (long)argv),
		  -ENOENT);
}

TEST(failed_exec_keeps_registers)
{
	EXPECT_EQ(run_child(exec_a_missing_file, NULL), EXITED(0));
}
