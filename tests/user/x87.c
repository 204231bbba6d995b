/* SPDX-License-Identifier: MIT */
/*
 * What the x87 unit holds besides values: where its last instruction and operand stood, and an
 * exception that waits for the next instruction. It belongs to the task like the rest, and must hit
 * nobody else.
 */
#include "user/lib/ktap.h"

struct fxsave {
	u16 control, status, tag, opcode;
	u64 instruction, operand;
	u8 rest[512 - 24];
} __aligned(16);

static void fxsave(struct fxsave *to)
{
	__asm__ volatile("fxsave64 %0" : "=m"(*to));
}

#define ES_AND_ZE	0x84		/* status: an exception waits; a division by zero */
#define UNMASKED	0x37b		/* control word: division by zero is reported */

static u16 status(void)
{
	u16 value;

	__asm__ volatile("fnstsw %0" : "=m"(value));
	return value;
}

/* 1/0, seen by nobody yet: that is the next waiting x87 instruction's to do. */
static void divide_by_zero(void)
{
	static const double zero;
	static const u16 control = UNMASKED;

	__asm__ volatile("fninit; fldcw %0; fld1; fdivl %1" :: "m"(control), "m"(zero));
}

static void compute(void)
{
	__asm__ volatile("fninit; fld1; fldpi; fmulp; fstp %%st(0)" ::: "st");
}

static void compute_and_yield(void *arg __unused)
{
	for (int i = 0; i < 60; i++) {
		compute();
		syscall(SYS_sched_yield);
	}
}

/* This program again. "--clean": is the unit? */
int test_reexec(int argc, char **argv)
{
	struct fxsave now;
	u32 mxcsr;

	if (argc != 2 || strcmp(argv[1], "--clean"))
		return -1;
	fxsave(&now);
	__asm__ volatile("fwait; stmxcsr %0" : "=m"(mxcsr));
	return now.status || now.control != 0x37f || now.tag || mxcsr != 0x1f80;
}

static void exec_self(void)
{
	char *argv[] = { (char *)ktap_self, "--clean", NULL }, *envp[] = { NULL };

	syscall(SYS_execve, ktap_self, argv, envp);
	_exit(77);
}

/* Among others that use the unit, on one CPU. */
static void among_others(void (*fn)(void *))
{
	u64 cpus = sched_getaffinity(0);
	pid_t other, own;

	sched_setaffinity(0, BIT(getcpu()));
	other = start_child(compute_and_yield, NULL);
	own = start_child(fn, NULL);
	EXPECT_EQ(wait_child(own), EXITED(0));
	EXPECT_EQ(wait_child(other), EXITED(0));
	sched_setaffinity(0, cpus);
}

/* ---- pointers ---- */

#define FAR_PAGE	((u8 *)0x123400000000)	/* more than 32 bits */

static void keep_pointers(void *arg __unused)
{
	static const u8 code[] = { 0xdd, 0x07, 0xdd, 0xd8, 0xc3 };	/* fldl (%rdi); fstp; ret */
	static struct fxsave before, after;
	u8 *page = mmap(FAR_PAGE, PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_FIXED);
	pid_t pid;

	ASSERT(page == FAR_PAGE);
	memcpy(page, code, sizeof(code));
	*(double *)(page + 256) = 1.5;
	((void (*)(void *))page)(page + 256);
	fxsave(&before);
	for (int i = 0; i < 20; i++)
		syscall(SYS_sched_yield);
	fxsave(&after);
	EXPECT_EQ(after.instruction, before.instruction);
	EXPECT_EQ(after.operand, before.operand);
	pid = syscall(SYS_fork);
	if (!pid) {
		fxsave(&after);
		_exit(after.instruction != before.instruction || after.operand != before.operand);
	}
	EXPECT_EQ(wait_child(pid), EXITED(0));
}

/* All 64 bits of them, where the CPU keeps them at all. */
TEST(pointers_stay_over_a_switch_and_a_fork)
{
	among_others(keep_pointers);
}

/* ---- an exception that waits ---- */

static void keep_pending(void *arg __unused)
{
	pid_t pid;

	divide_by_zero();
	for (int i = 0; i < 20; i++)
		syscall(SYS_sched_yield);
	if ((status() & ES_AND_ZE) != ES_AND_ZE)
		_exit(9);
	pid = syscall(SYS_fork);
	if (!pid) {
		syscall(SYS_sched_yield);
		if ((status() & ES_AND_ZE) != ES_AND_ZE)
			_exit(9);
		__asm__ volatile("fwait");
		_exit(8);
	}
	if ((status() & ES_AND_ZE) != ES_AND_ZE)
		_exit(7);
	__asm__ volatile("fninit");
	EXPECT_EQ(wait_child(pid), KILLED(SIGFPE));
}

TEST(a_pending_exception_is_the_tasks_and_its_childs)
{
	among_others(keep_pending);
}

static void end_with_it(void *arg __unused)
{
	divide_by_zero();
	syscall(SYS_exit_group, 3);
}

static void look(void *arg __unused)
{
	EXPECT_EQ(status(), 0);
	__asm__ volatile("fwait");
}

TEST(a_pending_exception_ends_with_its_task)
{
	for (int i = 0; i < 10; i++) {
		pid_t first = start_child(end_with_it, NULL), second = start_child(look, NULL);

		EXPECT_EQ(wait_child(first), EXITED(3));
		EXPECT_EQ(wait_child(second), EXITED(0));
	}
}

static void exec_with_it(void *by_vfork)
{
	static const u32 divisions_unmasked = 0x1d80;
	pid_t pid;

	__asm__ volatile("ldmxcsr %0" :: "m"(divisions_unmasked));
	divide_by_zero();
	if (!by_vfork)
		exec_self();
	pid = vfork();
	if (!pid)
		exec_self();
	if ((status() & ES_AND_ZE) != ES_AND_ZE)
		_exit(7);
	__asm__ volatile("fninit");
	EXPECT_EQ(wait_child(pid), EXITED(0));
}

TEST(exec_takes_a_pending_exception_away)
{
	EXPECT_EQ(run_child(exec_with_it, NULL), EXITED(0));
	EXPECT_EQ(run_child(exec_with_it, (void *)1), EXITED(0));
}
