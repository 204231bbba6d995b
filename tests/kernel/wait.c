/* SPDX-License-Identifier: MIT */
/*
 * Completions and wait queues: a sleeper goes on when what it waits for is there, not before, and
 * no wake-up is lost. Orders are read from the log of marks (threads.h).
 */
#include "kernel/locking/wait.h"
#include "kernel/preempt/might_sleep.h"
#include "kernel/sched/sched.h"
#include "lib/errno.h"
#include "tests/kernel/many_threads.h"

KTEST_SUITE(wait);

/* --- Completions --- */

static struct completion event;

static void await_event(struct thread *self)
{
	wait_for_completion(&event);
	log_mark(self->mark);
}

/* fails with: complete() waking without counting */
KTEST(a_completion_remembers)
{
	init_completion(&event);
	complete(&event);
	complete(&event);
	KEXPECT_EQ(event.done, 2);
	if (event.done != 2)
		return;			/* else we would wait for ourselves */
	wait_for_completion(&event);
	KEXPECT_EQ(wait_for_completion_interruptible(&event), 0);
	KEXPECT_EQ(event.done, 0);
	KEXPECT(list_empty(&event.wait.waiters));
	KEXPECT_EQ(task_state(current), TASK_RUNNING);
}

/* fails with: complete() waking all who wait, or the last one */
KTEST(each_complete_lets_one_go)
{
	RUN_AS_FIFO(10);

	init_completion(&event);
	make_many(kt, 3, await_event);
	for (int i = 0; i < 3; i++)
		thread_start(&threads[i], 20);
	EXPECT_LOG("");
	complete(&event);
	EXPECT_LOG("a");		/* first come, first served */
	complete(&event);
	complete(&event);
	EXPECT_LOG("abc");
	KEXPECT_EQ(event.done, 0);
	KEXPECT(list_empty(&event.wait.waiters));
	end_many(3);
}

/* fails with: wait_for_completion() taking a wake-up for the event */
KTEST(a_stray_wake_up_does_not_complete)
{
	RUN_AS_FIFO(10);

	init_completion(&event);
	make_many(kt, 1, await_event);
	thread_start(&threads[0], 20);
	if (threads[0].task)
		KEXPECT(wake_up_process(threads[0].task));
	EXPECT_LOG("");
	if (threads[0].task)
		KEXPECT_EQ(task_state(threads[0].task), TASK_UNINTERRUPTIBLE);
	complete(&event);
	EXPECT_LOG("a");
	end_many(1);
}

static void await_event_interruptibly(struct thread *self)
{
	self->result = wait_for_completion_interruptible(&event);
	log_mark(self->mark);
	clear_thread_flag(TIF_SIGPENDING);
}

/*
 * fails with: prepare_to_wait() not looking for a signal, or finish_wait() leaving the entry in the
 * queue
 */
KTEST(an_exit_of_the_group_interrupts)
{
	RUN_AS_FIFO(10);

	init_completion(&event);
	make_many(kt, 2, await_event_interruptibly);
	thread_start(&threads[0], 20);
	if (threads[0].task) {
		set_tsk_thread_flag(threads[0].task, TIF_SIGPENDING);
		KEXPECT(wake_up_state(threads[0].task, TASK_INTERRUPTIBLE));
	}
	EXPECT_LOG("a");
	KEXPECT_EQ(threads[0].result, -EINTR);
	KEXPECT(list_empty(&event.wait.waiters));
	/* A signal that was there before, and the event too: the event counts. */
	complete(&event);
	if (threads[1].task)
		set_tsk_thread_flag(threads[1].task, TIF_SIGPENDING);
	thread_start(&threads[1], 20);
	EXPECT_LOG("ab");
	KEXPECT_EQ(threads[1].result, 0);
	end_many(2);
}

/* --- Wait queues --- */

static struct wait_queue_head queue;
static bool condition;

static void await_condition(struct thread *self)
{
	self->result = wait_event_interruptible(&queue, READ_ONCE(condition));
	log_mark(self->mark);
	clear_thread_flag(TIF_SIGPENDING);
}

static void queue_up(struct ktest_run *kt, int count)
{
	init_waitqueue_head(&queue);
	condition = false;
	make_many(kt, count, await_condition);
	for (int i = 0; i < count; i++)
		thread_start(&threads[i], 20);
	EXPECT_LOG("");
}

/* fails with: wake_up_all() waking the first only */
KTEST(wake_up_all_wakes_all)
{
	RUN_AS_FIFO(10);

	queue_up(kt, 3);
	condition = true;
	wake_up_all(&queue);
	EXPECT_LOG("abc");
	KEXPECT(list_empty(&queue.waiters));
	end_many(3);
}

/* fails with: wait_event_interruptible() taking a wake-up for the condition */
KTEST(the_condition_decides)
{
	RUN_AS_FIFO(10);

	queue_up(kt, 1);
	wake_up_all(&queue);
	EXPECT_LOG("");
	KEXPECT(!list_empty(&queue.waiters));	/* it queued up again */
	condition = true;
	wake_up_all(&queue);
	EXPECT_LOG("a");
	end_many(1);
	KEXPECT_EQ(wait_event_interruptible(&queue, true), 0);
	KEXPECT(list_empty(&queue.waiters));
	KEXPECT_EQ(task_state(current), TASK_RUNNING);
}

static void sleep_after_a_wake_up(struct thread *self)
{
	struct wait_queue_entry entry = { .task = current };

	INIT_LIST_HEAD(&entry.node);
	self->result = prepare_to_wait(&queue, &entry, TASK_UNINTERRUPTIBLE);
	wake_up_all(&queue);			/* comes in the gap before schedule() */
	self->seen = task_state(current);
	schedule();
	log_mark(self->mark);
	finish_wait(&queue, &entry);
}

/* fails with: wake_up_state() leaving a running task's state alone */
KTEST(a_wake_up_before_schedule_is_not_lost)
{
	RUN_AS_FIFO(10);

	init_waitqueue_head(&queue);
	make_many(kt, 1, sleep_after_a_wake_up);
	thread_start(&threads[0], 20);
	EXPECT_LOG("a");
	KEXPECT_EQ(threads[0].result, 0);
	KEXPECT_EQ(threads[0].seen, TASK_RUNNING);
	if (threads[0].task && !threads[0].done)
		wake_up_process(threads[0].task);
	end_many(1);
}

static void be_preempted_in_the_gap(struct thread *self)
{
	struct wait_queue_entry entry = { .task = current };

	INIT_LIST_HEAD(&entry.node);
	prepare_to_wait(&queue, &entry, TASK_UNINTERRUPTIBLE);
	thread_start(self + 1, 30);		/* more urgent: preempts us in this state */
	log_mark(self->mark);
	schedule();
	log_mark(self->mark + 'A' - 'a');
	finish_wait(&queue, &entry);
}

/* fails with: __schedule() going by the state although the task is preempted */
KTEST(preemption_is_no_sleep)
{
	RUN_AS_FIFO(10);

	init_waitqueue_head(&queue);
	make_many(kt, 2, mark);
	threads[0].fn = be_preempted_in_the_gap;
	thread_start(&threads[0], 20);
	EXPECT_LOG("ba");
	wake_up_all(&queue);
	EXPECT_LOG("baA");
	end_many(2);
}

/* fails with: prepare_to_wait() queueing a task that is being killed */
KTEST(a_killed_waiter_leaves_the_queue)
{
	RUN_AS_FIFO(10);

	queue_up(kt, 2);
	if (threads[0].task) {
		set_tsk_thread_flag(threads[0].task, TIF_SIGPENDING);
		KEXPECT(wake_up_state(threads[0].task, TASK_INTERRUPTIBLE));
	}
	EXPECT_LOG("a");
	KEXPECT_EQ(threads[0].result, -EINTR);
	KEXPECT(queue.waiters.next->next == &queue.waiters);	/* one is left */
	condition = true;
	wake_up_all(&queue);
	EXPECT_LOG("ab");
	KEXPECT_EQ(threads[1].result, 0);
	end_many(2);
}

/* fails with: wake_up_state() saying true for a task that does not sleep */
KTEST(waking_the_waking_says_no)
{
	KEXPECT(!wake_up_process(current));
	KEXPECT(!wake_up_state(current, TASK_NORMAL | TASK_RTLOCK_WAIT));
	KEXPECT_EQ(task_state(current), TASK_RUNNING);
}

static void await_event_though_killed(struct thread *self)
{
	set_thread_flag(TIF_SIGPENDING);
	await_event(self);
	clear_thread_flag(TIF_SIGPENDING);
}

/* What cannot be interrupted is waited for. fails with: fault/any-wait-can-be-killed */
KTEST(an_uninterruptible_wait_is_not_killed)
{
	RUN_AS_FIFO(10);

	init_completion(&event);
	make_many(kt, 1, await_event_though_killed);
	thread_start(&threads[0], 20);
	for (int i = 0; i < 2 && threads[0].task; i++) {
		EXPECT_LOG("");
		KEXPECT_EQ(task_state(threads[0].task), TASK_UNINTERRUPTIBLE);
		KEXPECT(!threads[0].task->on_rq);
		wake_up_process(threads[0].task);
	}
	complete(&event);
	EXPECT_LOG("a");
	end_many(1);
}
