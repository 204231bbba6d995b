// SPDX-License-Identifier: MIT
/*
 * Wait queues and completions on a raw lock. A woken entry leaves the queue; its owner may queue it
 * again.
 */
#include "kernel/locking/wait.h"
#include "kernel/preempt/assert.h"
#include "kernel/preempt/might_sleep.h"
#include "kernel/sched/sched.h"
#include "lib/errno.h"

void init_waitqueue_head(struct wait_queue_head *wq)
{
	wq->lock = RAW_SPINLOCK_UNLOCKED;
	INIT_LIST_HEAD(&wq->waiters);
}

/* The queue's lock held. */
static void wake_first(struct wait_queue_head *wq)
{
	struct wait_queue_entry *entry =
		list_first_entry(&wq->waiters, struct wait_queue_entry, node);

	assert_held(&wq->lock);
	list_del_init(&entry->node);
	wake_up_process(entry->task);
}

void wake_up_all(struct wait_queue_head *wq)
{
	unsigned long flags = raw_spin_lock_irqsave(&wq->lock);

	while (!list_empty(&wq->waiters))
		wake_first(wq);
	raw_spin_unlock_irqrestore(&wq->lock, flags);
}

int prepare_to_wait(struct wait_queue_head *wq, struct wait_queue_entry *entry,
		    unsigned int state)
{
	unsigned long flags = raw_spin_lock_irqsave(&wq->lock);
	bool killed = signal_pending_state(state, current);

	if (!killed) {
		if (list_empty(&entry->node))
			list_add_tail(&entry->node, &wq->waiters);
		set_current_state(state);
	}
	raw_spin_unlock_irqrestore(&wq->lock, flags);
	return killed ? -EINTR : 0;
}

void finish_wait(struct wait_queue_head *wq, struct wait_queue_entry *entry)
{
	unsigned long flags;

	__set_current_state(TASK_RUNNING);
	flags = raw_spin_lock_irqsave(&wq->lock);
	list_del_init(&entry->node);
	raw_spin_unlock_irqrestore(&wq->lock, flags);
}

void init_completion(struct completion *x)
{
	x->done = 0;
	init_waitqueue_head(&x->wait);
}

void complete(struct completion *x)
{
	unsigned long flags = raw_spin_lock_irqsave(&x->wait.lock);

	x->done++;
	if (!list_empty(&x->wait.waiters))
		wake_first(&x->wait);
	raw_spin_unlock_irqrestore(&x->wait.lock, flags);
}

/* Use up one complete(), if there is one. */
static bool try_take(struct completion *x)
{
	unsigned long flags = raw_spin_lock_irqsave(&x->wait.lock);
	bool done = x->done;

	x->done -= done;
	raw_spin_unlock_irqrestore(&x->wait.lock, flags);
	return done;
}

void wait_for_completion(struct completion *x)
{
	wait_event_state(&x->wait, TASK_UNINTERRUPTIBLE, try_take(x));
}

int wait_for_completion_killable(struct completion *x)
{
	return wait_event_state(&x->wait, TASK_KILLABLE, try_take(x));
}

int wait_for_completion_interruptible(struct completion *x)
{
	return wait_event_interruptible(&x->wait, try_take(x));
}
