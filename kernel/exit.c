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

/* Out of every list, and gone for those who look up pids. tasklist_lock held. */
static void unlink_task(struct task_struct *task)
{
	list_del_init(&task->thread_node);
	list_del_init(&task->sibling);
	set_pid(task->pid, NULL);
	task->exit_state = EXIT_DEAD;
}

static bool group_is_dead(struct task_struct *leader)
{
	return leader->exit_state == EXIT_ZOMBIE && leader->signal->nr_threads == 0;
}

/* Children get another parent, which may have to wait for some at once. tasklist_lock held. */
static void reparent_children(struct task_struct *from, struct task_struct *to)
{
	struct task_struct *child, *next;
	bool zombies = false;

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
		reparent_children(leader, find_task_by_pid(1));	/* which waits for any */
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

/* False: somebody is at it already. */
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
}

int de_thread(void)
{
	struct signal_struct *signal = current->signal;
	struct task_struct *old_leader = NULL;

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
	if (current->group_leader != current) {
		old_leader = current->group_leader;
		take_over_leadership(old_leader);
	}
	signal->group_exit = false;
	spin_unlock(&tasklist_lock);
	if (old_leader)
		put_task_struct(old_leader);
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
