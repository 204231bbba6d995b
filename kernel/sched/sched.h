/* SPDX-License-Identifier: MIT */
/*
 * The scheduler: strict priorities, first come first served among equals, time slices for
 * SCHED_OTHER.
 *
 * Each CPU has a run queue. Of all tasks that want to run, the most urgent ones do, as far as their
 * masks allow. place.c says how.
 *
 * Wake-ups, and what is done under a run queue's lock, work in any context but NMI. Only the task
 * itself calls what belongs to it (schedule() and its kin, migrate_disable(), cpu_idle()). Lock
 * order: a task's pi_lock, then a run queue's lock; of two run queues' locks the lower CPU's first.
 * All are raw, with interrupts off.
 */
#pragma once

#include "kernel/preempt/preempt.h"
#include "kernel/preempt/thread_flags.h"

#define HZ			250
#define SCHED_OTHER		0
#define SCHED_FIFO		1
#define MAX_RT_PRIO		100
#define DEFAULT_PRIO		120		/* all SCHED_OTHER tasks */
#define IDLE_PRIO		140
#define PRIO_LEVELS		(MAX_RT_PRIO + 1)
#define SLICE_TICKS		5		/* 20 ms */

/* Tasks by priority: a list for each level, and a bit for each list that is not empty. */
struct prio_array {
	u64			bitmap[2];
	struct list_head	queue[PRIO_LEVELS];
};

struct rq {
	raw_spinlock_t		lock;
	unsigned int		cpu;
	struct task_struct	*curr, *idle;
	unsigned int		nr_running;	/* without the idle task */
	struct prio_array	tasks;		/* all queued here, the running one too */
	/*
	 * The queued tasks that do not run, by CPU: all of them at this queue's own CPU, and at
	 * each other CPU those that may go there. With one CPU there is no choice, so these are
	 * empty.
	 */
	struct prio_array	waiting[NR_CPUS];
	/* Copies of curr's values, for other CPUs to read without the lock. */
	int			curr_prio;
	u64			curr_cpus;	/* its mask */
	bool			make_room;	/* curr is asked to go, see place.c */
	struct mm_struct	*prev_mm;	/* to be dropped once the switch is done */
	/* Since boot. */
	u64			nr_passes, nr_switches, nr_preemptions, nr_migrations;
	u64			nr_boosts, nr_lock_waits, nr_forks;
};

extern struct rq runqueues[NR_CPUS];

static inline struct rq *cpu_rq(unsigned int cpu)
{
	return &runqueues[cpu];
}

/* rq.c: the queue itself. The run queue's lock held, except for rq_init(). */
void rq_init(struct rq *rq);
void rq_enqueue(struct rq *rq, struct task_struct *task, bool at_head);
void rq_dequeue(struct rq *rq, struct task_struct *task);
struct task_struct *rq_pick(struct rq *rq);
/* First: @task no longer runs, but stays queued. Second: @task, which is queued, runs. */
void rq_start_waiting(struct rq *rq, struct task_struct *task);
void rq_stop_waiting(struct rq *rq, struct task_struct *task);
/* The most urgent task that waits here and may run on @cpu, or NULL. */
struct task_struct *rq_first_waiting(struct rq *rq, unsigned int cpu);
/*
 * The priority of the most urgent task here, running or not; and of the task that
 * rq_first_waiting() would find. IDLE_PRIO: there is none. Without the lock the value may be old.
 */
int rq_top_prio(const struct rq *rq);
int rq_waiting_prio(const struct rq *rq, unsigned int cpu);
/* Publish curr's priority, and the CPUs where curr may run, for other CPUs to read. */
void rq_publish_curr(struct rq *rq);

/*
 * The run queue of @task, locked. The task may be moved until we have the lock. A type cannot say
 * which lock that is, so clang can follow neither here nor in the callers.
 */
struct rq *task_rq_lock(struct task_struct *task);
/* Make the task that runs on @rq go through schedule() soon. The lock held. */
void resched_curr(struct rq *rq);
/* @task became runnable or more urgent. The run queue's lock held. */
void check_preempt_curr(struct rq *rq, struct task_struct *task);
/* Queue @task on @rq, its new home, and preempt what is less urgent. The run queue's lock held. */
void activate_task(struct rq *rq, struct task_struct *task);

/* core.c */
/* The running code becomes this CPU's idle task, @idle. Called before its interrupts are on. */
void sched_init_cpu(struct task_struct *idle);
/* May sleep: blocks if current's state says so, until woken. */
void schedule(void);
/* The same for RT spinlocks; to RCU this is not a voluntary sleep. */
void schedule_rtlock(void);
void do_task_dead(void) __noreturn;	/* exit: never comes back; drops a reference */
void preempt_schedule_irq(void);	/* interrupt exit to kernel code; interrupts off */
void schedule_tail(struct task_struct *prev);	/* first code of a new task */
void do_sched_yield(void);		/* may sleep */
void wake_up_new_task(struct task_struct *task);
bool wake_up_process(struct task_struct *task);
bool wake_up_state(struct task_struct *task, unsigned int state);
void scheduler_tick(void);
/*
 * Lend @pi_task's priority to @task, or take it back (NULL). @task's pi_lock held. An old value of
 * @pi_task's priority does no harm, because its own walk comes here afterwards.
 */
void rt_mutex_setprio(struct task_struct *task, struct task_struct *pi_task);
void sched_fork(struct task_struct *child);
/* Keep current on its CPU, preemptible. Nests. A request to move it waits for the last enable. */
void migrate_disable(void);
void migrate_enable(void);
/* For long work in a thread. May sleep. */
void cond_resched(void);
void __noreturn cpu_idle(void);		/* idle.c */

/* place.c */
bool cpu_allowed(const struct task_struct *task, unsigned int cpu);
/* @curr wants to go on. Must it leave @rq, or is it asked to and can it? The lock held. */
bool should_leave(const struct rq *rq, const struct task_struct *curr);
/* Queue @task where it may run. It is in no queue and off its CPU. Its pi_lock held. */
void place_task(struct task_struct *task);
/* A task on @rq has begun to wait, or may run on more CPUs than before. No queue's lock held. */
void push_waiting(struct rq *rq);
/* Once schedule() has chosen, take over or give away what should run. Preemption off. */
void balance(void);

static inline unsigned int task_state(const struct task_struct *task)
{
	return READ_ONCE(task->__state);
}

/*
 * Set current's state before looking at the condition it will sleep on. The full barrier orders the
 * two against a waker, which changes the condition and then looks at the state.
 */
#define set_current_state(state_value) do {					\
	current->task_state_change = _THIS_IP_;					\
	__atomic_store_n(&current->__state, (state_value), __ATOMIC_SEQ_CST);	\
} while (0)
#define __set_current_state(state_value) do {					\
	current->task_state_change = _THIS_IP_;					\
	WRITE_ONCE(current->__state, (state_value));				\
} while (0)

static inline bool rt_prio(int prio)
{
	return prio < MAX_RT_PRIO;
}
