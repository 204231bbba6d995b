// SPDX-License-Identifier: MIT
/*
 * do_exit(): give back what can be given back by the task itself, tell the family, and switch away
 * for ever. The stack and the task_struct go when the last reference does, after that switch.
 *
 * The leader of a group stays as a zombie until its threads are gone too, and is then seen by the
 * parent's wait4().
 */
#include "kernel/exit.h"
#include "arch/x86/cpu/smp.h"
#include "arch/x86/cpu/power.h"
#include "arch/x86/process.h"
#include "kernel/files.h"
#include "kernel/fork.h"
#include "kernel/might_sleep.h"
#include "kernel/mm/mm.h"
#include "kernel/sched/sched.h"
#include "lib/errno.h"
#include "lib/printk.h"

static void exit_mm(void)
{
	mm_release(current);
	mmput(exchange_current_mm(NULL));
}

/* Out of every list, and gone for those who look up pids. tasklist_lock held. */
static void unlink_task(struct task_struct *task)
{
	list_del_init(&task->thread_node);
	list_del_init(&task->sibling);
	release_pid(task);
	task->exit_state = EXIT_DEAD;
}

static bool group_is_dead(struct task_struct *leader)
{
	return leader->exit_state == EXIT_ZOMBIE && leader->signal->nr_threads == 0;
}

/* Children go to init, which waits for any child. tasklist_lock held. */
static void reparent_children(struct task_struct *leader)
{
	struct task_struct *init = find_task_by_pid(1), *child, *next;
	bool zombies = false;

	list_for_each_entry_safe(child, next, &leader->children, sibling) {
		child->real_parent = init;
		list_move_tail(&child->sibling, &init->children);
		zombies |= group_is_dead(child);
	}
	if (zombies)
		wake_up_all(&init->signal->wait_chldexit);
}

/* pid 1 is the point of it all: when it ends, the machine does, with a verdict. */
static void __noreturn init_exited(struct signal_struct *signal)
{
	int code = signal->group_exit ? signal->group_exit_code : current->exit_code;

	if (code & 0x7f)
		panic("init was killed by signal %d", code & 0x7f);
	pr_info("init exited with status %d", code >> 8);
	machine_exit(code ? EXIT_BYTE_FAIL : EXIT_BYTE_PASS);
}

/* Tell who waits. Threads reap themselves, and so do kernel threads. */
static void exit_notify(void)
{
	struct signal_struct *signal = current->signal;
	struct task_struct *leader = current->group_leader;
	bool self_reap = current != leader || (current->flags & PF_KTHREAD);

	spin_lock(&tasklist_lock);
	if (!--signal->nr_threads) {
		if (current->tgid == 1)
			init_exited(signal);
		reparent_children(leader);
	}
	if (self_reap)
		unlink_task(current);
	else
		/* For wait4(), which drops it. */
		get_task_struct(current)->exit_state = EXIT_ZOMBIE;
	if (group_is_dead(leader))
		wake_up_all(&leader->real_parent->signal->wait_chldexit);
	wake_up_all(&signal->wait_chldexit);		/* exec in de_thread() */
	spin_unlock(&tasklist_lock);
}

void do_exit(int code)
{
	struct task_struct *task = current;

	BUG_ON(in_hardirq());
	if (unlikely(in_atomic())) {
		pr_err("%s[%d] exited with preempt_count %d", task->comm, task->pid,
		       preempt_count());
		preempt_count_set(0);
	}
	task->exit_code = code;
	exit_files(task);
	exit_mm();
	exit_thread();
	exit_notify();

	do_task_dead();
}

/* Make every other thread of the group see TIF_SIGPENDING. tasklist_lock held. */
static void zap_other_threads(void)
{
	struct task_struct *t;

	list_for_each_entry(t, &current->signal->threads, thread_node) {
		if (t == current || t->exit_state)
			continue;
		set_tsk_thread_flag(t, TIF_SIGPENDING);
		wake_up_state(t, TASK_INTERRUPTIBLE);
		smp_send_reschedule(READ_ONCE(t->cpu));	/* if it is in ring 3 there, it looks */
	}
}

void do_group_exit(int code)
{
	struct signal_struct *signal = current->signal;

	spin_lock(&tasklist_lock);
	if (signal->group_exit) {
		code = signal->group_exit_code;
	} else {
		signal->group_exit = true;
		signal->group_exit_code = code;
		zap_other_threads();
	}
	spin_unlock(&tasklist_lock);
	do_exit(code);
}

void do_group_exit_pending(void)
{
	do_exit(current->signal->group_exit_code);
}

/* --- exec --- */

/*
 * Another thread was the leader: take its pid, its place among the parent's children, and its
 * children.
 */
static void take_over_leadership(struct task_struct *old) __must_hold(tasklist_lock)
{
	struct task_struct *child, *next;

	release_pid(current);
	current->pid = old->pid;
	set_pid(current);
	list_add(&current->sibling, &old->sibling);
	list_del_init(&old->sibling);
	list_for_each_entry_safe(child, next, &old->children, sibling) {
		child->real_parent = current;
		list_move_tail(&child->sibling, &current->children);
	}
	current->real_parent = old->real_parent;
	current->group_leader = current;
	list_del_init(&old->thread_node);
	old->exit_state = EXIT_DEAD;
}

int de_thread(void)
{
	struct signal_struct *signal = current->signal;
	struct task_struct *old_leader = NULL;

	if (current->group_leader == current && signal->nr_threads == 1)
		return 0;
	spin_lock(&tasklist_lock);
	if (signal->group_exit) {
		spin_unlock(&tasklist_lock);
		return -EINTR;
	}
	signal->group_exit = true;
	signal->group_exit_code = 0;
	zap_other_threads();
	spin_unlock(&tasklist_lock);

	wait_event_state(&signal->wait_chldexit, TASK_UNINTERRUPTIBLE,
			 READ_ONCE(signal->nr_threads) == 1);

	spin_lock(&tasklist_lock);
	if (current->group_leader != current) {
		old_leader = current->group_leader;
		take_over_leadership(old_leader);
	}
	signal->group_exit = false;
	clear_thread_flag(TIF_SIGPENDING);
	spin_unlock(&tasklist_lock);
	if (old_leader)
		put_task_struct(old_leader);
	return 0;
}

/* --- wait4 --- */

/* Find a child that has ended, or learn that there is none to wait for. tasklist_lock held. */
static struct task_struct *find_dead_child(pid_t pid, bool *any)
{
	struct task_struct *child;

	*any = false;
	list_for_each_entry(child, &current->group_leader->children, sibling) {
		if (pid > 0 && child->pid != pid)
			continue;
		*any = true;
		if (group_is_dead(child))
			return child;
	}
	return NULL;
}

static pid_t try_reap(pid_t pid, int *status)
{
	struct task_struct *child;
	bool any;
	pid_t ret;

	spin_lock(&tasklist_lock);
	child = find_dead_child(pid, &any);
	if (child) {
		ret = child->pid;
		*status = child->signal->group_exit ? child->signal->group_exit_code
						    : child->exit_code;
		unlink_task(child);
	} else {
		ret = any ? 0 : -ECHILD;
	}
	spin_unlock(&tasklist_lock);
	if (child)
		put_task_struct(child);
	return ret;
}

long do_wait(pid_t pid, int *status, int options)
{
	long reaped = 0;
	int ret;

	/* Process groups do not exist here: any child will do, or one by number. */
	if ((options & ~WNOHANG) || (pid < -1) || pid == 0)
		return -EINVAL;
	/*
	 * tasklist_lock may block in there: it keeps our state, which is what saved_state is for.
	 */
	ret = wait_event_interruptible(&current->signal->wait_chldexit,
				       (reaped = try_reap(pid, status)) || (options & WNOHANG));
	return ret ? ret : reaped;
}

/* From ret_from_fork: a kernel thread's function is done, or a ring-3 task is ready to go. */
void kernel_function_returned(int ret)
{
	if (current->flags & PF_KTHREAD)
		do_exit(ret << 8);
	if (ret)
		panic("%s[%d] could not become a ring-3 task: %d", current->comm, current->pid,
		      ret);
}
