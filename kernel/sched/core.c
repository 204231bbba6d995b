// SPDX-License-Identifier: MIT
/*
 * schedule() and what leads to it.
 *
 * Every switch happens at preempt_count 2: one for schedule(), one for the run queue's lock, which
 * the old task takes and the new one releases (finish_task_switch()). Called at any other depth,
 * schedule() reports "scheduling while atomic" and sets the count right, so that the machine goes
 * on.
 */
#include "kernel/sched/sched.h"
#include "arch/x86/cpu/insns.h"
#include "arch/x86/cpu/smp.h"
#include "arch/x86/irqflags.h"
#include "arch/x86/process.h"
#include "kernel/might_sleep.h"
#include "kernel/mm/mm.h"
#include "kernel/panic.h"
#include "kernel/time.h"
#include "kernel/trace.h"
#include "lib/errno.h"
#include "lib/printk.h"
#include "lib/string.h"

enum sched_mode {
	SM_NONE,		/* voluntary: go by current's state */
	SM_PREEMPT,		/* stays runnable whatever its state says */
	SM_RTLOCK_WAIT,		/* blocks in an RT spinlock */
};

/* --- Asking for a reschedule --- */

void resched_curr(struct rq *rq)
{
	if (test_tsk_thread_flag(rq->curr, TIF_NEED_RESCHED))
		return;
	set_tsk_thread_flag(rq->curr, TIF_NEED_RESCHED);
	if (rq->cpu == smp_processor_id())
		set_preempt_need_resched();
	else
		smp_send_reschedule(rq->cpu);	/* it folds the flag into its preempt_count */
}

/* Current itself wants to go through schedule() soon. */
static void resched_current(void)
{
	set_thread_flag(TIF_NEED_RESCHED);
	set_preempt_need_resched();
}

static void clear_need_resched(struct task_struct *task)
{
	clear_tsk_thread_flag(task, TIF_NEED_RESCHED);
	clear_preempt_need_resched();
}

/* @task became runnable or more urgent. The run queue's lock held. */
static void check_preempt_curr(struct rq *rq, struct task_struct *task)
{
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

/* --- The switch --- */

/*
 * The task switched from is off its stack now: undo what the switch holds, on behalf of the new
 * task.
 */
static void finish_task_switch(struct task_struct *prev) __no_lock_analysis
{
	struct rq *rq = this_cpu()->rq;
	struct mm_struct *mm = rq->prev_mm;
	bool dead = prev->__state == TASK_DEAD && !prev->on_rq;
	bool leaves = prev->on_rq == MIGRATING;

	if (unlikely(preempt_count() != FORK_PREEMPT_COUNT)) {
		WARN_KIND(SPLAT_CORRUPTED, "corrupted preempt_count: %s/%d/0x%x", current->comm,
			  current->pid, preempt_count());
		preempt_count_set(FORK_PREEMPT_COUNT);
	}
	rq->prev_mm = NULL;
	/*
	 * From here on another CPU may run prev. Before interrupts are on: one of ours may wake it.
	 */
	__atomic_store_n(&prev->on_cpu, false, __ATOMIC_RELEASE);
	raw_spin_unlock_irq(&rq->lock);
	if (leaves) {
		raw_spin_lock_irq(&prev->pi_lock);
		place_task(prev);
		raw_spin_unlock_irq(&prev->pi_lock);
	}
	if (mm)
		mmdrop(mm);
	if (dead)
		put_task_struct(prev);
}

void schedule_tail(struct task_struct *prev) __no_lock_analysis
{
	finish_task_switch(prev);
	if (nr_cpus > 1)
		balance();			/* a first turn comes by a choice, too */
	preempt_enable();
	trace_task_comm();
}

static void context_switch(struct rq *rq, struct task_struct *prev, struct task_struct *next)
{
	/*
	 * A kernel thread has no address space of its own and borrows the last one: no need to load
	 * another.
	 */
	if (next->mm) {
		switch_mm(next->mm);
	} else {
		next->active_mm = prev->active_mm;
		if (prev->mm && prev->active_mm)
			mmgrab(prev->active_mm);
	}
	if (!prev->mm) {
		if (next->mm)
			rq->prev_mm = prev->active_mm;
		prev->active_mm = NULL;
	}
	prev = __switch_to_asm(prev, next);
	barrier();
	finish_task_switch(prev);
}

static void schedule_debug(struct task_struct *prev, enum sched_mode mode)
{
	/* A spinlock_t is a reader, too, and may wait for another one: SM_RTLOCK_WAIT. */
	if (unlikely(prev->rcu_read_lock_nesting) && mode == SM_NONE && prev->__state)
		WARN_KIND_ONCE(SPLAT_WARN, "Voluntary context switch within RCU read-side critical "
			       "section!");
	if (unlikely(*(unsigned long *)prev->stack != STACK_END_MAGIC))
		panic("corrupted stack end detected inside scheduler: %s/%d", prev->comm,
		      prev->pid);
	if (unlikely(preempt_count() != PREEMPT_OFFSET)) {
		__schedule_bug(prev);
		preempt_count_set(PREEMPT_OFFSET);
	}
}

/* The run queue's curr runs instead of @prev. */
static void tell_others(struct rq *rq, struct task_struct *prev)
{
	rq->make_room = false;
	if (prev->on_rq == QUEUED)
		rq_start_waiting(rq, prev);
	rq_stop_waiting(rq, rq->curr);
	rq_publish_curr(rq);
}

static void __schedule(enum sched_mode mode) __no_lock_analysis
{
	struct task_struct *prev = current, *next;
	struct rq *rq = this_cpu()->rq;

	schedule_debug(prev, mode);
	rq->nr_passes++;
	raw_spin_lock_irq(&rq->lock);

	if (mode != SM_PREEMPT && prev->__state) {
		if (signal_pending_state(prev->__state, prev))
			prev->__state = TASK_RUNNING;
		else if (prev != rq->idle)
			rq_dequeue(rq, prev);
	}
	next = rq_pick(rq);
	/* Runnable, but not here any more: the next task sees it off, once its stack is free. */
	if (prev->on_rq && unlikely(should_leave(rq, prev))) {
		rq_dequeue(rq, prev);
		prev->on_rq = MIGRATING;
		next = rq_pick(rq);
	}
	clear_need_resched(prev);
	if (prev == next) {
		rq->make_room &= prev->migration_disabled > 0;
		raw_spin_unlock_irq(&rq->lock);
		return;
	}
	rq->nr_switches++;
	prev->switched_out = READ_ONCE(jiffies);
	rq->nr_preemptions += mode == SM_PREEMPT;
	rq->curr = next;
	if (nr_cpus > 1)
		tell_others(rq, prev);
	next->on_cpu = true;
	trace(sched_switch, prev->pid, next->pid);
	context_switch(rq, prev, next);
}

static __always_inline void __schedule_loop(enum sched_mode mode) __no_lock_analysis
{
	do {
		preempt_disable();
		__schedule(mode);
		if (nr_cpus > 1)
			balance();
		preempt_enable_no_resched();
	} while (need_resched());
}

void schedule(void)
{
	__schedule_loop(SM_NONE);
}

/*
 * The last switch of a task. State and switch must not come apart: preempted between the two, the
 * task would still be queued, and finish_task_switch() would free it all the same.
 *
 * Who woke or moved the task queued it with its pi_lock held, and may still hold it: the memory
 * must not go before that CPU lets go. From here on nobody moves it again.
 */
void do_task_dead(void) __no_lock_analysis
{
	preempt_disable();
	/* A waker that saw an older state, and will write RUNNING, holds pi_lock: let it end. */
	raw_spin_lock_irq(&current->pi_lock);
	__set_current_state(TASK_DEAD);
	raw_spin_unlock_irq(&current->pi_lock);
	__schedule(SM_NONE);
	panic("a dead task was scheduled: %s/%d", current->comm, current->pid);
}

void schedule_rtlock(void)
{
	__schedule_loop(SM_RTLOCK_WAIT);
}

/*
 * Kernel code let preemption back on and a reschedule is wanted. The count is raised before
 * __schedule(), and so while the next task is chosen: a second interrupt there must not come back
 * here.
 */
void preempt_schedule(void)
{
	if (preempt_count() || irqs_disabled())
		return;
	__schedule_loop(SM_PREEMPT);
}

void preempt_schedule_irq(void) __no_lock_analysis
{
	do {
		preempt_disable();
		local_irq_enable();
		__schedule(SM_PREEMPT);
		if (nr_cpus > 1)
			balance();
		local_irq_disable();
		preempt_enable_no_resched();
	} while (need_resched());
}

void do_sched_yield(void) __no_lock_analysis
{
	struct rq *rq;

	preempt_disable();
	rq = this_cpu()->rq;
	raw_spin_lock_irq(&rq->lock);
	rq_dequeue(rq, current);
	rq_enqueue(rq, current, false);
	raw_spin_unlock_irq(&rq->lock);
	preempt_enable_no_resched();
	schedule();
	cpu_relax();			/* see tick() */
}

/* --- Waking --- */

/*
 * Does a wake-up for @state concern @task? If it waits for an RT spinlock, a normal wake-up is for
 * the state it put aside: note it there and let it sleep on for its lock. pi_lock held.
 */
static bool ttwu_state_match(struct task_struct *task, unsigned int state, bool *success)
{
	if (task->__state & state) {
		*success = true;
		return true;
	}
	if (task->saved_state & state) {
		task->saved_state = TASK_RUNNING;
		*success = true;
	}
	return false;
}

/* Still in a queue: it was about to sleep, or was preempted. Then it just stays. pi_lock held. */
static bool ttwu_runnable(struct task_struct *task) __no_lock_analysis
{
	struct rq *rq = task_rq_lock(task);
	bool runnable = task->on_rq;

	if (runnable)
		task->__state = TASK_RUNNING;
	raw_spin_unlock(&rq->lock);
	return runnable;
}

/* In no queue, and now nobody but us can put it into one. pi_lock held, interrupts off. */
static void ttwu_queue(struct task_struct *task)
{
	/* It may still be on its way out of its CPU. Nothing there waits for us. */
	while (__atomic_load_n(&task->on_cpu, __ATOMIC_ACQUIRE))
		cpu_relax();
	task->__state = TASK_RUNNING;
	place_task(task);
}

bool wake_up_state(struct task_struct *task, unsigned int state) __no_lock_analysis
{
	unsigned long flags = raw_spin_lock_irqsave(&task->pi_lock);
	bool success = false;

	if (ttwu_state_match(task, state, &success) && !ttwu_runnable(task))
		ttwu_queue(task);
	if (success)
		trace(sched_wakeup, task->pid, task->cpu);
	raw_spin_unlock_irqrestore(&task->pi_lock, flags);
	return success;
}

bool wake_up_process(struct task_struct *task)
{
	return wake_up_state(task, TASK_NORMAL);
}

void wake_up_new_task(struct task_struct *task)
{
	wake_up_state(task, TASK_NEW);
}

/* --- Time slices. Interrupt context. --- */

void scheduler_tick(void) __no_lock_analysis
{
	struct rq *rq = this_cpu()->rq;
	struct task_struct *curr;

	raw_spin_lock(&rq->lock);
	curr = rq->curr;
	if (curr != rq->idle && curr->policy == SCHED_OTHER && --curr->time_slice <= 0) {
		curr->time_slice = SLICE_TICKS;
		if (curr->on_rq && !rt_prio(curr->prio)) {	/* a boosted task keeps the CPU */
			rq_dequeue(rq, curr);
			rq_enqueue(rq, curr, false);
			resched_curr(rq);
		}
	}
	raw_spin_unlock(&rq->lock);
}

/* --- Priorities --- */

/* Move @task to the list of its new priority. pi_lock held. */
static void set_prio(struct task_struct *task, int prio) __no_lock_analysis
{
	int old = task->prio;
	struct rq *rq;

	if (prio == old)
		return;
	rq = task_rq_lock(task);
	if (task->on_rq == QUEUED) {
		rq_dequeue(rq, task);
		task->prio = prio;
		/* Losing a loan is no reason to go to the back. */
		rq_enqueue(rq, task, prio > old);
		if (prio < old)
			check_preempt_curr(rq, task);
		else if (rq->curr == task)
			resched_curr(rq);
	} else {
		task->prio = prio;
	}
	rq_publish_curr(rq);
	raw_spin_unlock(&rq->lock);
	if (nr_cpus > 1)
		push_waiting(rq);
}

void rt_mutex_setprio(struct task_struct *task, struct task_struct *pi_task)
{
	int prio = task->normal_prio;

	if (pi_task && pi_task->prio < prio)
		prio = pi_task->prio;
	if (prio < task->prio && prio < task->normal_prio)
		this_cpu()->rq->nr_boosts++;
	if (prio != task->prio && prio < task->normal_prio)
		trace(sched_pi_boost, task->pid, prio);
	else if (prio != task->prio)
		trace(sched_pi_setprio, task->pid, prio);
	set_prio(task, prio);
}

void migrate_disable(void) __no_lock_analysis
{
	if (current->migration_disabled++)
		return;
	preempt_disable();
	this_cpu()->rq->nr_pinned++;
	preempt_enable();
}

void migrate_enable(void) __no_lock_analysis
{
	if (WARN_ON(current->migration_disabled <= 0))
		return;
	if (current->migration_disabled > 1) {
		current->migration_disabled--;
		return;
	}
	/* First: between the last enable and the count we must not move. */
	preempt_disable();
	this_cpu()->rq->nr_pinned--;
	/* A full barrier: who changes the mask, or asks for room, does so and then looks here. */
	__atomic_store_n(&current->migration_disabled, 0, __ATOMIC_SEQ_CST);
	/* It was to move, or to make room, and had to wait for us. */
	if (unlikely(!cpu_allowed(current, smp_processor_id()) || this_cpu()->rq->make_room))
		resched_current();
	preempt_enable();
}

/* --- Setting up --- */

void sched_fork(struct task_struct *child) __no_lock_analysis
{
	unsigned long flags;

	child->__state = TASK_NEW;
	child->saved_state = TASK_RUNNING;
	child->pi_lock = RAW_SPINLOCK_UNLOCKED;
	child->pi_waiters = (struct rb_root_cached)RB_ROOT_CACHED;
	child->pi_blocked_on = NULL;
	flags = raw_spin_lock_irqsave(&current->pi_lock);
	child->policy = current->policy;
	child->rt_priority = current->rt_priority;
	child->normal_prio = current->normal_prio;
	raw_spin_unlock_irqrestore(&current->pi_lock, flags);
	child->prio = child->normal_prio;		/* a loan is not inherited */
	child->on_rq = NOT_QUEUED;
	child->waits_for = 0;
	child->on_cpu = false;
	child->cpu = smp_processor_id();
	child->time_slice = SLICE_TICKS;
	child->rcu_read_lock_nesting = 0;
	child->migration_disabled = 0;
}

void sched_init_cpu(struct task_struct *idle)
{
	struct rq *rq = cpu_rq(smp_processor_id());

	rq_init(rq);
	rq->idle = rq->curr = idle;
	idle->cpu = rq->cpu;
	idle->on_cpu = true;
	this_cpu()->rq = rq;
}
