/* SPDX-License-Identifier: MIT */
/*
 * rt_mutex: a lock whose owner runs at the priority of its most urgent waiter. Under it stand
 * Splat's two locks that sleep: mutex (below; mutex.c) and spinlock_t (spinlock.h).
 *
 * owner holds the owning task's address; bit 0 says that waiters stand in the tree, so that the
 * fast paths (one compare-and-swap) fail and everyone meets under wait_lock. NULL with bit 0 set:
 * the lock is free, and the top waiter is about to take it. Lock order: wait_lock, then a task's
 * pi_lock.
 */
#pragma once

#include "kernel/preempt/raw_spinlock.h"
#include "lib/rbtree.h"

struct task_struct;

#define RT_MUTEX_HAS_WAITERS	1UL

struct rt_mutex_base {
	raw_spinlock_t		wait_lock;
	struct rb_root_cached	waiters;	/* by priority, then by arrival */
	unsigned long		owner;
};

/*
 * A place in two queues: the lock's, and, for the top waiter, the owner's. Lives on the waiter's
 * stack.
 */
struct rt_mutex_waiter {
	struct rb_node		tree_entry;	/* lock->waiters; wait_lock */
	struct rb_node		pi_tree_entry;	/* owner->pi_waiters; the owner's pi_lock */
	struct task_struct	*task;
	struct rt_mutex_base	*lock;
	/* The state that the unlocker's wake-up must match. */
	unsigned int		wake_state;
	int			prio;		/* in the lock's tree; wait_lock, task's pi_lock */
	int			pi_prio;	/* in the owner's; the owner's pi_lock */
};

#define RT_MUTEX_BASE_INIT \
	{ .wait_lock = RAW_SPINLOCK_UNLOCKED, .waiters = RB_ROOT_CACHED, .owner = 0 }

static inline struct task_struct *rt_mutex_owner(const struct rt_mutex_base *lock)
{
	return (struct task_struct *)(READ_ONCE(lock->owner) & ~RT_MUTEX_HAS_WAITERS);
}

static inline bool rt_mutex_has_waiters(const struct rt_mutex_base *lock)
{
	return !rb_empty_cached(&lock->waiters);
}

/*
 * --- mutex: may sleep, must not be held across a return to ring 3; only the owner may unlock. ---
 */

typedef struct __capability("mutex") mutex {
	struct rt_mutex_base rtmutex;
} mutex_t;

#define MUTEX_INIT		{ .rtmutex = RT_MUTEX_BASE_INIT }
void mutex_init(mutex_t *lock);
void mutex_lock(mutex_t *lock) __acquires(*lock) __must_not_hold(preempt_off);
void mutex_unlock(mutex_t *lock) __releases(*lock);
/* As mutex_lock(), but -EINTR if the group is being killed before the lock is free. */
int mutex_lock_killable(mutex_t *lock) __acquires_if_0(*lock) __must_not_hold(preempt_off);
/* As mutex_lock(), but returns -EDEADLK instead of waiting in a circle. */
int mutex_lock_checked(mutex_t *lock) __must_not_hold(preempt_off);

/* --- What mutex.c, spinlock_rt.c and kernel/policy.c need (rtmutex.c) --- */

void rt_mutex_init_waiter(struct rt_mutex_waiter *waiter, struct rt_mutex_base *lock,
			  unsigned int wake_state);
/* The fast paths: from free (NULL) to current, and back. They fail if anybody waits. */
bool rt_mutex_cmpxchg(struct rt_mutex_base *lock, struct task_struct *old, struct task_struct *new);

/*
 * wait_lock held, interrupts off. @waiter says how @task would wait (rt_mutex_init_waiter()),
 * whether it stands in the tree yet or not.
 */
bool try_to_take_rt_mutex(struct rt_mutex_base *lock, struct task_struct *task,
			  struct rt_mutex_waiter *waiter)
	__must_hold(lock->wait_lock);
int task_blocks_on_rt_mutex(struct rt_mutex_base *lock, struct rt_mutex_waiter *waiter,
			    struct task_struct *task, bool detect_deadlock)
	__must_hold(lock->wait_lock);
void remove_waiter(struct rt_mutex_base *lock, struct rt_mutex_waiter *waiter)
	__must_hold(lock->wait_lock);
void fixup_rt_mutex_waiters(struct rt_mutex_base *lock) __must_hold(lock->wait_lock);

/*
 * Hand the lock on: deboost, then wake the top waiter. Does not sleep, may be preempted at its end.
 */
void rt_mutex_slowunlock(struct rt_mutex_base *lock);

/*
 * @task's own priority changed: carry it along the chain of locks that it waits for. No lock held.
 */
void rt_mutex_adjust_pi(struct task_struct *task);
