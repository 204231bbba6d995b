/* SPDX-License-Identifier: MIT */
/*
 * The scheduler: strict priorities, first come first served among equals, time slices for
 * SCHED_OTHER.
 *
 * Each CPU has a run queue. Of all tasks that want to run the most urgent do, as far as their masks
 * let them: place.c says how.
 *
 * Everything here may be called with preemption off and from interrupts, except schedule() and what
 * says "may sleep". Lock order: a task's pi_lock, then a run queue's lock, of two the lower CPU's
 * first; all raw, interrupts off.
 */
#pragma once

#include "kernel/preempt.h"
#include "kernel/task.h"

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
	unsigned int		nr_pinned;	/* tasks here with migration disabled */
	struct prio_array	tasks;		/* that are queued here, the running one too */
	/*
	 * Those that do not run, by CPU: all of them at this queue's own, and at each other one
	 * those that may go there. With one CPU there is nothing to choose, and these are empty.
	 */
	struct prio_array	waiting[NR_CPUS];
	/* What curr says, for other CPUs to read without the lock. */
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

/* rq.c: the queue itself. The run queue's lock held. */
void rq_init(struct rq *rq);
void rq_enqueue(struct rq *rq, struct task_struct *task, bool at_head);
void rq_dequeue(struct rq *rq, struct task_struct *task);
struct task_struct *rq_pick(struct rq *rq);
/* @task does not run any more, but stays queued; @task, queued, runs. */
void rq_start_waiting(struct rq *rq, struct task_struct *task);
void rq_stop_waiting(struct rq *rq, struct task_struct *task);
/* The most urgent task that waits here and may run on @cpu, or NULL. */
struct task_struct *rq_first_waiting(struct rq *rq, unsigned int cpu);
/*
 * The priority of the most urgent task here, running or not; of that which rq_first_waiting() would
 * find. IDLE_PRIO: there is none. Without the lock: it may be old.
 */
int rq_top_prio(const struct rq *rq);
int rq_waiting_prio(const struct rq *rq, unsigned int cpu);
/* @rq runs curr at curr->prio, on whatever CPU curr may: others may look. */
void rq_publish_curr(struct rq *rq);

/* The run queue of @task, locked: the task may be moved until we have it. */
struct rq *task_rq_lock(struct task_struct *task);
/* Queue @task on @rq, its new home; preempts what is less urgent. The run queue's lock held. */
void activate_task(struct rq *rq, struct task_struct *task);

/* core.c */
/* The code that runs becomes the idle task @idle of this CPU. Before its interrupts are on. */
void sched_init_cpu(struct task_struct *idle);
/* May sleep: blocks if current's state says so, until woken. */
void schedule(void);
/* The same for RT spinlocks: not a voluntary sleep to RCU. */
void schedule_rtlock(void);
void do_task_dead(void) __noreturn;	/* exit: never comes back; drops a reference */
void preempt_schedule_irq(void);	/* interrupt exit to kernel code; interrupts off */
void schedule_tail(struct task_struct *prev);	/* first code of a new task */
void do_sched_yield(void);		/* may sleep */
void wake_up_new_task(struct task_struct *task);
bool wake_up_process(struct task_struct *task);
bool wake_up_state(struct task_struct *task, unsigned int state);
void resched_curr(struct rq *rq);
void scheduler_tick(void);
/* policy.c */
int sched_setscheduler(struct task_struct *task, int policy, int rt_priority);	/* -EINVAL */
/* May sleep: returns when @task is where it may be. -EINVAL: none of @mask's CPUs is there. */
int set_cpus_allowed(struct task_struct *task, u64 mask);
/* Lend @pi_task's priority to @task, or take it back (NULL). @task's pi_lock held. */
void rt_mutex_setprio(struct task_struct *task, struct task_struct *pi_task);
void sched_fork(struct task_struct *child);
void __noreturn cpu_idle(void);		/* idle.c */

/* place.c */
bool cpu_allowed(const struct task_struct *task, unsigned int cpu);
/* @curr wants to run on: must it go from @rq, or is it asked to and can? The lock held. */
bool should_leave(const struct rq *rq, const struct task_struct *curr);
/* Queue @task, which is in no queue and off its CPU, where it may run. Its pi_lock held. */
void place_task(struct task_struct *task);
/* Something waits on @rq that did not, or may go further than it could. No queue's lock held. */
void push_waiting(struct rq *rq);
/* After schedule() has chosen: take over, or give away, what should run. Preemption off. */
void balance(void);

/* Keep current on its CPU, preemptible. Nests. A wish to move it waits for the last enable. */
void migrate_disable(void);
void migrate_enable(void);

static inline bool need_resched(void)
{
	return test_thread_flag(TIF_NEED_RESCHED);
}

/* For long work in a thread. May sleep. */
static inline void cond_resched(void)
{
	if (need_resched())
		schedule();
}

static inline unsigned int task_state(const struct task_struct *task)
{
	return READ_ONCE(task->__state);
}

/*
 * Set current's state before looking at the condition it will sleep on. The full barrier orders the
 * two against a waker, who changes the condition and then looks at the state.
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
