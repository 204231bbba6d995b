// SPDX-License-Identifier: MIT
/*
 * What others may want of a task: how urgent it is of itself, and where it may run. It may wait for
 * a lock: then its place there, and what the lock's owner inherits, change as well; and to see it
 * leave a CPU may take a while. So this stands above the locks, the rest of the scheduler below.
 */
#include "kernel/sched/sched.h"
#include "arch/x86/percpu.h"
#include "kernel/might_sleep.h"
#include "kernel/time.h"
#include "lib/errno.h"

int sched_setscheduler(struct task_struct *task, int policy, int rt_priority) __no_lock_analysis
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
 * Give @task its mask. One that waits where it may not, or not only, is to be placed anew; where it
 * runs, schedule() sees it off. pi_lock held.
 */
static void change_mask(struct task_struct *task, u64 mask) __no_lock_analysis
{
	struct rq *rq = task_rq_lock(task);
	bool waits = task->on_rq == QUEUED && task != rq->curr;

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
		push_waiting(rq);			/* whom curr may make room for now */
}

int set_cpus_allowed(struct task_struct *task, u64 mask) __no_lock_analysis
{
	unsigned long flags;

	might_sleep();
	mask &= BIT(nr_cpus) - 1;
	if (!mask)
		return -EINVAL;
	flags = raw_spin_lock_irqsave(&task->pi_lock);
	change_mask(task, mask);
	/*
	 * Current leaves here, where preemption is on again; who runs elsewhere, at its next
	 * switch.
	 */
	raw_spin_unlock_irqrestore(&task->pi_lock, flags);
	while (READ_ONCE(task->on_rq) && !cpu_allowed(task, READ_ONCE(task->cpu)) &&
	       READ_ONCE(task->cpus_mask) == mask && !sleep_ns(1))
		;				/* who is being killed need not see it */
	return 0;
}
