/* SPDX-License-Identifier: MIT */
/*
 * Priority inheritance: the owner of a lock runs at the priority of the most urgent task that waits
 * for it, and no longer than that. The scenarios of Pintos's "priority-donate" tests, and more.
 */
#include "tests/kernel/lock_scenario.h"

KTEST_SUITE(rtmutex_donation);

/* --- No contention --- */

/* fails with: try_to_take_rt_mutex() instead of the fast path, without fixup_rt_mutex_waiters() */
static void a_free_lock_is_taken_and_given(struct ktest_run *kt, enum kind kind)
{
	locks_init(kind);
	KEXPECT(!rt_mutex_owner(base(0)));
	take(0);
	KEXPECT(rt_mutex_owner(base(0)));
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
static void a_waiter_lends(struct ktest_run *kt, enum kind kind)
{
	RUN_AS_FIFO(fifo(10));
	u64 boosts = this_cpu()->rq->nr_boosts;

	locks_init(kind);
	thread_make(kt, &threads[0], take_and_mark, LOCK(0), "a");
	take(0);
	thread_start(&threads[0], fifo(20));
	KEXPECT(thread_is_blocked_on(&threads[0], base(0)));
	EXPECT_OWN_PRIO(20);
	KEXPECT_EQ(current->normal_prio, PRIO_OF(fifo(10)));
	KEXPECT_GE(this_cpu()->rq->nr_boosts - boosts, 1);
	KEXPECT_EQ(rt_mutex_top_task(current), threads[0].task);
	release(0);
	thread_end(&threads[0]);
	expect_all_free(kt);
}
FOR_BOTH_KINDS(a_waiter_lends)

static unsigned int count_lenders(void)
{
	unsigned int count = 0;
	struct rb_node *node;

	for (node = rb_first_cached(&current->pi_waiters); node; node = rb_next(node))
		count++;
	return count;
}

/*
 * fails with: task_blocks_on_rt_mutex() leaving the old top waiter in the owner's tree, or putting
 * one there that is not the top
 */
static void each_lock_has_one_lender(struct ktest_run *kt, enum kind kind)
{
	static const struct { int lock, rank; unsigned int lenders; } come[] = {
		{ 0, 15, 1 }, { 7, 20, 2 }, { 0, 25, 2 }, { 7, 30, 2 }, { 7, 30, 2 },
	};
	RUN_AS_FIFO(fifo(10));

	locks_init(kind);
	for (size_t i = 0; i < ARRAY_SIZE(come); i++)
		thread_make(kt, &threads[i], take_and_mark, LOCK(come[i].lock), "w");
	take(7);
	take(0);
	for (size_t i = 0; i < ARRAY_SIZE(come); i++) {
		thread_start(&threads[i], fifo(come[i].rank));
		do_sched_yield();		/* the last one is only our equal */
		KEXPECT(thread_is_blocked_on(&threads[i], base(come[i].lock)));
		EXPECT_OWN_PRIO(come[i].rank);
		KEXPECT_EQ(count_lenders(), come[i].lenders);
	}
	release(0);
	release(7);
	for (size_t i = 0; i < ARRAY_SIZE(come); i++)
		thread_end(&threads[i]);
	expect_all_free(kt);
}
FOR_ALL_KINDS(each_lock_has_one_lender)

/* fails with: task_blocks_on_rt_mutex() not adjusting the owner's priority */
static void donate_one(struct ktest_run *kt, enum kind kind)
{
	RUN_AS_FIFO(fifo(10));
	u64 boosts = this_cpu()->rq->nr_boosts, waits = this_cpu()->rq->nr_lock_waits;

	locks_init(kind);
	thread_make(kt, &threads[0], take_and_mark, LOCK(0), "a");
	take(0);
	thread_start(&threads[0], fifo(20));
	KEXPECT(thread_is_blocked_on(&threads[0], base(0)));
	KEXPECT(rt_mutex_has_waiters(base(0)));
	KEXPECT_EQ(base(0)->owner, (u64)current | RT_MUTEX_HAS_WAITERS);
	EXPECT_OWN_PRIO(20);
	KEXPECT_EQ(current->normal_prio, PRIO_OF(fifo(10)));
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
static const struct step donate_multiple[] = {
	TAKE(7), TAKE(0),
	START('a', 15, WANTS(0)),		OWN_PRIO(15),
	START('b', 20, WANTS(7)),		OWN_PRIO(20),
	MARK('1'), GIVE(7),			OWN_PRIO(15),	/* a's, not all the way down */
	MARK('2'), GIVE(0),			OWN_PRIO(10),
	MARK('3'),				LOG("1b2a3"),
};
PLAY_FOR_ALL_KINDS(donate_multiple)

/* fails with: rt_mutex_slowunlock() taking the most urgent waiter of any lock out of pi_waiters */
static const struct step donate_multiple2[] = {
	TAKE(7), TAKE(0),
	START('a', 13, WANTS(0)),		OWN_PRIO(13),
	START('c', 12, MARKS),
	START('b', 15, WANTS(7)),		OWN_PRIO(15),
	GIVE(0),				OWN_PRIO(15),	/* b's loan keeps a from the CPU */
	MARK('1'), GIVE(7),			OWN_PRIO(10),
	MARK('2'),				LOG("1bac2"),
};
PLAY_FOR_ALL_KINDS(donate_multiple2)

/* fails with: task_blocks_on_rt_mutex() not walking on from an owner that is blocked itself */
static const struct step donate_nest[] = {
	TAKE(0),
	START('m', 15, HOLDS_7_WANTS(0)),	OWN_PRIO(15),
	START('h', 20, WANTS(7)),		OWN_PRIO(20), PRIO('m', 20), PRIO('h', 20),
	MARK('1'), GIVE(0),			OWN_PRIO(10),
	MARK('2'),				LOG("1mhM2"), PRIO('m', 15),
};
PLAY_FOR_ALL_KINDS(donate_nest)

static struct thread others[LOCKS];

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
	RUN_AS_FIFO(fifo(1));

	locks_init(kind);
	for (long i = 1; i <= LINKS; i++) {
		thread_make(kt, &threads[i], chain_link, LOCK(i), "link");
		thread_make(kt, &others[i], mark, NULL, "link");
		others[i].mark = 'A' + i;
	}
	take(0);
	for (int i = 1; i <= LINKS; i++) {
		thread_start(&threads[i], fifo(3 * i));
		EXPECT_OWN_PRIO(3 * i);
		thread_start(&others[i], fifo(3 * i - 1));	/* comes after link i */
	}
	for (int i = 1; i <= LINKS; i++)
		KEXPECT_EQ(thread_prio(&threads[i]), PRIO_OF(fifo(3 * LINKS)));
	release(0);
	EXPECT_OWN_PRIO(1);
	EXPECT_LOG("1234567hHgGfFeEdDcCbB");
	for (int i = 1; i <= LINKS; i++) {
		/* All took their lower lock at the top priority, and kept it until the other. */
		KEXPECT_EQ(threads[i].result, PRIO_OF(fifo(3 * LINKS)));
		KEXPECT_EQ(threads[i].seen, PRIO_OF(fifo(3 * LINKS)));
		KEXPECT_EQ(thread_prio(&threads[i]), PRIO_OF(fifo(3 * i)));
		thread_end(&threads[i]);
		thread_end(&others[i]);
	}
	expect_all_free(kt);
}
FOR_ALL_KINDS(donate_chain)

/* fails with: sched_setscheduler() setting prio = normal_prio */
static const struct step donate_lower[] = {
	TAKE(0),
	START('a', 20, WANTS(0)),		OWN_PRIO(20),
	SET_OWN_FIFO(5),			OWN_PRIO(20), OWN_NORMAL_PRIO(5),
	SET_OWN_FIFO(0),			OWN_PRIO(20),
	SET_OWN_FIFO(6),
	MARK('1'), GIVE(0),			OWN_PRIO(6),
	MARK('2'),				LOG("1a2"),
};
PLAY_FOR_BOTH_KINDS(donate_lower)

/* fails with: rt_mutex_setprio() taking the maximum of the two numbers */
static const struct step raise_while_boosted[] = {
	TAKE(0),
	START('a', 20, WANTS(0)),
	SET_OWN_FIFO(15),			OWN_PRIO(20),
	SET_OWN_FIFO(30),			OWN_PRIO(30),
	GIVE(0),				OWN_PRIO(30),	/* a has no CPU to take it */
	MARK('1'), SET_OWN_FIFO(10),
	MARK('2'),				LOG("1a2"),
};
PLAY_FOR_BOTH_KINDS(raise_while_boosted)

/* fails with: rt_mutex_adjust_pi() going one step only */
static const struct step a_change_travels_along_the_chain[] = {
	TAKE(0),
	START('m', 15, HOLDS_7_WANTS(0)),
	START('h', 20, WANTS(7)),
	SET_FIFO('h', 30),			OWN_PRIO(30), PRIO('m', 30),
	SET_FIFO('h', 12),			OWN_PRIO(15), PRIO('m', 15),	/* m's own */
	GIVE(0),				OWN_PRIO(10), LOG("mMh"),
};
PLAY_FOR_ALL_KINDS(a_change_travels_along_the_chain)

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
	RUN_AS_FIFO(fifo(10));

	locks_init(kind);
	init_completion(&may_release);
	thread_run(kt, &threads[0], hold_until_told, NULL, "o", fifo(12));
	set_own_fifo(fifo(40));
	complete(&may_release);				/* the owner is queued at 12, */
	thread_run(kt, &threads[1], mark, NULL, "m", fifo(20));	/* behind this one */
	thread_run(kt, &threads[2], take_and_mark, LOCK(0), "h", fifo(30));
	log_mark('1');
	set_own_fifo(fifo(10));				/* h blocks, and lends the owner its 30 */
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
	set_own_fifo(fifo(5));			/* below the test: it goes on here */
	log_mark(self->mark);
	release(0);
	log_mark(self->mark + 'A' - 'a');
}

/* The same without a mutex: the owner of a spinlock_t must not sleep, but it may be preempted. */
KTEST(spinlock_a_runnable_owner_moves_in_the_run_queue)
{
	NEEDS_RT("the owner of a spinlock_t that spins is not preempted");
	RUN_AS_FIFO(fifo(10));

	locks_init(SPINLOCK);
	thread_run(kt, &threads[0], preempted_while_holding, NULL, "o", fifo(20));
	log_mark('1');
	set_own_fifo(fifo(40));
	thread_run(kt, &threads[1], mark, NULL, "m", fifo(20));
	thread_run(kt, &threads[2], take_and_mark, LOCK(0), "h", fifo(30));
	set_own_fifo(fifo(4));
	log_mark('2');
	EXPECT_LOG("o1ohmO2");
	for (int i = 0; i < 3; i++)
		thread_end(&threads[i]);
	expect_all_free(kt);
}

/* fails with: try_to_take_rt_mutex() not making the remaining top waiter the new owner's lender */
KTEST(the_new_owner_inherits_from_those_who_still_wait)
{
	RUN_AS_FIFO(fifo(10));

	locks_init(MUTEX);
	init_completion(&may_release);
	thread_make(kt, &threads[0], hold_until_told, NULL, "o");
	thread_make(kt, &threads[1], take_and_mark, LOCK(0), "w");
	take(0);
	thread_start(&threads[1], fifo(15));
	thread_start(&threads[0], fifo(20));
	release(0);				/* to o, who waits for our word */
	EXPECT_OWN_PRIO(10);
	KEXPECT_EQ(rt_mutex_owner(base(0)), threads[0].task);
	KEXPECT(thread_is_blocked_on(&threads[1], base(0)));
	thread_set_fifo(&threads[0], fifo(5));
	KEXPECT_EQ(thread_prio(&threads[0]), PRIO_OF(fifo(15)));
	complete(&may_release);
	log_mark('1');
	KEXPECT_EQ(thread_prio(&threads[0]), PRIO_OF(fifo(5)));
	EXPECT_LOG("ow1");
	set_own_fifo(fifo(1));
	EXPECT_LOG("ow1O");
	thread_end(&threads[0]);
	thread_end(&threads[1]);
	expect_all_free(kt);
}

/* fails with: sched_fork() giving the child the parent's prio */
KTEST(a_loan_is_not_inherited)
{
	RUN_AS_FIFO(fifo(10));

	locks_init(MUTEX);
	thread_make(kt, &threads[0], take_and_mark, LOCK(0), "a");
	take(0);
	thread_start(&threads[0], fifo(20));
	EXPECT_OWN_PRIO(20);
	thread_make(kt, &threads[1], mark, NULL, "c");
	KEXPECT_EQ(thread_prio(&threads[1]), PRIO_OF(fifo(10)));
	if (threads[1].task) {
		KEXPECT(rb_empty_cached(&threads[1].task->pi_waiters));
		KEXPECT_EQ(threads[1].task->pi_blocked_on, NULL);
	}
	release(0);
	thread_start(&threads[1], fifo(20));
	EXPECT_LOG("ac");
	thread_end(&threads[0]);
	thread_end(&threads[1]);
	expect_all_free(kt);
}

/*
 * Two lenders, by two locks: what counts is what each of them would lend now.
 * fails with: fault/lends-what-it-had
 */
static const struct step lenders_change_places[] = {
	TAKE(0), TAKE(1),
	START('a', 20, WANTS(0)),
	START('b', 30, WANTS(1)),		OWN_PRIO(30),
	SET_FIFO('a', 40),			OWN_PRIO(40),
	SET_FIFO('a', 25),			OWN_PRIO(30),
	SET_FIFO('b', 15),			OWN_PRIO(25), TOP_LENDER('a'),
	GIVE(0),				OWN_PRIO(15),
	GIVE(1),				OWN_PRIO(10), LOG("ab"),
};
PLAY(lenders_change_places)
