// SPDX-License-Identifier: MIT
/*
 * What others may want of a task: how urgent it is on its own, and where it may run. If the task
 * waits for a lock, its place in the queue and the owner's loan change, too. Waiting for the task
 * to leave a CPU may sleep. So this file stands above the locks, and the rest of the scheduler
 * below them.
 */
#include "kernel/policy.h"
#include "arch/x86/cpu/percpu.h"
#include "kernel/preempt/assert.h"
#include "kernel/preempt/might_sleep.h"
#include "kernel/time/tick.h"
#include "lib/errno.h"

int sched_setscheduler(struct task_struct *task, int policy, int rt_priority)
{
	unsigned long flags;

	if (policy == SCHED_FIFO ? rt_priority < 1 || rt_priority > MAX_RT_PRIO - 1
				 : policy != SCHED_OTHER || rt_priority)
		return -EINVAL;
	flags = raw_spin_lock_irqsave(&task->pi_lock);
	task->policy = policy;
	task->rt_priority = rt_priority;
	task->normal_prio = policy == SCHED_FIFO ? MAX_RT_PRIO - 1 - rt_priority : DEFAULT_PRIO;
	rt_mutex_setprio(task, rt_mutex_top_task(task));
	raw_spin_unlock_irqrestore(&task->pi_lock, flags);
	rt_mutex_adjust_pi(task);
	return 0;
}

/*
 * Give @task its mask. If it waits where it may not run, or not only there, it is placed anew. If
 * it runs where it may not, schedule() sends it away. pi_lock held. No analysis: see
 * task_rq_lock().
 */
static void change_mask(struct task_struct *task, u64 mask) __no_lock_analysis
{
	struct rq *rq = task_rq_lock(task);
	bool waits = task->on_rq == QUEUED && task != rq->curr;

	assert_held(&task->pi_lock);
	if (waits)
		rq_dequeue(rq, task);
	__atomic_store_n(&task->cpus_mask, mask, __ATOMIC_SEQ_CST);	/* see migrate_enable() */
	if (task == rq->curr && !cpu_allowed(task, rq->cpu))
		resched_curr(rq);
	rq_publish_curr(rq);
	raw_spin_unlock(&rq->lock);
	if (waits)
		place_task(task);
	else
		push_waiting(rq);			/* curr may make room for a task now */
}

int set_cpus_allowed(struct task_struct *task, u64 mask)
{
	unsigned long flags;

	might_sleep();
	mask &= BIT(nr_cpus) - 1;
	if (!mask)
		return -EINVAL;
	flags = raw_spin_lock_irqsave(&task->pi_lock);
	change_mask(task, mask);
	/*
	 * Current moves here, with preemption on again. A task on another CPU moves at its next
	 * switch.
	 */
	raw_spin_unlock_irqrestore(&task->pi_lock, flags);
	while (READ_ONCE(task->on_rq) && !cpu_allowed(task, READ_ONCE(task->cpu)) &&
	       READ_ONCE(task->cpus_mask) == mask && !sleep_ns(1))
		;				/* a task being killed need not see it */
	return 0;
}
