// SPDX-License-Identifier: MIT
/*
 * schedule() and what leads to it.
 *
 * Every switch happens at preempt_count 2: one for schedule(), one for the run queue's lock, which
 * the old task takes and the new one releases (finish_task_switch()). Called at any other depth,
 * schedule() reports "scheduling while atomic" and sets the count right, so that the machine goes
 * on.
 */
#include "arch/x86/cpu/insns.h"
#include "arch/x86/irqflags.h"
#include "arch/x86/process.h"
#include "kernel/preempt/assert.h"
#include "kernel/preempt/might_sleep.h"
#include "kernel/report/panic.h"
#include "kernel/report/trace.h"
#include "kernel/sched/sched.h"
#include "kernel/time/tick.h"
#include "kernel/vm/mm.h"

enum sched_mode {
	SM_NONE,		/* voluntary: go by current's state */
	SM_PREEMPT,		/* stays runnable whatever its state says */
	SM_RTLOCK_WAIT,		/* blocks in an RT spinlock */
};

/* --- Asking for a reschedule --- */

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

/* --- The switch --- */

/*
 * @prev is off its stack now. Undo what the switch holds, on behalf of the new task. @prev took the
 * run queue's lock, in __schedule(), so clang cannot follow.
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
	 * From here on another CPU may run prev. The store comes before interrupts are on, because
	 * one of this CPU's interrupts may wake prev.
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

/* Stands in for the return of __schedule(): releases its lock and undoes its preempt_disable(). */
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
	 * A kernel thread has no address space of its own and borrows the last one, so there is no
	 * need to load another.
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
	/* A spinlock_t's holder is a reader, too, and may wait for another one (SM_RTLOCK_WAIT). */
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

/* Tell other CPUs that rq->curr runs in @prev's place. */
static void tell_others(struct rq *rq, struct task_struct *prev)
{
	rq->make_room = false;
	if (prev->on_rq == QUEUED)
		rq_start_waiting(rq, prev);
	rq_stop_waiting(rq, rq->curr);
	rq_publish_curr(rq);
}

/* The lock taken here is released by the task that runs next, in finish_task_switch(). */
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
	/* prev is runnable, but no longer here. The next task moves it, once its stack is free. */
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

static __always_inline void __schedule_loop(enum sched_mode mode)
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

void cond_resched(void)
{
	might_sleep();
	if (need_resched())
		schedule();
}

/*
 * The last switch of a task. Nothing may come between the state and the switch, because a task
 * preempted there would still be queued, and finish_task_switch() would free it all the same.
 *
 * The CPU that woke or moved the task queued it with its pi_lock held, and may still hold the lock.
 * The task's memory must not go before that CPU releases it. From here on nobody moves the task.
 */
void do_task_dead(void)
{
	preempt_disable();
	/* A waker that saw an older state, and will write RUNNING, holds pi_lock. Let it finish. */
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
 * Kernel code has enabled preemption, and a reschedule is wanted. The count is raised before
 * __schedule() and stays so while the next task is chosen, so that an interrupt there does not come
 * back here.
 */
void preempt_schedule(void)
{
	if (preempt_count() || irqs_disabled())
		return;
	__schedule_loop(SM_PREEMPT);
}

void preempt_schedule_irq(void)
{
	assert_irqs_off();
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

void do_sched_yield(void)
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
 * Does a wake-up for @state concern @task? If @task waits for an RT spinlock, a normal wake-up is
 * for the state that @task put aside. Note the wake-up there, and let @task go on sleeping for its
 * lock. pi_lock held.
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

/*
 * If @task is still in a queue, because it was about to sleep or was preempted, it just stays
 * there. pi_lock held. No analysis: see task_rq_lock().
 */
static bool ttwu_runnable(struct task_struct *task) __no_lock_analysis
{
	struct rq *rq = task_rq_lock(task);
	bool runnable = task->on_rq;

	assert_held(&task->pi_lock);
	if (runnable)
		task->__state = TASK_RUNNING;
	raw_spin_unlock(&rq->lock);
	return runnable;
}

/* @task is in no queue, and now only we can put it into one. pi_lock held, interrupts off. */
static void ttwu_queue(struct task_struct *task)
{
	assert_held(&task->pi_lock);
	/* @task may still be on its way off its CPU. Nothing there waits for us. */
	while (__atomic_load_n(&task->on_cpu, __ATOMIC_ACQUIRE))
		cpu_relax();
	task->__state = TASK_RUNNING;
	place_task(task);
}

bool wake_up_state(struct task_struct *task, unsigned int state)
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

void scheduler_tick(void)
{
	struct rq *rq = this_cpu()->rq;
	struct task_struct *curr;

	assert_irqs_off();
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

/* Move @task to the list of its new priority. pi_lock held. No analysis: see task_rq_lock(). */
static void set_prio(struct task_struct *task, int prio) __no_lock_analysis
{
	struct rq *rq = task_rq_lock(task);
	int old = task->prio;

	if (task->on_rq == QUEUED) {
		rq_dequeue(rq, task);
		task->prio = prio;
		/* A task that loses a loan need not go to the back. */
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
	int own = task->normal_prio, prio = pi_task ? min(own, READ_ONCE(pi_task->prio)) : own;

	if (prio == task->prio)
		return;
	this_cpu()->rq->nr_boosts += prio < task->prio && prio < own;
	if (prio < own)
		trace(sched_pi_boost, task->pid, prio);
	else
		trace(sched_pi_setprio, task->pid, prio);
	set_prio(task, prio);
}

void migrate_disable(void)
{
	current->migration_disabled++;
	barrier();
}

void migrate_enable(void)
{
	if (WARN_ON(current->migration_disabled <= 0))
		return;
	if (current->migration_disabled > 1) {
		current->migration_disabled--;
		return;
	}
	/* Preemption goes off, or we could move between the two steps and ask the wrong CPU. */
	preempt_disable();
	/* A full barrier: a CPU changes the mask, or asks for room, and only then looks here. */
	__atomic_store_n(&current->migration_disabled, 0, __ATOMIC_SEQ_CST);
	/* A request to move current, or to make room, had to wait for this enable. */
	if (unlikely(!cpu_allowed(current, smp_processor_id()) || this_cpu()->rq->make_room))
		resched_current();
	preempt_enable();
}

/* --- Setting up --- */

void sched_fork(struct task_struct *child)
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
