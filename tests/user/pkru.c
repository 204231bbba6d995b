/* SPDX-License-Identifier: MIT */
/*
 * The protection keys' register: a task changes it by an instruction, it is switched at once, and
 * the kernel's own accesses to ring 3's memory obey it. All memory here has key 0.
 */
#include "user/lib/ktap.h"
#include "user/lib/vec.h"

#define PKRU_DEFAULT	0x55555554
#define NO_WRITES	(PKRU_DEFAULT | 2)
#define NO_ACCESS	(PKRU_DEFAULT | 1)

#define NEEDS_PKU									\
	do {										\
		struct splat_info __info;						\
											\
		if (!(vec_live_mask() & VEC_PKU))					\
			SKIP("no protection keys");					\
		if (on_splat(&__info) && (__info.xfeatures & BIT(17)))			\
			SKIP("with tiles: Bochs 3, which asks PKRU for kernel pages");	\
	} while (0)

static u32 rdpkru(void)
{
	u32 pkru, high;

	__asm__ volatile("rdpkru" : "=a"(pkru), "=d"(high) : "c"(0));
	return pkru;
}

static void wrpkru(u32 pkru)
{
	__asm__ volatile("wrpkru" :: "a"(pkru), "c"(0), "d"(0) : "memory");
}

int test_reexec(int argc, char **argv)
{
	if (argc != 2 || strcmp(argv[1], "--default"))
		return -1;
	return rdpkru() != PKRU_DEFAULT;
}

static void exec_self(void *arg __unused)
{
	char *argv[] = { (char *)ktap_self, "--default", NULL }, *envp[] = { NULL };

	execve(ktap_self, argv, envp);
	_exit(77);
}

/* ---- whose it is ---- */

static void expect_pkru(void *value)
{
	EXPECT_EQ(rdpkru(), (u32)(long)value);
	syscall(SYS_sched_yield);
	EXPECT_EQ(rdpkru(), (u32)(long)value);
}

static void change_own(void *value)
{
	expect_pkru(value);
	wrpkru(PKRU_DEFAULT & ~0xf0);
}

/* 0 is its initial state, in which XSAVE writes nothing of it. */
static void keep_own(void *number)
{
	static const u32 values[] = { 0, 0x0ffffff0, 0x44444440, PKRU_DEFAULT };
	static struct thread t;
	u32 own = values[(long)number];

	wrpkru(own);
	for (int i = 0; i < 20; i++)
		expect_pkru((void *)(long)own);
	EXPECT_EQ(run_child(expect_pkru, (void *)(long)own), EXITED(0));
	ASSERT_EQ(thread_create(&t, change_own, (void *)(long)own, 16384), 0);
	thread_join(&t);
	EXPECT_EQ(rdpkru(), own);
	EXPECT_EQ(run_child(exec_self, NULL), EXITED(0));
	EXPECT_EQ(rdpkru(), own);
}

TEST(each_task_has_its_own)
{
	u64 cpus = sched_getaffinity(0);
	pid_t pids[4];

	NEEDS_PKU;
	EXPECT_EQ(rdpkru(), PKRU_DEFAULT);
	sched_setaffinity(0, BIT(getcpu()));
	for (long i = 0; i < 4; i++)
		pids[i] = start_child(keep_own, (void *)i);
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(wait_child(pids[i]), EXITED(0));
	sched_setaffinity(0, cpus);
}

/* ---- what it forbids ---- */

static char pages[2 * PAGE_SIZE] __aligned(PAGE_SIZE);

static void write_without_right(void *to)
{
	wrpkru(NO_WRITES);
	*(volatile char *)to = 1;
}

static void read_without_right(void *from)
{
	__asm__ volatile("wrpkru; mov (%3), %%al" :: "a"(NO_ACCESS), "c"(0), "d"(0), "S"(from));
	_exit(99);		/* unreachable: nothing can be read any more */
}

/* A fault of the key is none of a page that can be made: it must not be tried again for ever. */
TEST(its_faults_end_the_process)
{
	NEEDS_PKU;
	EXPECT_EQ(run_child(write_without_right, pages), KILLED(SIGSEGV));	/* not there yet */
	pages[PAGE_SIZE] = 1;
	EXPECT_EQ(run_child(write_without_right, pages + PAGE_SIZE), KILLED(SIGSEGV));
	EXPECT_EQ(run_child(read_without_right, pages + PAGE_SIZE), KILLED(SIGSEGV));
}

/* One call under @pkru, with no memory touched before it is the default again. */
static long call_under(u32 pkru, long nr, long a, long b, long c)
{
	register long keep __asm__("r12") = c;
	long ret = nr;

	__asm__ volatile("push	%%rax\n"
			 "mov	%[pkru], %%eax\n"
			 "xor	%%ecx, %%ecx\n"
			 "xor	%%edx, %%edx\n"
			 "mov	(%%rsp), %%rbx\n"
			 "wrpkru\n"
			 "mov	%%rbx, %%rax\n"
			 "mov	%%r12, %%rdx\n"
			 "syscall\n"
			 "mov	%%rax, %%rbx\n"
			 "mov	%[initial], %%eax\n"
			 "xor	%%ecx, %%ecx\n"
			 "xor	%%edx, %%edx\n"
			 "wrpkru\n"
			 "pop	%%rax\n"
			 "mov	%%rbx, %%rax\n"
			 : "+a"(ret)
			 : [pkru] "r"(pkru), [initial] "i"(PKRU_DEFAULT), "D"(a), "S"(b), "r"(keep)
			 : "rbx", "rcx", "rdx", "r11", "memory");
	return ret;
}

static void let_the_kernel_try(void *arg __unused)
{
	static char text[] = "abcdefgh";
	int fds[2], status;
	pid_t pid;

	ASSERT_EQ(pipe(fds), 0);
	EXPECT_EQ(write(fds[1], text, 8), 8);
	pid = start_child(exec_self, NULL);
	EXPECT_EQ(call_under(NO_WRITES, SYS_read, fds[0], (long)pages, 0), 0);
	EXPECT_EQ(call_under(NO_WRITES, SYS_read, fds[0], (long)pages, 4), -EFAULT);
	EXPECT_EQ(call_under(NO_WRITES, SYS_pipe, (long)pages, 0, 0), -EFAULT);
	EXPECT_EQ(call_under(NO_WRITES, SYS_write, fds[1], (long)text, 4), 4);
	EXPECT_EQ(call_under(NO_ACCESS, SYS_write, fds[1], (long)text, 4), -EFAULT);
	EXPECT_EQ(call_under(NO_ACCESS, SYS_execve, (long)ktap_self, 0, 0), -EFAULT);
	EXPECT_EQ(call_under(NO_ACCESS, SYS_getpid, 0, 0, 0), getpid());
	EXPECT_EQ(wait4(pid, &status, 0, NULL), pid);
	EXPECT_EQ(pages[0], 0);
}

TEST(the_kernel_obeys_it)
{
	NEEDS_PKU;
	EXPECT_EQ(run_child(let_the_kernel_try, NULL), EXITED(0));
}
