/* SPDX-License-Identifier: MIT */
/*
 * A task: one thread of execution, in ring 3 or in the kernel only.
 *
 * Life: copy_process() makes it, wake_up_new_task() starts it, do_exit() ends it, and the last
 * put_task_struct() gives the memory back. Tasks of one process share a signal_struct.
 */
#pragma once

#include "arch/x86/mm/address_space.h"
#include "arch/x86/thread.h"
#include "kernel/locking/spinlock.h"
#include "kernel/locking/wait.h"

/* task->__state */
#define TASK_RUNNING		0x0000
#define TASK_INTERRUPTIBLE	0x0001		/* a fatal exit of the group wakes it */
#define TASK_UNINTERRUPTIBLE	0x0002
#define TASK_DEAD		0x0080
#define TASK_WAKEKILL		0x0100		/* a fatal exit wakes it, and nothing less */
#define TASK_NEW		0x0800
#define TASK_RTLOCK_WAIT	0x1000		/* waits for an RT spinlock; see saved_state */
#define TASK_NORMAL		(TASK_INTERRUPTIBLE | TASK_UNINTERRUPTIBLE)
#define TASK_KILLABLE		(TASK_WAKEKILL | TASK_UNINTERRUPTIBLE)

/* task->exit_state */
#define EXIT_ZOMBIE		0x20
#define EXIT_DEAD		0x10

/* task->flags, written by the task itself or before it runs */
#define PF_IDLE			0x00000002
#define PF_KTHREAD		0x00200000
#define PF_KTEST		0x00800000		/* in a test: no business of ring 3's */
#define PF_NO_SETAFFINITY	0x04000000		/* belongs to its CPU */

#define TASK_COMM_LEN		16
#define STACK_END_MAGIC		0x57ac6e9dUL

struct files_struct;
struct mm_struct;
struct rq;
struct rt_mutex_waiter;

/*
 * Shared by CLONE_SIGHAND. Real Linux keeps signal handlers here; Splat needs its lock, the heart
 * of the story.
 */
struct sighand_struct {
	spinlock_t		siglock;
	int			count;			/* atomic */
};

/* A thread group: one process. */
struct signal_struct {
	int			refs;			/* atomic: tasks that point here */

	/* tasklist_lock */
	int			nr_threads;		/* that have not finished do_exit() */
	struct list_head	threads;
	bool			group_exit;
	int			group_exit_code;	/* as wait4() reports it */

	/* Parents in wait4(), exec in de_thread(). */
	struct wait_queue_head	wait_chldexit;

	/* splat_hold_siglock() (kernel/splat/splat_calls.c) */
	struct completion	siglock_held;
};

struct task_struct {
	/* For the task's own use. Fixed when the task is made, but for exec. */
	void			*stack;			/* lowest address */
	unsigned int		flags;			/* PF_* */
	pid_t			pid, tgid;
	char			comm[TASK_COMM_LEN];
	struct task_struct	*group_leader;
	struct signal_struct	*signal;
	struct sighand_struct	*sighand;
	struct files_struct	*files;
	/* mm is NULL in kernel threads; others look at it under pi_lock. active_mm is borrowed. */
	struct mm_struct	*mm, *active_mm;
	int			*set_child_tid, *clear_child_tid;	/* ring-3 addresses */
	int			exit_code;

	/* Atomic. */
	int			usage;
	unsigned long		thread_flags;		/* TIF_* */

	/* Written by the task itself only. */
	int			rcu_read_lock_nesting;
	int			migration_disabled;
	unsigned long		task_state_change;	/* who set the state last */

	/* pi_lock; but the task sets its own __state without it (set_current_state()). */
	raw_spinlock_t		pi_lock;
	unsigned int		__state, saved_state;
	struct rb_root_cached	pi_waiters;		/* top waiter of each lock we own */
	struct rt_mutex_waiter	*pi_blocked_on;

	/* pi_lock, but the tick may read old values. */
	int			normal_prio, policy, rt_priority;

	/* pi_lock and the run queue's lock. */
	int			prio;			/* 0..98 FIFO, 120 OTHER; lowest first */

	/* The lock of cpu's run queue. */
	struct list_head	run_node;
	struct list_head	wait_node[NR_CPUS];	/* rq->waiting[] of each CPU in waits_for */
	u64			waits_for;		/* 0: it runs, or sleeps */
	enum {
		NOT_QUEUED,
		QUEUED,
		MIGRATING,	/* runnable, on its way to another CPU's queue */
	}			on_rq;
	int			time_slice;		/* ticks left */
	u64			switched_out;		/* jiffies; for the hung-task watchdog */

	/*
	 * Where the task runs, or ran last. Changes under pi_lock while the task is in no queue, or
	 * under both queues' locks (task_rq_lock()).
	 */
	unsigned int		cpu;
	u64			cpus_mask;		/* where it may run; pi_lock, the queue's */
	bool			on_cpu;			/* its stack and registers are in use */

	/* tasklist_lock */
	struct task_struct	*real_parent;
	struct list_head	children, sibling;
	struct list_head	thread_node;		/* in signal->threads */
	struct completion	*vfork_done;		/* on the parent's stack */
	int			exit_state;

	/*
	 * For the switch and the FPU code. Last, because the FPU's register area is as long as this
	 * CPU needs.
	 */
	struct thread_struct	thread;
};

static inline struct task_struct *get_task_struct(struct task_struct *task)
{
	__atomic_fetch_add(&task->usage, 1, __ATOMIC_RELAXED);
	return task;
}

/* None sleeps. */
void put_sighand(struct sighand_struct *sighand);
void put_task_struct(struct task_struct *task);
void free_task(struct task_struct *task);

extern struct task_struct init_task;		/* fork.c: CPU 0's idle task, the first of all */

/* The most urgent task that waits for a lock of @task, or NULL. @task's pi_lock held. */
static inline struct task_struct *rt_mutex_top_task(struct task_struct *task)
{
	struct rb_node *first = rb_first_cached(&task->pi_waiters);

	return first ? rb_entry(first, struct rt_mutex_waiter, pi_tree_entry)->task : NULL;
}
