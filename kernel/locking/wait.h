/* SPDX-License-Identifier: MIT */
/*
 * Waiting for an event: wait queues and completions. Their lock is raw (Linux's simple wait
 * queues), so a wake-up works in any context, interrupts included. Waiting sleeps.
 */
#pragma once

#include "kernel/preempt/raw_spinlock.h"
#include "lib/list.h"

struct task_struct;

struct wait_queue_head {
	raw_spinlock_t		lock;
	struct list_head	waiters;
};

struct wait_queue_entry {
	struct task_struct	*task;
	struct list_head	node;
};

#define WAIT_QUEUE_HEAD_INIT(name) { .waiters = { &(name).waiters, &(name).waiters } }
void init_waitqueue_head(struct wait_queue_head *wq);
/* Wakes all with the queue's lock held, so this takes as long as there are waiters. */
void wake_up_all(struct wait_queue_head *wq);

/*
 * Queue current and set its state; the caller then checks its condition and calls schedule(). A
 * wake-up between the two makes schedule() return at once, so none is lost. -EINTR: the group is
 * being killed (INTERRUPTIBLE and KILLABLE).
 */
int prepare_to_wait(struct wait_queue_head *wq, struct wait_queue_entry *entry, unsigned int state);
void finish_wait(struct wait_queue_head *wq, struct wait_queue_entry *entry);

/*
 * Sleep in @state until @cond; 0 or -EINTR. May sleep. @cond is evaluated with the state set, so it
 * may take a spinlock_t, which keeps the state, but no mutex.
 */
#define wait_event_state(wq, state, cond) ({						\
	struct wait_queue_entry __entry = { .task = current };				\
	int __ret = 0;									\
											\
	might_sleep();									\
	INIT_LIST_HEAD(&__entry.node);							\
	for (;;) {									\
		__ret = prepare_to_wait(wq, &__entry, state);				\
		if (cond) {								\
			__ret = 0;							\
			break;								\
		}									\
		if (__ret)								\
			break;								\
		schedule();								\
	}										\
	finish_wait(wq, &__entry);							\
	__ret; })
#define wait_event_interruptible(wq, cond) wait_event_state(wq, TASK_INTERRUPTIBLE, cond)

struct completion {
	unsigned int		done;
	struct wait_queue_head	wait;
};

void init_completion(struct completion *x);
void complete(struct completion *x);
void wait_for_completion(struct completion *x);		/* may sleep, not interruptible */
int wait_for_completion_killable(struct completion *x);		/* -EINTR if killed */
int wait_for_completion_interruptible(struct completion *x);	/* -EINTR if killed */
