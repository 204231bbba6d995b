// SPDX-License-Identifier: MIT
/*
 * Changing how urgent a task is of itself. It may wait for a lock: then its place there, and what
 * the lock's owner inherits, change as well. So this stands above the locks, the rest of the
 * scheduler below.
 */
#include "kernel/sched/sched.h"
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
