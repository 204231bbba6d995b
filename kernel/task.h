/* SPDX-License-Identifier: MIT */
/*
 * A task: one thread of execution, in ring 3 or in the kernel only.
 *
 * Life: copy_process() makes it, wake_up_new_task() starts it, do_exit() ends it, and the last
 * put_task_struct() gives the memory back. Tasks of one process share a signal_struct.
 */
#pragma once

#include "arch/x86/thread.h"
#include "kernel/locking/spinlock.h"
#include "kernel/sched/wait.h"

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

/* task->thread_flags, set and cleared atomically: bit numbers */
#define TIF_SIGPENDING		2		/* the thread group is being killed */
#define TIF_NEED_RESCHED	3
#define TIF_NEED_FPU_LOAD	14		/* registers must be (re)loaded before ring 3 */

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

	/* splat_hold_siglock() (kernel/debug/splat_calls.c) */
	struct completion	siglock_held;
};

struct task_struct {
	/* Own use and fixed when the task is made. */
	void			*stack;			/* lowest address */
	unsigned int		flags;			/* PF_* */
	pid_t			pid, tgid;
	char			comm[TASK_COMM_LEN];
	struct task_struct	*group_leader;
	struct signal_struct	*signal;
	struct sighand_struct	*sighand;
	struct files_struct	*files;
	/* Mm is NULL in kernel threads, others look at it under pi_lock; active_mm is borrowed. */
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

	/* pi_lock */
	raw_spinlock_t		pi_lock;
	unsigned int		__state, saved_state;
	struct rb_root_cached	pi_waiters;		/* top waiter of each lock we own */
	struct rt_mutex_waiter	*pi_blocked_on;

	/* pi_lock and the run queue's lock. */
	/* 0..98 FIFO, 120 OTHER; lower runs first. */
	int			prio, normal_prio;
	int			policy, rt_priority;

	/* The run queue's lock, which is that of cpu. */
	struct list_head	run_node;
	struct list_head	wait_node[NR_CPUS];	/* in rq->waiting[], for each CPU of ... */
	u64			waits_for;		/* ... this mask; 0: it runs, or sleeps */
	enum {
		NOT_QUEUED,
		QUEUED,
		MIGRATING,	/* runnable, on its way to another CPU's queue */
	}			on_rq;
	int			time_slice;		/* ticks left */
	u64			switched_out;		/* jiffies; for the hung-task watchdog */

	/*
	 * Where it runs, or ran last. Changes under pi_lock while it is in no queue, or under both
	 * queues' locks (task_rq_lock()).
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
	 * The switch and the FPU code. Last: the FPU's register area is as long as this CPU needs
	 * it.
	 */
	struct thread_struct	thread;
};

/* Bytes of a task_struct on this CPU. */
size_t task_struct_size(void);

static inline void set_tsk_thread_flag(struct task_struct *task, int flag)
{
	__atomic_fetch_or(&task->thread_flags, BIT(flag), __ATOMIC_SEQ_CST);
}

static inline void clear_tsk_thread_flag(struct task_struct *task, int flag)
{
	__atomic_fetch_and(&task->thread_flags, ~BIT(flag), __ATOMIC_SEQ_CST);
}

static inline bool test_tsk_thread_flag(const struct task_struct *task, int flag)
{
	return READ_ONCE(task->thread_flags) & BIT(flag);
}

#define set_thread_flag(flag)	set_tsk_thread_flag(current, flag)
#define clear_thread_flag(flag)	clear_tsk_thread_flag(current, flag)
#define test_thread_flag(flag)	test_tsk_thread_flag(current, flag)

static inline bool signal_pending(const struct task_struct *task)
{
	return test_tsk_thread_flag(task, TIF_SIGPENDING);
}

/* Must @task, which sleeps or is about to in @state, wake up and go? */
static inline bool signal_pending_state(unsigned int state, const struct task_struct *task)
{
	return (state & (TASK_INTERRUPTIBLE | TASK_WAKEKILL)) && signal_pending(task);
}

static inline void *task_stack_top(const struct task_struct *task)
{
	return task->stack + THREAD_SIZE;
}

static inline struct task_struct *get_task_struct(struct task_struct *task)
{
	__atomic_fetch_add(&task->usage, 1, __ATOMIC_RELAXED);
	return task;
}

/* kernel/task.c; none sleeps. */
void put_sighand(struct sighand_struct *sighand);
void put_task_struct(struct task_struct *task);
void free_task(struct task_struct *task);

extern struct task_struct init_task;			/* CPU 0's idle task, the first of all */

/* The most urgent task that waits for a lock of @task, or NULL. @task's pi_lock held. */
static inline struct task_struct *rt_mutex_top_task(struct task_struct *task)
{
	struct rb_node *first = rb_first_cached(&task->pi_waiters);

	return first ? rb_entry(first, struct rt_mutex_waiter, pi_tree_entry)->task : NULL;
}

/* Guards the family tree, thread lists, exit states and the pid table. Sleeps on RT. */
extern spinlock_t tasklist_lock;

#define PID_MAX		4096
struct task_struct *find_task_by_pid(pid_t pid);	/* under tasklist_lock */
