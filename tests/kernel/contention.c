/* SPDX-License-Identifier: MIT */
/*
 * Locks that sleep, with owner and waiters on several CPUs: one holder at a time, and chain walks
 * in chains that change under them. Who is next, and what it lends, is in lending.c.
 */
#include "kernel/locking/rtmutex.h"
#include "kernel/locking/spinlock.h"
#include "lib/errno.h"
#include "tests/kernel/many_cpus.h"

KTEST_SUITE(contention);

#define ROUNDS		10000		/* for each thread, if there is time */
#define THREADS		8
#define LOCKS		6

static struct thread threads[THREADS];
static bool go, stop;
static mutex_t mutexes[LOCKS];
static spinlock_t spinlock;

static void init(void)
{
	go = stop = false;
	for (int i = 0; i < LOCKS; i++)
		mutex_init(&mutexes[i]);
	spin_lock_init(&spinlock);
}

/* @count threads, spread over the CPUs or wherever they like, of FIFO 10 and up or SCHED_OTHER. */
static void start_many(struct ktest_run *kt, int count, void (*fn)(struct thread *self),
		       bool spread)
{
	for (int i = 0; i < count; i++) {
		thread_make_on(kt, &threads[i], fn, &go, spread ? BIT(i % nr_cpus) : ~0UL);
		threads[i].mark = i;
		thread_start(&threads[i], i % 2 ? fifo(10 + i) : 0);
	}
}

static bool all_done(int count)
{
	for (int i = 0; i < count; i++)
		if (threads[i].task && !READ_ONCE(threads[i].done))
			return false;
	return true;
}

/* Let them go on for at most half a second, @step meanwhile, and see that all come to their end. */
static void run_many(struct ktest_run *kt, int count, void (*step)(void))
{
	u64 end = READ_ONCE(jiffies) + HZ / 2;

	WRITE_ONCE(go, true);
	while (!all_done(count) && READ_ONCE(jiffies) < end) {
		if (step)
			step();
		sleep_ns(1);
	}
	WRITE_ONCE(stop, true);
	for (int i = 0; i < count; i++)
		thread_join(&threads[i]);
	for (int i = 0; i < LOCKS; i++) {
		KEXPECT_EQ(mutexes[i].rtmutex.owner, 0);
		KEXPECT(!rt_mutex_has_waiters(&mutexes[i].rtmutex));
	}
}

static void await_go(void)
{
	u64 end = READ_ONCE(jiffies) + AWAIT_TICKS;

	while (!READ_ONCE(go) && READ_ONCE(jiffies) < end)
		sleep_ns(1);
}

/* --- One at a time --- */

static u64 sum, inside, collisions;

static void add_one(unsigned int i)
{
	collisions += READ_ONCE(inside);
	WRITE_ONCE(inside, 1);
	if (i % 8 == 0)
		cpu_relax();
	sum++;
	WRITE_ONCE(inside, 0);
}

static void add_under_mutex(struct thread *self)
{
	await_go();
	for (self->seen = 0; self->seen < ROUNDS && !READ_ONCE(stop); self->seen++) {
		mutex_lock(&mutexes[0]);
		add_one(self->seen);
		mutex_unlock(&mutexes[0]);
	}
}

static void add_under_spinlock(struct thread *self)
{
	await_go();
	for (self->seen = 0; self->seen < ROUNDS && !READ_ONCE(stop); self->seen++) {
		spin_lock(&spinlock);
		add_one(self->seen);
		spin_unlock(&spinlock);
	}
}

static void add_with(struct ktest_run *kt, void (*fn)(struct thread *self), bool spread)
{
	u64 added = 0;

	init();
	sum = inside = collisions = 0;
	start_many(kt, THREADS, fn, spread);
	run_many(kt, THREADS, NULL);
	for (int i = 0; i < THREADS; i++)
		added += threads[i].seen;
	KEXPECT_EQ(sum, added);
	KEXPECT_GE(sum, THREADS);
	KEXPECT_EQ(collisions, 0);
}

/* fails with: try_to_take_rt_mutex() taking a lock that has an owner */
KTEST(a_mutex_has_one_holder)
{
	NEEDS_CPUS(2);
	RUN_AS_FIFO(fifo(48));

	add_with(kt, add_under_mutex, true);
}

KTEST(a_mutex_has_one_holder_when_all_wander)
{
	NEEDS_CPUS(2);
	RUN_AS_FIFO(fifo(48));

	add_with(kt, add_under_mutex, false);
}

/* fails with: rtlock_slowlock() taking its wake-up for the lock; with rt=off, see k/smp */
KTEST(a_spinlock_has_one_holder)
{
	NEEDS_CPUS(2);
	RUN_AS_FIFO(fifo(48));

	add_with(kt, add_under_spinlock, true);
	KEXPECT_EQ(spinlock.record.acquired, sum);
	KEXPECT(!rt_mutex_has_waiters(&spinlock.lock));
}

KTEST(a_spinlock_has_one_holder_when_all_wander)
{
	NEEDS_CPUS(2);
	RUN_AS_FIFO(fifo(48));

	add_with(kt, add_under_spinlock, false);
	KEXPECT_EQ(spinlock.record.acquired, sum);
}

/* --- Chains that change --- */

static void hold_and_want(struct thread *self)
{
	long has = (long)self->arg;

	mutex_lock(&mutexes[has]);
	self->result = mutex_lock_checked(&mutexes[has + 1]);
	if (!self->result)
		mutex_unlock(&mutexes[has + 1]);
	mutex_unlock(&mutexes[has]);
}

/*
 * asker (has 0) wants 1, whose owner (has 1) wants 2. While the asker walks there, and cannot go on
 * because we hold 2's wait_lock, the owner comes to wait for 0: so it will look. That is no ring:
 * by then it would have given 1 back. fails with: fault/chain-change-unseen
 */
KTEST(a_walk_stops_where_the_chain_has_changed)
{
	struct thread *asker = &threads[0], *owner = &threads[1];
	static struct rt_mutex_waiter elsewhere;
	struct rt_mutex_waiter *real;
	struct rt_mutex_base *last = &mutexes[2].rtmutex;
	NEEDS_CPUS(2);
	RUN_ON(BIT(0));
	RUN_AS_FIFO(fifo(48));

	init();
	mutex_lock(&mutexes[2]);
	thread_run_on(kt, owner, hold_and_want, (void *)1, BIT(1), fifo(10));
	AWAIT(thread_is_blocked_on(owner, last));
	thread_make_on(kt, asker, hold_and_want, (void *)0, BIT(1));
	if (!owner->task || !asker->task)
		return;
	rt_mutex_init_waiter(&elsewhere, &mutexes[0].rtmutex, TASK_NORMAL);
	elsewhere.task = owner->task;

	raw_spin_lock_irq(&last->wait_lock);
	thread_start(asker, fifo(20));
	while (!READ_ONCE(asker->task->pi_blocked_on))
		cpu_relax();
	while (raw_spin_is_locked(&mutexes[1].rtmutex.wait_lock))
		cpu_relax();
	raw_spin_lock(&owner->task->pi_lock);
	real = owner->task->pi_blocked_on;
	elsewhere.prio = real->prio;
	owner->task->pi_blocked_on = &elsewhere;
	raw_spin_unlock(&owner->task->pi_lock);
	raw_spin_unlock_irq(&last->wait_lock);

	AWAIT(READ_ONCE(asker->done) || thread_is_blocked_on(asker, &mutexes[1].rtmutex));
	raw_spin_lock_irq(&owner->task->pi_lock);
	owner->task->pi_blocked_on = real;
	raw_spin_unlock_irq(&owner->task->pi_lock);
	mutex_unlock(&mutexes[2]);
	thread_join(owner);
	thread_join(asker);
	KEXPECT_EQ(asker->result, 0);
	KEXPECT_EQ(owner->result, 0);
}

/*
 * A walk that finds a lock's queue locked tries again, until it gets there.
 * fails with: fault/a-walk-that-gives-up
 */
KTEST(a_walk_waits_for_a_queue_that_is_locked)
{
	struct thread *asker = &threads[0], *owner = &threads[1];
	struct rt_mutex_base *last = &mutexes[2].rtmutex;
	u16 ticket;
	NEEDS_CPUS(2);
	RUN_ON(BIT(0));
	RUN_AS_FIFO(fifo(10));

	init();
	mutex_lock(&mutexes[2]);
	thread_run_on(kt, owner, hold_and_want, (void *)1, BIT(1), fifo(5));
	AWAIT(thread_is_blocked_on(owner, last));
	thread_make_on(kt, asker, hold_and_want, (void *)0, BIT(1));
	if (!owner->task || !asker->task)
		return;
	raw_spin_lock_irq(&last->wait_lock);
	thread_start(asker, fifo(20));
	while (!READ_ONCE(asker->task->pi_blocked_on))
		cpu_relax();
	while (raw_spin_is_locked(&mutexes[1].rtmutex.wait_lock))
		cpu_relax();
	/* Each try takes the owner's pi_lock; but a walk that has given up takes it no more. */
	ticket = READ_ONCE(owner->task->pi_lock.next);
	for (int i = 0; i < 1000000; i++) {
		if ((u16)(READ_ONCE(owner->task->pi_lock.next) - ticket) >= 3)
			break;
		cpu_relax();
	}
	raw_spin_unlock_irq(&last->wait_lock);
	AWAIT(READ_ONCE(current->prio) == PRIO_OF(fifo(20)));
	mutex_unlock(&mutexes[2]);
	thread_join(owner);
	thread_join(asker);
}

static u32 deadlocks;

/* Takes three neighbours, always upwards: so there is never a ring. */
static void climb(struct thread *self)
{
	await_go();
	for (self->seen = 0; self->seen < ROUNDS && !READ_ONCE(stop); self->seen++) {
		int low = (self->seen + self->mark) % (LOCKS - 2), got;

		for (got = 0; got < 3; got++)
			if (mutex_lock_checked(&mutexes[low + got]))
				break;
		if (got < 3)
			__atomic_fetch_add(&deadlocks, 1, __ATOMIC_RELAXED);
		if (self->seen % 4 == 0)
			cpu_relax();
		while (got--)
			mutex_unlock(&mutexes[low + got]);
	}
}

static void change_priorities(void)
{
	static unsigned int n;

	for (int i = 0; i < 3; i++, n++)
		thread_set_fifo(&threads[n % THREADS], fifo(1 + n * 7 % 40));
}

/* fails with: chain_step() not looking at next_lock (now and then) */
KTEST(no_false_alarm_while_chains_change)
{
	NEEDS_CPUS(2);
	RUN_AS_FIFO(fifo(48));

	init();
	deadlocks = 0;
	start_many(kt, THREADS, climb, true);
	run_many(kt, THREADS, change_priorities);
	KEXPECT_EQ(deadlocks, 0);
}

#define PATIENCE	100

/* Two of neighbours in a ring, this one first; who would close the ring backs off. */
static void go_round(struct thread *self)
{
	await_go();
	for (self->seen = 0; self->seen < ROUNDS && !READ_ONCE(stop); self->seen++) {
		int first = self->mark % 3, second = (first + 1) % 3;

		mutex_lock(&mutexes[first]);
		/* Where CPUs really race, a ring wants some patience. */
		for (int i = 0; i < PATIENCE && !rt_mutex_owner(&mutexes[second].rtmutex); i++)
			cpu_relax();
		if (!mutex_lock_checked(&mutexes[second]))
			mutex_unlock(&mutexes[second]);
		else
			__atomic_fetch_add(&deadlocks, 1, __ATOMIC_RELAXED);
		mutex_unlock(&mutexes[first]);
	}
}

/* fails with: mutex_slowlock() that backs off though it has just been handed the lock */
KTEST(real_rings_come_undone)
{
	NEEDS_CPUS(2);
	KMAY_WARN;			/* who did not ask is reported, if it meets the ring */
	RUN_AS_FIFO(fifo(48));

	init();
	deadlocks = 0;
	start_many(kt, THREADS, go_round, true);
	run_many(kt, THREADS, change_priorities);
	KEXPECT_GE(deadlocks, 1);
}
