// SPDX-License-Identifier: MIT
/*
 * Which CPU a task runs on.
 *
 * The rule: no task waits while another CPU, where it may run, does something less urgent. A task
 * that starts to wait can break the rule, and so can a CPU that turns to something less urgent. So
 * both sides look. The CPU that makes a task wait looks for another CPU (push_waiting()), and each
 * CPU that has chosen looks at what waits elsewhere (balance()):
 *
 *   CPU 0, queues a task                   CPU 1, its task goes to sleep
 *     task into waiting[1]                   its task out of the queue
 *     barrier                                barrier
 *     looks at what CPU 1 has: busy          looks at waiting[1] of CPU 0: empty
 *
 * With the barriers at least one of the two sees the other. A task that waits can be moved under
 * both queues' locks, and a preempted task waits. A task that is on a CPU cannot be moved. It
 * becomes MIGRATING in schedule(), and the task that runs next there queues it elsewhere
 * (place_task()). That happens to a task whose new mask forbids the CPU, and to a task that is in
 * the way, because it could go on elsewhere and a task that waits behind it could not
 * (ask_to_leave()). Nothing looks for rings of several such moves, because that would cost more
 * than it brings.
 *
 * What a CPU reads of other CPUs without their locks may be old. So a CPU looks again under the
 * locks before it moves a task, and whoever changes such a value looks as well.
 */
#include "arch/x86/cpu/percpu.h"
#include "kernel/preempt/assert.h"
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
 * The CPU with the least urgent tasks among those where @task may run, or NR_CPUS if all have tasks
 * as urgent as @prio. A task that waits there counts, because the one that still runs will soon
 * have made room for it.
 */
static unsigned int least_urgent_cpu(const struct task_struct *task, int prio)
{
	unsigned int best = NR_CPUS;

	for (unsigned int cpu = 0; cpu < nr_cpus; cpu++) {
		int its = rq_top_prio(cpu_rq(cpu));

		if (its > prio && cpu_allowed(task, cpu)) {
			prio = its;
			best = cpu;
		}
	}
	return best;
}

/* The best CPU for @task, which is in no queue; among equals its last CPU, for its caches' sake. */
static unsigned int select_task_rq(struct task_struct *task)
{
	unsigned int cpu = task->cpu, other;
	bool stays = cpu_allowed(task, cpu);

	if (nr_cpus == 1 || (stays && (task->migration_disabled || cpu_is_idle(cpu))))
		return cpu;
	other = least_urgent_cpu(task, stays ? rq_top_prio(cpu_rq(cpu)) : -1);
	return other < NR_CPUS ? other : cpu;
}

bool should_leave(const struct rq *rq, const struct task_struct *curr)
{
	assert_held(&rq->lock);
	if (!cpu_allowed(curr, rq->cpu))
		return true;
	return rq->make_room &&
	       least_urgent_cpu(curr, rq_waiting_prio(rq, rq->cpu)) < NR_CPUS;
}

void place_task(struct task_struct *task)
{
	struct rq *rq = cpu_rq(select_task_rq(task));

	assert_held(&task->pi_lock);
	raw_spin_lock(&rq->lock);
	activate_task(rq, task);
	raw_spin_unlock(&rq->lock);
	if (nr_cpus > 1)
		push_waiting(rq);
}

/* --- What waits --- */

/*
 * Does a task wait for which curr will not give way? If curr is about to give way, its CPU looks
 * again after the switch.
 */
static inline bool some_wait_on(const struct rq *rq)
{
	return READ_ONCE(rq->nr_running) > 1 &&
	       rq_waiting_prio(rq, rq->cpu) >= READ_ONCE(rq->curr_prio);
}

/* Move to @to the most urgent waiter of @from that may run there. False: it would wait there. */
static bool move_waiting(struct rq *from, struct rq *to)
{
	struct rq *first = from < to ? from : to, *second = from < to ? to : from;
	unsigned long flags = raw_spin_lock_irqsave(&first->lock);
	struct task_struct *task;
	bool moves;

	raw_spin_lock(&second->lock);
	task = rq_first_waiting(from, to->cpu);
	moves = task && task->prio < rq_top_prio(to);
	if (moves) {
		rq_dequeue(from, task);
		activate_task(to, task);
	}
	raw_spin_unlock(&second->lock);
	raw_spin_unlock_irqrestore(&first->lock, flags);
	return moves;
}

/* Could what runs on @from go to @to, with less urgent tasks than what waits on @from? */
static bool is_in_the_way(const struct rq *from, const struct rq *to)
{
	return some_wait_on(from) && (READ_ONCE(from->curr_cpus) & BIT(to->cpu)) &&
	       rq_waiting_prio(from, from->cpu) < rq_top_prio(to);
}

/* schedule() sees the request; if curr must stay a while, migrate_enable() does. */
static void ask_to_leave(struct rq *rq)
{
	unsigned long flags = raw_spin_lock_irqsave(&rq->lock);

	__atomic_store_n(&rq->make_room, true, __ATOMIC_SEQ_CST);
	if (!READ_ONCE(rq->curr->migration_disabled))
		resched_curr(rq);
	raw_spin_unlock_irqrestore(&rq->lock, flags);
}

/* The CPU that has the least urgent tasks among those that would run what waits on @from. */
static struct rq *least_urgent_for(const struct rq *from)
{
	struct rq *best = NULL;
	int prio = -1;

	for (unsigned int cpu = 0; cpu < nr_cpus; cpu++) {
		struct rq *to = cpu_rq(cpu);
		int its = rq_top_prio(to);

		if (to != from && its > prio && rq_waiting_prio(from, cpu) < its) {
			prio = its;
			best = to;
		}
	}
	return best;
}

void push_waiting(struct rq *rq)
{
	struct rq *to;

	assert_not_held(&rq->lock);
	if (READ_ONCE(rq->nr_running) < 2)
		return;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	while (some_wait_on(rq) && (to = least_urgent_for(rq)))
		move_waiting(rq, to);
	for (unsigned int cpu = 0; some_wait_on(rq) && cpu < nr_cpus; cpu++)
		if (cpu != rq->cpu && is_in_the_way(rq, cpu_rq(cpu)))
			return ask_to_leave(rq);
}

/* The CPU where the most urgent task waits that should run on @to instead. */
static struct rq *most_urgent_for(const struct rq *to)
{
	struct rq *best = NULL;
	int prio = rq_top_prio(to);

	for (unsigned int cpu = 0; cpu < nr_cpus; cpu++) {
		struct rq *from = cpu_rq(cpu);

		if (from != to && some_wait_on(from) && rq_waiting_prio(from, to->cpu) < prio) {
			prio = rq_waiting_prio(from, to->cpu);
			best = from;
		}
	}
	return best;
}

/* This is the usual case, and then a switch need not look any further. */
static bool each_has_its_cpu(void)
{
	for (const struct rq *rq = runqueues; rq < runqueues + nr_cpus; rq++)
		if (READ_ONCE(rq->nr_running) > 1)
			return false;
	return true;
}

void balance(void)
{
	struct rq *here = this_cpu()->rq, *from;

	assert_preempt_off();
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (each_has_its_cpu())
		return;
	while ((from = most_urgent_for(here)) && !move_waiting(from, here))
		;
	for (unsigned int cpu = 0; cpu < nr_cpus; cpu++)
		if (cpu != here->cpu && is_in_the_way(cpu_rq(cpu), here))
			ask_to_leave(cpu_rq(cpu));
	push_waiting(here);
}
