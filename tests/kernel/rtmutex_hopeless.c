/* SPDX-License-Identifier: MIT */
/*
 * Deadlocks that nobody asked about: mutex_lock() and spin_lock() can return no error, so they say
 * it and wait on. And walks along many locks.
 *
 * Those who wait would do so for ever. The test lets them go: it unlocks for them.
 */
#include "kernel/preempt/might_sleep.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "tests/kernel/any_lock.h"

KTEST_SUITE(rtmutex_hopeless);

#define MANY	40
#define DEPTH	"Maximum lock depth 1024 reached task: "

static struct completion may_ask;

static void take_twice(struct thread *self)
{
	take(0);
	take(0);
	log_mark(self->mark);
	release(0);
	if (locks[0].is_spinlock) {		/* what the test could not take back */
		migrate_enable();
		rcu_read_unlock();
	}
}

/* fails with: fault/deadlock-unreported */
static void taking_it_twice_is_reported(struct ktest_run *kt, enum kind kind)
{
	KMAY_WARN;
	struct splats before = splats_now();
	u64 from = printk_next();
	bool said = false;
	RUN_AS_FIFO(fifo(10));

	locks_init(kind);
	thread_run(kt, &threads[0], take_twice, NULL, "a", fifo(20));
	EXPECT_SPLATS(before, SPLAT_WARN, 1);
	EXPECT_SPLATS_IN_ALL(before, 1);
	for (; from < printk_next(); from++)
		said |= printk_text(from) &&
			!strcmp(printk_text(from), "rtmutex deadlock detected");
	KEXPECT(said);
	KEXPECT(thread_is_blocked_on(&threads[0], base(0)));	/* it waits, and says for what */
	EXPECT_LOG("");
	KEXPECT(thread_unlock(&threads[0], base(0)));
	EXPECT_LOG("a");
	EXPECT_SPLATS_IN_ALL(before, 1);
	thread_end(&threads[0]);
	expect_all_free(kt);
}
FOR_BOTH_KINDS(taking_it_twice_is_reported)

/* Lock 0, then, when the other has its own, lock 1; @arg says that it is the other way round. */
static void take_both(struct thread *self)
{
	int first = (long)self->arg;

	take(first);
	if (!first)
		wait_for_completion(&may_ask);
	take(!first);
	log_mark(self->mark);
	release(!first);
	if (first) {
		release(first);
	} else if (locks[0].is_spinlock) {
		migrate_enable();
		rcu_read_unlock();
	}
}

/*
 * At one priority nobody needs to inherit anything, and the ring is there all the same.
 * fails with: fault/walk-looks-for-loans-only
 */
static void abba(struct ktest_run *kt, enum kind kind, int prio_a, int prio_b)
{
	struct splats before = splats_now();
	RUN_AS_FIFO(fifo(10));

	locks_init(kind);
	init_completion(&may_ask);
	thread_run(kt, &threads[0], take_both, LOCK(0), "a", fifo(prio_a));
	thread_run(kt, &threads[1], take_both, LOCK(1), "b", fifo(prio_b));
	EXPECT_SPLATS_IN_ALL(before, 0);
	complete(&may_ask);
	EXPECT_SPLATS(before, SPLAT_WARN, 1);
	EXPECT_SPLATS_IN_ALL(before, 1);
	KEXPECT(thread_is_blocked_on(&threads[0], base(1)));
	KEXPECT(thread_is_blocked_on(&threads[1], base(0)));
	KEXPECT(thread_unlock(&threads[0], base(0)));
	EXPECT_LOG("ba");
	EXPECT_SPLATS_IN_ALL(before, 1);
	thread_end(&threads[0]);
	thread_end(&threads[1]);
	expect_all_free(kt);
}

/* Sleeping in a spinlock_t, as take_both() does, is another mistake: mutexes only. */
KTEST(a_ring_of_two_is_reported)
{
	KMAY_WARN;

	abba(kt, MUTEX, 20, 20);
	abba(kt, MUTEX, 20, 30);
	abba(kt, MUTEX, 30, 20);
}

static void take_two_and_mark(struct thread *self)
{
	take(2);
	take_and_mark(self);
	release(2);
}

/*
 * Who comes to a ring from outside goes round and round in it, but not for ever.
 * fails with: fault/lock-depth-16, and a walk without a limit
 */
KTEST(a_walk_into_a_ring_ends)
{
	KMAY_WARN;
	u64 from;
	bool said = false;
	RUN_AS_FIFO(fifo(10));

	locks_init(MUTEX);
	init_completion(&may_ask);
	thread_run(kt, &threads[0], take_both, LOCK(0), "a", fifo(20));
	thread_run(kt, &threads[1], take_both, LOCK(1), "b", fifo(20));
	complete(&may_ask);
	/* Not for a lock of the ring itself: that one the walk would know again. */
	thread_run(kt, &threads[2], take_two_and_mark, LOCK(0), "c", fifo(15));
	from = printk_next();
	thread_run(kt, &threads[3], take_and_mark, LOCK(2), "d", fifo(15));
	for (; from < printk_next(); from++)
		said |= printk_text(from) && !strncmp(printk_text(from), DEPTH, strlen(DEPTH));
	KEXPECT(said);
	KEXPECT(thread_unlock(&threads[0], base(0)));
	EXPECT_LOG("bacd");
	for (int i = 0; i < 4; i++)
		thread_end(&threads[i]);
	expect_all_free(kt);
}

/* --- Many locks --- */

static struct thread links[MANY];
static mutex_t chain[MANY + 1];

/* Hold one, wait for the one below. */
static void hold_and_wait(struct thread *self)
{
	long i = (long)self->arg;

	mutex_lock(&chain[i]);
	mutex_lock(&chain[i - 1]);
	self->seen = current->prio;
	mutex_unlock(&chain[i - 1]);
	mutex_unlock(&chain[i]);
}

/* fails with: fault/lock-depth-16 */
KTEST(a_loan_reaches_through_forty_locks)
{
	struct splats before = splats_now();
	RUN_AS_FIFO(5);

	for (int i = 0; i <= MANY; i++)
		mutex_init(&chain[i]);
	mutex_lock(&chain[0]);
	for (long i = 1; i <= MANY; i++)
		thread_run(kt, &links[i - 1], hold_and_wait, LOCK(i), "link", 5 + i);
	thread_set_fifo(&links[MANY - 1], 90);
	KEXPECT_EQ(current->prio, PRIO_OF(90));
	for (int i = 0; i < MANY; i++)
		KEXPECT_EQ(thread_prio(&links[i]), PRIO_OF(90));
	mutex_unlock(&chain[0]);
	KEXPECT_EQ(current->prio, PRIO_OF(5));
	EXPECT_SPLATS_IN_ALL(before, 0);
	for (int i = 0; i < MANY; i++) {
		KEXPECT_EQ(links[i].seen, PRIO_OF(90));
		thread_end(&links[i]);
	}
}
