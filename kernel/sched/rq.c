// SPDX-License-Identifier: MIT
/*
 * The run queue: a list for each priority and a bitmap of those that are not empty. Adding,
 * removing and picking cost the same however many tasks there are. The running task stays in its
 * list.
 */
#include "kernel/sched/sched.h"
#include "kernel/panic.h"

struct rq runqueues[NR_CPUS];

/* All SCHED_OTHER tasks share the last level. */
static unsigned int level_of(const struct task_struct *task)
{
	return rt_prio(task->prio) ? (unsigned int)task->prio : MAX_RT_PRIO;
}

void rq_init(struct rq *rq)
{
	rq->cpu = rq - runqueues;
	for (int i = 0; i < PRIO_LEVELS; i++)
		INIT_LIST_HEAD(&rq->queue[i]);
}

void rq_enqueue(struct rq *rq, struct task_struct *task, bool at_head)
{
	unsigned int level = level_of(task);

	BUG_ON(task->on_rq == QUEUED);
	if (at_head)
		list_add(&task->run_node, &rq->queue[level]);
	else
		list_add_tail(&task->run_node, &rq->queue[level]);
	rq->bitmap[level / 64] |= BIT(level % 64);
	rq->nr_running++;
	task->on_rq = QUEUED;
}

/* Before task->prio changes: it says which list the task is in. */
void rq_dequeue(struct rq *rq, struct task_struct *task)
{
	unsigned int level = level_of(task);

	BUG_ON(task->on_rq != QUEUED);
	list_del(&task->run_node);
	if (list_empty(&rq->queue[level]))
		rq->bitmap[level / 64] &= ~BIT(level % 64);
	rq->nr_running--;
	task->on_rq = NOT_QUEUED;
}

struct task_struct *rq_pick(struct rq *rq)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(rq->bitmap); i++) {
		if (rq->bitmap[i]) {
			unsigned int level = 64 * i + __builtin_ctzl(rq->bitmap[i]);

			return list_first_entry(&rq->queue[level], struct task_struct, run_node);
		}
	}
	return rq->idle;
}

int rq_top_prio(const struct rq *rq)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(rq->bitmap); i++) {
		u64 levels = READ_ONCE(rq->bitmap[i]);

		if (levels) {
			int level = 64 * i + __builtin_ctzl(levels);

			return level < MAX_RT_PRIO ? level : DEFAULT_PRIO;
		}
	}
	return IDLE_PRIO;
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

struct task_struct *rq_find_waiting(struct rq *rq, unsigned int cpu)
{
	struct task_struct *task;

	for (unsigned int level = 0; level < PRIO_LEVELS; level++)
		list_for_each_entry(task, &rq->queue[level], run_node)
			if (task != rq->curr && cpu_allowed(task, cpu))
				return task;
	return NULL;
}
