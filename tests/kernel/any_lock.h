/* SPDX-License-Identifier: MIT */
/*
 * A mutex_t or a spinlock_t that sleeps (rt=on), for scenarios that must come out the same with
 * both, and where locks nest with a spinlock_t inside a mutex_t.
 *
 * The test itself is the low task that holds a lock. A thread started above it runs at once and
 * blocks there; what the test's priority is then, and who comes in which order when it unlocks, is
 * the result.
 */
#pragma once

#include "kernel/locking/rtmutex.h"
#include "kernel/locking/spinlock.h"
#include "tests/kernel/many_threads.h"

#define LOCKS	THREADS		/* the longest chain takes one each */

enum kind {
	MUTEX,
	SPINLOCK,
	MIXED,				/* the lower half spinlock_t: those are taken last */
};

struct any_lock {
	bool is_spinlock;
	mutex_t mutex;
	spinlock_t spinlock;
};

static struct any_lock locks[LOCKS];

static inline void locks_init(enum kind kind)
{
	for (int i = 0; i < LOCKS; i++) {
		locks[i].is_spinlock = kind == SPINLOCK || (kind == MIXED && i < LOCKS / 2);
		mutex_init(&locks[i].mutex);
		spin_lock_init(&locks[i].spinlock);
	}
	log_clear();
}

static inline struct rt_mutex_base *base(int i)
{
	return locks[i].is_spinlock ? &locks[i].spinlock.lock : &locks[i].mutex.rtmutex;
}

static inline void take(int i)
{
	if (locks[i].is_spinlock)
		spin_lock(&locks[i].spinlock);
	else
		mutex_lock(&locks[i].mutex);
}

static inline void release(int i)
{
	if (locks[i].is_spinlock)
		spin_unlock(&locks[i].spinlock);
	else
		mutex_unlock(&locks[i].mutex);
}

/*
 * Nobody holds a lock, nobody waits, and the mark for waiters is gone. In a wrong kernel a waiter
 * that is gone may still stand in our tree, on a stack that is another's by now: it is forgotten,
 * so that the next test gets its turn.
 */
static inline void expect_all_free(struct ktest_run *kt)
{
	for (int i = 0; i < LOCKS; i++) {
		KEXPECT_EQ(base(i)->owner, 0);
		KEXPECT(!rt_mutex_has_waiters(base(i)));
	}
	KEXPECT(rb_empty_cached(&current->pi_waiters));
	KEXPECT_EQ(current->pi_blocked_on, NULL);
	KEXPECT_EQ(task_state(current), TASK_RUNNING);
	__set_current_state(TASK_RUNNING);
	current->pi_waiters = RB_ROOT_CACHED;
}

#define EXPECT_OWN_PRIO(rank) KEXPECT_EQ(current->prio, PRIO_OF(fifo(rank)))

#define NEEDS_WAITERS(kind) do {								\
	if ((kind) != MUTEX)									\
		NEEDS_RT("a spinlock_t that spins has no waiters in an order, and no owner");	\
} while (0)

#define RUN_WITH(fn, kind) do { NEEDS_WAITERS(kind); fn(kt, kind); } while (0)

/* The scenario @fn as one test for each kind of lock. */
#define FOR_BOTH_KINDS(fn)							\
	KTEST(mutex_##fn) { RUN_WITH(fn, MUTEX); }				\
	KTEST(spinlock_##fn) { RUN_WITH(fn, SPINLOCK); }
#define FOR_ALL_KINDS(fn)							\
	FOR_BOTH_KINDS(fn)							\
	KTEST(mixed_##fn) { RUN_WITH(fn, MIXED); }

#define LOCK(i) ((void *)(long)(i))

/* Wait for one lock; leave a mark when it is ours. @arg: which. */
static inline void take_and_mark(struct thread *self)
{
	int lock = (long)self->arg;

	take(lock);
	log_mark(self->mark);
	release(lock);
}
