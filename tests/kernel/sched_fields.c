/* SPDX-License-Identifier: MIT */
/*
 * Fields of tasks and run queues, and the locks that guard them (kernel/sched/task.h): each time
 * that one of them is written while a thread lives its life, from wake-up to death. Looked at by
 * the CPU itself, see watch.h.
 */
#include "kernel/policy.h"
#include "lib/string.h"
#include "tests/kernel/many_threads.h"
#include "tests/kernel/watch.h"

KTEST_SUITE(sched_fields);

static struct completion event;
static struct task_struct *task;

static void live(struct thread *self)
{
	wait_for_completion(&event);
	do_sched_yield();
	migrate_disable();
	migrate_disable();
	migrate_enable();
	migrate_enable();
	log_mark(self->mark);
}

/* It is made, blocks, wakes while we are more urgent and while we are not, is moved, and dies. */
static void let_live(struct ktest_run *kt)
{
	thread_start(&threads[0], 20);
	set_own_fifo(30);
	complete(&event);
	thread_set_fifo(&threads[0], 25);
	thread_set_fifo(&threads[0], 15);
	set_cpus_allowed(task, task->cpus_mask);
	set_own_fifo(10);
	EXPECT_LOG("a");
}

static void watch_life(struct ktest_run *kt, struct watch *watches, unsigned int count)
{
	watch_start(watches, count);
	let_live(kt);
	watch_end(kt);
	end_many(1);
}

#define MAKE_TASK									\
	init_completion(&event);							\
	make_many(kt, 1, live);								\
	task = threads[0].task;								\
	if (!task)									\
		return

/* --- The rules --- */

static bool queue_locked(const struct pt_regs *regs)
{
	return raw_spin_is_held(&this_cpu()->rq->lock) && !(regs->flags & X86_EFLAGS_IF);
}

static bool queue_and_task_locked(const struct pt_regs *regs)
{
	return queue_locked(regs) && raw_spin_is_held(&task->pi_lock);
}

/* By itself; or by a waker, before it is queued: as soon as it is, it may run and set its own. */
static bool its_own_or_not_yet_queued(const struct pt_regs *regs)
{
	return current == task || (raw_spin_is_held(&task->pi_lock) &&
				   (!task->on_rq || raw_spin_is_held(&this_cpu()->rq->lock)));
}

/* 4 bytes that hold the byte at @flag. */
static const void *word_of(const bool *flag)
{
	return (const void *)((unsigned long)flag & ~3UL);
}

/*
 * Whose stack is in use is told before the queue's lock is released, and so before interrupts are
 * on: one that wakes the old task would wait for ever.
 * fails with: fault/off-the-cpu-too-late
 */
KTEST(who_runs_and_who_waits)
{
	RUN_AS_FIFO(10);
	MAKE_TASK;
	struct watch watches[] = {
		{ .at = &this_cpu()->rq->curr, .name = "curr", .rule = queue_locked },
		{ .at = &this_cpu()->rq->nr_running, .name = "nr_running", .half = true,
		  .rule = queue_locked },
		{ .at = &task->on_rq, .name = "on_rq", .half = true, .rule = queue_locked },
		{ .at = word_of(&task->on_cpu), .name = "on_cpu", .half = true,
		  .rule = queue_locked },
	};

	KEXPECT(current->on_cpu);
	watch_life(kt, watches, ARRAY_SIZE(watches));
}

/* fails with: fault/queued-and-then-awake, fault/mask-changed-unlocked */
KTEST(what_it_is_and_where_it_may_be)
{
	RUN_AS_FIFO(10);
	MAKE_TASK;
	struct watch watches[] = {
		{ .at = &task->prio, .name = "prio", .half = true, .rule = queue_and_task_locked },
		{ .at = &task->cpus_mask, .name = "cpus_mask", .rule = queue_and_task_locked },
		{ .at = &task->cpu, .name = "cpu", .half = true, .rule = queue_and_task_locked },
		{ .at = &task->__state, .name = "the state", .half = true,
		  .rule = its_own_or_not_yet_queued },
	};

	watch_life(kt, watches, ARRAY_SIZE(watches));
}

/* --- What a child begins with, whatever its parent is in the middle of --- */

/* fails with: fault/a-child-is-pinned-too, fault/a-child-is-a-reader-too, and more like them */
KTEST(a_child_begins_with_nothing)
{
	static struct task_struct child;
	RUN_AS_FIFO(10);

	memset(&child, 0x5a, sizeof(child));		/* the parent's, and whatever it did */
	sched_fork(&child);
	KEXPECT_EQ(child.__state, TASK_NEW);
	KEXPECT_EQ(child.saved_state, TASK_RUNNING);
	KEXPECT(!raw_spin_is_locked(&child.pi_lock));
	KEXPECT(rb_empty_cached(&child.pi_waiters));
	KEXPECT_EQ(rb_first_cached(&child.pi_waiters), NULL);
	KEXPECT_EQ(child.pi_blocked_on, NULL);
	KEXPECT_EQ(child.policy, SCHED_FIFO);
	KEXPECT_EQ(child.rt_priority, 10);
	KEXPECT_EQ(child.normal_prio, PRIO_OF(10));
	KEXPECT_EQ(child.prio, PRIO_OF(10));
	KEXPECT_EQ(child.on_rq, NOT_QUEUED);
	KEXPECT(!child.on_cpu);
	KEXPECT_EQ(child.cpu, smp_processor_id());
	KEXPECT_EQ(child.time_slice, SLICE_TICKS);
	KEXPECT_EQ(child.rcu_read_lock_nesting, 0);
	KEXPECT_EQ(child.migration_disabled, 0);
}
