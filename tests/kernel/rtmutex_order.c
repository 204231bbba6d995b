/* SPDX-License-Identifier: MIT */
/* Which of those who wait is next: the most urgent one, whatever changes meanwhile. */
#include "tests/kernel/lock_scenario.h"

KTEST_SUITE(rtmutex_order);

/* --- Who is next --- */

/* fails with: rt_mutex_setprio() of a waiter leaving it at its old place in the tree */
static const struct step the_most_urgent_waiter_is_next[] = {
	TAKE(0),	/* each of these is above the one before, and blocks */
	START('a', 11, WANTS(0)), START('b', 12, WANTS(0)), START('c', 13, WANTS(0)),
	START('d', 14, WANTS(0)), START('e', 15, WANTS(0)),
	BLOCKED_ON('a', 0), SET_FIFO('a', 30),
	BLOCKED_ON('b', 0), SET_FIFO('b', 14),
	BLOCKED_ON('c', 0), SET_FIFO('c', 40),
	BLOCKED_ON('d', 0), SET_FIFO('d', 20),
	BLOCKED_ON('e', 0), SET_FIFO('e', 35),	OWN_PRIO(40),
	GIVE(0),				OWN_PRIO(10), LOG("ceadb"),
};
PLAY_FOR_BOTH_KINDS(the_most_urgent_waiter_is_next)

/* fails with: tree_less() putting a new waiter before its equals */
static const struct step equals_are_first_come_first_served[] = {
	TAKE(0),
	START('a', 20, WANTS(0)), YIELD(1),	BLOCKED_ON('a', 0),
	START('b', 20, WANTS(0)), YIELD(1),	BLOCKED_ON('b', 0),	/* from here on our equal */
	START('c', 20, WANTS(0)), YIELD(1),	BLOCKED_ON('c', 0),
	START('d', 20, WANTS(0)), YIELD(1),	BLOCKED_ON('d', 0), OWN_PRIO(20),
	GIVE(0),				OWN_PRIO(10), LOG("abcd"),
};
PLAY_FOR_BOTH_KINDS(equals_are_first_come_first_served)

/* fails with: chain_step() requeueing a waiter and not telling the owner */
static const struct step raising_a_waiter_changes_who_is_first[] = {
	TAKE(0),
	START('a', 15, WANTS(0)),
	START('b', 20, WANTS(0)),		OWN_PRIO(20),
	SET_FIFO('a', 25),			OWN_PRIO(25), TOP_LENDER('a'),
	GIVE(0),				LOG("ab"), OWN_PRIO(10),
};
PLAY_FOR_BOTH_KINDS(raising_a_waiter_changes_who_is_first)

/* fails with: chain_step() looking at the owner only if the waiter is the top one afterwards */
static const struct step lowering_a_waiter_takes_the_loan_back[] = {
	TAKE(0),
	START('a', 15, WANTS(0)),
	START('b', 20, WANTS(0)),		OWN_PRIO(20),
	SET_FIFO('b', 12),			OWN_PRIO(15), TOP_LENDER('a'),
	SET_FIFO('a', 5),			OWN_PRIO(12),
	SET_FIFO('b', 5),			OWN_PRIO(10),	/* they lend less than we have */
	SET_OWN_FIFO(3),			OWN_PRIO(5),
	GIVE(0),				OWN_PRIO(3),
						LOG("ab"),	/* equals now: a was so first */
};
PLAY_FOR_BOTH_KINDS(lowering_a_waiter_takes_the_loan_back)

/* --- SCHED_OTHER --- */

/* fails with: waiter_prio() ordering SCHED_OTHER tasks before FIFO 1 */
static const struct step others_wait_behind_fifo[] = {
	TAKE(0),
	START('o', 0, WANTS(0)),		AWAIT_BLOCKED('o', 0),
	START('p', 0, WANTS(0)),		AWAIT_BLOCKED('p', 0), OWN_PRIO(0),
	START('f', 1, WANTS(0)),		OWN_PRIO(1),	/* o and p have nothing to lend */
	GIVE(0),				OWN_PRIO(0),
	YIELD(10),				LOG("fop"),
	SET_OWN_FIFO(10),
};
PLAY_FOR_BOTH_KINDS(others_wait_behind_fifo)
