/* SPDX-License-Identifier: MIT */
/* Which of those who wait is next: the most urgent one, whatever changes meanwhile. */
#include "tests/kernel/any_lock.h"

KTEST_SUITE(rtmutex_order);

/* --- Who is next --- */

/* fails with: rt_mutex_setprio() of a waiter leaving it at its old place in the tree */
static void the_most_urgent_waiter_is_next(struct ktest_run *kt, enum kind kind)
{
	static const int rank[] = { 30, 14, 40, 20, 35 };	/* of a, b, ... in the end */
	RUN_AS_FIFO(fifo(10));

	locks_init(kind);
	for (size_t i = 0; i < ARRAY_SIZE(rank); i++)
		thread_make(kt, &threads[i], take_and_mark, LOCK(0), (char[2]){ 'a' + i });
	take(0);
	for (size_t i = 0; i < ARRAY_SIZE(rank); i++)
		thread_start(&threads[i], fifo(11 + i));	/* above the one before: blocks */
	for (size_t i = 0; i < ARRAY_SIZE(rank); i++) {
		KEXPECT(thread_is_blocked_on(&threads[i], base(0)));
		thread_set_fifo(&threads[i], fifo(rank[i]));
	}
	EXPECT_OWN_PRIO(40);
	release(0);
	EXPECT_OWN_PRIO(10);
	EXPECT_LOG("ceadb");
	for (size_t i = 0; i < ARRAY_SIZE(rank); i++)
		thread_end(&threads[i]);
	expect_all_free(kt);
}
FOR_BOTH_KINDS(the_most_urgent_waiter_is_next)

/* fails with: tree_less() putting a new waiter before its equals */
static void equals_are_first_come_first_served(struct ktest_run *kt, enum kind kind)
{
	RUN_AS_FIFO(fifo(10));

	locks_init(kind);
	for (int i = 0; i < 4; i++)
		thread_make(kt, &threads[i], take_and_mark, LOCK(0), (char[2]){ 'a' + i });
	take(0);
	for (int i = 0; i < 4; i++) {
		thread_start(&threads[i], fifo(20));
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
	RUN_AS_FIFO(fifo(10));

	locks_init(kind);
	thread_make(kt, &threads[0], take_and_mark, LOCK(0), "a");
	thread_make(kt, &threads[1], take_and_mark, LOCK(0), "b");
	take(0);
	thread_start(&threads[0], fifo(15));
	thread_start(&threads[1], fifo(20));
	EXPECT_OWN_PRIO(20);
	thread_set_fifo(&threads[0], fifo(25));
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
	RUN_AS_FIFO(fifo(10));

	locks_init(kind);
	thread_make(kt, &threads[0], take_and_mark, LOCK(0), "a");
	thread_make(kt, &threads[1], take_and_mark, LOCK(0), "b");
	take(0);
	thread_start(&threads[0], fifo(15));
	thread_start(&threads[1], fifo(20));
	EXPECT_OWN_PRIO(20);
	thread_set_fifo(&threads[1], fifo(12));
	EXPECT_OWN_PRIO(15);
	KEXPECT_EQ(rt_mutex_top_task(current), threads[0].task);
	thread_set_fifo(&threads[0], fifo(5));
	EXPECT_OWN_PRIO(12);
	thread_set_fifo(&threads[1], fifo(5));
	EXPECT_OWN_PRIO(10);		/* they lend less than we have */
	set_own_fifo(fifo(3));
	EXPECT_OWN_PRIO(5);
	release(0);
	EXPECT_OWN_PRIO(3);
	EXPECT_LOG("ab");		/* equals now: a came to this priority first */
	thread_end(&threads[0]);
	thread_end(&threads[1]);
	expect_all_free(kt);
}
FOR_BOTH_KINDS(lowering_a_waiter_takes_the_loan_back)

/* --- SCHED_OTHER --- */

/* fails with: waiter_prio() ordering SCHED_OTHER tasks before FIFO 1 */
static void others_wait_behind_fifo(struct ktest_run *kt, enum kind kind)
{
	RUN_AS_FIFO(fifo(10));

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
	thread_start(&threads[2], fifo(1));
	EXPECT_OWN_PRIO(1);
	release(0);
	KEXPECT_EQ(current->prio, DEFAULT_PRIO);
	for (int i = 0; i < 10; i++)
		do_sched_yield();
	EXPECT_LOG("fop");
	set_own_fifo(fifo(10));
	for (int i = 0; i < 3; i++)
		thread_end(&threads[i]);
	expect_all_free(kt);
}
FOR_BOTH_KINDS(others_wait_behind_fifo)
