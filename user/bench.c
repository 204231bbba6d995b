/* SPDX-License-Identifier: MIT */
/*
 * What things cost, in steps of the TSC: under QEMU's -icount shift=0 one step is one instruction
 * of the guest, kernel and ring 3 together, so the numbers repeat exactly. One line a thing, for
 * scripts/stat/stat.py, with how often the FPU's state was saved and restored.
 *
 * The vector registers are live all the time, as in a program that computes.
 */
#include "user/lib/libc.h"
#include "user/lib/vec.h"

#define ROUNDS		200

static int to_child[2], to_parent[2];

static u64 rdtsc(void)
{
	u32 low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (u64)high << 32 | low;
}

static void do_syscall(void)
{
	syscall(SYS_getpid);
}

static void yield(void)
{
	syscall(SYS_sched_yield);
}

static void ping(void)
{
	char byte = 'x';

	write(to_child[1], &byte, 1);
	read(to_parent[0], &byte, 1);
}

static void nothing(void *arg __unused)
{
}

static void clone_and_wait(void)
{
	static long stack[512];
	static volatile int tid;
	int status = 0;

	wait4(clone_call(CLONE_VM | SIGCHLD, &stack[510], &tid, &tid, nothing, NULL), &status, 0,
	      NULL);
}

static void fork_and_wait(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(0);
	wait4(pid, &status, 0, NULL);
}

/* The other side of a round trip, in a process of its own. */
static void yield_for_ever(void)
{
	for (;;)
		yield();
}

static void pong(void)
{
	char byte;

	close(to_child[1]);
	while (read(to_child[0], &byte, 1) == 1)
		write(to_parent[1], &byte, 1);
	_exit(0);
}

static void measure(const char *name, void (*op)(void), void (*partner)(void))
{
	static struct vec_image live, got;
	struct sysargs args = { .nr = SYS_getpid };
	struct splat_info before, after;
	pid_t pid = partner ? fork() : 0;
	u64 start, end;

	if (partner && pid == 0) {
		vec_fill(&live, 2);
		vec_syscall(&live, &got, &args);
		partner();
	}
	vec_fill(&live, 1);
	vec_syscall(&live, &got, &args);
	for (int i = 0; i < 10; i++)
		op();
	splat_info(&before);
	start = rdtsc();
	for (int i = 0; i < ROUNDS; i++)
		op();
	end = rdtsc();
	splat_info(&after);
	printf("bench: %s insns=%llu saves=%lu restores=%lu\n", name, (end - start) / ROUNDS,
	       (after.fpu_saves - before.fpu_saves + ROUNDS / 2) / ROUNDS,
	       (after.fpu_restores - before.fpu_restores + ROUNDS / 2) / ROUNDS);
}

int main(void)
{
	pipe(to_child);
	pipe(to_parent);
	measure("syscall", do_syscall, NULL);
	measure("pipe", ping, pong);
	measure("clone", clone_and_wait, NULL);
	measure("fork", fork_and_wait, NULL);
	sched_setscheduler(0, SCHED_FIFO, 10);
	measure("yield", yield, yield_for_ever);
	return 0;
}
