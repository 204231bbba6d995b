/* SPDX-License-Identifier: MIT */
/*
 * The scheduler, wait queues, and what a thread's end gives back. Orders are read from the log of
 * marks (threads.h); nothing is measured in time.
 */
#include "kernel/sched/sched.h"
#include "kernel/fork.h"
#include "kernel/might_sleep.h"
#include "kernel/mm/pages.h"
#include "kernel/sched/wait.h"
#include "kernel/time.h"
#include "lib/errno.h"
#include "tests/kernel/threads.h"

KTEST_SUITE(sched);

static struct thread threads[8];

static void mark(struct thread *self)
{
	log_mark(self->mark);
}

static void make_many(struct ktest_run *kt, int count, void (*fn)(struct thread *self))
{
	for (int i = 0; i < count; i++)
		thread_make(kt, &threads[i], fn, NULL, (char[2]){ 'a' + i });
	log_clear();
}

static void end_many(int count)
{
	for (int i = 0; i < count; i++)
		thread_end(&threads[i]);
}

/* --- Who runs --- */

/* fails with: rq_pick() taking the last level that is not empty */
KTEST(the_most_urgent_runs_first)
{
	static const int fifo[] = { 20, 25, 15, 98, 1, 64 };
	RUN_AS_FIFO(10);

	make_many(kt, 6, mark);
	set_own_fifo(98);
	for (int i = 0; i < 6; i++)
		thread_start(&threads[i], fifo[i]);
	EXPECT_LOG("");
	set_own_fifo(2);
	EXPECT_LOG("dfbac");
	set_own_fifo(0);		/* even FIFO 1 comes before SCHED_OTHER */
	EXPECT_LOG("dfbace");
	end_many(6);
}

/* fails with: rq_enqueue() adding new tasks at the head */
KTEST(equals_run_in_the_order_of_arrival)
{
	RUN_AS_FIFO(10);

	make_many(kt, 5, mark);
	set_own_fifo(30);
	for (int i = 4; i >= 0; i--)
		thread_start(&threads[i], 20);
	set_own_fifo(10);
	EXPECT_LOG("edcba");
	end_many(5);
}

/* fails with: activate_task() without check_preempt_curr() */
KTEST(a_wake_up_of_the_more_urgent_preempts)
{
	RUN_AS_FIFO(10);
	u64 preemptions;

	make_many(kt, 3, mark);
	for (int i = 0; i < 3; i++)
		thread_set_fifo(&threads[i], 9 + i);	/* less, equally and more urgent */
	do_sched_yield();
	set_own_fifo(8);				/* now all wait for the word */
	set_own_fifo(10);
	preemptions = this_cpu()->rq->nr_preemptions;
	for (int i = 0; i < 3; i++) {
		complete(&threads[i].go);
		log_mark('1' + i);
	}
	EXPECT_LOG("12c3");
	KEXPECT_EQ(this_cpu()->rq->nr_preemptions - preemptions, 1);
	do_sched_yield();
	EXPECT_LOG("12c3b");
	set_own_fifo(8);
	EXPECT_LOG("12c3ba");
	end_many(3);
}

static void mark_and_yield(struct thread *self)
{
	for (int i = 0; i < 3; i++) {
		log_mark(self->mark);
		do_sched_yield();
	}
}

/* fails with: do_sched_yield() putting current back at the head */
KTEST(yield_rotates_equals)
{
	RUN_AS_FIFO(10);

	make_many(kt, 4, mark_and_yield);
	set_own_fifo(30);
	for (int i = 0; i < 3; i++)
		thread_start(&threads[i], 20);
	thread_start(&threads[3], 15);		/* below: not invited */
	set_own_fifo(10);
	EXPECT_LOG("abcabcabcddd");
	end_many(4);
}

static void wake_the_next(struct thread *self)
{
	log_mark(self->mark);
	thread_start(self + 2, 25);		/* more urgent than both */
	log_mark(self->mark);
}

/* fails with: __schedule() putting a preempted task at the tail of its level */
KTEST(the_preempted_goes_on_before_its_equals)
{
	RUN_AS_FIFO(10);

	make_many(kt, 4, mark);
	threads[0].fn = threads[1].fn = wake_the_next;
	set_own_fifo(30);
	thread_start(&threads[0], 20);
	thread_start(&threads[1], 20);
	set_own_fifo(10);
	EXPECT_LOG("acabdb");
	end_many(4);
}

/* fails with: set_prio() not asking for a reschedule when current gets less urgent */
KTEST(changing_a_priority_takes_effect_at_once)
{
	RUN_AS_FIFO(10);

	make_many(kt, 3, mark);
	thread_start(&threads[0], 5);
	thread_start(&threads[1], 5);
	log_mark('1');
	thread_set_fifo(&threads[1], 11);
	log_mark('2');
	set_own_fifo(4);
	log_mark('3');
	KEXPECT_EQ(current->prio, PRIO_OF(4));
	thread_start(&threads[2], 0);
	thread_set_fifo(&threads[2], 99);
	EXPECT_LOG("1b2a3c");
	end_many(3);
}

/* fails with: sched_setscheduler() taking any numbers */
KTEST(setscheduler_checks_its_arguments)
{
	int policy = current->policy, prio = current->prio;

	KEXPECT_EQ(sched_setscheduler(current, SCHED_FIFO, 0), -EINVAL);
	KEXPECT_EQ(sched_setscheduler(current, SCHED_FIFO, 100), -EINVAL);
	KEXPECT_EQ(sched_setscheduler(current, SCHED_FIFO, -1), -EINVAL);
	KEXPECT_EQ(sched_setscheduler(current, SCHED_OTHER, 1), -EINVAL);
	KEXPECT_EQ(sched_setscheduler(current, 2, 0), -EINVAL);
	KEXPECT_EQ(current->policy, policy);
	KEXPECT_EQ(current->prio, prio);
	{
		RUN_AS_FIFO(99);
		KEXPECT_EQ(current->prio, 0);
	}
	{
		RUN_AS_FIFO(1);
		KEXPECT_EQ(current->prio, MAX_RT_PRIO - 2);
	}
	KEXPECT_EQ(current->policy, policy);
	KEXPECT_EQ(current->prio, prio);
}

#define MANY	200

static struct thread many[MANY];
static int order[MANY], nr_ordered;

static void note_turn(struct thread *self)
{
	order[nr_ordered++] = self - many;
}

static int fifo_of(int i)
{
	return 11 + i * 37 % 23;		/* 23 levels, each with 8 or 9 threads */
}

/* fails with: rq_dequeue() clearing the level's bit although more tasks are in it */
KTEST(two_hundred_threads_come_in_order)
{
	RUN_AS_FIFO(10);
	unsigned int running;

	nr_ordered = 0;
	for (int i = 0; i < MANY; i++)
		thread_make(kt, &many[i], note_turn, NULL, "many");
	set_own_fifo(60);
	running = this_cpu()->rq->nr_running;
	KEXPECT_GE(running, MANY + 1);
	for (int i = 0; i < MANY; i++)
		thread_start(&many[i], fifo_of(i));
	KEXPECT_EQ(this_cpu()->rq->nr_running, running);
	KEXPECT_EQ(nr_ordered, 0);
	set_own_fifo(10);
	KEXPECT_EQ(nr_ordered, MANY);
	KEXPECT_EQ(this_cpu()->rq->nr_running, running - MANY);
	for (int i = 1; i < nr_ordered; i++) {
		int before = order[i - 1], now = order[i];

		KEXPECT(fifo_of(before) > fifo_of(now) ||
			(fifo_of(before) == fifo_of(now) && before < now));
	}
	for (int i = 0; i < MANY; i++)
		thread_end(&many[i]);
}

/* --- SCHED_OTHER --- */

#define TICKS_MAX	100	/* only if slices do not work: then the test fails, and ends */

/* Set our flag, and do not stop before the other's is set. */
static void spin_for_the_other(struct thread *self)
{
	struct thread *peer = self->arg;
	u64 start = READ_ONCE(jiffies);

	WRITE_ONCE(self->seen, 1);
	while (!READ_ONCE(peer->seen) && READ_ONCE(jiffies) - start < TICKS_MAX)
		barrier();
	self->result = READ_ONCE(peer->seen);
}

/* fails with: scheduler_tick() not putting current at the end of its level */
KTEST(slices_share_the_cpu)
{
	make_many(kt, 2, spin_for_the_other);
	threads[0].arg = &threads[1];
	threads[1].arg = &threads[0];
	for (int i = 0; i < 2; i++)
		thread_start(&threads[i], 0);
	for (int i = 0; i < 1000 && !(threads[0].done && threads[1].done); i++)
		do_sched_yield();
	KEXPECT_EQ(threads[0].result, 1);
	KEXPECT_EQ(threads[1].result, 1);
	end_many(2);
}

/* --- Migration --- */

/* fails with: migrate_disable() counting each level in nr_pinned */
KTEST(migrate_disable_nests_and_is_counted)
{
	RUN_AS_FIFO(10);
	struct rq *rq = this_cpu()->rq;
	unsigned int before = rq->nr_pinned;
	spinlock_t lock = SPINLOCK_INIT;

	KEXPECT_EQ(current->migration_disabled, 0);
	migrate_disable();
	KEXPECT_EQ(rq->nr_pinned, before + 1);
	KEXPECT_EQ(preempt_count(), 0);
	migrate_disable();
	spin_lock(&lock);
	KEXPECT_EQ(rq->nr_pinned, before + 1);
	KEXPECT_EQ(current->migration_disabled, 3);
	spin_unlock(&lock);
	migrate_enable();
	KEXPECT_EQ(rq->nr_pinned, before + 1);
	migrate_enable();
	KEXPECT_EQ(rq->nr_pinned, before);
	KEXPECT_EQ(current->migration_disabled, 0);
	spin_lock(&lock);
	KEXPECT_EQ(rq->nr_pinned, before + 1);
	spin_unlock(&lock);
	KEXPECT_EQ(rq->nr_pinned, before);
}

/* --- Life and death --- */

static void a_hundred_threads(struct ktest_run *kt, int alive_at_once)
{
	for (int i = 0; i < 100; i += alive_at_once) {
		for (int k = 0; k < alive_at_once; k++)
			thread_make(kt, &many[k], note_turn, NULL, "short");
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

	nr_ordered = 0;
	a_hundred_threads(kt, 10);		/* stacks stay mapped for the next ones */
	before = nr_free_pages();
	nr_ordered = 0;
	a_hundred_threads(kt, 10);
	KEXPECT_EQ(nr_ordered, 100);
	nr_ordered = 0;
	a_hundred_threads(kt, 1);
	KEXPECT_EQ(nr_ordered, 100);
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

/* fails with: wait_for_common() taking a wake-up for the event */
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

/* fails with: wait_for_common() not looking for a signal, or leaving the entry in the queue */
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

/* fails with: wake_up_one() waking all, or leaving the woken entry in the queue */
KTEST(wake_up_one_wakes_the_first)
{
	RUN_AS_FIFO(10);

	queue_up(kt, 3);
	condition = true;
	wake_up_one(&queue);
	EXPECT_LOG("a");
	wake_up_one(&queue);
	EXPECT_LOG("ab");
	wake_up_one(&queue);
	wake_up_one(&queue);			/* nobody is left */
	EXPECT_LOG("abc");
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
	condition = true;
	wake_up_one(&queue);			/* goes to the one who is there */
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
