// SPDX-License-Identifier: MIT
/*
 * The table of system calls. Arguments arrive in rdi rsi rdx r10 r8 r9 and are believed by nobody: each handler checks
 * what it uses. What is not in the table is -ENOSYS.
 */
#include "kernel/syscalls.h"
#include "arch/x86/mm/uaccess.h"
#include "arch/x86/process.h"
#include "kernel/exec.h"
#include "kernel/exit.h"
#include "kernel/files.h"
#include "kernel/fork.h"
#include "kernel/mm/mm.h"
#include "kernel/sched/sched.h"
#include "kernel/time.h"
#include "kernel/uapi.h"
#include "lib/errno.h"

/* --- Processes --- */

static long sys_clone(struct pt_regs *regs)
{
	struct kernel_clone_args args = {
		.flags = regs->di, .stack = regs->si, .parent_tid = (int *)regs->dx,
		.child_tid = (int *)regs->r10, .tls = regs->r8,
	};

	return kernel_clone(&args);
}

static long sys_fork(struct pt_regs *regs)
{
	return kernel_clone(&(struct kernel_clone_args){});
}

static long sys_vfork(struct pt_regs *regs)
{
	return kernel_clone(&(struct kernel_clone_args){ .flags = CLONE_VFORK | CLONE_VM });
}

static long sys_execve(struct pt_regs *regs)
{
	return do_execve((const char *)regs->di, (const char *const *)regs->si, (const char *const *)regs->dx);
}

static long sys_exit(struct pt_regs *regs)
{
	do_exit((regs->di & 0xff) << 8);
}

static long sys_exit_group(struct pt_regs *regs)
{
	do_group_exit((regs->di & 0xff) << 8);
}

static long sys_wait4(struct pt_regs *regs)
{
	int status = 0;
	long pid = do_wait(regs->di, &status, regs->dx);

	if (pid > 0 && regs->si && put_user(status, (int *)regs->si))
		return -EFAULT;
	return pid;
}

static long sys_getpid(struct pt_regs *regs)
{
	return current->tgid;
}

static long sys_gettid(struct pt_regs *regs)
{
	return current->pid;
}

static long sys_getppid(struct pt_regs *regs)
{
	pid_t pid;

	spin_lock(&tasklist_lock);
	pid = current->group_leader->real_parent->tgid;
	spin_unlock(&tasklist_lock);
	return pid;
}

static long sys_set_tid_address(struct pt_regs *regs)
{
	current->clear_child_tid = (int *)regs->di;
	return current->pid;
}

static long sys_arch_prctl(struct pt_regs *regs)
{
	return do_arch_prctl(regs->di, regs->si);
}

/* --- Files --- */

static long sys_read(struct pt_regs *regs)
{
	return do_read(regs->di, (char *)regs->si, regs->dx);
}

static long sys_write(struct pt_regs *regs)
{
	return do_write(regs->di, (const char *)regs->si, regs->dx);
}

#define IOV_MAX		1024

struct iovec {
	char *base;
	size_t len;
};

static long sys_writev(struct pt_regs *regs)
{
	const struct iovec *user_iov = (const struct iovec *)regs->si;
	struct iovec iov;
	long done = 0, n;

	if (regs->dx > IOV_MAX)
		return -EINVAL;
	n = do_write(regs->di, NULL, 0);		/* is there such a file? */
	for (unsigned long i = 0; i < regs->dx && n >= 0; i++) {
		n = get_user(iov, user_iov + i);
		if (!n)
			n = do_write(regs->di, iov.base, iov.len);
		if (n < 0)
			break;
		done += n;
		if ((size_t)n < iov.len)
			break;
	}
	return done ? done : n;
}

#define TIOCGWINSZ	0x5413

/* The one question that C libraries ask a terminal: is it one? */
static long sys_ioctl(struct pt_regs *regs)
{
	static const u16 winsize[4] = { 25, 80, 0, 0 };
	long n = do_write(regs->di, NULL, 0);

	if (n == -EBADF)
		n = do_read(regs->di, NULL, 0);
	if (n < 0)
		return n;
	if (!fd_is_console(regs->di) || (u32)regs->si != TIOCGWINSZ)
		return -ENOTTY;
	return copy_to_user((void *)regs->dx, winsize, sizeof(winsize));
}

static long sys_close(struct pt_regs *regs)
{
	return do_close(regs->di);
}

static long sys_pipe(struct pt_regs *regs)
{
	return do_pipe((int *)regs->di);
}

static long sys_dup2(struct pt_regs *regs)
{
	return do_dup2(regs->di, regs->si);
}

/* --- Memory --- */

#define PROT_READ	1
#define PROT_WRITE	2
#define PROT_EXEC	4
#define MAP_PRIVATE	0x02
#define MAP_FIXED	0x10
#define MAP_ANONYMOUS	0x20
#define MAP_IGNORED	0x24000		/* NORESERVE, STACK: nothing to do */

static long sys_mmap(struct pt_regs *regs)
{
	unsigned long prot = regs->dx, flags = regs->r10;

	if ((prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC)) || !(flags & MAP_PRIVATE) || !(flags & MAP_ANONYMOUS) ||
	    (flags & ~(MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_IGNORED)))
		return -EINVAL;
	/* PROT_* and VM_* are the same three bits. A page that can be written can be read: x86 knows no other. */
	return mm_mmap(current->mm, regs->di, regs->si, prot | (prot & PROT_WRITE ? PROT_READ : 0), flags & MAP_FIXED);
}

static long sys_brk(struct pt_regs *regs)
{
	return mm_brk(current->mm, regs->di);
}

/* --- Scheduling and time --- */

static long sys_sched_yield(struct pt_regs *regs)
{
	do_sched_yield();
	return 0;
}

/* Task @pid with a reference, current for 0; NULL: -ESRCH. */
static struct task_struct *get_task_by_pid(pid_t pid)
{
	struct task_struct *task;

	spin_lock(&tasklist_lock);
	task = pid ? find_task_by_pid(pid) : current;
	if (task)
		get_task_struct(task);
	spin_unlock(&tasklist_lock);
	return task;
}

static long sys_sched_setscheduler(struct pt_regs *regs)
{
	struct task_struct *task;
	int rt_priority, ret;

	if ((int)regs->di < 0 || !regs->dx)
		return -EINVAL;
	if (get_user(rt_priority, (int *)regs->dx))
		return -EFAULT;
	task = get_task_by_pid(regs->di);
	if (!task)
		return -ESRCH;
	ret = sched_setscheduler(task, regs->si, rt_priority);
	put_task_struct(task);
	return ret;
}

static long sys_sched_getscheduler(struct pt_regs *regs)
{
	struct task_struct *task = (int)regs->di < 0 ? NULL : get_task_by_pid(regs->di);
	long ret;

	if (!task)
		return (int)regs->di < 0 ? -EINVAL : -ESRCH;
	ret = task->policy;
	put_task_struct(task);
	return ret;
}

struct timespec {
	long tv_sec, tv_nsec;
};

/* Only the end of its process ends a sleep early, so nobody asks how much was left. */
static long sys_nanosleep(struct pt_regs *regs)
{
	struct timespec t;

	if (get_user(t, (struct timespec *)regs->di))
		return -EFAULT;
	if (t.tv_sec < 0 || t.tv_nsec < 0 || t.tv_nsec >= 1000000000)
		return -EINVAL;
	return sleep_ns(t.tv_sec > 1000000000 ? ~0UL : t.tv_sec * 1000000000UL + t.tv_nsec);
}

static long (*const syscall_table[])(struct pt_regs *regs) = {
	[0] = sys_read,
	[1] = sys_write,
	[3] = sys_close,
	[9] = sys_mmap,
	[12] = sys_brk,
	[16] = sys_ioctl,
	[20] = sys_writev,
	[22] = sys_pipe,
	[24] = sys_sched_yield,
	[33] = sys_dup2,
	[35] = sys_nanosleep,
	[39] = sys_getpid,
	[56] = sys_clone,
	[57] = sys_fork,
	[58] = sys_vfork,
	[59] = sys_execve,
	[60] = sys_exit,
	[61] = sys_wait4,
	[110] = sys_getppid,
	[144] = sys_sched_setscheduler,
	[145] = sys_sched_getscheduler,
	[158] = sys_arch_prctl,
	[186] = sys_gettid,
	[218] = sys_set_tid_address,
	[231] = sys_exit_group,
};

long do_syscall(unsigned long nr, struct pt_regs *regs)
{
	if (nr < ARRAY_SIZE(syscall_table) && syscall_table[nr])
		return syscall_table[nr](regs);
	if (nr > 1000)
		return do_splat_call(nr, regs);
	return -ENOSYS;
}
