/* SPDX-License-Identifier: MIT */
/*
 * Waits that only a fatal exit of the group may end: each ends then, and by nothing less; what it
 * waited for may come later, and finds nobody.
 */
#include "arch/x86/mm/uaccess.h"
#include "kernel/exec.h"
#include "kernel/exit.h"
#include "kernel/files/files.h"
#include "kernel/fork.h"
#include "kernel/pid.h"
#include "kernel/preempt/might_sleep.h"
#include "kernel/sched/sched.h"
#include "kernel/vm/mm.h"
#include "tests/kernel/many_threads.h"

KTEST_SUITE(killable);

/* As a fatal exit of its group does it. */
static bool kill(struct task_struct *task)
{
	set_tsk_thread_flag(task, TIF_SIGPENDING);
	return wake_up_state(task, TASK_INTERRUPTIBLE | TASK_WAKEKILL);
}

/* --- Completions --- */

static struct completion event;

static void await_event(struct thread *self)
{
	self->result = wait_for_completion_killable(&event);
	log_mark(self->mark);
	clear_thread_flag(TIF_SIGPENDING);
}

/* fails with: fault/killable-is-not-killed */
KTEST(a_killable_wait_ends_when_killed)
{
	RUN_AS_FIFO(10);

	init_completion(&event);
	make_many(kt, 2, await_event);
	thread_start(&threads[0], 20);
	thread_start(&threads[1], 20);
	if (!threads[0].task || !threads[1].task)
		return;
	KEXPECT_EQ(task_state(threads[0].task), TASK_KILLABLE);
	KEXPECT(!wake_up_state(threads[0].task, TASK_INTERRUPTIBLE));
	EXPECT_LOG("");
	KEXPECT(kill(threads[0].task));
	EXPECT_LOG("a");
	KEXPECT_EQ(threads[0].result, -EINTR);
	complete(&event);			/* goes to the one who is there */
	EXPECT_LOG("ab");
	KEXPECT_EQ(threads[1].result, 0);
	end_many(2);
}

/* --- Mutexes --- */

static mutex_t mutex = MUTEX_INIT;

static void lock_it(struct thread *self)
{
	self->result = mutex_lock_killable(&mutex);
	log_mark(self->mark);
	if (!self->result)
		mutex_unlock(&mutex);
	clear_thread_flag(TIF_SIGPENDING);
}

/* fails with: fault/mutex-waiter-is-deaf */
KTEST(a_killed_waiter_leaves_the_mutex)
{
	RUN_AS_FIFO(10);

	make_many(kt, 2, lock_it);
	mutex_lock(&mutex);
	thread_start(&threads[0], 30);
	thread_start(&threads[1], 20);
	if (!threads[0].task || !threads[1].task)
		goto out;
	KEXPECT_EQ(task_state(threads[0].task), TASK_KILLABLE);
	KEXPECT_EQ(current->prio, PRIO_OF(30));
	KEXPECT(kill(threads[0].task));
	do_sched_yield();			/* we run at its priority */
	EXPECT_LOG("a");
	KEXPECT_EQ(threads[0].result, -EINTR);
	KEXPECT_EQ(current->prio, PRIO_OF(20));		/* its loan went with it */
	mutex_unlock(&mutex);
	EXPECT_LOG("ab");
	KEXPECT_EQ(threads[1].result, 0);
	KEXPECT(!rt_mutex_owner(&mutex.rtmutex));
	end_many(2);
	return;
out:
	mutex_unlock(&mutex);
	end_many(2);
}

/*
 * The owner lets go and wakes the first; killed before it runs, it takes the lock all the same. If
 * it left, the second would sleep on at a free lock.
 */
KTEST(who_was_woken_for_the_mutex_takes_it)
{
	RUN_AS_FIFO(10);

	make_many(kt, 2, lock_it);
	mutex_lock(&mutex);
	thread_start(&threads[0], 0);
	await_blocked(kt, &threads[0], &mutex.rtmutex);
	thread_start(&threads[1], 0);
	await_blocked(kt, &threads[1], &mutex.rtmutex);
	set_own_fifo(10);
	mutex_unlock(&mutex);
	if (threads[0].task)
		kill(threads[0].task);
	EXPECT_LOG("");
	end_many(1);
	EXPECT_LOG("a");
	KEXPECT_EQ(threads[0].result, 0);
	thread_end(&threads[1]);
	EXPECT_LOG("ab");
	KEXPECT_EQ(threads[1].result, 0);
}

/* Nobody holds it: nothing to wait for, and nothing to be killed in. */
KTEST(a_free_mutex_is_taken_though_killed)
{
	set_thread_flag(TIF_SIGPENDING);
	KEXPECT_EQ(mutex_lock_killable(&mutex), 0);
	mutex_unlock(&mutex);
	clear_thread_flag(TIF_SIGPENDING);
}

/* --- vfork --- */

static struct task_struct *vfork_child;

static int live_on(void *arg)
{
	wait_for_completion(&event);
	return 0;
}

static void vfork_it(struct thread *self)
{
	self->result = kernel_clone(&(struct kernel_clone_args){
		.flags = CLONE_VFORK, .fn = live_on, .kthread = true, .name = "vforked" });
	log_mark(self->mark);
	clear_thread_flag(TIF_SIGPENDING);
}

static struct task_struct *find_vforked(void)
{
	struct task_struct *found = NULL;

	spin_lock(&tasklist_lock);
	for (pid_t pid = 1; pid < PID_MAX; pid++) {
		struct task_struct *task = find_task_by_pid(pid);

		if (task && task->vfork_done)
			found = get_task_struct(task);
	}
	spin_unlock(&tasklist_lock);
	return found;
}

/* fails with: fault/vfork-cannot-be-killed; a child that writes to the old stack is a panic */
KTEST(a_killed_parent_takes_its_stack_along)
{
	RUN_AS_FIFO(10);

	init_completion(&event);
	make_many(kt, 1, vfork_it);
	thread_start(&threads[0], 20);
	vfork_child = find_vforked();
	KEXPECT(vfork_child);
	if (!vfork_child || !threads[0].task)
		return;
	KEXPECT_EQ(task_state(threads[0].task), TASK_KILLABLE);
	EXPECT_LOG("");
	kill(threads[0].task);
	EXPECT_LOG("a");
	KEXPECT_EQ(threads[0].result, vfork_child->pid);
	KEXPECT_EQ(vfork_child->vfork_done, NULL);	/* it lay on the parent's stack */
	end_many(1);
	complete(&event);
	KEXPECT(vfork_child->exit_state);
	KEXPECT_EQ(vfork_child->usage, 1);
	put_task_struct(vfork_child);
}

/* And one that is not killed goes on when the child ends, and keeps no reference. */
KTEST(a_parent_waits_for_its_child_of_vfork)
{
	RUN_AS_FIFO(10);

	init_completion(&event);
	make_many(kt, 1, vfork_it);
	thread_start(&threads[0], 20);
	vfork_child = find_vforked();
	EXPECT_LOG("");
	complete(&event);
	EXPECT_LOG("a");
	end_many(1);
	KEXPECT(vfork_child);
	if (!vfork_child)
		return;
	KEXPECT_EQ(vfork_child->usage, 1);
	put_task_struct(vfork_child);
}

/* --- exec waits for its threads, and one of them does not come --- */

static bool thread_may_go;
static struct wait_queue_head thread_goes = WAIT_QUEUE_HEAD_INIT(thread_goes);
static pid_t execing;

static int sleep_deaf(void *arg)
{
	wait_event_state(&thread_goes, TASK_UNINTERRUPTIBLE, READ_ONCE(thread_may_go));
	do_exit(0);
}

static int exec_among_threads(void *arg)
{
	static const char *const argv[] = { "/bin/echo", NULL };

	kernel_clone(&(struct kernel_clone_args){
		.flags = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM | CLONE_FILES,
		.fn = sleep_deaf, .name = "deaf" });
	kernel_execve("/bin/echo", argv, argv + 1);
	do_group_exit(0);
}

/* fails with: fault/exec-cannot-be-killed */
KTEST(exec_that_waits_for_a_thread_can_be_killed)
{
	struct task_struct *task;
	int status = 0;

	thread_may_go = false;
	execing = kernel_clone(&(struct kernel_clone_args){
		.fn = exec_among_threads, .name = "execing" });
	KEXPECT(execing > 0);
	spin_lock(&tasklist_lock);
	task = get_task_struct(find_task_by_pid(execing));
	spin_unlock(&tasklist_lock);
	for (int i = 0; i < 1000 && (task_state(task) != TASK_KILLABLE || task->on_rq); i++)
		do_sched_yield();
	KEXPECT_EQ(task_state(task), TASK_KILLABLE);
	spin_lock(&tasklist_lock);
	kill_process(task, SIGKILL);
	spin_unlock(&tasklist_lock);
	for (int i = 0; i < 1000 && !READ_ONCE(task->exit_state); i++)
		do_sched_yield();
	KEXPECT_EQ(task->exit_state, EXIT_ZOMBIE);	/* although the thread is still there */
	put_task_struct(task);
	WRITE_ONCE(thread_may_go, true);
	wake_up_all(&thread_goes);
	KEXPECT_EQ(do_wait(execing, &status, 0), execing);
	KEXPECT_EQ(status, SIGKILL);
}

/* --- Writes that never have to wait --- */

/* fails with: fault/console-write-goes-on, fault/pipe-write-goes-on */
KTEST(writes_end_though_they_need_not_wait)
{
	long at = mm_mmap(current->mm, 0, PAGE_SIZE, VM_READ | VM_WRITE, false);
	char *buf = (char *)at;
	int fds[2] = { -1, -1 };

	KEXPECT_EQ(do_pipe((int *)buf), 0);
	KEXPECT_EQ(copy_from_user(fds, buf, sizeof(fds)), 0);
	set_thread_flag(TIF_SIGPENDING);
	KEXPECT_EQ(do_read_write(true, 1, buf, 1), -EINTR);
	KEXPECT_EQ(do_read_write(true, fds[1], buf, 1), -EINTR);
	KEXPECT_EQ(do_read_write(false, fds[0], buf, 1), -EINTR);
	clear_thread_flag(TIF_SIGPENDING);
	KEXPECT_EQ(do_read_write(true, fds[1], buf, 7), 7);
	KEXPECT_EQ(do_read_write(false, fds[0], buf, 100), 7);
	KEXPECT_EQ(do_close(fds[0]), 0);
	KEXPECT_EQ(do_close(fds[1]), 0);
	KEXPECT_EQ(mm_munmap(current->mm, at, PAGE_SIZE), 0);
}
