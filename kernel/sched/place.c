// SPDX-License-Identifier: MIT
/*
 * Which CPU a task runs on.
 *
 * Chosen when it is made and when it wakes; changed when it is preempted though another CPU has
 * something less urgent to do, when its affinity forbids where it is, and when a CPU has nothing to
 * do and finds it waiting. A task that is on a CPU cannot be moved: it becomes MIGRATING in
 * schedule(), and whoever runs next there queues it elsewhere (place_task()).
 *
 * What is read of other CPUs without their locks may be old: a bad choice, never a wrong one.
 */
#include "arch/x86/percpu.h"
#include "kernel/sched/sched.h"

bool cpu_allowed(const struct task_struct *task, unsigned int cpu)
{
	if (READ_ONCE(task->migration_disabled))
		return cpu == task->cpu;
	return READ_ONCE(task->cpus_mask) & BIT(cpu);
}

static bool cpu_is_idle(unsigned int cpu)
{
	return !READ_ONCE(cpu_rq(cpu)->nr_running);
}

/*
 * The allowed CPU with the least urgent tasks, or NR_CPUS if none has only less urgent ones than
 * @task. Those that wait there count: what still runs will soon have made room for them.
 */
static unsigned int least_urgent_cpu(const struct task_struct *task)
{
	unsigned int best = NR_CPUS;
	int prio = task->prio;

	for (unsigned int cpu = 0; cpu < nr_cpus; cpu++) {
		int its = rq_top_prio(cpu_rq(cpu));

		if (cpu_allowed(task, cpu) && its > prio) {
			prio = its;
			best = cpu;
		}
	}
	return best;
}

/* The best CPU for @task, which is in no queue. */
static unsigned int select_task_rq(struct task_struct *task)
{
	unsigned int cpu = task->cpu;

	if (cpu_allowed(task, cpu) && (task->migration_disabled || cpu_is_idle(cpu)))
		return cpu;				/* its data may still be in the caches */
	for (unsigned int other = 0; other < nr_cpus; other++)
		if (cpu_allowed(task, other) && cpu_is_idle(other))
			return other;
	if (rt_prio(task->prio)) {
		unsigned int other = least_urgent_cpu(task);

		if (other < NR_CPUS)
			return other;
	}
	/* set_cpus_allowed() saw to it that there is one. */
	return cpu_allowed(task, cpu) ? cpu : (unsigned int)__builtin_ctzl(task->cpus_mask);
}

bool should_push(const struct task_struct *task)
{
	return nr_cpus > 1 && rt_prio(task->prio) && !task->migration_disabled &&
	       least_urgent_cpu(task) < NR_CPUS;
}

void place_task(struct task_struct *task) __no_lock_analysis
{
	struct rq *rq = cpu_rq(select_task_rq(task));

	raw_spin_lock(&rq->lock);
	activate_task(rq, task);
	raw_spin_unlock(&rq->lock);
}

void idle_pull(void) __no_lock_analysis
{
	struct rq *here = this_cpu()->rq;

	for (unsigned int i = 1; i < nr_cpus; i++) {
		struct rq *there = cpu_rq((here->cpu + i) % nr_cpus);
		struct rq *first = here < there ? here : there;
		struct rq *second = here < there ? there : here;
		struct task_struct *task;

		if (READ_ONCE(there->nr_running) < 2)
			continue;
		raw_spin_lock_irq(&first->lock);
		raw_spin_lock(&second->lock);
		task = rq_find_waiting(there, here->cpu);
		if (task) {
			rq_dequeue(there, task);
			activate_task(here, task);
		}
		raw_spin_unlock(&second->lock);
		raw_spin_unlock_irq(&first->lock);
		if (task)
			return;
	}
}
