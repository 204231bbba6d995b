/* SPDX-License-Identifier: MIT */
/*
 * A scenario of locks, waiters and loans, as a table: what the test does, what it makes others do,
 * and beside it what must be so then.
 *
 *	static const struct step a_waiter_comes_and_goes[] = {
 *		TAKE(0),
 *		START('a', 20, WANTS(0)),	OWN_PRIO(20),
 *		MARK('1'), GIVE(0),		OWN_PRIO(10),
 *		LOG("1a"),
 *	};
 *	PLAY_FOR_BOTH_KINDS(a_waiter_comes_and_goes)
 *
 * The test begins at rank 10 (see fifo()), with all locks free and the threads made, each waiting
 * for its START. At the end it ends them, and everything must be free again. A check that fails
 * says where it stands; in the debugger, "break play_step if step->line == 123" stops there.
 */
#pragma once

#include "kernel/report/panic.h"
#include "tests/kernel/any_lock.h"

struct step {
	enum verb {
		STEP_TAKE, STEP_GIVE, STEP_MARK, STEP_YIELD, STEP_SET_OWN_FIFO,
		STEP_SET_FIFO, STEP_START,
		/* Checks. */
		STEP_OWN_PRIO, STEP_OWN_NORMAL_PRIO, STEP_PRIO, STEP_BLOCKED_ON,
		STEP_AWAIT_BLOCKED, STEP_TOP_LENDER, STEP_LOG,
	} verb;
	const char *file;
	int line;
	const char *text;		/* of a check, as it stands in the table */

	/* As far as the verb needs them. */
	char who;			/* a thread, by its mark; no two have the same */
	char mark;
	int rank, lock, times;
	void (*does)(struct thread *self);
	const char *log;
};

#define STEP(verb_, text_, ...)									\
	{ .verb = STEP_##verb_, .file = __FILE__, .line = __LINE__, .text = text_, __VA_ARGS__ }

/* --- What the test does --- */

/* Rank 0 is SCHED_OTHER, here and below. */
#define TAKE(lock_)		STEP(TAKE, NULL, .lock = lock_)
#define GIVE(lock_)		STEP(GIVE, NULL, .lock = lock_)
#define MARK(mark_)		STEP(MARK, NULL, .mark = mark_)
#define YIELD(times_)		STEP(YIELD, NULL, .times = times_)
#define SET_OWN_FIFO(rank_)	STEP(SET_OWN_FIFO, NULL, .rank = rank_)
#define SET_FIFO(who_, rank_)	STEP(SET_FIFO, NULL, .who = who_, .rank = rank_)

/* @does_: MARKS, or one of the others below. */
#define START(who_, rank_, does_) STEP(START, NULL, .who = who_, .rank = rank_, does_)

/* A middle task: has lock 7, needs another one. @self->arg: which. */
static inline void take_below_7(struct thread *self)
{
	int lock = (long)self->arg;

	take(7);
	take(lock);
	log_mark(self->mark);
	release(lock);
	release(7);
	log_mark(self->mark + 'A' - 'a');
}

#define MARKS			.does = mark				/* no lock */
#define WANTS(lock_)		.does = take_and_mark, .lock = lock_
#define HOLDS_7_WANTS(lock_)	.does = take_below_7, .lock = lock_	/* a link of a chain */

/* --- What must be so --- */

#define OWN_PRIO(rank_)		STEP(OWN_PRIO, "OWN_PRIO(" #rank_ ")", .rank = rank_)
/* Without what others lend. */
#define OWN_NORMAL_PRIO(rank_)									\
	STEP(OWN_NORMAL_PRIO, "OWN_NORMAL_PRIO(" #rank_ ")", .rank = rank_)
#define PRIO(who_, rank_)									\
	STEP(PRIO, "PRIO(" #who_ ", " #rank_ ")", .who = who_, .rank = rank_)
#define BLOCKED_ON(who_, lock_)									\
	STEP(BLOCKED_ON, "BLOCKED_ON(" #who_ ", " #lock_ ")", .who = who_, .lock = lock_)
/* For a thread that is not more urgent than the test, which is SCHED_OTHER afterwards. */
#define AWAIT_BLOCKED(who_, lock_)								\
	STEP(AWAIT_BLOCKED, "AWAIT_BLOCKED(" #who_ ", " #lock_ ")", .who = who_, .lock = lock_)
/* Who lends us most. */
#define TOP_LENDER(who_)	STEP(TOP_LENDER, "TOP_LENDER(" #who_ ")", .who = who_)
/* All marks so far: the test's, and those of each thread that got its lock. */
#define LOG(log_)		STEP(LOG, NULL, .log = log_)

/* --- The player --- */

static inline struct thread *thread_of(char who)
{
	for (int i = 0; i < THREADS; i++) {
		if (threads[i].mark == who)
			return &threads[i];
	}
	panic("no thread '%c' in this scenario", who);
}

static inline int prio_of(int rank)
{
	return rank ? PRIO_OF(fifo(rank)) : DEFAULT_PRIO;
}

static inline void expect(struct ktest_run *kt, const struct step *step, int got, int wanted)
{
	if (got != wanted)
		ktest_fail(kt, step->file, step->line, "%s: expected %d, got %d", step->text,
			   wanted, got);
}

static inline void play_step(struct ktest_run *kt, const struct step *step)
{
	struct thread *t = step->who ? thread_of(step->who) : NULL;

	switch (step->verb) {
	case STEP_TAKE:
		take(step->lock);
		break;
	case STEP_GIVE:
		release(step->lock);
		break;
	case STEP_MARK:
		log_mark(step->mark);
		break;
	case STEP_YIELD:
		for (int i = 0; i < step->times; i++)
			do_sched_yield();
		break;
	case STEP_START:
		thread_start(t, fifo(step->rank));
		break;
	case STEP_SET_FIFO:
		thread_set_fifo(t, fifo(step->rank));
		break;
	case STEP_SET_OWN_FIFO:
		set_own_fifo(fifo(step->rank));
		break;
	case STEP_OWN_PRIO:
		expect(kt, step, current->prio, prio_of(step->rank));
		break;
	case STEP_OWN_NORMAL_PRIO:
		expect(kt, step, current->normal_prio, prio_of(step->rank));
		break;
	case STEP_PRIO:
		expect(kt, step, thread_prio(t), prio_of(step->rank));
		break;
	case STEP_AWAIT_BLOCKED:
		await_blocked(kt, t, base(step->lock));
		expect(kt, step, thread_is_blocked_on(t, base(step->lock)), true);
		break;
	case STEP_BLOCKED_ON:
		expect(kt, step, thread_is_blocked_on(t, base(step->lock)), true);
		break;
	case STEP_TOP_LENDER:
		expect(kt, step, rt_mutex_top_task(current) == t->task, true);
		break;
	case STEP_LOG:
		expect_log(kt, step->file, step->line, step->log);
		break;
	}
}

static inline void play(struct ktest_run *kt, enum kind kind, const struct step *steps,
			size_t count)
{
	NEEDS_WAITERS(kind);
	RUN_AS_FIFO(fifo(10));
	int made = 0;

	locks_init(kind);
	for (size_t i = 0; i < count; i++) {
		const struct step *step = &steps[i];

		if (step->verb == STEP_START)
			thread_make(kt, &threads[made++], step->does, LOCK(step->lock),
				    (char[2]){ step->who });
	}
	for (size_t i = 0; i < count; i++)
		play_step(kt, &steps[i]);
	end_many(made);
	expect_all_free(kt);
}

/* --- Tests --- */

#define PLAY_WITH(steps, kind)	play(kt, kind, steps, ARRAY_SIZE(steps))

/* The table @steps as one test with mutexes, or one for each kind of lock. */
#define PLAY(steps)										\
	KTEST(steps) { PLAY_WITH(steps, MUTEX); }
#define PLAY_FOR_BOTH_KINDS(steps)								\
	KTEST(mutex_##steps) { PLAY_WITH(steps, MUTEX); }					\
	KTEST(spinlock_##steps) { PLAY_WITH(steps, SPINLOCK); }
#define PLAY_FOR_ALL_KINDS(steps)								\
	PLAY_FOR_BOTH_KINDS(steps)								\
	KTEST(mixed_##steps) { PLAY_WITH(steps, MIXED); }
