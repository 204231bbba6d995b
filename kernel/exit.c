// SPDX-License-Identifier: MIT
/*
 * do_exit() gives back what the task itself can give back, tells the family, and switches away for
 * ever. The stack and the task_struct go when the last reference does, after that switch.
 *
 * The leader of a group stays as a zombie until its threads are gone too, and is then seen by the
 * parent's wait4().
 */
#include "kernel/exit.h"
#include "arch/x86/cpu/power.h"
#include "arch/x86/cpu/smp.h"
#include "arch/x86/mm/uaccess.h"
#include "arch/x86/process.h"
#include "kernel/files/files.h"
#include "kernel/fork.h"
#include "kernel/locking/assert.h"
#include "kernel/pid.h"
#include "kernel/preempt/might_sleep.h"
#include "kernel/sched/sched.h"
#include "kernel/vm/mm.h"
#include "lib/errno.h"
#include "lib/printk.h"

void mm_release(struct task_struct *task)
{
	if (task->clear_child_tid && task->mm && READ_ONCE(task->mm->mm_users) > 1)
		/* No futex to wake: a task that joins a thread looks at the word. */
		put_user(0, task->clear_child_tid);
	task->clear_child_tid = NULL;
	if (READ_ONCE(task->vfork_done)) {
		spin_lock(&tasklist_lock);
		if (task->vfork_done)			/* else the parent was killed */
			complete(task->vfork_done);
		task->vfork_done = NULL;
		spin_unlock(&tasklist_lock);
	}
}

/* Take @task out of every list, and hide it from pid look-ups. tasklist_lock held. */
static void unlink_task(struct task_struct *task)
{
	assert_spin_held(&tasklist_lock);
	list_del_init(&task->thread_node);
	list_del_init(&task->sibling);
	set_pid(task->pid, NULL);
	task->exit_state = EXIT_DEAD;
}

/* tasklist_lock held. */
static bool group_is_dead(struct task_struct *leader)
{
	assert_spin_held(&tasklist_lock);
	return leader->exit_state == EXIT_ZOMBIE && leader->signal->nr_threads == 0;
}

/* Children get another parent, which may find some of them dead already. tasklist_lock held. */
static void reparent_children(struct task_struct *from, struct task_struct *to)
{
	struct task_struct *child, *next;
	bool zombies = false;

	assert_spin_held(&tasklist_lock);
	list_for_each_entry_safe(child, next, &from->children, sibling) {
		child->real_parent = to;
		list_move_tail(&child->sibling, &to->children);
		zombies |= group_is_dead(child);
	}
	if (zombies)
		wake_up_all(&to->signal->wait_chldexit);
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

/* Tell the tasks that wait. Threads reap themselves, and so do kernel threads. */
static void exit_notify(void)
{
	struct signal_struct *signal = current->signal;
	struct task_struct *leader = current->group_leader;
	bool self_reap = current != leader || (current->flags & PF_KTHREAD);

	spin_lock(&tasklist_lock);
	if (!--signal->nr_threads) {
		if (current->tgid == 1)
			init_exited(signal);
		reparent_children(leader, find_task_by_pid(1));	/* pid 1 waits for any */
	}
	if (self_reap)
		unlink_task(current);
	else
		/* The reference is for wait4(), which drops it. */
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
	mm_release(task);
	mmput(exchange_current_mm(NULL));
	exit_thread();
	exit_notify();

	do_task_dead();
}

/* Make every thread of the group but @but see TIF_SIGPENDING. tasklist_lock held. */
static void zap_threads(struct signal_struct *signal, const struct task_struct *but, int code)
{
	struct task_struct *t;

	assert_spin_held(&tasklist_lock);
	signal->group_exit = true;
	signal->group_exit_code = code;
	list_for_each_entry(t, &signal->threads, thread_node) {
		if (t == but || t->exit_state)
			continue;
		set_tsk_thread_flag(t, TIF_SIGPENDING);
		wake_up_state(t, TASK_INTERRUPTIBLE | TASK_WAKEKILL);
		smp_send_reschedule(READ_ONCE(t->cpu));	/* if it is in ring 3 there, it looks */
	}
}

/* Returns false if another task has already begun to end the group. */
static bool zap_other_threads(int code)
{
	bool first;

	spin_lock(&tasklist_lock);
	first = !current->signal->group_exit;
	if (first)
		zap_threads(current->signal, current, code);
	spin_unlock(&tasklist_lock);
	return first;
}

void kill_process(struct task_struct *task, int code)
{
	assert_spin_held(&tasklist_lock);
	zap_threads(task->signal, NULL, code);
}

void do_group_exit(int code)
{
	zap_other_threads(code);
	do_exit(current->signal->group_exit_code);
}

/* --- exec --- */

/*
 * Another thread was the leader: take its pid, its place among the parent's children, and its
 * children.
 */
static void take_over_leadership(struct task_struct *old) __must_hold(tasklist_lock)
{
	assert_spin_held(&tasklist_lock);
	set_pid(current->pid, NULL);
	current->pid = old->pid;
	set_pid(old->pid, current);
	list_add(&current->sibling, &old->sibling);
	list_del_init(&old->sibling);
	reparent_children(old, current);
	current->real_parent = old->real_parent;
	current->group_leader = current;
	list_del_init(&old->thread_node);
	old->exit_state = EXIT_DEAD;
	put_task_struct(old);
}

int de_thread(void)
{
	struct signal_struct *signal = current->signal;

	if (current->group_leader == current && signal->nr_threads == 1)
		return 0;
	if (!zap_other_threads(0))
		return -EINTR;
	wait_event_state(&signal->wait_chldexit, TASK_KILLABLE,
			 READ_ONCE(signal->nr_threads) == 1);

	spin_lock(&tasklist_lock);
	if (signal_pending(current)) {		/* kill_process(): exec goes no further */
		spin_unlock(&tasklist_lock);
		return -EINTR;
	}
	if (current->group_leader != current)
		take_over_leadership(current->group_leader);
	signal->group_exit = false;
	spin_unlock(&tasklist_lock);
	return 0;
}

/* --- wait4 --- */

/* A child that has ended; 0: there is none yet; -ECHILD: none to wait for. */
static pid_t try_reap(pid_t pid, int *status)
{
	struct task_struct *child;
	pid_t ret = -ECHILD;

	spin_lock(&tasklist_lock);
	list_for_each_entry(child, &current->group_leader->children, sibling) {
		if (pid > 0 && child->pid != pid)
			continue;
		ret = 0;
		if (!group_is_dead(child))
			continue;
		ret = child->pid;
		*status = child->signal->group_exit ? child->signal->group_exit_code
						    : child->exit_code;
		unlink_task(child);
		put_task_struct(child);
		break;
	}
	spin_unlock(&tasklist_lock);
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
	 * tasklist_lock may block in there. It keeps our state, which is what saved_state is for.
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
