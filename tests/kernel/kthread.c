/* SPDX-License-Identifier: MIT */
/*
 * Kernel threads from birth to death: one that ends gives everything back and is not found any
 * more, and one that cannot be made leaves nothing behind.
 */
#include "kernel/fork.h"
#include "kernel/mm/pages.h"
#include "kernel/pid.h"
#include "kernel/policy.h"
#include "kernel/sched/sched.h"
#include "lib/errno.h"
#include "tests/kernel/many_threads.h"
#include "tests/kernel/watch.h"

KTEST_SUITE(kthread);

#define ALIVE_MAX	10

static struct thread many[ALIVE_MAX];
static int nr_ran;

static void count_turn(struct thread *self)
{
	nr_ran++;
}

static void a_hundred_threads(struct ktest_run *kt, int alive_at_once)
{
	for (int i = 0; i < 100; i += alive_at_once) {
		for (int k = 0; k < alive_at_once; k++)
			thread_make(kt, &many[k], count_turn, NULL, "short");
		for (int k = 0; k < alive_at_once; k++) {
			thread_start(&many[k], 0);
			thread_end(&many[k]);
		}
	}
}

/* fails with: finish_task_switch() not dropping the dead task's reference */
KTEST(threads_give_everything_back)
{
	RUN_AS_FIFO(10);
	u64 before;

	nr_ran = 0;
	a_hundred_threads(kt, 10);		/* stacks stay mapped for the next ones */
	before = nr_free_pages();
	nr_ran = 0;
	a_hundred_threads(kt, 10);
	KEXPECT_EQ(nr_ran, 100);
	nr_ran = 0;
	a_hundred_threads(kt, 1);
	KEXPECT_EQ(nr_ran, 100);
	KEXPECT_EQ(nr_free_pages(), before);
}

/* fails with: exit_notify() not taking the dead thread's pid out of the table */
KTEST(a_dead_thread_is_not_found)
{
	RUN_AS_FIFO(10);
	struct task_struct *found;
	pid_t pid;

	make_many(kt, 1, mark);
	if (!threads[0].task)
		return;
	pid = threads[0].task->pid;
	spin_lock(&tasklist_lock);
	found = find_task_by_pid(pid);
	spin_unlock(&tasklist_lock);
	KEXPECT_EQ(found, threads[0].task);
	KEXPECT(threads[0].task->flags & PF_KTHREAD);
	KEXPECT_EQ(threads[0].task->mm, NULL);
	thread_start(&threads[0], 20);
	EXPECT_LOG("a");
	KEXPECT_EQ(task_state(threads[0].task), TASK_DEAD);
	KEXPECT_EQ(threads[0].task->exit_state, EXIT_DEAD);
	KEXPECT(!threads[0].task->on_rq);
	spin_lock(&tasklist_lock);
	found = find_task_by_pid(pid);
	spin_unlock(&tasklist_lock);
	KEXPECT_EQ(found, NULL);
	end_many(1);
}

static int do_nothing(void *unused)
{
	return 0;
}

/* fails with: dup_task_struct() not looking at what kmalloc() returned */
KTEST(no_memory_for_a_thread_is_an_error)
{
	RUN_AS_FIFO(10);
	struct task_struct *task = NULL;
	u64 before = nr_free_pages();

	/* The stack comes from those that earlier tests left. Stop when there is enough memory. */
	for (int nr = 1; nr <= 20; nr++) {
		fail_nth_alloc(nr);
		task = kthread_create(do_nothing, NULL, "nothing");
		fail_nth_alloc(0);
		if (!IS_ERR(task))
			break;
		KEXPECT_EQ(PTR_ERR(task), -ENOMEM);
		KEXPECT_EQ(nr_free_pages(), before);
	}
	KEXPECT(!IS_ERR(task));
	if (IS_ERR(task))
		return;
	sched_setscheduler(task, SCHED_FIFO, 20);
	KEXPECT_EQ(task_state(task), TASK_DEAD);
	put_task_struct(task);
	KEXPECT_EQ(nr_free_pages(), before);
}

static struct task_struct *dying;
static unsigned int deaths;

/* A waker that saw an older state writes RUNNING under pi_lock; and no preemption until the end. */
static bool it_dies_under_pi_lock(const struct pt_regs *regs)
{
	if (current != dying || task_state(current) != TASK_DEAD)
		return true;
	deaths++;
	return raw_spin_is_held(&current->pi_lock) && preempt_count() == 2;
}

/* fails with: fault/dead-while-somebody-wakes; do_task_dead() with preemption on */
KTEST(the_last_state_is_set_under_pi_lock)
{
	struct watch watch = { .name = "the state", .half = true, .rule = it_dies_under_pi_lock };
	RUN_AS_FIFO(10);

	make_many(kt, 1, mark);
	dying = threads[0].task;
	if (!dying)
		return;
	deaths = 0;
	watch.at = &dying->__state;
	watch_start(&watch, 1);
	thread_start(&threads[0], 20);
	watch_end(kt);
	KEXPECT_EQ(deaths, 1);
	end_many(1);
}

/* fails with: fault/a-child-shares-its-parents-slice */
KTEST(a_child_has_a_slice_of_its_own)
{
	int slice = current->time_slice;
	RUN_AS_FIFO(10);

	current->time_slice = 1;		/* of a FIFO task: nobody counts it */
	make_many(kt, 1, mark);
	current->time_slice = slice;
	if (threads[0].task)
		KEXPECT_EQ(threads[0].task->time_slice, SLICE_TICKS);
	thread_start(&threads[0], 20);
	end_many(1);
}
