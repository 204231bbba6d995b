// SPDX-License-Identifier: MIT
/*
 * The table of system calls. Arguments arrive in rdi rsi rdx r10 r8 r9 and are not trusted: each
 * handler checks what it uses. A number that is not in the table gives -ENOSYS.
 */
#include "kernel/syscalls.h"
#include "arch/x86/cpu/power.h"
#include "arch/x86/mm/uaccess.h"
#include "arch/x86/process.h"
#include "kernel/exec.h"
#include "kernel/exit.h"
#include "kernel/files/files.h"
#include "kernel/fork.h"
#include "kernel/pid.h"
#include "kernel/policy.h"
#include "kernel/report/panic.h"
#include "kernel/report/trace.h"
#include "kernel/sched/sched.h"
#include "kernel/time/tick.h"
#include "kernel/vm/mm.h"
#include "lib/printk.h"

/* --- Processes --- */

static long do_clone(struct pt_regs *regs)
{
	struct kernel_clone_args args = {
		.flags = regs->di, .stack = regs->si, .parent_tid = (int *)regs->dx,
		.child_tid = (int *)regs->r10, .tls = regs->r8,
	};

	return kernel_clone(&args);
}

static long do_wait4(pid_t pid, int *user_status, int options)
{
	int status = 0;
	long ret = do_wait(pid, &status, options);

	return ret > 0 && user_status && put_user(status, user_status) ? -EFAULT : ret;
}

static long do_getppid(void)
{
	pid_t pid;

	spin_lock(&tasklist_lock);
	pid = current->group_leader->real_parent->tgid;
	spin_unlock(&tasklist_lock);
	return pid;
}

/* --- Memory --- */

#define PROT_MASK	7			/* PROT_READ, WRITE, EXEC: the bits of VM_* */
#define MAP_PRIVATE	0x02
#define MAP_FIXED	0x10
#define MAP_ANONYMOUS	0x20
#define MAP_IGNORED	0x24000			/* NORESERVE, STACK: nothing to do */

/* PROT_NONE is no access. Any other access includes reading, because x86 has nothing less. */
static unsigned int vm_flags(unsigned long prot)
{
	return prot ? prot | VM_READ : 0;
}

static long do_mmap(struct pt_regs *regs)
{
	unsigned long prot = regs->dx, flags = regs->r10, offset = regs->r9;
	unsigned long kind = flags & ~(MAP_FIXED | MAP_IGNORED);

	if ((prot & ~PROT_MASK) || kind != (MAP_PRIVATE | MAP_ANONYMOUS) || (offset & ~PAGE_MASK))
		return -EINVAL;
	return mm_mmap(current->mm, regs->di, regs->si, vm_flags(prot), flags & MAP_FIXED);
}

static long do_mprotect(unsigned long addr, unsigned long len, unsigned long prot)
{
	if (prot & ~PROT_MASK)
		return -EINVAL;
	return mm_mprotect(current->mm, addr, len, vm_flags(prot));
}

/* --- Scheduling and time --- */

/* Task @pid with a reference, current for 0. NULL: -ESRCH. */
static struct task_struct *get_task(pid_t pid)
{
	struct task_struct *task;

	spin_lock(&tasklist_lock);
	task = pid ? find_task_by_pid(pid) : current;
	if (task)
		get_task_struct(task);
	spin_unlock(&tasklist_lock);
	return task;
}

static long do_sched_setscheduler(pid_t pid, int policy, const int *user_priority)
{
	struct task_struct *task;
	int rt_priority, ret;

	if (pid < 0 || !user_priority)
		return -EINVAL;
	if (get_user(rt_priority, user_priority))
		return -EFAULT;
	task = get_task(pid);
	if (!task)
		return -ESRCH;
	ret = task->flags & PF_KTEST ? -EPERM : sched_setscheduler(task, policy, rt_priority);
	put_task_struct(task);
	return ret;
}

static long do_sched_getscheduler(pid_t pid)
{
	struct task_struct *task = pid < 0 ? ERR_PTR(-EINVAL) : get_task(pid);
	long policy;

	if (!task || IS_ERR(task))
		return task ? PTR_ERR(task) : -ESRCH;
	policy = task->policy;
	put_task_struct(task);
	return policy;
}

/* CPU masks are as long as the caller says; bits beyond NR_CPUS are cut, or zero. */
static long do_sched_setaffinity(pid_t pid, unsigned int size, const u64 *user_mask)
{
	struct task_struct *task;
	u64 mask = 0;
	long ret;

	if (copy_from_user(&mask, user_mask, min(size, (unsigned int)sizeof(mask))))
		return -EFAULT;
	task = get_task(pid);
	if (!task)
		return -ESRCH;
	ret = task->flags & PF_NO_SETAFFINITY ? -EINVAL : set_cpus_allowed(task, mask);
	put_task_struct(task);
	return ret;
}

static long do_sched_getaffinity(pid_t pid, unsigned int size, u64 *user_mask)
{
	struct task_struct *task;
	u64 mask;

	if (size < sizeof(mask) || size % sizeof(mask))
		return -EINVAL;
	task = get_task(pid);
	if (!task)
		return -ESRCH;
	mask = READ_ONCE(task->cpus_mask) & (BIT(nr_cpus) - 1);
	put_task_struct(task);
	return put_user(mask, user_mask) ? -EFAULT : (long)sizeof(mask);
}

static long do_getcpu(unsigned int *user_cpu, unsigned int *user_node)
{
	if ((user_cpu && put_user(smp_processor_id(), user_cpu)) ||
	    (user_node && put_user(0, user_node)))
		return -EFAULT;
	return 0;
}

struct timespec {
	long tv_sec, tv_nsec;
};

/* Only the end of the sleeper's process ends a sleep early, so nobody asks how much was left. */
static long do_nanosleep(const struct timespec *user_wanted)
{
	struct timespec t;

	if (get_user(t, user_wanted))
		return -EFAULT;
	if (t.tv_sec < 0 || t.tv_nsec < 0 || t.tv_nsec >= 1000000000)
		return -EINVAL;
	return sleep_ns(t.tv_sec > 1000000000 ? ~0UL : t.tv_sec * 1000000000UL + t.tv_nsec);
}

/* --- The machine --- */

#define REBOOT_RESTART		0x01234567
#define REBOOT_POWER_OFF	0x4321fedc
#define REBOOT_HALT		0xcdef0123

/* The magic numbers guard against a stray call. */
static long do_reboot(unsigned int magic1, unsigned int magic2, unsigned int command)
{
	if (magic1 != 0xfee1dead || (magic2 != 0x28121969 && magic2 != 0x05121996 &&
				     magic2 != 0x16041998 && magic2 != 0x20112000))
		return -EINVAL;
	switch (command) {
	case REBOOT_RESTART:
		pr_info("reboot: Restarting system");
		machine_restart();
	case REBOOT_POWER_OFF:
		pr_info("reboot: Power down");
		machine_exit(EXIT_BYTE_PASS);
	case REBOOT_HALT:
		machine_halt();
	}
	return -EINVAL;
}

/* --- The table: a call's number, its name, and what it does with the registers --- */

#define EXIT_STATUS(status) (((status) & 0xff) << 8)

#define SYSCALLS(CALL)										\
	CALL(0, read, do_read_write(false, regs->di, (char *)regs->si, regs->dx))		\
	CALL(1, write, do_read_write(true, regs->di, (char *)regs->si, regs->dx))		\
	CALL(3, close, do_close(regs->di))							\
	CALL(9, mmap, do_mmap(regs))								\
	CALL(10, mprotect, do_mprotect(regs->di, regs->si, regs->dx))				\
	CALL(11, munmap, mm_munmap(current->mm, regs->di, regs->si))				\
	CALL(12, brk, mm_brk(current->mm, regs->di))						\
	CALL(16, ioctl, do_ioctl(regs->di, regs->si, (void *)regs->dx))				\
	CALL(22, pipe, do_pipe((int *)regs->di))						\
	CALL(24, sched_yield, (do_sched_yield(), 0))						\
	CALL(33, dup2, do_dup2(regs->di, regs->si))						\
	CALL(35, nanosleep, do_nanosleep((const struct timespec *)regs->di))			\
	CALL(39, getpid, current->tgid)								\
	CALL(56, clone, do_clone(regs))								\
	CALL(57, fork, kernel_clone(&(struct kernel_clone_args){ .flags = 0 }))			\
	CALL(58, vfork,										\
	     kernel_clone(&(struct kernel_clone_args){ .flags = CLONE_VFORK | CLONE_VM }))	\
	CALL(59, execve, do_execve((const char *)regs->di, (const char *const *)regs->si,	\
			      (const char *const *)regs->dx))					\
	CALL(60, exit, (do_exit(EXIT_STATUS(regs->di)), 0))					\
	CALL(61, wait4, do_wait4(regs->di, (int *)regs->si, regs->dx))				\
	CALL(110, getppid, do_getppid())							\
	CALL(144, sched_setscheduler, do_sched_setscheduler(regs->di, regs->si,			\
					       (const int *)regs->dx))				\
	CALL(145, sched_getscheduler, do_sched_getscheduler(regs->di))				\
	CALL(158, arch_prctl, do_arch_prctl(regs->di, regs->si))				\
	CALL(169, reboot, do_reboot(regs->di, regs->si, regs->dx))				\
	CALL(186, gettid, current->pid)								\
	CALL(203, sched_setaffinity, do_sched_setaffinity(regs->di, regs->si,			\
					      (const u64 *)regs->dx))				\
	CALL(204, sched_getaffinity, do_sched_getaffinity(regs->di, regs->si, (u64 *)regs->dx))	\
	CALL(231, exit_group, (do_group_exit(EXIT_STATUS(regs->di)), 0))			\
	CALL(309, getcpu, do_getcpu((unsigned int *)regs->di, (unsigned int *)regs->si))

#define FUNCTION(nr, name, call) static long sys_##name(struct pt_regs *regs) { return call; }
SYSCALLS(FUNCTION)

#define ENTRY(nr, name, call) [nr] = sys_##name,
static long (*const syscall_table[])(struct pt_regs *regs) = { SYSCALLS(ENTRY) };

/* The number is 32 bits wide, as in Linux. */
long do_syscall(unsigned int nr, struct pt_regs *regs)
{
	if (nr < ARRAY_SIZE(syscall_table) && syscall_table[nr])
		return syscall_table[nr](regs);
	return nr > 1000 ? do_splat_call(nr, regs) : -ENOSYS;
}
