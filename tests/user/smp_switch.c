/* SPDX-License-Identifier: MIT */
/*
 * Vector registers on several CPUs: tasks go to another CPU at each switch, by themselves or
 * because somebody sends them, also in the middle of fork and exec; and find their values wherever
 * they are.
 *
 * LONG=1: more than 100,000 migrations.
 */
#include "user/lib/ktap.h"
#include "user/lib/vec.h"

#define TASKS		16
#define STACK_SIZE	32768
#define ROUNDS		(ktap_long ? 6300 : 100)
#define FEWER_ROUNDS	(ktap_long ? 150 : 30)
#define ONE_CPU		"there is one CPU"

/* ---- values ---- */

/* What a program's registers held when it started: see tests/user/vec.c. */
static struct vec_image entry_vec __used;
__asm__(".globl _start_hook\n"
	"_start_hook:\n"
	"	lea	entry_vec(%rip), %rdi\n"
	"	jmp	vec_store\n");

/*
 * One system call with a pattern of its own in all registers. Returns whether it is there
 * afterwards, and what the call returned in *@ret. For threads as well: it prints nothing unless it
 * fails.
 */
static bool keeps_registers(u64 seed, struct sysargs *args, long *ret)
{
	struct vec_image in, out;
	char where[VEC_WHERE];

	vec_fill(&in, seed);
	*ret = vec_syscall(&in, &out, args);
	if (!vec_compare(&in, &out, where))
		return true;
	ktap_fail(__FILE__, __LINE__, "call %ld with values of seed %lu: %s", args->nr,
		  (unsigned long)seed, where);
	return false;
}

static bool go_to(u64 seed, int cpu)
{
	u64 mask = BIT(cpu);
	struct sysargs args = {
		.nr = SYS_sched_setaffinity, .arg = { 0, sizeof(mask), (long)&mask },
	};
	long ret;

	if (!keeps_registers(seed, &args, &ret))
		return false;
	EXPECT_EQ(ret, 0);
	EXPECT_EQ(getcpu(), cpu);
	return !ktap_failures;
}

/* ---- going ---- */

static int rounds;

/* To the next CPU in each round, with another pattern. */
static void wander(void *number)
{
	u64 seed = ((long)number + 1) << 20;
	int i;

	for (i = 0; i < rounds && go_to(seed + i, nth_cpu((long)number + i)); i++)
		;
}

/* Did tasks really go from CPU to CPU? */
static void expect_moves(const struct splat_info *before, u64 wanted)
{
	struct splat_info after;

	if (!on_splat(&after))
		return;
	printf("  # %lu migrations, %lu switches\n", after.migrations - before->migrations,
	       after.switches - before->switches);
	EXPECT(after.migrations - before->migrations >= wanted);
	EXPECT(after.switches - before->switches >= wanted);
}

static void sixteen_processes_wander(int n)
{
	struct splat_info before;
	pid_t pid[TASKS];
	long i;

	on_splat(&before);
	rounds = n;
	for (i = 0; i < TASKS; i++)
		pid[i] = start_child(wander, (void *)i);
	for (i = 0; i < TASKS; i++)
		EXPECT_EQ(wait_child(pid[i]), EXITED(0));
	/* The first round may start where it wants to be. */
	expect_moves(&before, TASKS * (rounds - 1));
}

/* fails with: fault/last-cpu-any */
TEST(registers_survive_a_migration_at_each_switch)
{
	if (ktap_cpus < 2)
		SKIP(ONE_CPU);
	sixteen_processes_wander(ROUNDS);
}

/* Those of one address space are switched without a new CR3. */
TEST(registers_of_threads_survive_a_migration_at_each_switch)
{
	struct splat_info before;
	struct thread t[TASKS];
	long i;

	if (ktap_cpus < 2)
		SKIP(ONE_CPU);
	on_splat(&before);
	rounds = FEWER_ROUNDS;
	for (i = 0; i < TASKS; i++)
		ASSERT_EQ(thread_create(&t[i], wander, (void *)i, STACK_SIZE), 0);
	for (i = 0; i < TASKS; i++)
		thread_join(&t[i]);
	expect_moves(&before, TASKS * (rounds - 1));
}

/*
 * While the kernel computes in vector registers, in a softirq: on top of ring 3, or in a thread.
 * fails with: kernel_fpu_begin() without save_fpregs_to_fpstate()
 */
TEST(registers_survive_migrations_and_the_scrubber)
{
	if (ktap_cpus < 2)
		SKIP(ONE_CPU);
	if (splat_setopt("scrub=on"))
		SKIP("this kernel has no scrubber");
	sixteen_processes_wander(FEWER_ROUNDS);
	splat_setopt("scrub=off");
}

/* ---- being sent ---- */

/* Sends @pid from CPU to CPU until it ends. Returns its status. */
static int send_about(pid_t pid)
{
	int i, status = 0;
	pid_t got;

	for (i = 0; !(got = wait4(pid, &status, WNOHANG, NULL)); i++)
		sched_setaffinity(pid, BIT(nth_cpu(i)));
	EXPECT_EQ(got, pid);
	return status;
}

static void spin(void *seed)
{
	struct vec_image in, out;
	char where[VEC_WHERE];
	int i;

	for (i = 0; i < 20 && !ktap_failures; i++) {
		vec_fill(&in, (long)seed + i);
		vec_spin(&in, &out, 200000);
		if (vec_compare(&in, &out, where))
			ktap_fail(__FILE__, __LINE__, "%s", where);
	}
}

static void two_are_sent_about(void (*fn)(void *), long rounds)
{
	pid_t other;

	if (ktap_cpus < 2)
		SKIP(ONE_CPU);
	other = start_child(fn, (void *)rounds);
	EXPECT_EQ(send_about(start_child(fn, (void *)rounds)), EXITED(0));
	EXPECT_EQ(send_about(other), EXITED(0));
}

/* The registers are live when the task is taken away, at any instruction. */
TEST(registers_survive_being_sent_to_another_cpu)
{
	two_are_sent_about(spin, 1000);
}

static void fork_and_check(void *rounds)
{
	struct sysargs args = { .nr = SYS_fork };
	long i, pid;

	flush();
	for (i = 0; i < (long)rounds; i++) {
		bool good = keeps_registers(2000 + i, &args, &pid);

		if (pid == 0)
			_exit(good ? 0 : 1);
		EXPECT(good && pid > 0);
		EXPECT_EQ(wait_child(pid), EXITED(0));
	}
}

/* fails with: save_parent_regs() not looking at the flag */
TEST(fork_gives_both_the_registers_while_the_parent_is_sent_about)
{
	two_are_sent_about(fork_and_check, ktap_long ? 500 : 100);
}

/* This program again and again, each time from full registers, which must be clean then. */
static void exec_again(long rounds)
{
	static char option[] = "--exec", number[12];
	char *argv[] = { (char *)ktap_self, option, number, NULL }, *envp[] = { NULL };
	struct sysargs args = {
		.nr = SYS_execve, .arg = { (long)ktap_self, (long)argv, (long)envp },
	};
	long ret;

	snprintf(number, sizeof(number), "%ld", rounds);
	keeps_registers(3000 + rounds, &args, &ret);
	EXPECT_EQ(ret, 0);			/* reached only if it fails */
}

int test_reexec(int argc, char **argv)
{
	struct vec_image clean;
	char where[VEC_WHERE];
	long rounds;

	if (argc != 3 || strcmp(argv[1], "--exec"))
		return -1;
	rounds = strtoul(argv[2], NULL, 10);
	vec_initial(&clean);
	if (vec_compare(&clean, &entry_vec, where))
		ktap_fail(__FILE__, __LINE__, "%ld execs to go: %s", rounds, where);
	else if (rounds)
		exec_again(rounds - 1);
	return ktap_failures ? 1 : 0;
}

static void exec_many_times(void *rounds)
{
	exec_again((long)rounds);
}

/* fails with: fpu_flush_thread() invalidating the CPU instead of the task, but seldom */
TEST(exec_starts_clean_while_the_task_is_sent_about)
{
	two_are_sent_about(exec_many_times, ktap_long ? 500 : 100);
}
