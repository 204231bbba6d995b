// SPDX-License-Identifier: MIT
/*
 * The core of the locks that sleep: who may take one, who waits, who is boosted.
 *
 * A waiter stands in the lock's tree (lock->waiters). The top waiter of each lock also stands in
 * its owner's tree (owner->pi_waiters), so the owner's priority is the minimum of its own and the
 * first one there. If the owner itself waits for a lock, its new priority must move it up there
 * too, and so on: the chain walk.
 *
 * Locks: lock->wait_lock, then one task's pi_lock. Both raw, interrupts off. Only
 * rt_mutex_adjust_prio_chain() goes the other way, and therefore only tries.
 */
#include "kernel/locking/rtmutex.h"
#include "arch/x86/cpu/insns.h"
#include "kernel/preempt/assert.h"
#include "kernel/report/panic.h"
#include "kernel/report/trace.h"
#include "kernel/sched/sched.h"
#include "lib/errno.h"
#include "lib/printk.h"

#define MAX_LOCK_DEPTH	1024

/* --- The owner word --- */

bool rt_mutex_cmpxchg(struct rt_mutex_base *lock, struct task_struct *old, struct task_struct *new)
{
	unsigned long expected = (unsigned long)old;

	return __atomic_compare_exchange_n(&lock->owner, &expected, (unsigned long)new, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/*
 * From here on a fast unlock fails, so the lock's holder comes to the slow path and finds us. If
 * the lock is free, this is where the slow path acquires what the last holder released. wait_lock
 * held.
 */
static void mark_rt_mutex_waiters(struct rt_mutex_base *lock)
{
	assert_held(&lock->wait_lock);
	__atomic_fetch_or(&lock->owner, RT_MUTEX_HAS_WAITERS, __ATOMIC_ACQUIRE);
}

/*
 * Take the mark back when nobody waits any more, so that the fast paths work again. wait_lock held.
 */
void fixup_rt_mutex_waiters(struct rt_mutex_base *lock)
{
	assert_held(&lock->wait_lock);
	if (!rt_mutex_has_waiters(lock))
		__atomic_fetch_and(&lock->owner, ~RT_MUTEX_HAS_WAITERS, __ATOMIC_RELAXED);
}

/* --- The two trees. All SCHED_OTHER tasks count as one priority. --- */

static int waiter_prio(struct task_struct *task)
{
	return rt_prio(task->prio) ? task->prio : DEFAULT_PRIO;
}

void rt_mutex_init_waiter(struct rt_mutex_waiter *waiter, struct rt_mutex_base *lock,
			  unsigned int wake_state)
{
	*waiter = (struct rt_mutex_waiter){ .lock = lock, .task = NULL, .wake_state = wake_state };
	RB_CLEAR_NODE(&waiter->tree_entry);
	RB_CLEAR_NODE(&waiter->pi_tree_entry);
}

static bool tree_less(const struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct rt_mutex_waiter, tree_entry)->prio <
	       rb_entry(b, struct rt_mutex_waiter, tree_entry)->prio;
}

static bool pi_tree_less(const struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct rt_mutex_waiter, pi_tree_entry)->pi_prio <
	       rb_entry(b, struct rt_mutex_waiter, pi_tree_entry)->pi_prio;
}

static void enqueue_waiter(struct rt_mutex_base *lock, struct rt_mutex_waiter *waiter)
{
	assert_held(&lock->wait_lock);
	rb_add_cached(&waiter->tree_entry, &lock->waiters, tree_less);
}

static void dequeue_waiter(struct rt_mutex_base *lock, struct rt_mutex_waiter *waiter)
{
	assert_held(&lock->wait_lock);
	if (!RB_EMPTY_NODE(&waiter->tree_entry))
		rb_erase_cached(&waiter->tree_entry, &lock->waiters);
}

static void enqueue_pi(struct task_struct *owner, struct rt_mutex_waiter *waiter)
{
	waiter->pi_prio = waiter->prio;
	rb_add_cached(&waiter->pi_tree_entry, &owner->pi_waiters, pi_tree_less);
}

static void dequeue_pi(struct task_struct *owner, struct rt_mutex_waiter *waiter)
{
	if (!RB_EMPTY_NODE(&waiter->pi_tree_entry))
		rb_erase_cached(&waiter->pi_tree_entry, &owner->pi_waiters);
}

static struct rt_mutex_waiter *top_waiter(struct rt_mutex_base *lock)
{
	struct rb_node *first = rb_first_cached(&lock->waiters);

	return first ? rb_entry(first, struct rt_mutex_waiter, tree_entry) : NULL;
}

/*
 * Of each lock the top waiter lends its priority to the owner. From now on @new does, in the place
 * of @old; NULL is nobody. The owner's pi_lock held.
 */
static void change_lender(struct task_struct *owner, struct rt_mutex_waiter *old,
			  struct rt_mutex_waiter *new)
{
	assert_held(&owner->pi_lock);
	if (old)
		dequeue_pi(owner, old);
	if (new)
		enqueue_pi(owner, new);
	rt_mutex_setprio(owner, rt_mutex_top_task(owner));
}

/* --- The chain walk --- */

/* pi_lock held. */
static struct rt_mutex_base *blocked_on(struct task_struct *task)
{
	return task->pi_blocked_on ? task->pi_blocked_on->lock : NULL;
}

struct chain {
	struct task_struct *task;	/* whose priority changed; we hold a reference */
	/* The lock that @task waited for when we chose to go on with @task; unlocked since. */
	struct rt_mutex_base *next_lock;
	struct task_struct *top_task;	/* the task that began it all */
	struct rt_mutex_base *orig_lock;
	bool detect_deadlock;
};

/*
 * @waiter has moved in the queue of a lock, so the top waiter is @new_top and was @prev_top. Does
 * that change what the lock's owner inherits? If so, change it. The owner's pi_lock held.
 */
static bool pass_on(struct task_struct *owner, struct rt_mutex_waiter *waiter,
		    struct rt_mutex_waiter *prev_top, struct rt_mutex_waiter *new_top)
{
	if (waiter != new_top && waiter != prev_top)
		return false;
	change_lender(owner, prev_top, new_top);
	return true;
}

/*
 * What pass_on() says of the lock's owner. Returns 1 if the walk goes on with the owner (in
 * c->task), else 0. A search for deadlocks goes on in any case. wait_lock held.
 */
static int chain_inherit(struct chain *c, struct task_struct *owner, struct rt_mutex_waiter *waiter,
			 struct rt_mutex_waiter *prev_top, struct rt_mutex_waiter *new_top)
{
	bool goes_on;

	raw_spin_lock(&owner->pi_lock);
	goes_on = pass_on(owner, waiter, prev_top, new_top) || c->detect_deadlock;
	c->next_lock = blocked_on(owner);
	c->task = get_task_struct(owner);
	raw_spin_unlock(&owner->pi_lock);
	return goes_on && c->next_lock;
}

/*
 * One step: @c->task waits for a lock; move it to its new place there, and let the lock's owner
 * inherit. Returns 1 to go on with the owner, 0 at the chain's end, -EDEADLK, or -EAGAIN to try
 * this step again. If the task waits for another lock by now, the chain has changed. Whoever
 * changed it has adjusted the priorities, and if we followed the new chain, we would find rings
 * that never existed.
 * Locks go from hand to hand along the chain, so clang cannot follow.
 */
static int chain_step(struct chain *c) __no_lock_analysis
{
	struct task_struct *task = c->task, *owner;
	struct rt_mutex_waiter *waiter, *prev_top, *new_top;
	struct rt_mutex_base *lock;
	int ret = 0;

	raw_spin_lock_irq(&task->pi_lock);
	waiter = task->pi_blocked_on;
	lock = blocked_on(task);
	if (!lock || lock != c->next_lock ||
	    (waiter->prio == waiter_prio(task) && !c->detect_deadlock))
		goto out_task;
	if (!raw_spin_trylock(&lock->wait_lock)) {	/* the wrong way round: only try */
		ret = -EAGAIN;
		goto out_task;
	}
	if (lock == c->orig_lock || rt_mutex_owner(lock) == c->top_task) {
		ret = c->detect_deadlock ? -EDEADLK : 0;
		goto out_lock;
	}

	prev_top = top_waiter(lock);
	/* At the same priority the waiter keeps its place. */
	if (waiter->prio != waiter_prio(task)) {
		dequeue_waiter(lock, waiter);
		waiter->prio = waiter_prio(task);
		enqueue_waiter(lock, waiter);
	}
	new_top = top_waiter(lock);
	owner = rt_mutex_owner(lock);
	raw_spin_unlock(&task->pi_lock);	/* interrupts stay off, for wait_lock */
	if (owner)
		ret = chain_inherit(c, owner, waiter, prev_top, new_top);
	else if (prev_top != new_top)
		/* The lock is free, and the waiter that was woken is not on top any more. */
		wake_up_state(new_top->task, new_top->wake_state);
	raw_spin_unlock_irq(&lock->wait_lock);
	if (owner)
		put_task_struct(task);
	return ret;

out_lock:
	raw_spin_unlock(&lock->wait_lock);
out_task:
	raw_spin_unlock_irq(&task->pi_lock);
	return ret;
}

/*
 * Carry @task's priority along the locks it waits for, @next_lock first. Called with no lock held
 * and preemptible. However long the chain is, at most a wait_lock and a pi_lock are held at a time,
 * and under them, for the moment of a requeue or a move, the locks of one or two run queues. Drops
 * the caller's reference on @task.
 */
static int rt_mutex_adjust_prio_chain(struct task_struct *task, struct rt_mutex_base *next_lock,
				      bool detect_deadlock, struct rt_mutex_base *orig_lock,
				      struct task_struct *top_task)
{
	struct chain c = { .task = task, .next_lock = next_lock, .top_task = top_task,
			   .orig_lock = orig_lock, .detect_deadlock = detect_deadlock };
	unsigned int depth = 0;
	int ret;

	do {
		ret = chain_step(&c);
		if (ret == -EAGAIN) {
			cpu_relax();
		} else if (ret == 1 && ++depth > MAX_LOCK_DEPTH) {
			pr_warn("Maximum lock depth %d reached task: %s (%d)", MAX_LOCK_DEPTH,
				top_task->comm, top_task->pid);
			ret = detect_deadlock ? -EDEADLK : 0;
		}
	} while (ret == 1 || ret == -EAGAIN);
	put_task_struct(c.task);
	return ret;
}

void rt_mutex_adjust_pi(struct task_struct *task)
{
	struct rt_mutex_base *next_lock;

	raw_spin_lock_irq(&task->pi_lock);
	next_lock = blocked_on(task);
	raw_spin_unlock_irq(&task->pi_lock);
	if (next_lock)
		rt_mutex_adjust_prio_chain(get_task_struct(task), next_lock, false, NULL, task);
}

/*
 * --- Taking, waiting, handing on. wait_lock held and interrupts off; only rt_mutex_slowunlock()
 * takes wait_lock itself. ---
 */

/*
 * May @waiter take the lock although @top is first? Yes, if @waiter is more urgent. A spinlock_t
 * also goes to an equal, unless they are real-time tasks.
 */
static bool rt_mutex_steal(struct rt_mutex_waiter *top, struct task_struct *task,
			   struct rt_mutex_waiter *waiter)
{
	int prio = waiter_prio(task);

	if (prio < top->prio)
		return true;
	return waiter->wake_state == TASK_RTLOCK_WAIT && !rt_prio(prio) && prio == top->prio;
}

/*
 * @task, which no longer waits, owns the lock. Those who still wait lend to it; if nobody does,
 * fixup_rt_mutex_waiters() takes the mark back.
 */
static void become_owner(struct rt_mutex_base *lock, struct task_struct *task)
{
	assert_held(&lock->wait_lock);
	raw_spin_lock(&task->pi_lock);
	task->pi_blocked_on = NULL;
	change_lender(task, NULL, top_waiter(lock));
	raw_spin_unlock(&task->pi_lock);
	WRITE_ONCE(lock->owner, (unsigned long)task | RT_MUTEX_HAS_WAITERS);
}

bool try_to_take_rt_mutex(struct rt_mutex_base *lock, struct task_struct *task,
			  struct rt_mutex_waiter *waiter)
{
	assert_held(&lock->wait_lock);
	mark_rt_mutex_waiters(lock);
	if (rt_mutex_owner(lock))
		return false;
	if (rt_mutex_has_waiters(lock)) {
		struct rt_mutex_waiter *top = top_waiter(lock);

		if (waiter != top && !rt_mutex_steal(top, task, waiter))
			return false;
	}
	dequeue_waiter(lock, waiter);
	become_owner(lock, task);
	return true;
}

int task_blocks_on_rt_mutex(struct rt_mutex_base *lock, struct rt_mutex_waiter *waiter,
			    struct task_struct *task, bool detect_deadlock)
{
	struct task_struct *owner = rt_mutex_owner(lock);
	struct rt_mutex_base *next_lock;
	struct rt_mutex_waiter *old_top;
	int ret;

	assert_held(&lock->wait_lock);
	if (owner == task && detect_deadlock)
		return -EDEADLK;

	raw_spin_lock(&task->pi_lock);
	waiter->task = task;
	waiter->prio = waiter_prio(task);
	old_top = top_waiter(lock);
	enqueue_waiter(lock, waiter);
	task->pi_blocked_on = waiter;
	raw_spin_unlock(&task->pi_lock);
	this_cpu()->rq->nr_lock_waits++;
	trace(lock_contended, lock, owner ? owner->pid : 0);

	if (!owner)
		return 0;
	raw_spin_lock(&owner->pi_lock);
	if (waiter == top_waiter(lock))
		change_lender(owner, old_top, waiter);
	next_lock = blocked_on(owner);
	if (next_lock)
		get_task_struct(owner);
	raw_spin_unlock(&owner->pi_lock);
	if (!next_lock)
		return 0;

	/* As with Linux's DEBUG_RT_MUTEXES, walk to the end even if nobody there inherits. */
	raw_spin_unlock_irq(&lock->wait_lock);
	ret = rt_mutex_adjust_prio_chain(owner, next_lock, true, lock, task);
	if (unlikely(ret) && !detect_deadlock) {
		/*
		 * The caller cannot take an error. It goes on waiting, most likely for ever, and
		 * the watchdog finds it there, unless a task in the ring did ask for errors and
		 * backs off.
		 */
		WARN(true, "rtmutex deadlock detected");
		ret = 0;
	}
	raw_spin_lock_irq(&lock->wait_lock);
	return ret;
}

/* Give up waiting: leave both trees, and take back what we lent. */
void remove_waiter(struct rt_mutex_base *lock, struct rt_mutex_waiter *waiter)
{
	bool is_top = waiter == top_waiter(lock);
	struct task_struct *owner = rt_mutex_owner(lock);
	struct rt_mutex_base *next_lock;

	assert_held(&lock->wait_lock);
	raw_spin_lock(&current->pi_lock);
	dequeue_waiter(lock, waiter);
	current->pi_blocked_on = NULL;
	raw_spin_unlock(&current->pi_lock);
	if (!owner || !is_top)
		return;

	raw_spin_lock(&owner->pi_lock);
	change_lender(owner, waiter, top_waiter(lock));
	next_lock = blocked_on(owner);
	if (next_lock)
		get_task_struct(owner);
	raw_spin_unlock(&owner->pi_lock);
	if (!next_lock)
		return;
	raw_spin_unlock_irq(&lock->wait_lock);
	rt_mutex_adjust_prio_chain(owner, next_lock, false, lock, current);
	raw_spin_lock_irq(&lock->wait_lock);
}

/*
 * Deboost first, then wake. Between the two we are back at our own priority with the lock free;
 * preemption stays off there, or a middle priority could keep us, and so the waiter, from going on.
 *
 * @waiter, the top one, stays in the tree and takes the lock itself; until then a more urgent one
 * may steal it. Releases wait_lock, and the interrupts as @flags say.
 */
static void hand_on(struct rt_mutex_base *lock, struct rt_mutex_waiter *waiter, unsigned long flags)
	__releases(lock->wait_lock)
{
	struct task_struct *task = get_task_struct(waiter->task);
	unsigned int wake_state = waiter->wake_state;

	raw_spin_lock(&current->pi_lock);
	change_lender(current, waiter, NULL);
	raw_spin_unlock(&current->pi_lock);
	__atomic_store_n(&lock->owner, RT_MUTEX_HAS_WAITERS, __ATOMIC_RELEASE);
	preempt_disable();
	raw_spin_unlock_irqrestore(&lock->wait_lock, flags);
	wake_up_state(task, wake_state);
	put_task_struct(task);
	preempt_enable();
}

void rt_mutex_slowunlock(struct rt_mutex_base *lock)
{
	unsigned long flags = raw_spin_lock_irqsave(&lock->wait_lock);
	struct rt_mutex_waiter *waiter;

	if (WARN_ON(rt_mutex_owner(lock) != current)) {
		raw_spin_unlock_irqrestore(&lock->wait_lock, flags);
		return;
	}
	while (!(waiter = top_waiter(lock))) {
		/* The next owner may free the lock's memory, so wait_lock is released first. */
		fixup_rt_mutex_waiters(lock);
		raw_spin_unlock_irqrestore(&lock->wait_lock, flags);
		if (rt_mutex_cmpxchg(lock, current, NULL))
			return;
		flags = raw_spin_lock_irqsave(&lock->wait_lock);
	}
	hand_on(lock, waiter, flags);
}
