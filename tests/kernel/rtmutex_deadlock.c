/* SPDX-License-Identifier: MIT */
/*
 * Deadlocks, on mutexes and asked for: the one who would close the ring is told so, and nobody else
 * notices. A thread asks, not the test: a deadlock that is not found must not stop the test.
 */
#include "lib/errno.h"
#include "arch/x86/irqflags.h"
#include "tests/kernel/any_lock.h"
#include "tests/kernel/watch.h"

KTEST_SUITE(rtmutex_deadlock);

static struct completion may_ask, may_go_on;
static bool clean_after;

static void ask(struct thread *self, int lock)
{
	self->result = mutex_lock_checked(&locks[lock].mutex);
	clean_after = task_state(current) == TASK_RUNNING && !current->pi_blocked_on;
	log_mark(self->mark);
}

static void ask_twice(struct thread *self)
{
	mutex_lock(&locks[0].mutex);
	ask(self, 0);
	self->seen = base(0)->owner == (unsigned long)current;	/* and no mark for waiters */
	mutex_unlock(&locks[0].mutex);
}

/* fails with: mutex_slowlock() not returning the error, or leaving the mark for waiters */
KTEST(locking_twice_is_a_deadlock)
{
	RUN_AS_FIFO(fifo(10));

	locks_init(MUTEX);
	thread_run(kt, &threads[0], ask_twice, NULL, "a", fifo(20));
	EXPECT_LOG("a");
	KEXPECT_EQ(threads[0].result, -EDEADLK);
	KEXPECT(clean_after);
	KEXPECT(threads[0].seen);
	KEXPECT_EQ(thread_prio(&threads[0]), PRIO_OF(fifo(20)));
	thread_end(&threads[0]);
	expect_all_free(kt);
}

/* Hold lock @arg, ask for the one below. */
static void hold_and_ask(struct thread *self)
{
	long i = (long)self->arg;

	mutex_lock(&locks[i].mutex);
	self->result = mutex_lock_checked(&locks[i - 1].mutex);
	log_mark(self->mark);
	if (!self->result)
		mutex_unlock(&locks[i - 1].mutex);
	mutex_unlock(&locks[i].mutex);
}

/* Hold lock 0, ask for lock @arg. */
static void close_the_ring(struct thread *self)
{
	mutex_lock(&locks[0].mutex);
	wait_for_completion(&may_ask);
	ask(self, (long)self->arg);
	wait_for_completion(&may_go_on);
	mutex_unlock(&locks[0].mutex);
}

/* Thread i waits for lock i-1 with lock i; the thread that has lock 0 closes the ring. */
static void deadlock_ring(struct ktest_run *kt, int nr_threads, const char *order)
{
	RUN_AS_FIFO(fifo(10));

	locks_init(MUTEX);
	init_completion(&may_ask);
	init_completion(&may_go_on);
	thread_run(kt, &threads[0], close_the_ring, LOCK(nr_threads), "a", fifo(15));
	for (long i = 1; i <= nr_threads; i++)
		thread_run(kt, &threads[i], hold_and_ask, LOCK(i), (char[2]){ 'a' + i },
			   fifo(20 + i));
	KEXPECT_EQ(thread_prio(&threads[0]), PRIO_OF(fifo(20 + nr_threads)));
	thread_set_fifo(&threads[0], fifo(40));	/* so that it lends to all others while it asks */
	complete(&may_ask);
	EXPECT_LOG("a");
	KEXPECT_EQ(threads[0].result, -EDEADLK);
	KEXPECT(clean_after);
	KEXPECT_EQ(thread_prio(&threads[0]), PRIO_OF(fifo(40)));
	/* Nobody else noticed: they wait as before, at the priorities they had. */
	for (int i = 1; i <= nr_threads; i++) {
		KEXPECT(thread_is_blocked_on(&threads[i], base(i - 1)));
		KEXPECT_EQ(thread_prio(&threads[i]), PRIO_OF(fifo(20 + nr_threads)));
	}
	KEXPECT_EQ(base(nr_threads)->owner, (u64)threads[nr_threads].task);
	thread_set_fifo(&threads[0], fifo(15));
	KEXPECT_EQ(thread_prio(&threads[0]), PRIO_OF(fifo(20 + nr_threads)));
	complete(&may_go_on);
	EXPECT_LOG(order);
	KEXPECT_EQ(thread_prio(&threads[0]), PRIO_OF(fifo(15)));
	for (int i = 1; i <= nr_threads; i++) {
		KEXPECT_EQ(threads[i].result, 0);
		KEXPECT_EQ(thread_prio(&threads[i]), PRIO_OF(fifo(20 + i)));
	}
	for (int i = 0; i <= nr_threads; i++)
		thread_end(&threads[i]);
	expect_all_free(kt);
}

/* fails with: remove_waiter() not recomputing the owner's priority */
KTEST(abba_is_a_deadlock)
{
	deadlock_ring(kt, 1, "ab");
}

/* fails with: remove_waiter() not taking the loan back along the chain */
KTEST(a_ring_of_three_is_a_deadlock)
{
	deadlock_ring(kt, 2, "abc");
}

/* fails with: task_blocks_on_rt_mutex() reporting a deadlock for any owner that is blocked */
KTEST(a_chain_is_no_deadlock)
{
	RUN_AS_FIFO(fifo(10));

	locks_init(MUTEX);
	thread_make(kt, &threads[1], hold_and_ask, LOCK(1), "b");
	thread_make(kt, &threads[2], hold_and_ask, LOCK(2), "c");
	thread_make(kt, &threads[3], hold_and_ask, LOCK(3), "d");
	mutex_lock(&locks[0].mutex);
	for (int i = 1; i <= 3; i++)
		thread_start(&threads[i], fifo(20 + i));
	EXPECT_OWN_PRIO(23);
	mutex_unlock(&locks[0].mutex);
	EXPECT_LOG("bcd");
	for (int i = 1; i <= 3; i++) {
		KEXPECT_EQ(threads[i].result, 0);
		thread_end(&threads[i]);
	}
	expect_all_free(kt);
}

/*
 * The one who asks lends nothing: another, more urgent one already waits for the same lock. The
 * walk must look all the same.
 *
 * fails with: chain_step() ending a walk that looks for deadlocks where nothing needs a boost
 */
KTEST(the_least_urgent_finds_the_deadlock_too)
{
	RUN_AS_FIFO(fifo(10));

	locks_init(MUTEX);
	init_completion(&may_ask);
	init_completion(&may_go_on);
	complete(&may_go_on);
	thread_run(kt, &threads[0], close_the_ring, LOCK(1), "a", fifo(20));
	thread_run(kt, &threads[1], hold_and_ask, LOCK(1), "b", fifo(30));
	KEXPECT_EQ(thread_prio(&threads[0]), PRIO_OF(fifo(30)));
	thread_set_fifo(&threads[1], fifo(15));
	KEXPECT_EQ(thread_prio(&threads[0]), PRIO_OF(fifo(20)));
	thread_run(kt, &threads[2], take_and_mark, LOCK(1), "c", fifo(40));
	KEXPECT_EQ(thread_prio(&threads[0]), PRIO_OF(fifo(40)));
	complete(&may_ask);
	KEXPECT_EQ(threads[0].result, -EDEADLK);
	KEXPECT_EQ(threads[1].result, 0);
	KEXPECT(clean_after);
	EXPECT_LOG("abc");
	KEXPECT_EQ(thread_prio(&threads[0]), PRIO_OF(fifo(20)));
	KEXPECT_EQ(thread_prio(&threads[1]), PRIO_OF(fifo(15)));
	for (int i = 0; i < 3; i++)
		thread_end(&threads[i]);
	expect_all_free(kt);
}

/*
 * In the middle of the ring stands one who lends nothing: a more urgent one waits before it.
 * fails with: chain_step() going on only where it changed the owner's tree
 */
KTEST(a_ring_through_a_queue_is_a_deadlock)
{
	RUN_AS_FIFO(fifo(10));

	locks_init(MUTEX);
	init_completion(&may_ask);
	init_completion(&may_go_on);
	complete(&may_go_on);
	thread_run(kt, &threads[0], close_the_ring, LOCK(2), "a", fifo(20));
	thread_run(kt, &threads[1], hold_and_ask, LOCK(1), "b", fifo(21));
	thread_run(kt, &threads[2], hold_and_ask, LOCK(2), "c", fifo(22));
	thread_run(kt, &threads[3], take_and_mark, LOCK(1), "d", fifo(40));
	KEXPECT_EQ(thread_prio(&threads[0]), PRIO_OF(fifo(40)));
	KEXPECT_EQ(thread_prio(&threads[2]), PRIO_OF(fifo(22)));
	complete(&may_ask);
	KEXPECT_EQ(threads[0].result, -EDEADLK);
	KEXPECT_EQ(threads[1].result, 0);
	KEXPECT_EQ(threads[2].result, 0);
	EXPECT_LOG("abdc");
	for (int i = 0; i < 4; i++)
		thread_end(&threads[i]);
	expect_all_free(kt);
}

/*
 * Who backs off was the one that lent: from now on the next in its queue does.
 * fails with: fault/backing-off-ends-all-loans
 */
KTEST(who_backs_off_leaves_the_next_to_lend)
{
	RUN_AS_FIFO(fifo(10));

	locks_init(MUTEX);
	init_completion(&may_ask);
	init_completion(&may_go_on);
	thread_run(kt, &threads[0], close_the_ring, LOCK(1), "a", fifo(15));
	thread_run(kt, &threads[1], hold_and_ask, LOCK(1), "b", fifo(20));
	thread_run(kt, &threads[2], take_and_mark, LOCK(1), "c", fifo(30));
	KEXPECT_EQ(thread_prio(&threads[1]), PRIO_OF(fifo(30)));
	thread_set_fifo(&threads[0], fifo(40));
	complete(&may_ask);
	KEXPECT_EQ(threads[0].result, -EDEADLK);
	KEXPECT_EQ(thread_prio(&threads[1]), PRIO_OF(fifo(30)));
	thread_set_fifo(&threads[0], fifo(15));
	KEXPECT_EQ(thread_prio(&threads[0]), PRIO_OF(fifo(30)));	/* by c, by way of b */
	complete(&may_go_on);
	EXPECT_LOG("abc");
	KEXPECT_EQ(thread_prio(&threads[1]), PRIO_OF(fifo(20)));
	for (int i = 0; i < 3; i++)
		thread_end(&threads[i]);
	expect_all_free(kt);
}

/* Lock 0, then 1; @arg: the other way round. Nobody asks whether that can be. */
static void lock_both(struct thread *self)
{
	int first = (long)self->arg;

	mutex_lock(&locks[first].mutex);
	wait_for_completion(&may_ask);
	mutex_lock(&locks[!first].mutex);
	log_mark(self->mark);
	mutex_unlock(&locks[!first].mutex);
	if (first)
		mutex_unlock(&locks[first].mutex);
}

/*
 * mutex_lock() says nothing of a deadlock, and nobody would look: without the lock it must not come
 * back. fails with: mutex_lock() that returns without the lock
 */
KTEST(a_deadlock_that_nobody_asked_about_waits_for_ever)
{
	KMAY_WARN;
	RUN_AS_FIFO(fifo(10));

	locks_init(MUTEX);
	init_completion(&may_ask);
	thread_run(kt, &threads[0], lock_both, LOCK(0), "a", fifo(30));
	thread_run(kt, &threads[1], lock_both, LOCK(1), "b", fifo(20));
	complete(&may_ask);
	thread_set_fifo(&threads[1], fifo(40));		/* it lends to a, so the walk begins */
	complete(&may_ask);
	KEXPECT(thread_is_blocked_on(&threads[0], base(1)));
	KEXPECT(thread_is_blocked_on(&threads[1], base(0)));
	EXPECT_LOG("");
	KEXPECT(thread_unlock(&threads[0], base(0)));
	EXPECT_LOG("ba");
	thread_end(&threads[0]);
	thread_end(&threads[1]);
	expect_all_free(kt);
}

static unsigned int references;

/*
 * References on b: the asker's walk takes one and, when it has found the ring and holds no lock,
 * drops it. At that moment b, in the ring and on another CPU, backs off and gives up lock 1.
 */
static bool backs_off_meanwhile(const struct pt_regs *regs)
{
	if (current == threads[0].task && ++references == 2)
		thread_unlock(&threads[1], base(1));
	return true;
}

static void ask_and_have_both(struct thread *self)
{
	mutex_lock(&locks[0].mutex);
	wait_for_completion(&may_ask);
	ask(self, 1);
	if (!self->result)
		mutex_unlock(&locks[1].mutex);
	mutex_unlock(&locks[0].mutex);
}

static void have_one_and_want_the_other(struct thread *self)
{
	mutex_lock(&locks[1].mutex);
	take(0);
	log_mark(self->mark);
	release(0);
}

/*
 * It has the lock by then, and must not say that it hasn't.
 * fails with: fault/backs-off-with-the-lock
 */
KTEST(a_lock_that_came_meanwhile_is_no_deadlock)
{
	struct watch watch = { .name = "references on b", .half = true,
			       .rule = backs_off_meanwhile };
	RUN_AS_FIFO(fifo(10));

	locks_init(MUTEX);
	init_completion(&may_ask);
	references = 0;
	thread_run(kt, &threads[0], ask_and_have_both, NULL, "a", fifo(20));
	thread_run(kt, &threads[1], have_one_and_want_the_other, NULL, "b", fifo(30));
	if (!threads[0].task || !threads[1].task)
		return;
	watch.at = &threads[1].task->usage;
	watch_start(&watch, 1);
	complete(&may_ask);
	watch_end(kt);
	KEXPECT_GE(references, 2);
	KEXPECT_EQ(threads[0].result, 0);
	KEXPECT(clean_after);
	EXPECT_LOG("ab");
	if (rt_mutex_owner(base(1)) == threads[0].task)
		base(1)->owner = 0;			/* it is gone: the test has failed */
	thread_end(&threads[0]);
	thread_end(&threads[1]);
	expect_all_free(kt);
}
