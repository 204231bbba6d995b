/* SPDX-License-Identifier: MIT */
/*
 * Flags that ring 3 sets stay its own: over calls, in the child of a fork, and out of the kernel,
 * whose copies must go upwards whatever DF says. And TF, stacks and instructions at places where
 * the kernel could take ring 3's mistake for its own. More single faults are in fault.c.
 */
#include "user/lib/ktap.h"

/* A child that executes @insns ends with @status, or with @other. */
#define EXPECT_END(name, status, other, insns)							\
	static void name##_child(void *arg __unused)						\
	{											\
		__asm__ volatile(insns ::: "rax", "rbx", "rcx", "rdx", "rdi", "r11", "memory");	\
		_exit(99);									\
	}											\
	TEST(name)										\
	{											\
		int got = run_child(name##_child, NULL);					\
												\
		EXPECT(got == (status) || got == (other));					\
	}

#define SET_TF		"pushf; orl $0x100, (%%rsp); popf; "
#define GETPID		"mov $39, %%eax; syscall; "
#define YIELD		"mov $24, %%eax; syscall; "
#define EXIT_5		"mov $60, %%eax; mov $5, %%edi; syscall; "
#define BAD_SP		"mov $0x8000000000001238, %%rsp; "

/* ---- over calls, and in children ---- */

#define CF	0x1
#define PF	0x4
#define AF	0x10
#define ZF	0x40
#define SF	0x80
#define DF	0x400
#define OF	0x800
#define NT	0x4000
#define AC	0x40000
#define ID	0x200000

/* The flags behind call @nr, made with @set added; in the child, too. */
static unsigned long flags_after(long nr, unsigned long set, long *ret)
{
	unsigned long flags;

	__asm__ volatile("lea	-128(%%rsp), %%rsp\n"
			 "pushf\n"
			 "or	%[set], (%%rsp)\n"
			 "popf\n"
			 "syscall\n"
			 "pushf\n"
			 "push	$0x202\n"
			 "popf\n"
			 "pop	%[flags]\n"
			 "lea	128(%%rsp), %%rsp\n"
			 : "=a"(*ret), [flags] "=&r"(flags)
			 : "a"(nr), [set] "r"(set), "D"(0L), "S"(0L), "d"(0L)
			 : "rcx", "r11", "cc", "memory");
	return flags;
}

/* fails with: fault/fork-clears-flags */
TEST(a_child_has_its_parents_flags)
{
	static const unsigned long flags[] = { CF, PF, AF, ZF, SF, DF, OF, NT, AC, ID };
	long pid;

	flush();
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		bool kept = flags_after(SYS_fork, flags[i], &pid) & flags[i];

		if (!pid)
			_exit(!kept);
		EXPECT(kept);
		EXPECT_EQ(wait_child(pid), EXITED(0));
	}
}

/* QEMU's SYSCALL clears DF whatever FMASK says: on other machines this can fail. */
TEST(the_kernel_copies_upwards)
{
	static char from[3 * PAGE_SIZE], to[sizeof(from) + PAGE_SIZE];
	int fds[2];

	for (size_t i = 0; i < sizeof(from); i++)
		from[i] = i * 7 + i / 256;
	ASSERT_EQ(pipe(fds), 0);
	for (size_t at = 0; at < sizeof(from);) {
		long ret;

		/* DF in both; the page that is read into is made on the way. */
		__asm__ volatile("std; syscall; cld" : "=a"(ret)
				 : "a"(SYS_write), "D"((long)fds[1]), "S"(from + at), "d"(2048L)
				 : "rcx", "r11", "memory");
		ASSERT_EQ(ret, 2048);
		__asm__ volatile("std; syscall; cld" : "=a"(ret)
				 : "a"(SYS_read), "D"((long)fds[0]), "S"(to + at), "d"(2048L)
				 : "rcx", "r11", "memory");
		ASSERT_EQ(ret, 2048);
		at += ret;
	}
	EXPECT(!memcmp(from, to, sizeof(from)));
	close(fds[0]);
	close(fds[1]);
}

static void copy_downwards(void *arg)
{
	static char from[2 * PAGE_SIZE + 100];
	char *to = arg;
	long n = sizeof(from);

	memset(from, 0x5a, sizeof(from));
	__asm__ volatile("std; rep movsb; cld"
			 :: "D"(to + n - 1), "S"(from + n - 1), "c"(n) : "memory");
	EXPECT(!memcmp(from, to, n));
}

/* The pages are its parent's, too: each is copied in the middle of the instruction. */
TEST(copy_on_write_with_the_direction_flag)
{
	static char to[2 * PAGE_SIZE + 100];

	memset(to, 1, sizeof(to));
	EXPECT_EQ(run_child(copy_downwards, to), EXITED(0));
	EXPECT_EQ(to[0], 1);
}

/* ---- single steps ---- */

EXPECT_END(step_over_fork, KILLED(SIGTRAP), KILLED(SIGTRAP),
	   "mov $57, %%eax;" SET_TF "syscall; nop; nop")
/* MOV SS puts the trap off by one instruction: into the kernel's first, were it to trust that. */
EXPECT_END(step_behind_mov_ss_at_a_call, KILLED(SIGTRAP), KILLED(SIGTRAP),
	   "mov %%ss, %%ebx; mov $39, %%eax;" SET_TF "mov %%ebx, %%ss; syscall; nop; nop")
EXPECT_END(step_behind_mov_ss_at_int3, KILLED(SIGTRAP), KILLED(SIGTRAP),
	   "mov %%ss, %%ebx;" SET_TF "mov %%ebx, %%ss; int3; nop")
EXPECT_END(step_behind_mov_ss_at_ud2, KILLED(SIGILL), KILLED(SIGTRAP),
	   "mov %%ss, %%ebx;" SET_TF "mov %%ebx, %%ss; ud2")
EXPECT_END(step_behind_mov_ss_at_int_80, KILLED(SIGSEGV), KILLED(SIGTRAP),
	   "mov %%ss, %%ebx;" SET_TF "mov %%ebx, %%ss; int $0x80; nop")

/* ---- gates that are not ring 3's, and stacks that are no memory ---- */

EXPECT_END(int_of_the_nmi, KILLED(SIGSEGV), KILLED(SIGSEGV), "int $2")
EXPECT_END(int_of_the_double_fault, KILLED(SIGSEGV), KILLED(SIGSEGV), "int $8")
EXPECT_END(int_of_an_interrupt, KILLED(SIGSEGV), KILLED(SIGSEGV), "int $0x20")
EXPECT_END(sysenter, KILLED(SIGSEGV), KILLED(SIGILL), "mov $20, %%eax; sysenter")
EXPECT_END(a_call_needs_no_stack, EXITED(5), EXITED(5), BAD_SP GETPID YIELD EXIT_5)
EXPECT_END(a_fork_needs_no_stack, EXITED(5), EXITED(5),
	   BAD_SP "mov $57, %%eax; syscall;" YIELD EXIT_5)
EXPECT_END(a_push_needs_one, KILLED(SIGBUS), KILLED(SIGSEGV), BAD_SP "push %%rax")
EXPECT_END(no_push_to_the_kernel, KILLED(SIGSEGV), KILLED(SIGBUS),
	   "mov $0xffffffff81000000, %%rsp; push %%rax")

/* ---- instructions ---- */

EXPECT_END(popf_gives_no_ports, EXITED(5), EXITED(5),
	   "pushf; orl $0x3000, (%%rsp); popf; pushf; pop %%rbx;"
	   "test $0x3000, %%ebx; jnz 1f;" EXIT_5 "1: ud2")
EXPECT_END(privileged_in, KILLED(SIGSEGV), KILLED(SIGSEGV), "in $0x64, %%al")
EXPECT_END(privileged_xsetbv, KILLED(SIGSEGV), KILLED(SIGILL),
	   "xor %%ecx, %%ecx; xor %%edx, %%edx; mov $7, %%eax; xsetbv")
EXPECT_END(unaligned_fxrstor, KILLED(SIGSEGV), KILLED(SIGSEGV),
	   "lea -1024(%%rsp), %%rbx; and $-64, %%rbx; fxrstor64 8(%%rbx)")
