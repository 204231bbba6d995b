/* SPDX-License-Identifier: MIT */
/*
 * Kernel threads for the tests, in an order that does not depend on time.
 *
 * The test raises itself to a FIFO priority. Then a thread started above it runs before
 * thread_start() returns, until it ends or blocks; one below it does not run until the test lets
 * it. Threads and locks of a test are static: if one gets stuck, the test fails and goes on, and
 * nobody waits for memory that is gone.
 *
 * Nothing here waits without a bound.
 */
#pragma once

#include "kernel/debug/watchdog.h"
#include "kernel/locking/spinlock.h"
#include "kernel/sched/sched.h"
#include "kernel/splat/ktest.h"
#include "kernel/splat/uapi.h"

/* task->prio of a FIFO task: 99 is the most urgent. */
#define PRIO_OF(fifo)	(MAX_RT_PRIO - 1 - (fifo))

#define FIFO_RANKS	49

/*
 * A scenario's @rank as a FIFO priority: in the order of ranks, but other ones with each "seed=".
 * 0 stays 0, for SCHED_OTHER, and 1 the lowest; below 98 in all.
 */
int fifo(unsigned int rank);

/* --- The world --- */

/* Ends the test unless spinlock_t sleeps; @why: what there is nothing of with rt=off. */
#define NEEDS_RT(why) do { if (!preempt_rt()) KSKIP("rt=on only: " why); } while (0)

#define NEEDS_RT_OFF(why) do { if (preempt_rt()) KSKIP("rt=off only: " why); } while (0)

/* What fpregs_lock() adds to preempt_count, and a spinlock_t. */
#define FPREGS_LOCK_COUNT	(preempt_rt() ? PREEMPT_OFFSET : 2 * SOFTIRQ_OFFSET)
#define SPINLOCK_COUNT		(preempt_rt() ? 0 : PREEMPT_OFFSET)

/* --- The test itself --- */

struct test_policy {
	int policy, rt_priority;
};
struct test_policy test_policy_raise(int fifo);
void test_policy_restore(struct test_policy *old);

/* Run the rest of this block as FIFO @fifo; what was before comes back at its end, by any way. */
#define RUN_AS_FIFO(fifo)								\
	struct test_policy __old_policy __unused					\
		__attribute__((cleanup(test_policy_restore))) = test_policy_raise(fifo)

/*
 * Do the CPUs run at the same time, whenever the host lets each of them? Such boots have long
 * limits for the watchdog. There a tick, or another CPU, may come between any two instructions.
 */
static inline bool cpus_race(void)
{
	return watchdog_ns > 10000000000UL;
}

/* Change the test's own priority. 0: SCHED_OTHER. */
void set_own_fifo(int fifo);

/* --- Threads --- */

struct thread {
	struct task_struct *task;	/* NULL: there is none */
	void (*fn)(struct thread *self);
	struct ktest_run *kt;
	struct completion go;
	bool done;

	/* For @fn and the test, as they like; zero at first. */
	void *arg;
	char mark;			/* for log_mark() */
	int result;
	unsigned int seen;
};

/**
 * thread_make() - a thread that will call @fn once it is started.
 * @name: of the task; its first character becomes the thread's mark.
 * A failure is reported to @kt; the other functions then do nothing with @t. May sleep.
 */
void thread_make(struct ktest_run *kt, struct thread *t, void (*fn)(struct thread *self), void *arg,
		 const char *name);

/* Let it go, with this FIFO priority; 0: as SCHED_OTHER. Does not sleep. */
void thread_start(struct thread *t, int fifo);

/* thread_make(), then thread_start(). */
void thread_run(struct ktest_run *kt, struct thread *t, void (*fn)(struct thread *self), void *arg,
		const char *name, int fifo);

/*
 * Make @t more urgent than everything: it runs to its end at once, unless it is blocked. That is a
 * failure. Afterwards the task is gone. The test must be below FIFO 99.
 */
void thread_end(struct thread *t);

/* Change its priority; harmless if there is none. */
void thread_set_fifo(struct thread *t, int fifo);

/* Does it wait for a lock? */
bool thread_is_blocked_on(const struct thread *t, const struct rt_mutex_base *lock);

/*
 * Unlock @lock for @owner, who cannot, since it waits: its first waiter gets it. In a kernel that
 * lends wrongly that waiter stands in no tree of @owner's; such a kernel is to fail, not to fault.
 * Fails without a change if @owner hasn't the lock or nobody waits. Does not sleep.
 */
bool thread_unlock(const struct thread *owner, struct rt_mutex_base *lock);

/*
 * As SCHED_OTHER, let @t run until it waits for @lock. For threads that are not more urgent than
 * the test. The test is SCHED_OTHER afterwards.
 */
void await_blocked(struct ktest_run *kt, const struct thread *t, const struct rt_mutex_base *lock);

/* task->prio, or -1 if there is no task. */
int thread_prio(const struct thread *t);

/* --- Who was where, when: a string of marks --- */

void log_clear(void);
void log_mark(char mark);
void expect_log(struct ktest_run *kt, const char *file, int line, const char *expected);
#define EXPECT_LOG(expected) expect_log(kt, __FILE__, __LINE__, expected)

/* --- Reports --- */

struct splats {
	u64 count[SPLAT_KINDS];
};
struct splats splats_now(void);

/* Exactly @n reports of @kind came since @before; says nothing about the other kinds. */
#define EXPECT_SPLATS(before, kind, n) KEXPECT_EQ(splat_counts[kind] - (before).count[kind], n)

/* @n reports came since @before, all kinds together. */
#define EXPECT_SPLATS_IN_ALL(before, n) KEXPECT_EQ(splats_since(&(before)), n)
u64 splats_since(const struct splats *before);
