/* SPDX-License-Identifier: MIT */
/*
 * Priority inheritance: the scenarios of Pintos's "priority-donate" tests and what rt_mutex adds to
 * them, each for mutex_t, for spinlock_t, and, where locks nest, for a spinlock_t inside a mutex_t.
 *
 * The test itself is the low task that holds a lock. A thread started above it runs at once and
 * blocks there; what the test's priority is then, and who comes in which order when it unlocks, is
 * the result.
 */
#include "kernel/locking/rtmutex.h"
#include "kernel/locking/spinlock_rt.h"
#include "lib/errno.h"
#include "tests/kernel/threads.h"

KTEST_SUITE(rtmutex);

#define LOCKS	8

/* --- A lock of either kind --- */

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

static void locks_init(enum kind kind)
{
	for (int i = 0; i < LOCKS; i++) {
		locks[i].is_spinlock = kind == SPINLOCK || (kind == MIXED && i < LOCKS / 2);
		mutex_init(&locks[i].mutex);
		spin_lock_init(&locks[i].spinlock);
	}
	log_clear();
}

static struct rt_mutex_base *base(int i)
{
	return locks[i].is_spinlock ? &locks[i].spinlock.lock : &locks[i].mutex.rtmutex;
}

static void take(int i)
{
	if (locks[i].is_spinlock)
		spin_lock(&locks[i].spinlock);
	else
		mutex_lock(&locks[i].mutex);
}

static void release(int i)
{
	if (locks[i].is_spinlock)
		spin_unlock(&locks[i].spinlock);
	else
		mutex_unlock(&locks[i].mutex);
}

/* Nobody holds a lock, nobody waits, and the mark for waiters is gone. */
static void expect_all_free(struct ktest_run *kt)
{
	for (int i = 0; i < LOCKS; i++) {
		KEXPECT_EQ(base(i)->owner, 0);
		KEXPECT(!rt_mutex_has_waiters(base(i)));
	}
	KEXPECT(rb_empty_cached(&current->pi_waiters));
	KEXPECT_EQ(current->pi_blocked_on, NULL);
	KEXPECT_EQ(task_state(current), TASK_RUNNING);
	__set_current_state(TASK_RUNNING);	/* so that the next test gets its turn */
}

#define EXPECT_OWN_PRIO(fifo) KEXPECT_EQ(current->prio, PRIO_OF(fifo))

/* The scenario @fn as one test for each kind of lock. */
#define FOR_BOTH_KINDS(fn)							\
	KTEST(mutex_##fn) { fn(kt, MUTEX); }					\
	KTEST(spinlock_##fn) { fn(kt, SPINLOCK); }
#define FOR_ALL_KINDS(fn)							\
	FOR_BOTH_KINDS(fn)							\
	KTEST(mixed_##fn) { fn(kt, MIXED); }

/* --- What threads do --- */

static struct thread threads[LOCKS], others[LOCKS];

/* Wait for one lock; leave a mark when it is ours. @arg: which. */
static void take_and_mark(struct thread *self)
{
	int lock = (long)self->arg;

	take(lock);
	log_mark(self->mark);
	release(lock);
}

static void mark(struct thread *self)
{
	log_mark(self->mark);
}

#define LOCK(i) ((void *)(long)(i))

/* --- No contention --- */

/* fails with: try_to_take_rt_mutex() instead of the fast path, without fixup_rt_mutex_waiters() */
static void a_free_lock_is_taken_and_given(struct ktest_run *kt, enum kind kind)
{
	locks_init(kind);
	KEXPECT(!rt_mutex_base_is_locked(base(0)));
	take(0);
	KEXPECT(rt_mutex_base_is_locked(base(0)));
	KEXPECT_EQ(base(0)->owner, (u64)current);
	take(1);
	release(0);			/* not in the order of taking */
	KEXPECT_EQ(rt_mutex_owner(base(0)), NULL);
	KEXPECT_EQ(rt_mutex_owner(base(1)), current);
	release(1);
	expect_all_free(kt);
}
FOR_BOTH_KINDS(a_free_lock_is_taken_and_given)

/* --- Donation --- */

/* fails with: task_blocks_on_rt_mutex() not adjusting the owner's priority */
static void donate_one(struct ktest_run *kt, enum kind kind)
{
	RUN_AS_FIFO(10);
	u64 boosts = this_cpu()->rq->nr_boosts, waits = this_cpu()->rq->nr_lock_waits;

	locks_init(kind);
	thread_make(kt, &threads[0], take_and_mark, LOCK(0), "a");
	take(0);
	thread_start(&threads[0], 20);
	KEXPECT(thread_is_blocked_on(&threads[0], base(0)));
	KEXPECT(rt_mutex_has_waiters(base(0)));
	KEXPECT_EQ(base(0)->owner, (u64)current | RT_MUTEX_HAS_WAITERS);
	EXPECT_OWN_PRIO(20);
	KEXPECT_EQ(current->normal_prio, PRIO_OF(10));
	KEXPECT_GE(this_cpu()->rq->nr_boosts - boosts, 1);
	KEXPECT_GE(this_cpu()->rq->nr_lock_waits - waits, 1);
	log_mark('1');
	release(0);
	log_mark('2');
	EXPECT_OWN_PRIO(10);
	EXPECT_LOG("1a2");
	thread_end(&threads[0]);
	expect_all_free(kt);
}
FOR_BOTH_KINDS(donate_one)

/* fails with: rt_mutex_slowunlock() going back to normal_prio whoever else waits */
static void donate_multiple(struct ktest_run *kt, enum kind kind)
{
	RUN_AS_FIFO(10);

	locks_init(kind);
	thread_make(kt, &threads[0], take_and_mark, LOCK(0), "a");
	thread_make(kt, &threads[1], take_and_mark, LOCK(7), "b");
	take(7);
	take(0);
	thread_start(&threads[0], 15);
	EXPECT_OWN_PRIO(15);
	thread_start(&threads[1], 20);
	EXPECT_OWN_PRIO(20);
	log_mark('1');
	release(7);
	EXPECT_OWN_PRIO(15);		/* a's, not all the way down */
	log_mark('2');
	release(0);
	EXPECT_OWN_PRIO(10);
	log_mark('3');
	EXPECT_LOG("1b2a3");
	thread_end(&threads[0]);
	thread_end(&threads[1]);
	expect_all_free(kt);
}
FOR_ALL_KINDS(donate_multiple)

/* fails with: rt_mutex_slowunlock() taking the most urgent waiter of any lock out of pi_waiters */
static void donate_multiple2(struct ktest_run *kt, enum kind kind)
{
	RUN_AS_FIFO(10);

	locks_init(kind);
	thread_make(kt, &threads[0], take_and_mark, LOCK(0), "a");
	thread_make(kt, &threads[1], take_and_mark, LOCK(7), "b");
	thread_make(kt, &threads[2], mark, NULL, "c");
	take(7);
	take(0);
	thread_start(&threads[0], 13);
	EXPECT_OWN_PRIO(13);
	thread_start(&threads[2], 12);
	thread_start(&threads[1], 15);
	EXPECT_OWN_PRIO(15);
	release(0);			/* a may go on, but b's loan keeps us in front */
	EXPECT_OWN_PRIO(15);
	log_mark('1');
	release(7);
	EXPECT_OWN_PRIO(10);
	log_mark('2');
	EXPECT_LOG("1bac2");
	for (int i = 0; i < 3; i++)
		thread_end(&threads[i]);
	expect_all_free(kt);
}
FOR_ALL_KINDS(donate_multiple2)

/* A middle task: has the upper lock, needs the lower one. */
static void take_both(struct thread *self)
{
	take(7);
	take(0);
	log_mark(self->mark);
	release(0);
	release(7);
	log_mark(self->mark + 'A' - 'a');
}

/* fails with: task_blocks_on_rt_mutex() not walking on from an owner that is blocked itself */
static void donate_nest(struct ktest_run *kt, enum kind kind)
{
	RUN_AS_FIFO(10);

	locks_init(kind);
	thread_make(kt, &threads[0], take_both, NULL, "m");
	thread_make(kt, &threads[1], take_and_mark, LOCK(7), "h");
	take(0);
	thread_start(&threads[0], 15);
	EXPECT_OWN_PRIO(15);
	thread_start(&threads[1], 20);
	EXPECT_OWN_PRIO(20);
	KEXPECT_EQ(thread_prio(&threads[0]), PRIO_OF(20));
	KEXPECT_EQ(thread_prio(&threads[1]), PRIO_OF(20));
	log_mark('1');
	release(0);
	EXPECT_OWN_PRIO(10);
	log_mark('2');
	EXPECT_LOG("1mhM2");
	KEXPECT_EQ(thread_prio(&threads[0]), PRIO_OF(15));
	thread_end(&threads[0]);
	thread_end(&threads[1]);
	expect_all_free(kt);
}
FOR_ALL_KINDS(donate_nest)

/* Link @arg of the chain: holds its own lock, waits for the one below. */
static void chain_link(struct thread *self)
{
	long i = (long)self->arg;

	take(i);
	take(i - 1);
	log_mark('0' + i);
	self->result = current->prio;
	release(i - 1);
	self->seen = current->prio;
	release(i);
	log_mark('a' + i);
}

/* fails with: a walk that ends after a few steps */
static void donate_chain(struct ktest_run *kt, enum kind kind)
{
	enum { LINKS = LOCKS - 1 };
	RUN_AS_FIFO(1);

	locks_init(kind);
	for (long i = 1; i <= LINKS; i++) {
		thread_make(kt, &threads[i], chain_link, LOCK(i), "link");
		thread_make(kt, &others[i], mark, NULL, "link");
		others[i].mark = 'A' + i;
	}
	take(0);
	for (int i = 1; i <= LINKS; i++) {
		thread_start(&threads[i], 3 * i);
		EXPECT_OWN_PRIO(3 * i);
		thread_start(&others[i], 3 * i - 1);	/* gets the CPU when link i is done */
	}
	for (int i = 1; i <= LINKS; i++)
		KEXPECT_EQ(thread_prio(&threads[i]), PRIO_OF(3 * LINKS));
	release(0);
	EXPECT_OWN_PRIO(1);
	EXPECT_LOG("1234567hHgGfFeEdDcCbB");
	for (int i = 1; i <= LINKS; i++) {
		/* All took their lower lock at the top priority, and kept it until the other. */
		KEXPECT_EQ(threads[i].result, PRIO_OF(3 * LINKS));
		KEXPECT_EQ(threads[i].seen, PRIO_OF(3 * LINKS));
		KEXPECT_EQ(thread_prio(&threads[i]), PRIO_OF(3 * i));
		thread_end(&threads[i]);
		thread_end(&others[i]);
	}
	expect_all_free(kt);
}
FOR_ALL_KINDS(donate_chain)

/* fails with: sched_setscheduler() setting prio = normal_prio */
static void donate_lower(struct ktest_run *kt, enum kind kind)
{
	RUN_AS_FIFO(10);

	locks_init(kind);
	thread_make(kt, &threads[0], take_and_mark, LOCK(0), "a");
	take(0);
	thread_start(&threads[0], 20);
	EXPECT_OWN_PRIO(20);
	set_own_fifo(5);
	EXPECT_OWN_PRIO(20);
	KEXPECT_EQ(current->normal_prio, PRIO_OF(5));
	set_own_fifo(0);
	EXPECT_OWN_PRIO(20);
	set_own_fifo(6);
	log_mark('1');
	release(0);
	EXPECT_OWN_PRIO(6);
	log_mark('2');
	EXPECT_LOG("1a2");
	thread_end(&threads[0]);
	expect_all_free(kt);
}
FOR_BOTH_KINDS(donate_lower)

/* fails with: rt_mutex_setprio() taking the maximum of the two numbers */
static void raise_while_boosted(struct ktest_run *kt, enum kind kind)
{
	RUN_AS_FIFO(10);

	locks_init(kind);
	thread_make(kt, &threads[0], take_and_mark, LOCK(0), "a");
	take(0);
	thread_start(&threads[0], 20);
	set_own_fifo(15);
	EXPECT_OWN_PRIO(20);
	set_own_fifo(30);
	EXPECT_OWN_PRIO(30);
	release(0);
	EXPECT_OWN_PRIO(30);		/* a may have the lock, but not the CPU */
	log_mark('1');
	set_own_fifo(10);
	log_mark('2');
	EXPECT_LOG("1a2");
	thread_end(&threads[0]);
	expect_all_free(kt);
}
FOR_BOTH_KINDS(raise_while_boosted)

/* --- Who is next --- */

/* fails with: rt_mutex_setprio() of a waiter leaving it at its old place in the tree */
static void the_most_urgent_waiter_is_next(struct ktest_run *kt, enum kind kind)
{
	static const int fifo[] = { 30, 14, 40, 20, 35 };	/* of a, b, ... in the end */
	RUN_AS_FIFO(10);

	locks_init(kind);
	for (size_t i = 0; i < ARRAY_SIZE(fifo); i++)
		thread_make(kt, &threads[i], take_and_mark, LOCK(0), (char[2]){ 'a' + i });
	take(0);
	for (size_t i = 0; i < ARRAY_SIZE(fifo); i++)
		thread_start(&threads[i], 11 + i);	/* each above the one before: all block */
	for (size_t i = 0; i < ARRAY_SIZE(fifo); i++) {
		KEXPECT(thread_is_blocked_on(&threads[i], base(0)));
		thread_set_fifo(&threads[i], fifo[i]);
	}
	EXPECT_OWN_PRIO(40);
	release(0);
	EXPECT_OWN_PRIO(10);
	EXPECT_LOG("ceadb");
	for (size_t i = 0; i < ARRAY_SIZE(fifo); i++)
		thread_end(&threads[i]);
	expect_all_free(kt);
}
FOR_BOTH_KINDS(the_most_urgent_waiter_is_next)

/* fails with: tree_less() putting a new waiter before its equals */
static void equals_are_first_come_first_served(struct ktest_run *kt, enum kind kind)
{
	RUN_AS_FIFO(10);

	locks_init(kind);
	for (int i = 0; i < 4; i++)
		thread_make(kt, &threads[i], take_and_mark, LOCK(0), (char[2]){ 'a' + i });
	take(0);
	for (int i = 0; i < 4; i++) {
		thread_start(&threads[i], 20);
		do_sched_yield();	/* from the second on it is our equal */
		KEXPECT(thread_is_blocked_on(&threads[i], base(0)));
	}
	EXPECT_OWN_PRIO(20);
	release(0);
	EXPECT_OWN_PRIO(10);
	EXPECT_LOG("abcd");
	for (int i = 0; i < 4; i++)
		thread_end(&threads[i]);
	expect_all_free(kt);
}
FOR_BOTH_KINDS(equals_are_first_come_first_served)

/* fails with: chain_step() requeueing a waiter and not telling the owner */
static void raising_a_waiter_changes_who_is_first(struct ktest_run *kt, enum kind kind)
{
	RUN_AS_FIFO(10);

	locks_init(kind);
	thread_make(kt, &threads[0], take_and_mark, LOCK(0), "a");
	thread_make(kt, &threads[1], take_and_mark, LOCK(0), "b");
	take(0);
	thread_start(&threads[0], 15);
	thread_start(&threads[1], 20);
	EXPECT_OWN_PRIO(20);
	thread_set_fifo(&threads[0], 25);
	EXPECT_OWN_PRIO(25);
	KEXPECT_EQ(rt_mutex_top_task(current), threads[0].task);
	release(0);
	EXPECT_LOG("ab");
	EXPECT_OWN_PRIO(10);
	thread_end(&threads[0]);
	thread_end(&threads[1]);
	expect_all_free(kt);
}
FOR_BOTH_KINDS(raising_a_waiter_changes_who_is_first)

/* fails with: chain_step() looking at the owner only if the waiter is the top one afterwards */
static void lowering_a_waiter_takes_the_loan_back(struct ktest_run *kt, enum kind kind)
{
	RUN_AS_FIFO(10);

	locks_init(kind);
	thread_make(kt, &threads[0], take_and_mark, LOCK(0), "a");
	thread_make(kt, &threads[1], take_and_mark, LOCK(0), "b");
	take(0);
	thread_start(&threads[0], 15);
	thread_start(&threads[1], 20);
	EXPECT_OWN_PRIO(20);
	thread_set_fifo(&threads[1], 12);
	EXPECT_OWN_PRIO(15);
	KEXPECT_EQ(rt_mutex_top_task(current), threads[0].task);
	thread_set_fifo(&threads[0], 5);
	EXPECT_OWN_PRIO(12);
	thread_set_fifo(&threads[1], 5);
	EXPECT_OWN_PRIO(10);		/* they lend less than we have */
	set_own_fifo(3);
	EXPECT_OWN_PRIO(5);
	release(0);
	EXPECT_OWN_PRIO(3);
	EXPECT_LOG("ab");		/* equals now: a came to this priority first */
	thread_end(&threads[0]);
	thread_end(&threads[1]);
	expect_all_free(kt);
}
FOR_BOTH_KINDS(lowering_a_waiter_takes_the_loan_back)

/* fails with: rt_mutex_adjust_pi() going one step only */
static void a_change_travels_along_the_chain(struct ktest_run *kt, enum kind kind)
{
	RUN_AS_FIFO(10);

	locks_init(kind);
	thread_make(kt, &threads[0], take_both, NULL, "m");
	thread_make(kt, &threads[1], take_and_mark, LOCK(7), "h");
	take(0);
	thread_start(&threads[0], 15);
	thread_start(&threads[1], 20);
	thread_set_fifo(&threads[1], 30);
	EXPECT_OWN_PRIO(30);
	KEXPECT_EQ(thread_prio(&threads[0]), PRIO_OF(30));
	thread_set_fifo(&threads[1], 12);
	EXPECT_OWN_PRIO(15);		/* m's own */
	KEXPECT_EQ(thread_prio(&threads[0]), PRIO_OF(15));
	release(0);
	EXPECT_OWN_PRIO(10);
	EXPECT_LOG("mMh");
	thread_end(&threads[0]);
	thread_end(&threads[1]);
	expect_all_free(kt);
}
FOR_ALL_KINDS(a_change_travels_along_the_chain)

/* --- SCHED_OTHER --- */

/* fails with: waiter_prio() ordering SCHED_OTHER tasks before FIFO 1 */
static void others_wait_behind_fifo(struct ktest_run *kt, enum kind kind)
{
	RUN_AS_FIFO(10);

	locks_init(kind);
	thread_make(kt, &threads[0], take_and_mark, LOCK(0), "o");
	thread_make(kt, &threads[1], take_and_mark, LOCK(0), "p");
	thread_make(kt, &threads[2], take_and_mark, LOCK(0), "f");
	take(0);
	thread_start(&threads[0], 0);
	await_blocked(kt, &threads[0], base(0));
	thread_start(&threads[1], 0);
	await_blocked(kt, &threads[1], base(0));
	KEXPECT_EQ(current->prio, DEFAULT_PRIO);	/* nothing to lend */
	thread_start(&threads[2], 1);
	EXPECT_OWN_PRIO(1);
	release(0);
	KEXPECT_EQ(current->prio, DEFAULT_PRIO);
	for (int i = 0; i < 10; i++)
		do_sched_yield();
	EXPECT_LOG("fop");
	set_own_fifo(10);
	for (int i = 0; i < 3; i++)
		thread_end(&threads[i]);
	expect_all_free(kt);
}
FOR_BOTH_KINDS(others_wait_behind_fifo)

/* --- The owner is runnable, or is another one --- */

static struct completion may_release;

static void hold_until_told(struct thread *self)
{
	take(0);
	wait_for_completion(&may_release);
	log_mark(self->mark);
	release(0);
	log_mark(self->mark + 'A' - 'a');
}

/* fails with: set_prio() changing a queued task's number and not its place */
static void a_runnable_owner_moves_in_the_run_queue(struct ktest_run *kt, enum kind kind)
{
	RUN_AS_FIFO(10);

	locks_init(kind);
	init_completion(&may_release);
	thread_run(kt, &threads[0], hold_until_told, NULL, "o", 12);
	set_own_fifo(40);
	complete(&may_release);				/* the owner is queued at 12, */
	thread_run(kt, &threads[1], mark, NULL, "m", 20);	/* behind this one */
	thread_run(kt, &threads[2], take_and_mark, LOCK(0), "h", 30);
	log_mark('1');
	set_own_fifo(10);				/* h blocks, and lends the owner its 30 */
	log_mark('2');
	EXPECT_LOG("1ohmO2");
	for (int i = 0; i < 3; i++)
		thread_end(&threads[i]);
	expect_all_free(kt);
}

KTEST(mutex_a_runnable_owner_moves_in_the_run_queue)
{
	a_runnable_owner_moves_in_the_run_queue(kt, MUTEX);
}

static void preempted_while_holding(struct thread *self)
{
	take(0);
	log_mark(self->mark);
	set_own_fifo(5);			/* below the test: it goes on here */
	log_mark(self->mark);
	release(0);
	log_mark(self->mark + 'A' - 'a');
}

/* The same without a mutex: the owner of a spinlock_t must not sleep, but it may be preempted. */
KTEST(spinlock_a_runnable_owner_moves_in_the_run_queue)
{
	RUN_AS_FIFO(10);

	locks_init(SPINLOCK);
	thread_run(kt, &threads[0], preempted_while_holding, NULL, "o", 20);
	log_mark('1');
	set_own_fifo(40);
	thread_run(kt, &threads[1], mark, NULL, "m", 20);
	thread_run(kt, &threads[2], take_and_mark, LOCK(0), "h", 30);
	set_own_fifo(4);
	log_mark('2');
	EXPECT_LOG("o1ohmO2");
	for (int i = 0; i < 3; i++)
		thread_end(&threads[i]);
	expect_all_free(kt);
}

/*
 * fails with: rt_mutex_slowunlock() leaving preemption on between the deboost and the wake-up, or
 * waking before it deboosts
 */
static void nobody_comes_between_deboost_and_wake_up(struct ktest_run *kt, enum kind kind)
{
	RUN_AS_FIFO(10);

	locks_init(kind);
	thread_make(kt, &threads[0], take_and_mark, LOCK(0), "h");
	thread_make(kt, &threads[1], mark, NULL, "m");
	take(0);
	thread_start(&threads[0], 30);
	thread_start(&threads[1], 20);		/* runnable, but we are at 30 */
	log_mark('1');
	release(0);
	log_mark('2');
	EXPECT_LOG("1hm2");
	thread_end(&threads[0]);
	thread_end(&threads[1]);
	expect_all_free(kt);
}
FOR_BOTH_KINDS(nobody_comes_between_deboost_and_wake_up)

/* fails with: set_prio() putting a task that loses a loan at the tail of its level */
static void the_deboosted_goes_on_before_its_equals(struct ktest_run *kt, enum kind kind)
{
	RUN_AS_FIFO(10);

	locks_init(kind);
	thread_make(kt, &threads[0], take_and_mark, LOCK(0), "a");
	thread_make(kt, &threads[1], mark, NULL, "e");
	take(0);
	thread_start(&threads[0], 20);
	thread_start(&threads[1], 10);
	release(0);
	log_mark('1');
	do_sched_yield();
	log_mark('2');
	EXPECT_LOG("a1e2");
	thread_end(&threads[0]);
	thread_end(&threads[1]);
	expect_all_free(kt);
}
FOR_BOTH_KINDS(the_deboosted_goes_on_before_its_equals)

/* fails with: try_to_take_rt_mutex() not making the remaining top waiter the new owner's lender */
KTEST(the_new_owner_inherits_from_those_who_still_wait)
{
	RUN_AS_FIFO(10);

	locks_init(MUTEX);
	init_completion(&may_release);
	thread_make(kt, &threads[0], hold_until_told, NULL, "o");
	thread_make(kt, &threads[1], take_and_mark, LOCK(0), "w");
	take(0);
	thread_start(&threads[1], 15);
	thread_start(&threads[0], 20);
	release(0);				/* to o, who waits for our word */
	EXPECT_OWN_PRIO(10);
	KEXPECT_EQ(rt_mutex_owner(base(0)), threads[0].task);
	KEXPECT(thread_is_blocked_on(&threads[1], base(0)));
	thread_set_fifo(&threads[0], 5);
	KEXPECT_EQ(thread_prio(&threads[0]), PRIO_OF(15));
	complete(&may_release);
	log_mark('1');
	KEXPECT_EQ(thread_prio(&threads[0]), PRIO_OF(5));
	EXPECT_LOG("ow1");
	set_own_fifo(1);
	EXPECT_LOG("ow1O");
	thread_end(&threads[0]);
	thread_end(&threads[1]);
	expect_all_free(kt);
}

/* fails with: sched_fork() giving the child the parent's prio */
KTEST(a_loan_is_not_inherited)
{
	RUN_AS_FIFO(10);

	locks_init(MUTEX);
	thread_make(kt, &threads[0], take_and_mark, LOCK(0), "a");
	take(0);
	thread_start(&threads[0], 20);
	EXPECT_OWN_PRIO(20);
	thread_make(kt, &threads[1], mark, NULL, "c");
	KEXPECT_EQ(thread_prio(&threads[1]), PRIO_OF(10));
	if (threads[1].task) {
		KEXPECT(rb_empty_cached(&threads[1].task->pi_waiters));
		KEXPECT_EQ(threads[1].task->pi_blocked_on, NULL);
	}
	release(0);
	thread_start(&threads[1], 20);
	EXPECT_LOG("ac");
	thread_end(&threads[0]);
	thread_end(&threads[1]);
	expect_all_free(kt);
}

/* --- Between the unlock and the woken waiter --- */

/* fails with: rt_mutex_slowunlock() making the woken waiter the owner */
static void the_more_urgent_steals(struct ktest_run *kt, enum kind kind)
{
	RUN_AS_FIFO(10);

	locks_init(kind);
	thread_make(kt, &threads[0], take_and_mark, LOCK(0), "a");
	take(0);
	thread_start(&threads[0], 15);
	set_own_fifo(30);
	release(0);
	KEXPECT_EQ(base(0)->owner, RT_MUTEX_HAS_WAITERS);	/* free, and promised to nobody */
	KEXPECT(threads[0].task && threads[0].task->on_rq);
	take(0);
	KEXPECT_EQ(rt_mutex_owner(base(0)), current);
	log_mark('1');
	KEXPECT_EQ(rt_mutex_top_task(current), threads[0].task);
	set_own_fifo(10);		/* a looks, finds the lock taken, and waits on */
	EXPECT_OWN_PRIO(15);
	log_mark('2');
	release(0);
	EXPECT_OWN_PRIO(10);
	EXPECT_LOG("12a");
	thread_end(&threads[0]);
	expect_all_free(kt);
}
FOR_BOTH_KINDS(the_more_urgent_steals)

/* fails with: rt_mutex_steal() with <= in place of < */
static void equal_fifo_does_not_steal(struct ktest_run *kt, enum kind kind)
{
	RUN_AS_FIFO(10);

	locks_init(kind);
	thread_make(kt, &threads[0], take_and_mark, LOCK(0), "a");
	take(0);
	thread_start(&threads[0], 15);
	set_own_fifo(15);
	release(0);			/* a is woken, but only as urgent as we are */
	log_mark('1');
	take(0);
	log_mark('2');
	release(0);
	EXPECT_LOG("1a2");
	thread_end(&threads[0]);
	expect_all_free(kt);
}
FOR_BOTH_KINDS(equal_fifo_does_not_steal)

/* fails with: rt_mutex_steal() without its second case */
static void other_may_steal_a_spinlock_only(struct ktest_run *kt, enum kind kind)
{
	RUN_AS_FIFO(10);

	locks_init(kind);
	thread_make(kt, &threads[0], take_and_mark, LOCK(0), "a");
	take(0);
	thread_start(&threads[0], 0);
	await_blocked(kt, &threads[0], base(0));
	current->time_slice = 1 << 20;	/* until then equals stay equals, but a does not run */
	release(0);
	log_mark('1');
	take(0);
	log_mark('2');
	release(0);
	current->time_slice = SLICE_TICKS;
	for (int i = 0; i < 10; i++)
		do_sched_yield();
	if (kind == SPINLOCK)
		EXPECT_LOG("12a");
	else
		EXPECT_LOG("1a2");
	set_own_fifo(10);
	thread_end(&threads[0]);
	expect_all_free(kt);
}
FOR_BOTH_KINDS(other_may_steal_a_spinlock_only)

/*
 * --- Deadlocks, on mutexes and asked for. ---
 * A thread asks, not the test: a deadlock that is not found must not stop the test.
 */

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
	RUN_AS_FIFO(10);

	locks_init(MUTEX);
	thread_run(kt, &threads[0], ask_twice, NULL, "a", 20);
	EXPECT_LOG("a");
	KEXPECT_EQ(threads[0].result, -EDEADLK);
	KEXPECT(clean_after);
	KEXPECT(threads[0].seen);
	KEXPECT_EQ(thread_prio(&threads[0]), PRIO_OF(20));
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
	RUN_AS_FIFO(10);

	locks_init(MUTEX);
	init_completion(&may_ask);
	init_completion(&may_go_on);
	thread_run(kt, &threads[0], close_the_ring, LOCK(nr_threads), "a", 15);
	for (long i = 1; i <= nr_threads; i++)
		thread_run(kt, &threads[i], hold_and_ask, LOCK(i), (char[2]){ 'a' + i }, 20 + i);
	KEXPECT_EQ(thread_prio(&threads[0]), PRIO_OF(20 + nr_threads));
	thread_set_fifo(&threads[0], 40);	/* so that it lends to all others while it asks */
	complete(&may_ask);
	EXPECT_LOG("a");
	KEXPECT_EQ(threads[0].result, -EDEADLK);
	KEXPECT(clean_after);
	KEXPECT_EQ(thread_prio(&threads[0]), PRIO_OF(40));
	/* Nobody else noticed: they wait as before, at the priorities they had. */
	for (int i = 1; i <= nr_threads; i++) {
		KEXPECT(thread_is_blocked_on(&threads[i], base(i - 1)));
		KEXPECT_EQ(thread_prio(&threads[i]), PRIO_OF(20 + nr_threads));
	}
	KEXPECT_EQ(base(nr_threads)->owner, (u64)threads[nr_threads].task);
	thread_set_fifo(&threads[0], 15);
	KEXPECT_EQ(thread_prio(&threads[0]), PRIO_OF(20 + nr_threads));
	complete(&may_go_on);
	EXPECT_LOG(order);
	KEXPECT_EQ(thread_prio(&threads[0]), PRIO_OF(15));
	for (int i = 1; i <= nr_threads; i++) {
		KEXPECT_EQ(threads[i].result, 0);
		KEXPECT_EQ(thread_prio(&threads[i]), PRIO_OF(20 + i));
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
	RUN_AS_FIFO(10);

	locks_init(MUTEX);
	thread_make(kt, &threads[1], hold_and_ask, LOCK(1), "b");
	thread_make(kt, &threads[2], hold_and_ask, LOCK(2), "c");
	thread_make(kt, &threads[3], hold_and_ask, LOCK(3), "d");
	mutex_lock(&locks[0].mutex);
	for (int i = 1; i <= 3; i++)
		thread_start(&threads[i], 20 + i);
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
	RUN_AS_FIFO(10);

	locks_init(MUTEX);
	init_completion(&may_ask);
	init_completion(&may_go_on);
	complete(&may_go_on);
	thread_run(kt, &threads[0], close_the_ring, LOCK(1), "a", 20);
	thread_run(kt, &threads[1], hold_and_ask, LOCK(1), "b", 30);
	KEXPECT_EQ(thread_prio(&threads[0]), PRIO_OF(30));
	thread_set_fifo(&threads[1], 15);
	KEXPECT_EQ(thread_prio(&threads[0]), PRIO_OF(20));
	thread_run(kt, &threads[2], take_and_mark, LOCK(1), "c", 40);
	KEXPECT_EQ(thread_prio(&threads[0]), PRIO_OF(40));
	complete(&may_ask);
	KEXPECT_EQ(threads[0].result, -EDEADLK);
	KEXPECT_EQ(threads[1].result, 0);
	KEXPECT(clean_after);
	EXPECT_LOG("abc");
	KEXPECT_EQ(thread_prio(&threads[0]), PRIO_OF(20));
	KEXPECT_EQ(thread_prio(&threads[1]), PRIO_OF(15));
	for (int i = 0; i < 3; i++)
		thread_end(&threads[i]);
	expect_all_free(kt);
}
