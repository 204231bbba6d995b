/* SPDX-License-Identifier: MIT */
/*
 * The small C library of Splat's programs.
 *
 * There is no errno: a system call wrapper returns what the kernel returned, so a failure is the
 * negative number itself (-EFAULT). The numbers and flags are Linux's; a program that stays below
 * 1000 also runs on Linux.
 */
#ifndef USER_LIB_LIBC_H
#define USER_LIB_LIBC_H

#include "kernel/splat/uapi.h"
#include "lib/errno.h"
#include "lib/string.h"

/* ---- system calls ---- */

#define SYS_read		0
#define SYS_write		1
#define SYS_close		3
#define SYS_mmap		9
#define SYS_mprotect		10
#define SYS_munmap		11
#define SYS_brk			12
#define SYS_rt_sigaction	13
#define SYS_ioctl		16
#define SYS_writev		20
#define SYS_pipe		22
#define SYS_sched_yield		24
#define SYS_dup2		33
#define SYS_nanosleep		35
#define SYS_getpid		39
#define SYS_clone		56
#define SYS_fork		57
#define SYS_vfork		58
#define SYS_execve		59
#define SYS_exit		60
#define SYS_wait4		61
#define SYS_getppid		110
#define SYS_sched_setscheduler	144
#define SYS_sched_getscheduler	145
#define SYS_arch_prctl		158
#define SYS_reboot		169
#define SYS_gettid		186
#define SYS_sched_setaffinity	203
#define SYS_sched_getaffinity	204
#define SYS_set_tid_address	218
#define SYS_exit_group		231
#define SYS_getcpu		309

#define CLONE_VM		0x00000100
#define CLONE_FS		0x00000200
#define CLONE_FILES		0x00000400
#define CLONE_SIGHAND		0x00000800
#define CLONE_VFORK		0x00004000
#define CLONE_THREAD		0x00010000
#define CLONE_NEWNS		0x00020000
#define CLONE_SYSVSEM		0x00040000
#define CLONE_SETTLS		0x00080000
#define CLONE_PARENT_SETTID	0x00100000
#define CLONE_CHILD_CLEARTID	0x00200000
#define CLONE_CHILD_SETTID	0x01000000

/* A thread that shares all there is, and whose tid word is 0 again when it is gone. */
#define CLONE_AS_THREAD		(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |		\
				 CLONE_THREAD | CLONE_SYSVSEM | CLONE_PARENT_SETTID |		\
				 CLONE_CHILD_CLEARTID)

#define PROT_NONE		0
#define PROT_READ		1
#define PROT_WRITE		2
#define PROT_EXEC		4
#define MAP_PRIVATE		0x02
#define MAP_FIXED		0x10
#define MAP_ANONYMOUS		0x20

#define ARCH_SET_FS		0x1002
#define TIOCGWINSZ		0x5413

#define SCHED_OTHER		0
#define SCHED_FIFO		1

#define REBOOT_MAGIC1		0xfee1dead
#define REBOOT_MAGIC2		0x28121969
#define REBOOT_RESTART		0x01234567
#define REBOOT_POWER_OFF	0x4321fedc
#define REBOOT_HALT		0xcdef0123

#define SIGILL			4
#define SIGTRAP			5
#define SIGBUS			7
#define SIGFPE			8
#define SIGKILL			9
#define SIGSEGV			11
#define SIGPIPE			13
#define SIGCHLD			17

#define WNOHANG			1
#define WTERMSIG(status)	((status) & 0x7f)
#define WEXITSTATUS(status)	(((status) >> 8) & 0xff)
#define WIFEXITED(status)	(WTERMSIG(status) == 0)

struct timespec {
	long tv_sec, tv_nsec;
};

struct iovec {
	const void *base;
	size_t len;
};

static inline long syscall6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

/* syscall(nr, up to six arguments of any integer or pointer type); the missing ones are 0. */
#define syscall(...)	__syscall(__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define __syscall(nr, a, b, c, d, e, f, ...)							\
	syscall6((long)(nr), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

ssize_t read(int fd, void *buf, size_t size);	/* fd 0: a prompt goes out first */
ssize_t write(int fd, const void *buf, size_t size);
int close(int fd);
int pipe(int fds[2]);
int dup2(int from, int to);
pid_t getpid(void);
pid_t gettid(void);
pid_t getppid(void);
pid_t fork(void);				/* a pending line goes out first, once */
pid_t vfork(void) __attribute__((returns_twice));
int execve(const char *path, char *const argv[], char *const envp[]);
pid_t wait4(pid_t pid, int *status, int options, void *rusage);
void exit(int status) __noreturn;		/* a pending line goes out first */
void _exit(int status) __noreturn;		/* without: for the child of vfork() */
int sched_yield(void);
int sched_setscheduler(pid_t pid, int policy, int priority);
int sched_getscheduler(pid_t pid);
/* CPUs as bits of one word. */
int sched_setaffinity(pid_t pid, u64 mask);
u64 sched_getaffinity(pid_t pid);		/* 0: that failed */
int getcpu(void);
int nanosleep(const struct timespec *wanted, struct timespec *left);
int sleep_ms(unsigned int ms);
void *brk(void *end);				/* the new end; the old one if that failed */
/* Zeroed private memory, or an IS_ERR() pointer. @flags: additional ones, such as MAP_FIXED. */
void *mmap(void *start, size_t size, int prot, int flags);
void *mmap_anon(size_t size);			/* anywhere, to read and write */
int munmap(void *start, size_t size);
int mprotect(void *start, size_t size, int prot);
int reboot(unsigned int command);		/* REBOOT_*: returns only if it is none of them */

int splat_setopt(const char *name_is_value);
int splat_info(struct splat_info *info);
int splat_ratelimit_reset(void);
int splat_hold_siglock(unsigned long steps);
int splat_await_siglock(void);
int splat_latency(struct splat_latency *result);
int splat_ktest(int op, int index, struct splat_ktest *test);
int splat_readdir(int index, char *name, size_t size);

/* ---- threads ---- */

struct thread {
	void *stack;
	size_t stack_size;
	volatile int tid;	/* set by clone(); cleared by the kernel when the thread is gone */
};

/* Starts fn(arg) on a stack of its own. Returns 0 or the negative errno. */
int thread_create(struct thread *t, void (*fn)(void *), void *arg, size_t stack_size);
void thread_join(struct thread *t);
/* clone() for thread_create: the child calls fn(arg) on @stack_top and then exits. */
long clone_call(unsigned long flags, void *stack_top, volatile int *ptid, volatile int *ctid,
		void (*fn)(void *), void *arg);

/* ---- strings ---- */

/* The rest: lib/string.h. */
void *memmove(void *to, const void *from, size_t n);
unsigned long strtoul(const char *s, char **end, int base);
/* The names that wait(2) and errno(3) use. */
const char *signal_name(int signal);
const char *error_name(long error);

/* ---- output ---- */

/*
 * printf() collects a line and writes it out with one write(), so that a kernel message cannot
 * stand inside it. The line buffer has no lock: of several threads of a process, only one may
 * print.
 */
int printf(const char *fmt, ...) __printf(1, 2);
int dprintf(int fd, const char *fmt, ...) __printf(2, 3);
int vprintf(const char *fmt, va_list args);
void flush(void);

#endif
