// SPDX-License-Identifier: MIT
/*
 * kernel_clone() -> copy_process() -> copy_thread() -> fpu_clone(): how a task comes to be.
 *
 * Order matters twice. Everything that can fail is done before the child is visible to others. And
 * copy_thread() is called with no lock held and preempt_count 0, so the 1 that a splat shows is
 * fpregs_lock()'s own.
 */
#include "kernel/fork.h"
#include "arch/x86/fpu/core/xstate.h"
#include "arch/x86/mm/stack.h"
#include "arch/x86/mm/uaccess.h"
#include "arch/x86/process.h"
#include "kernel/files/files.h"
#include "kernel/mm/kmalloc.h"
#include "kernel/pid.h"
#include "kernel/preempt/might_sleep.h"
#include "kernel/report/trace.h"
#include "kernel/sched/sched.h"
#include "kernel/vm/mm.h"
#include "lib/options.h"
#include "lib/string.h"

/*
 * "siglock=raw": what if the siglock spun on PREEMPT_RT, too? Then the buggy order would be right,
 * and each holder of siglock would keep preemption off for as long as it holds the lock. `make
 * stat` has the numbers.
 */
static int siglock_raw;
BOOT_CHOICE(siglock, siglock_raw, false, "sleeping", "raw");

static struct sighand_struct init_sighand = { .siglock = SPINLOCK_INIT, .count = 1 };
static struct signal_struct init_signal = { .refs = 1, .nr_threads = 1 };
extern u8 boot_stack[];

struct task_struct init_task = {
	.stack = boot_stack, .flags = PF_KTHREAD | PF_IDLE, .comm = "swapper/0", .usage = 1,
	.group_leader = &init_task, .real_parent = &init_task,
	.signal = &init_signal, .sighand = &init_sighand,
	.prio = DEFAULT_PRIO, .normal_prio = DEFAULT_PRIO, .pi_waiters = RB_ROOT_CACHED,
	.thread_flags = BIT(TIF_NEED_FPU_LOAD), .thread.fpu.last_cpu = -1, .cpus_mask = ~0UL,
};

size_t task_struct_size(void)
{
	return offsetof(struct task_struct, thread.fpu.__fpstate.regs) +
	       fpu_kernel_cfg.default_size;
}

void fork_init(void)
{
	INIT_LIST_HEAD(&init_task.children);
	INIT_LIST_HEAD(&init_task.sibling);
	INIT_LIST_HEAD(&init_signal.threads);
	init_waitqueue_head(&init_signal.wait_chldexit);
	*(unsigned long *)init_task.stack = STACK_END_MAGIC;
}

/* --- What parent and child share or copy --- */

static int copy_mm(unsigned long flags, struct task_struct *child)
{
	struct mm_struct *mm = current->mm;

	if (!mm || (child->flags & PF_KTHREAD))
		return 0;
	if (flags & CLONE_VM) {
		mmget(mm);
	} else {
		mm = mm_dup(mm);
		if (IS_ERR(mm))
			return PTR_ERR(mm);
	}
	child->mm = child->active_mm = mm;
	return 0;
}

static struct sighand_struct *alloc_sighand(void)
{
	struct sighand_struct *sighand = kzalloc(sizeof(*sighand), GFP_KERNEL);

	if (sighand) {
		spin_lock_init(&sighand->siglock);
		sighand->siglock.spins = siglock_raw;
		sighand->count = 1;
	}
	return sighand;
}

static int copy_sighand(unsigned long flags, struct task_struct *child)
{
	if (flags & CLONE_SIGHAND) {
		__atomic_fetch_add(&current->sighand->count, 1, __ATOMIC_RELAXED);
		return 0;
	}
	child->sighand = alloc_sighand();
	return child->sighand ? 0 : -ENOMEM;
}

int unshare_sighand(void)
{
	struct sighand_struct *sighand, *old = current->sighand;

	/* Nobody but current could share it now. */
	if (__atomic_load_n(&old->count, __ATOMIC_ACQUIRE) == 1)
		return 0;
	sighand = alloc_sighand();
	if (!sighand)
		return -ENOMEM;
	current->sighand = sighand;
	put_sighand(old);
	return 0;
}

static int copy_signal(unsigned long flags, struct task_struct *child)
{
	struct signal_struct *signal;

	if (flags & CLONE_THREAD) {
		__atomic_fetch_add(&current->signal->refs, 1, __ATOMIC_RELAXED);
		return 0;
	}
	signal = child->signal = kzalloc(sizeof(*signal), GFP_KERNEL);
	if (!signal)
		return -ENOMEM;
	signal->refs = 1;
	INIT_LIST_HEAD(&signal->threads);
	init_waitqueue_head(&signal->wait_chldexit);
	init_completion(&signal->siglock_held);
	return 0;
}

/* --- Life of the task_struct --- */

/*
 * A copy of current with a stack of its own, or ERR_PTR. The FPU part starts as zeros, not as the
 * parent's stale image.
 */
static struct task_struct *dup_task_struct(void)
{
	struct task_struct *child = kmalloc(task_struct_size(), GFP_KERNEL | __GFP_ZERO);
	void *stack = child ? alloc_kernel_stack() : ERR_PTR(-ENOMEM);

	if (IS_ERR(stack)) {
		kfree(child);
		return stack;
	}
	memcpy(child, current, offsetof(struct task_struct, thread.fpu));
	child->stack = stack;
	child->usage = 1;
	return child;
}

/* --- Flags --- */

#define CLONE_SUPPORTED									\
	(CSIGNAL | CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_VFORK |		\
	 CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID |			\
	 CLONE_CHILD_CLEARTID | CLONE_DETACHED | CLONE_CHILD_SETTID)

static int check_flags(unsigned long flags)
{
	if (flags & ~CLONE_SUPPORTED)
		return -EINVAL;
	/* Threads share signal handlers, and handlers are addresses in shared memory. */
	if ((flags & CLONE_THREAD) && !(flags & CLONE_SIGHAND))
		return -EINVAL;
	if ((flags & CLONE_SIGHAND) && !(flags & CLONE_VM))
		return -EINVAL;
	return 0;
}

/* --- copy_process --- */

static void set_identity(struct task_struct *child, const struct kernel_clone_args *args)
{
	child->flags &= ~(PF_KTHREAD | PF_IDLE);
	if (args->kthread)
		child->flags |= PF_KTHREAD;
	if (args->name)
		strscpy(child->comm, args->name, TASK_COMM_LEN);
	clear_tsk_thread_flag(child, TIF_NEED_RESCHED);
	clear_tsk_thread_flag(child, TIF_SIGPENDING);
	child->set_child_tid = args->flags & CLONE_CHILD_SETTID ? args->child_tid : NULL;
	child->clear_child_tid = args->flags & CLONE_CHILD_CLEARTID ? args->child_tid : NULL;
	child->vfork_done = NULL;
	child->pid = 0;			/* none before link_child() */
	child->exit_code = child->exit_state = 0;
	INIT_LIST_HEAD(&child->children);
	INIT_LIST_HEAD(&child->sibling);
}

/* Link @child into the family and the pid table. From here on others can see it. */
static int link_child(struct task_struct *child, unsigned long flags)
{
	struct signal_struct *signal = child->signal;
	int ret;

	spin_lock(&tasklist_lock);
	/* A task that has been told to end leaves no child behind that has not. */
	ret = signal_pending(current) ? -EINTR : alloc_pid(child);
	if (ret)
		goto out;
	/* A thread keeps its maker's leader, tgid and parent. */
	if (!(flags & CLONE_THREAD)) {
		child->group_leader = child;
		child->tgid = child->pid;
		/*
		 * Nobody waits for a kernel thread, so it is no child of the process that happens
		 * to make it.
		 */
		child->real_parent = child->flags & PF_KTHREAD ? &init_task : current->group_leader;
		list_add_tail(&child->sibling, &child->real_parent->children);
	}
	list_add_tail(&child->thread_node, &signal->threads);
	signal->nr_threads++;
out:
	spin_unlock(&tasklist_lock);
	return ret;
}

static struct task_struct *copy_process(const struct kernel_clone_args *args)
{
	struct task_struct *child;
	int ret = check_flags(args->flags);

	if (ret)
		return ERR_PTR(ret);
	/* The last pages are for the tasks that exist already. */
	child = memory_is_short() ? ERR_PTR(-ENOMEM) : dup_task_struct();
	if (IS_ERR(child))
		return child;
	/* What is still the parent's must not be freed with the child if we fail. */
	if (!(args->flags & CLONE_SIGHAND))
		child->sighand = NULL;
	if (!(args->flags & CLONE_THREAD))
		child->signal = NULL;
	child->files = NULL;
	child->mm = child->active_mm = NULL;
	set_identity(child, args);
	sched_fork(child);

	/* In this order; the first error ends it. */
	trace(fork_step, copy_process, current->pid);
	ret = copy_sighand(args->flags, child) ?: copy_signal(args->flags, child) ?:
	      copy_files(args->flags, child) ?: copy_mm(args->flags, child) ?:
	      copy_thread(child, args) ?: link_child(child, args->flags);
	if (ret) {
		exit_files(child);
		mmput(child->mm);
		free_task(child);
		return ERR_PTR(ret);
	}
	trace(fork_step, link_child, child->pid);
	__atomic_fetch_add(&this_cpu()->rq->nr_forks, 1, __ATOMIC_RELAXED);
	return child;
}

/*
 * Wait until @child has left our memory, or we are killed. The completion lies on our stack, so if
 * killed, we take it away from the child, which looks for it under the same lock (mm_release()).
 */
static void wait_for_vfork_done(struct task_struct *child, struct completion *vfork)
{
	if (wait_for_completion_killable(vfork)) {
		spin_lock(&tasklist_lock);
		child->vfork_done = NULL;
		spin_unlock(&tasklist_lock);
	}
	put_task_struct(child);
}

pid_t kernel_clone(const struct kernel_clone_args *args)
{
	struct completion vfork;
	struct task_struct *child;
	pid_t pid;

	might_sleep();
	do {
		child = copy_process(args);
	} while (IS_ERR(child) && PTR_ERR(child) == -ENOMEM && out_of_memory());
	if (IS_ERR(child))
		return PTR_ERR(child);
	pid = child->pid;
	if (args->flags & CLONE_PARENT_SETTID)
		put_user(pid, args->parent_tid);	/* too late to fail: as in Linux, ignored */
	if (args->flags & CLONE_VFORK) {
		init_completion(&vfork);
		child->vfork_done = &vfork;
		get_task_struct(child);
	}
	wake_up_new_task(child);
	if (args->flags & CLONE_VFORK)
		wait_for_vfork_done(child, &vfork);
	return pid;
}

/* --- Tasks that start in the kernel --- */

struct task_struct *kthread_create(int (*fn)(void *arg), void *arg, const char *name)
{
	struct kernel_clone_args args = {
		.fn = fn, .fn_arg = arg, .kthread = true, .name = name,
	};
	struct task_struct *child = copy_process(&args);

	if (!IS_ERR(child)) {
		get_task_struct(child);
		wake_up_new_task(child);
	}
	return child;
}

struct task_struct *idle_create(unsigned int cpu)
{
	struct task_struct *idle = dup_task_struct();

	if (IS_ERR(idle))
		return NULL;
	sched_fork(idle);
	idle->__state = TASK_RUNNING;
	idle->thread.fpu.last_cpu = -1;
	/* It is in no process, because an idle task that goes must not take init_task's along. */
	idle->signal = NULL;
	idle->sighand = NULL;
	snprintf(idle->comm, TASK_COMM_LEN, "swapper/%u", cpu);
	return idle;
}

pid_t user_mode_thread(int (*fn)(void *arg), void *arg, const char *name)
{
	struct kernel_clone_args args = { .fn = fn, .fn_arg = arg, .name = name };

	return kernel_clone(&args);
}
