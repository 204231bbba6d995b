// SPDX-License-Identifier: MIT
/* Kernel threads for the tests (see threads.h). */
#include "tests/kernel/threads.h"
#include "arch/x86/irqflags.h"
#include "kernel/fork.h"
#include "kernel/policy.h"
#include "kernel/preempt/might_sleep.h"
#include "lib/errno.h"
#include "lib/string.h"

#define MOST_URGENT	99
#define LOG_MAX		64
#define YIELDS_MAX	1000

int fifo(unsigned int rank)
{
	int prio = rank;

	BUG_ON(rank > FIFO_RANKS);
	for (unsigned int i = 2; i <= rank; i++)
		prio += ktest_seed >> i & 1;
	return prio;
}

/* --- The test itself --- */

static void set_fifo(struct task_struct *task, int fifo)
{
	sched_setscheduler(task, fifo ? SCHED_FIFO : SCHED_OTHER, fifo);
}

void set_own_fifo(int fifo)
{
	set_fifo(current, fifo);
}

struct test_policy test_policy_raise(int fifo)
{
	struct test_policy old = { current->policy, current->rt_priority };

	set_own_fifo(fifo);
	return old;
}

void test_policy_restore(struct test_policy *old)
{
	sched_setscheduler(current, old->policy, old->rt_priority);
}

/* --- Threads --- */

static int thread_main(void *arg)
{
	struct thread *self = arg;

	wait_for_completion(&self->go);
	self->fn(self);
	self->done = true;
	return 0;
}

void thread_make(struct ktest_run *kt, struct thread *t, void (*fn)(struct thread *self), void *arg,
		 const char *name)
{
	struct task_struct *task;

	*t = (struct thread){ .fn = fn, .kt = kt, .arg = arg, .mark = name[0] };
	init_completion(&t->go);
	task = kthread_create(thread_main, t, name);
	if (IS_ERR(task))
		KFAIL("no thread %s: %ld", name, PTR_ERR(task));
	else
		t->task = task;
}

void thread_set_fifo(struct thread *t, int fifo)
{
	if (t->task)
		set_fifo(t->task, fifo);
}

void thread_start(struct thread *t, int fifo)
{
	thread_set_fifo(t, fifo);
	complete(&t->go);
}

void thread_run(struct ktest_run *kt, struct thread *t, void (*fn)(struct thread *self), void *arg,
		const char *name, int fifo)
{
	thread_make(kt, t, fn, arg, name);
	thread_start(t, fifo);
}

void thread_end(struct thread *t)
{
	struct ktest_run *kt = t->kt;

	if (!t->task)
		return;
	set_fifo(t->task, MOST_URGENT);
	if (!READ_ONCE(t->done))
		KFAIL("thread %s is stuck in state %#x", t->task->comm, task_state(t->task));
	else
		KEXPECT_EQ(t->task->usage, 1);		/* the reference for its running is gone */
	put_task_struct(t->task);
	t->task = NULL;
}

bool thread_is_blocked_on(const struct thread *t, const struct rt_mutex_base *lock)
{
	const struct rt_mutex_waiter *waiter = t->task ? READ_ONCE(t->task->pi_blocked_on) : NULL;

	return waiter && waiter->lock == lock && !t->task->on_rq;
}

bool thread_unlock(const struct thread *owner, struct rt_mutex_base *lock) __no_lock_analysis
{
	unsigned long flags = raw_spin_lock_irqsave(&lock->wait_lock);
	struct rb_node *first = rb_first_cached(&lock->waiters);
	struct rt_mutex_waiter *waiter = NULL;

	if (first && owner->task && rt_mutex_owner(lock) == owner->task) {
		waiter = rb_entry(first, struct rt_mutex_waiter, tree_entry);
		raw_spin_lock(&owner->task->pi_lock);
		if (!RB_EMPTY_NODE(&waiter->pi_tree_entry))
			rb_erase_cached(&waiter->pi_tree_entry, &owner->task->pi_waiters);
		rt_mutex_setprio(owner->task, rt_mutex_top_task(owner->task));
		raw_spin_unlock(&owner->task->pi_lock);
		lock->owner = RT_MUTEX_HAS_WAITERS;
	}
	raw_spin_unlock_irqrestore(&lock->wait_lock, flags);
	if (waiter)
		wake_up_state(waiter->task, waiter->wake_state);
	return waiter;
}

void await_blocked(struct ktest_run *kt, const struct thread *t, const struct rt_mutex_base *lock)
{
	set_own_fifo(0);
	for (int i = 0; i < YIELDS_MAX && !thread_is_blocked_on(t, lock); i++)
		do_sched_yield();
	KEXPECT(thread_is_blocked_on(t, lock));
}

int thread_prio(const struct thread *t)
{
	return t->task ? READ_ONCE(t->task->prio) : -1;
}

/* --- The log --- */

static char log[LOG_MAX + 1];
static unsigned int log_len;

void log_clear(void)
{
	log_len = 0;
	log[0] = '\0';
}

void log_mark(char mark)
{
	unsigned long flags = local_irq_save();

	if (log_len < LOG_MAX) {
		log[log_len++] = mark;
		log[log_len] = '\0';
	}
	local_irq_restore(flags);
}

void expect_log(struct ktest_run *kt, const char *file, int line, const char *expected)
{
	if (strcmp(log, expected))
		ktest_fail(kt, file, line, "expected the order \"%s\", got \"%s\"", expected, log);
}

/* --- Reports --- */

struct splats splats_now(void)
{
	struct splats now;

	memcpy(now.count, splat_counts, sizeof(now.count));
	return now;
}

u64 splats_since(const struct splats *before)
{
	u64 sum = 0;

	for (int kind = 0; kind < SPLAT_KINDS; kind++)
		sum += splat_counts[kind] - before->count[kind];
	return sum;
}
