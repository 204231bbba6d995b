// SPDX-License-Identifier: MIT
/*
 * The run queue: a list for each priority and a bitmap of those that are not empty. Adding,
 * removing and picking cost the same however many tasks there are. The running task stays in its
 * list.
 *
 * Another CPU that looks for work must not have to search those lists for a waiting task that may
 * go there. So each waiting task also stands in one more such array for each CPU where it may run.
 */
#include "kernel/sched/sched.h"
#include "arch/x86/cpu/smp.h"
#include "kernel/preempt/assert.h"
#include "kernel/report/panic.h"
#include "kernel/report/trace.h"

struct rq runqueues[NR_CPUS];

/* All SCHED_OTHER tasks share the last level. */
static __always_inline unsigned int level_of(const struct task_struct *task)
{
	return rt_prio(task->prio) ? (unsigned int)task->prio : MAX_RT_PRIO;
}

/* --- Arrays --- */

static __always_inline void array_add(struct prio_array *array, unsigned int level,
				      struct list_head *node, bool at_head)
{
	if (at_head)
		list_add(node, &array->queue[level]);
	else
		list_add_tail(node, &array->queue[level]);
	array->bitmap[level / 64] |= BIT(level % 64);
}

static __always_inline void array_del(struct prio_array *array, unsigned int level,
				      struct list_head *node)
{
	list_del(node);
	if (list_empty(&array->queue[level]))
		array->bitmap[level / 64] &= ~BIT(level % 64);
}

/* The most urgent level that is not empty, or PRIO_LEVELS. */
static __always_inline unsigned int array_first(const struct prio_array *array)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(array->bitmap); i++) {
		u64 levels = READ_ONCE(array->bitmap[i]);

		if (levels)
			return 64 * i + __builtin_ctzl(levels);
	}
	return PRIO_LEVELS;
}

static int array_prio(const struct prio_array *array)
{
	unsigned int level = array_first(array);

	return level < MAX_RT_PRIO ? (int)level : level < PRIO_LEVELS ? DEFAULT_PRIO : IDLE_PRIO;
}

/* --- The queue --- */

void rq_init(struct rq *rq)
{
	rq->cpu = rq - runqueues;
	rq->curr_prio = IDLE_PRIO;
	for (int i = 0; i < PRIO_LEVELS; i++) {
		INIT_LIST_HEAD(&rq->tasks.queue[i]);
		for (int cpu = 0; cpu < NR_CPUS; cpu++)
			INIT_LIST_HEAD(&rq->waiting[cpu].queue[i]);
	}
}

void rq_start_waiting(struct rq *rq, struct task_struct *task)
{
	u64 cpus = BIT(rq->cpu);

	assert_held(&rq->lock);
	if (!task->migration_disabled)
		cpus |= task->cpus_mask & (BIT(nr_cpus) - 1);
	task->waits_for = cpus;
	for (; cpus; cpus &= cpus - 1) {
		int cpu = __builtin_ctzl(cpus);

		array_add(&rq->waiting[cpu], level_of(task), &task->wait_node[cpu], false);
	}
}

void rq_stop_waiting(struct rq *rq, struct task_struct *task)
{
	u64 cpus = task->waits_for;

	assert_held(&rq->lock);
	for (; cpus; cpus &= cpus - 1) {
		int cpu = __builtin_ctzl(cpus);

		array_del(&rq->waiting[cpu], level_of(task), &task->wait_node[cpu]);
	}
	task->waits_for = 0;
}

void rq_enqueue(struct rq *rq, struct task_struct *task, bool at_head)
{
	assert_held(&rq->lock);
	BUG_ON(task->on_rq == QUEUED);
	array_add(&rq->tasks, level_of(task), &task->run_node, at_head);
	rq->nr_running++;
	task->on_rq = QUEUED;
	if (nr_cpus > 1 && task != rq->curr)
		rq_start_waiting(rq, task);
}

/* Call this before task->prio changes, because prio says which list the task is in. */
void rq_dequeue(struct rq *rq, struct task_struct *task)
{
	assert_held(&rq->lock);
	BUG_ON(task->on_rq != QUEUED);
	if (task->waits_for)
		rq_stop_waiting(rq, task);
	array_del(&rq->tasks, level_of(task), &task->run_node);
	rq->nr_running--;
	task->on_rq = NOT_QUEUED;
}

struct task_struct *rq_pick(struct rq *rq)
{
	unsigned int level = array_first(&rq->tasks);

	assert_held(&rq->lock);
	if (level == PRIO_LEVELS)
		return rq->idle;
	return list_first_entry(&rq->tasks.queue[level], struct task_struct, run_node);
}

struct task_struct *rq_first_waiting(struct rq *rq, unsigned int cpu)
{
	struct prio_array *waiting = &rq->waiting[cpu];
	unsigned int level = array_first(waiting);
	struct list_head *first;

	assert_held(&rq->lock);
	if (level == PRIO_LEVELS)
		return NULL;
	first = waiting->queue[level].next;
	return container_of(first - cpu, struct task_struct, wait_node[0]);
}

int rq_top_prio(const struct rq *rq)
{
	return array_prio(&rq->tasks);
}

int rq_waiting_prio(const struct rq *rq, unsigned int cpu)
{
	return array_prio(&rq->waiting[cpu]);
}

void rq_publish_curr(struct rq *rq)
{
	assert_held(&rq->lock);
	WRITE_ONCE(rq->curr_prio, rq->curr == rq->idle ? IDLE_PRIO : rq->curr->prio);
	WRITE_ONCE(rq->curr_cpus, rq->curr->cpus_mask);
}

struct rq *task_rq_lock(struct task_struct *task) __no_lock_analysis
{
	for (;;) {
		struct rq *rq = cpu_rq(READ_ONCE(task->cpu));

		raw_spin_lock(&rq->lock);
		if (likely(rq->cpu == READ_ONCE(task->cpu)))
			return rq;
		raw_spin_unlock(&rq->lock);
	}
}

/* --- Asking for a reschedule --- */

void resched_curr(struct rq *rq)
{
	assert_held(&rq->lock);
	if (test_tsk_thread_flag(rq->curr, TIF_NEED_RESCHED))
		return;
	set_tsk_thread_flag(rq->curr, TIF_NEED_RESCHED);
	if (rq->cpu == smp_processor_id())
		set_preempt_need_resched();
	else
		smp_send_reschedule(rq->cpu);	/* that CPU folds the flag into its count */
}

void check_preempt_curr(struct rq *rq, struct task_struct *task)
{
	assert_held(&rq->lock);
	if (rq->curr == rq->idle || task->prio < rq->curr->prio)
		resched_curr(rq);
}

void activate_task(struct rq *rq, struct task_struct *task)
{
	rq->nr_migrations += task->cpu != rq->cpu;
	if (task->cpu != rq->cpu)
		trace(sched_migrate, task->pid, rq->cpu);
	WRITE_ONCE(task->cpu, rq->cpu);
	rq_enqueue(rq, task, false);
	check_preempt_curr(rq, task);
}
