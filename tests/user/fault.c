/* SPDX-License-Identifier: MIT */
/*
 * What ring 3 must not do: each fault ends the process with the signal that Linux sends, and
 * nothing else. Also what looks like a fault and is none: the stack growing, and odd flags at a
 * system call.
 */
#include "user/lib/ktap.h"

/*
 * A child that executes @insns ends with @signal. Register use: none that would need a clobber
 * list; it dies.
 */
#define EXPECT_DEATH(name, signal, insns)							\
	static void name##_child(void *arg __unused)						\
	{											\
		__asm__ volatile(insns ::: "rax", "rcx", "rdx", "memory");			\
	}											\
	TEST(name) { EXPECT_EQ(run_child(name##_child, NULL), KILLED(signal)); }

#define SET_TF	"pushf; orl $0x100, (%%rsp); popf;"

/* ---- memory ---- */

static noinline void read_at(void *address)
{
	(void)*(volatile char *)address;
}

static noinline void write_at(void *address)
{
	*(volatile char *)address = 0;
}

static void call_at(void *address)
{
	((void (*)(void))address)();
}

TEST(kernel_memory_and_no_memory)
{
	static const unsigned long addresses[] = {
		0, 0x10000, 0x7ffffffff000, 0x800000000000, 0xffff7fffffffffff, 0xffff800000000000,
		0xffff888000000000, 0xffffffff81000000, 0xfffffffffffffff8,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(addresses); i++) {
		void *a = (void *)addresses[i];

		EXPECT_EQ(run_child(read_at, a), KILLED(SIGSEGV));
		EXPECT_EQ(run_child(write_at, a), KILLED(SIGSEGV));
		EXPECT_EQ(run_child(call_at, a), KILLED(SIGSEGV));
	}
}

TEST(writing_text)
{
	EXPECT_EQ(run_child(write_at, (void *)(uintptr_t)write_at), KILLED(SIGSEGV));
}

/* A RET in each kind of data. It would come back at once, and the child would exit with 0. */
TEST(executing_data)
{
	static unsigned char in_data[16] = { 0xc3 };
	static const unsigned char in_rodata[16] = { 0xc3 };
	volatile unsigned char on_stack[16] = { 0xc3 };
	unsigned char *heap = brk(NULL), *mapping = mmap_anon(PAGE_SIZE);

	ASSERT_EQ(brk(heap + PAGE_SIZE), heap + PAGE_SIZE);
	ASSERT(!IS_ERR(mapping));
	*heap = *mapping = 0xc3;
	EXPECT_EQ(run_child(call_at, in_data), KILLED(SIGSEGV));
	EXPECT_EQ(run_child(call_at, (void *)in_rodata), KILLED(SIGSEGV));
	EXPECT_EQ(run_child(call_at, (void *)on_stack), KILLED(SIGSEGV));
	EXPECT_EQ(run_child(call_at, heap), KILLED(SIGSEGV));
	EXPECT_EQ(run_child(call_at, mapping), KILLED(SIGSEGV));
}

/* ---- instructions ---- */

EXPECT_DEATH(undefined_instruction, SIGILL, "ud2")
EXPECT_DEATH(breakpoint, SIGTRAP, "int3")
EXPECT_DEATH(breakpoint_by_number, SIGTRAP, ".byte 0xcd, 3")
EXPECT_DEATH(single_step, SIGTRAP, SET_TF "nop; nop")
/*
 * TF is off inside the kernel and back on the way out: the trap comes in ring 3. In Bochs it comes
 * with the kernel's first instruction, too, which has to live through that.
 */
EXPECT_DEATH(single_step_over_syscall, SIGTRAP, "mov $39, %%eax;" SET_TF "syscall; nop; nop")
EXPECT_DEATH(division_by_zero, SIGFPE, "xor %%edx, %%edx; xor %%ecx, %%ecx; div %%ecx")
EXPECT_DEATH(division_overflow, SIGFPE, "mov $0x80000000, %%eax; cdq; mov $-1, %%ecx; idiv %%ecx")
/* Division by zero is unmasked in this control word. */
EXPECT_DEATH(x87_exception, SIGFPE, "push $0x37b; fldcw (%%rsp); fldz; fld1; fdivp; fwait")

EXPECT_DEATH(privileged_hlt, SIGSEGV, "hlt")
EXPECT_DEATH(privileged_cli, SIGSEGV, "cli")
EXPECT_DEATH(privileged_cr0, SIGSEGV, "mov %%cr0, %%rax")
EXPECT_DEATH(privileged_wrmsr, SIGSEGV, "mov $0xc0000080, %%ecx; wrmsr")
EXPECT_DEATH(privileged_out, SIGSEGV, "mov $0xf4, %%edx; out %%al, %%dx")
EXPECT_DEATH(privileged_swapgs, SIGSEGV, "swapgs")
EXPECT_DEATH(software_page_fault, SIGSEGV, "int $14")
EXPECT_DEATH(software_timer, SIGSEGV, "int $0xec")
EXPECT_DEATH(bad_segment, SIGSEGV, "mov $0x7777, %%eax; mov %%ax, %%ds")
EXPECT_DEATH(jump_out_of_canonical, SIGSEGV, "mov $0x800000000000, %%rax; jmp *%%rax")
/*
 * QEMU 7.2 reads this IRET's frame with ring 0's rights: with SMAP, a page fault whose error code
 * says supervisor, in ring 3. A kernel that believes the error code, and not CS, takes it for its
 * own (Linux 6.1 does).
 */
EXPECT_DEATH(iret_to_ring_0, SIGSEGV,
	     "mov %%rsp, %%rcx; push $0x10; push %%rcx; push $0x202; push $8; push $0; iretq")

static void push_out_of_canonical(void *arg __unused)
{
	__asm__ volatile("mov $0x800000001000, %%rsp; push %%rax" ::: "memory");
}

/*
 * The stack segment has an exception of its own, #SS, which becomes SIGBUS. TCG raises #GP instead.
 */
TEST(stack_out_of_canonical)
{
	int status = run_child(push_out_of_canonical, NULL);

	EXPECT(status == KILLED(SIGBUS) || status == KILLED(SIGSEGV));
}

/* QEMU's TCG knows no #XM: there the division just gives infinity. */
static void divide_sse(void *arg __unused)
{
	unsigned int mxcsr = 0x1f80 & ~0x200;	/* division by zero unmasked */
	float one = 1, zero = 0;

	__asm__ volatile("ldmxcsr %0; divss %2, %1" : : "m"(mxcsr), "x"(one), "x"(zero));
}

TEST(sse_exception)
{
	int status = run_child(divide_sse, NULL);

	EXPECT(status == KILLED(SIGFPE) || status == EXITED(0));
}

/* Null selectors are allowed in ring 3, and the kernel's own %gs base must not suffer. */
TEST(null_segments)
{
	__asm__ volatile("mov %0, %%gs; mov %0, %%fs; mov %0, %%ds; mov %0, %%es" : : "r"(0));
	EXPECT_EQ(sched_yield(), 0);
	EXPECT_EQ(sleep_ms(1), 0);
	EXPECT_EQ(getpid(), gettid());
}

/* ---- the stack ---- */

/*
 * Volatile, and used after the call as well: or the compiler makes this a loop that needs one
 * frame.
 */
static noinline long use_stack(long pages)
{
	volatile char page[4000];
	long below;

	page[0] = 1;
	if (pages == 0)
		return 0;
	below = use_stack(pages - 1);
	return below + page[0];
}

TEST(stack_grows_to_a_megabyte)
{
	EXPECT_EQ(use_stack(256), 256);
}

static void recurse_forever(void *arg __unused)
{
	use_stack(-1);
}

TEST(stack_overflow)
{
	EXPECT_EQ(run_child(recurse_forever, NULL), KILLED(SIGSEGV));
}

/* ---- flags ---- */

#define FLAG_DF	0x400
#define FLAG_NT	0x4000
#define FLAG_AC	0x40000
#define FLAG_ID	0x200000

/*
 * One system call with @set added to RFLAGS; *@after has the flags behind it. Stays off the red
 * zone.
 */
static long syscall_with_flags(unsigned long set, unsigned long *after, long nr, long a, long b,
			       long c)
{
	unsigned long flags;
	long ret;

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
			 : "=a"(ret), [flags] "=r"(flags)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), [set] "r"(set)
			 : "rcx", "r11", "cc", "memory");
	*after = flags;
	return ret;
}

TEST(odd_flags_at_a_system_call)
{
	static const unsigned long odd[] = {
		FLAG_DF, FLAG_NT, FLAG_AC, FLAG_ID, FLAG_DF | FLAG_NT | FLAG_AC,
	};
	char text[64] = "backwards in the kernel, this would be another text", copy[64];
	unsigned long after;
	size_t i, n = sizeof(text);
	int fds[2];

	ASSERT_EQ(pipe(fds), 0);
	for (i = 0; i < ARRAY_SIZE(odd); i++) {
		/* The caller's flags come back as they were. */
		EXPECT_EQ(syscall_with_flags(odd[i], &after, SYS_getpid, 0, 0, 0), getpid());
		EXPECT_EQ(after & odd[i], odd[i]);
		EXPECT_EQ(syscall_with_flags(odd[i], &after, SYS_sched_yield, 0, 0, 0), 0);
		EXPECT_EQ(after & odd[i], odd[i]);
		memset(copy, 0, sizeof(copy));
		EXPECT_EQ(syscall_with_flags(odd[i], &after, SYS_write, fds[1], (long)text, n), n);
		EXPECT_EQ(syscall_with_flags(odd[i], &after, SYS_read, fds[0], (long)copy, n), n);
		EXPECT(!memcmp(text, copy, n));
	}
	close(fds[0]);
	close(fds[1]);
}

/* A page fault takes the flags along as well: the new page must be cleared upwards. */
TEST(page_fault_with_direction_flag)
{
	char *page = mmap_anon(3 * PAGE_SIZE), *middle = page + PAGE_SIZE;
	size_t i, sum = 0;

	ASSERT(!IS_ERR(page));
	memset(page, 1, PAGE_SIZE);
	__asm__ volatile("std; movb $5, (%0); cld" : : "r"(middle) : "memory");
	for (i = 0; i < 2 * PAGE_SIZE; i++)
		sum += page[i];
	EXPECT_EQ(sum, PAGE_SIZE + 5);
	munmap(page, 3 * PAGE_SIZE);
}
