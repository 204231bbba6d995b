/* SPDX-License-Identifier: MIT */
/*
 * Bad arguments: each gets the errno that Linux gives, and the kernel lives. What ends a process is
 * in fault.c.
 */
#include "user/lib/ktap.h"

static int fds[2];
static char buf[64];
static char *const no_strings[] = { NULL };

/* Addresses at which ring 3 may neither read nor write. */
static const unsigned long bad_addresses[] = {
	1,			/* in the page that nobody has */
	0x10000,		/* below the program */
	0x7ffffffff000,		/* the end of ring 3's half */
	0x800000000000,		/* not canonical, from here ... */
	0x4141414141414141,
	0xffff7ffffffffff8,	/* ... to here */
	0xffff800000000000,	/* the kernel's half */
	0xffffffff81000000,	/* its text */
	0xfffffffffffff000,
	0xfffffffffffffff8,	/* wraps to 0 */
};

/* Says which address it was if the last expectation failed. */
#define EXPECT_FAULT(call, address)								\
	do {											\
		long __ret = (call);								\
												\
		if (__ret != -EFAULT)								\
			ktap_fail(__FILE__, __LINE__, "%s is %ld, not -EFAULT, at %lx", #call,	\
				  __ret, address);						\
	} while (0)

#define FOR_EACH_BAD_ADDRESS(a)	\
	for (size_t __i = 0; __i < ARRAY_SIZE(bad_addresses) && ((a) = bad_addresses[__i]); __i++)

static bool open_pipe(void)
{
	return pipe(fds) == 0 && write(fds[1], buf, 8) == 8;
}

static void close_pipe(void)
{
	close(fds[0]);
	close(fds[1]);
}

/* ---- pointers ---- */

TEST(calls_that_read_memory)
{
	unsigned long a;

	ASSERT(open_pipe());
	FOR_EACH_BAD_ADDRESS(a) {
		EXPECT_FAULT(syscall(SYS_write, fds[1], a, 8), a);
		EXPECT_FAULT(syscall(SYS_execve, a, no_strings, no_strings), a);
		EXPECT_FAULT(syscall(SYS_execve, ktap_self, a, no_strings), a);
		EXPECT_FAULT(syscall(SYS_execve, ktap_self, no_strings, a), a);
		EXPECT_FAULT(syscall(SYS_execve, ktap_self, &a, no_strings), a);
		EXPECT_FAULT(syscall(SYS_nanosleep, a, 0), a);
		EXPECT_FAULT(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, a), a);
	}
	close_pipe();
}

TEST(calls_that_write_memory)
{
	unsigned long a;
	pid_t pid;

	ASSERT(open_pipe());
	FOR_EACH_BAD_ADDRESS(a) {
		EXPECT_EQ(write(fds[1], buf, 8), 8);
		EXPECT_FAULT(syscall(SYS_read, fds[0], a, 8), a);
		EXPECT_FAULT(syscall(SYS_pipe, a), a);
		pid = fork();
		if (pid == 0)
			exit(0);
		EXPECT_FAULT(syscall(SYS_wait4, pid, a, 0, 0), a);
	}
	close_pipe();
	while (wait4(-1, NULL, 0, NULL) > 0)	/* a wait that failed may have left its zombie */
		;
}

/*
 * Ring 0 can write these pages if it forgets to ask: text and constants are mapped, but not
 * writable.
 */
TEST(calls_that_write_read_only_memory)
{
	static const int constant[2] __aligned(16) = { 1, 2 };
	const void *targets[] = { (void *)(uintptr_t)open_pipe, constant };
	pid_t pid;
	size_t i;

	ASSERT(open_pipe());
	for (i = 0; i < ARRAY_SIZE(targets); i++) {
		unsigned long a = (unsigned long)targets[i];

		EXPECT_FAULT(syscall(SYS_read, fds[0], a, 8), a);
		EXPECT_FAULT(syscall(SYS_pipe, a), a);
		pid = fork();
		if (pid == 0)
			exit(0);
		EXPECT_FAULT(syscall(SYS_wait4, pid, a, 0, 0), a);
	}
	EXPECT_EQ(READ_ONCE(constant[0]), 1);
	EXPECT_EQ(READ_ONCE(constant[1]), 2);
	close_pipe();
	while (wait4(-1, NULL, 0, NULL) > 0)
		;
}

TEST(buffer_that_ends_in_no_page)
{
	char *page = mmap_anon(2 * PAGE_SIZE), *last = page + PAGE_SIZE - 4;

	ASSERT(!IS_ERR(page));
	if (munmap(page + PAGE_SIZE, PAGE_SIZE))
		SKIP("needs munmap");
	EXPECT_EQ(pipe((int *)last), -EFAULT);
	EXPECT_EQ(nanosleep((struct timespec *)last, NULL), -EFAULT);
	memset(last, 'x', 4);		/* a string without an end */
	EXPECT_EQ(execve(last, no_strings, no_strings), -EFAULT);
	munmap(page, PAGE_SIZE);
}

TEST(lengths_that_wrap)
{
	ASSERT(open_pipe());
	EXPECT_EQ(write(fds[1], buf, ~0UL), -EFAULT);
	EXPECT_EQ(write(fds[1], buf, 1UL << 63), -EFAULT);
	EXPECT_EQ(write(fds[1], buf, -(unsigned long)buf), -EFAULT);
	EXPECT_EQ(read(fds[0], buf, ~0UL), -EFAULT);
	EXPECT_EQ(read(fds[0], buf, 1UL << 63), -EFAULT);
	EXPECT_EQ(read(fds[0], buf, -(unsigned long)buf), -EFAULT);
	close_pipe();
}

TEST(splat_calls)
{
	static const struct splat_info constant;
	struct splat_info info;
	unsigned long a;

	if (!on_splat(&info))
		SKIP("needs Splat");
	FOR_EACH_BAD_ADDRESS(a) {
		EXPECT_FAULT(syscall(SYS_splat_info, a, sizeof(info)), a);
		EXPECT_FAULT(syscall(SYS_splat_setopt, a), a);
		EXPECT_FAULT(syscall(SYS_splat_readdir, 0, a, 64), a);
		EXPECT_FAULT(syscall(SYS_splat_ktest, SPLAT_KTEST_NAME, 0, a), a);
	}
	EXPECT_EQ(syscall(SYS_splat_info, &constant, sizeof(constant)), -EFAULT);
	EXPECT_EQ(splat_setopt("no-such-option=1"), -EINVAL);
	EXPECT_EQ(splat_setopt("fpu_clone=perhaps"), -EINVAL);
	EXPECT_EQ(splat_setopt(""), -EINVAL);
	EXPECT_EQ(splat_setopt("rt=off"), -EPERM);
	EXPECT_EQ(splat_readdir(1 << 30, buf, sizeof(buf)), -ENOENT);
	EXPECT_EQ(splat_readdir(-1, buf, sizeof(buf)), -ENOENT);
}

/* ---- numbers and flags ---- */

TEST(unknown_calls)
{
	static const long numbers[] = {
		1000, 1999, 65536, 0x3fffffff, 0x7fffffff, 0x80000000, -1, -1000, (1L << 32) + 999,
	};
	size_t i;
	long nr, ret;

	for (nr = 600; nr < 1000; nr++)
		EXPECT_EQ(syscall(nr, -1, -1, -1, -1), -ENOSYS);
	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		EXPECT_EQ(syscall(numbers[i], -1, -1, -1, -1), -ENOSYS);

	/* Linux looks at 32 bits: 0, that is read(). */
	ret = syscall(1L << 63, -1, -1, -1, -1);
	EXPECT(ret == -ENOSYS || ret == -EBADF);
}

TEST(reboot_with_wrong_magic)
{
	static const unsigned int commands[] = { REBOOT_RESTART, REBOOT_POWER_OFF, REBOOT_HALT };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		EXPECT_EQ(syscall(SYS_reboot, 0, REBOOT_MAGIC2, commands[i]), -EINVAL);
		EXPECT_EQ(syscall(SYS_reboot, 1, REBOOT_MAGIC2, commands[i]), -EINVAL);
		EXPECT_EQ(syscall(SYS_reboot, REBOOT_MAGIC1, 0, commands[i]), -EINVAL);
		EXPECT_EQ(syscall(SYS_reboot, REBOOT_MAGIC1, REBOOT_MAGIC1, commands[i]), -EINVAL);
		EXPECT_EQ(syscall(SYS_reboot, REBOOT_MAGIC2, REBOOT_MAGIC1, commands[i]), -EINVAL);
	}
	EXPECT_EQ(reboot(1), -EINVAL);
	EXPECT_EQ(reboot(-1), -EINVAL);
}

TEST(clone_flags_that_contradict)
{
	EXPECT_EQ(syscall(SYS_clone, CLONE_THREAD | SIGCHLD), -EINVAL);
	EXPECT_EQ(syscall(SYS_clone, CLONE_THREAD | CLONE_VM | SIGCHLD), -EINVAL);
	EXPECT_EQ(syscall(SYS_clone, CLONE_SIGHAND | SIGCHLD), -EINVAL);
	EXPECT_EQ(syscall(SYS_clone, CLONE_THREAD | CLONE_SIGHAND | SIGCHLD), -EINVAL);
	EXPECT_EQ(syscall(SYS_clone, CLONE_FS | CLONE_NEWNS | SIGCHLD), -EINVAL);
	EXPECT_EQ(wait4(-1, NULL, WNOHANG, NULL), -ECHILD);	/* none was made */
}

TEST(clone_with_a_bad_stack)
{
	int status = 0;
	pid_t pid;

	flush();
	pid = syscall(SYS_clone, CLONE_VM | SIGCHLD, 0x10000);
	ASSERT(pid > 0);		/* legal: only the child's first push finds out */
	EXPECT_EQ(wait4(pid, &status, 0, NULL), pid);
	EXPECT_EQ(status, KILLED(SIGSEGV));
}

TEST(clone_with_bad_tid_pointers)
{
	pid_t pid;

	flush();
	pid = syscall(SYS_clone, CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | SIGCHLD, 0, 0,
		      0xffffffff81000000);
	if (pid == 0)
		_exit(0);
	ASSERT(pid > 0);		/* the kernel tries, and nobody hears that it could not */
	EXPECT_EQ(wait_child(pid), EXITED(0));
}

TEST(files_that_are_not_open)
{
	static const int bad_fds[] = { -1, 77, 1 << 20, 0x7fffffff, (int)0x80000000 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad_fds); i++) {
		EXPECT_EQ(read(bad_fds[i], buf, 1), -EBADF);
		EXPECT_EQ(write(bad_fds[i], buf, 1), -EBADF);
		EXPECT_EQ(close(bad_fds[i]), -EBADF);
		EXPECT_EQ(dup2(bad_fds[i], 5), -EBADF);
		EXPECT_EQ(syscall(SYS_ioctl, bad_fds[i], TIOCGWINSZ, buf), -EBADF);
	}
	EXPECT_EQ(dup2(1, -1), -EBADF);
	EXPECT_EQ(dup2(1, 0x7fffffff), -EBADF);
}

TEST(ioctl_on_a_pipe)
{
	ASSERT(open_pipe());
	EXPECT_EQ(syscall(SYS_ioctl, fds[0], TIOCGWINSZ, buf), -ENOTTY);
	EXPECT_EQ(syscall(SYS_ioctl, fds[0], 0x12345678, buf), -ENOTTY);
	close_pipe();
}

static long mmap_at(unsigned long address, unsigned long size, int flags)
{
	return syscall(SYS_mmap, address, size, PROT_READ | PROT_WRITE, flags, -1, 0);
}

TEST(mappings_that_cannot_be)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;

	EXPECT_EQ(mmap_at(0, 0, flags), -EINVAL);
	EXPECT_EQ(mmap_at(0, PAGE_SIZE, MAP_ANONYMOUS), -EINVAL);	/* private or shared? */
	EXPECT_EQ(mmap_at(0, 1UL << 47, flags), -ENOMEM);
	EXPECT_EQ(mmap_at(0, ~0UL, flags), -ENOMEM);			/* rounds up to 0 */
	EXPECT_EQ(mmap_at(0x20000001, PAGE_SIZE, flags | MAP_FIXED), -EINVAL);
	EXPECT(mmap_at(0xffffffff81000000, PAGE_SIZE, flags | MAP_FIXED) < 0);
	EXPECT(mmap_at(0xfffffffffffff000, 2 * PAGE_SIZE, flags | MAP_FIXED) < 0);
}

TEST(mappings_past_the_end_of_ring_3)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
	struct splat_info info;

	/* Splat has four levels of page tables everywhere; Linux has five where the CPU has. */
	if (!on_splat(&info) && mmap_at(1UL << 50, PAGE_SIZE, flags) == 1L << 50)
		SKIP("five-level page tables");
	EXPECT(mmap_at(0x7ffffffff000, PAGE_SIZE, flags) < 0);
	EXPECT(mmap_at(0x7fffffffe000, 2 * PAGE_SIZE, flags) < 0);
	EXPECT(mmap_at(0x800000000000, PAGE_SIZE, flags) < 0);
}

/* ---- exec ---- */

#define LONG_STRING	(200 * 1024)		/* Linux takes 128 KiB */
#define MANY_STRINGS	(400 * 1024)

TEST(exec_of_bad_names)
{
	char *path = mmap_anon(2 * PAGE_SIZE);

	ASSERT(!IS_ERR(path));
	EXPECT_EQ(execve("/no/such/program", no_strings, no_strings), -ENOENT);
	EXPECT_EQ(execve("", no_strings, no_strings), -ENOENT);
	memset(path, '/', 5000);
	EXPECT_EQ(execve(path, no_strings, no_strings), -ENAMETOOLONG);
	munmap(path, 2 * PAGE_SIZE);
}

TEST(exec_with_bad_arguments)
{
	char *one_bad[] = { buf, (char *)1, NULL }, *one_long[] = { NULL, NULL };
	char *string = mmap_anon(LONG_STRING), **many = mmap_anon(MANY_STRINGS * sizeof(char *));
	int i;

	ASSERT(!IS_ERR(string) && !IS_ERR(many));
	EXPECT_EQ(execve(ktap_self, one_bad, no_strings), -EFAULT);
	EXPECT_EQ(execve(ktap_self, no_strings, one_bad), -EFAULT);

	memset(string, 'x', LONG_STRING - 1);
	one_long[0] = string;
	EXPECT_EQ(execve(ktap_self, one_long, no_strings), -E2BIG);
	EXPECT_EQ(execve(ktap_self, no_strings, one_long), -E2BIG);

	for (i = 0; i < MANY_STRINGS - 1; i++)
		many[i] = buf;
	EXPECT_EQ(execve(ktap_self, many, no_strings), -E2BIG);
	munmap(string, LONG_STRING);
	munmap(many, MANY_STRINGS * sizeof(char *));
}
