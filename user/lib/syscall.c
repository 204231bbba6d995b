/* SPDX-License-Identifier: MIT */
/*
 * One function a system call. Each returns what the kernel returned; see the head of libc.h.
 */
#include "user/lib/libc.h"

ssize_t read(int fd, void *buf, size_t size)
{
	if (fd == 0)
		flush();
	return syscall(SYS_read, fd, buf, size);
}

ssize_t write(int fd, const void *buf, size_t size)
{
	return syscall(SYS_write, fd, buf, size);
}

int close(int fd)
{
	return syscall(SYS_close, fd);
}

int pipe(int fds[2])
{
	return syscall(SYS_pipe, fds);
}

int dup2(int from, int to)
{
	return syscall(SYS_dup2, from, to);
}

pid_t getpid(void)
{
	return syscall(SYS_getpid);
}

pid_t gettid(void)
{
	return syscall(SYS_gettid);
}

pid_t getppid(void)
{
	return syscall(SYS_getppid);
}

pid_t fork(void)
{
	flush();
	return syscall(SYS_fork);
}

int execve(const char *path, char *const argv[], char *const envp[])
{
	return syscall(SYS_execve, path, argv, envp);
}

pid_t wait4(pid_t pid, int *status, int options, void *rusage)
{
	return syscall(SYS_wait4, pid, status, options, rusage);
}

void _exit(int status)
{
	for (;;)
		syscall(SYS_exit_group, status);
}

void exit(int status)
{
	flush();
	_exit(status);
}

int sched_yield(void)
{
	return syscall(SYS_sched_yield);
}

int sched_setscheduler(pid_t pid, int policy, int priority)
{
	return syscall(SYS_sched_setscheduler, pid, policy, &priority);
}

int sched_getscheduler(pid_t pid)
{
	return syscall(SYS_sched_getscheduler, pid);
}

int sched_setaffinity(pid_t pid, u64 mask)
{
	return syscall(SYS_sched_setaffinity, pid, sizeof(mask), &mask);
}

u64 sched_getaffinity(pid_t pid)
{
	u64 mask = 0;

	syscall(SYS_sched_getaffinity, pid, sizeof(mask), &mask);
	return mask;
}

int getcpu(void)
{
	unsigned int cpu = 0;
	int ret = syscall(SYS_getcpu, &cpu, NULL, NULL);

	return ret < 0 ? ret : (int)cpu;
}

int nanosleep(const struct timespec *wanted, struct timespec *left)
{
	return syscall(SYS_nanosleep, wanted, left);
}

int sleep_ms(unsigned int ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	return nanosleep(&t, NULL);
}

void *brk(void *end)
{
	return (void *)syscall(SYS_brk, end);
}

void *mmap(void *start, size_t size, int prot, int flags)
{
	return (void *)syscall(SYS_mmap, start, size, prot, flags | MAP_PRIVATE | MAP_ANONYMOUS, -1,
			       0);
}

void *mmap_anon(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, 0);
}

int munmap(void *start, size_t size)
{
	return syscall(SYS_munmap, start, size);
}

int mprotect(void *start, size_t size, int prot)
{
	return syscall(SYS_mprotect, start, size, prot);
}

int reboot(unsigned int command)
{
	flush();
	return syscall(SYS_reboot, REBOOT_MAGIC1, REBOOT_MAGIC2, command);
}

int splat_setopt(const char *name_is_value)
{
	return syscall(SYS_splat_setopt, name_is_value);
}

int splat_info(struct splat_info *info)
{
	return syscall(SYS_splat_info, info, sizeof(*info));
}

int splat_ratelimit_reset(void)
{
	return syscall(SYS_splat_ratelimit_reset);
}

int splat_hold_siglock(unsigned long steps)
{
	return syscall(SYS_splat_hold_siglock, steps);
}

int splat_latency(struct splat_latency *result)
{
	return syscall(SYS_splat_latency, result);
}

int splat_await_siglock(void)
{
	return syscall(SYS_splat_await_siglock);
}

int splat_ktest(int op, int index, struct splat_ktest *test)
{
	return syscall(SYS_splat_ktest, op, index, test);
}

int splat_readdir(int index, char *name, size_t size)
{
	return syscall(SYS_splat_readdir, index, name, size);
}
