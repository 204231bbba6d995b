/* SPDX-License-Identifier: MIT */
/* Locks that sleep, with owner and waiters on several CPUs: the most urgent is next, and lends. */
#include "kernel/locking/rtmutex.h"
#include "kernel/locking/spinlock.h"
#include "tests/kernel/many_cpus.h"

KTEST_SUITE(lending);

#define THREADS		8

static struct thread threads[THREADS];
static bool go, stop;
static mutex_t mutex;
static spinlock_t spinlock;

static void init(void)
{
	go = stop = false;
	mutex_init(&mutex);
	spin_lock_init(&spinlock);
}

/* --- Who is next --- */

static unsigned int order[THREADS], served;

static void serve(struct thread *self)
{
	order[served++] = self->mark;
}

static void take_mutex_in_turn(struct thread *self)
{
	mutex_lock(&mutex);
	serve(self);
	mutex_unlock(&mutex);
}

static void take_spinlock_in_turn(struct thread *self)
{
	spin_lock(&spinlock);
	serve(self);
	spin_unlock(&spinlock);
}

/* Waiters on all CPUs but @busy, in an order of coming that is not that of their priorities. */
static void queue_up(struct ktest_run *kt, void (*fn)(struct thread *self),
		     const struct rt_mutex_base *lock, unsigned int busy)
{
	served = 0;
	for (int i = 0; i < THREADS; i++) {
		unsigned int cpu = i % nr_cpus, urgency = i * 3 % THREADS;

		thread_make_on(kt, &threads[i], fn, NULL, BIT(cpu == busy ? 0 : cpu));
		threads[i].mark = urgency;
		thread_start(&threads[i], fifo(10 + urgency));
		AWAIT(thread_is_blocked_on(&threads[i], lock));
	}
	KEXPECT_EQ(served, 0);
}

static void expect_by_urgency(struct ktest_run *kt)
{
	for (int i = 0; i < THREADS; i++)
		thread_join(&threads[i]);
	KEXPECT_EQ(served, THREADS);
	for (unsigned int i = 0; i < served; i++)
		KEXPECT_EQ(order[i], THREADS - 1 - i);
}

/* fails with: tree_less() putting new waiters last */
KTEST(the_most_urgent_of_all_cpus_gets_a_mutex)
{
	NEEDS_CPUS(2);
	RUN_AS_FIFO(fifo(48));

	init();
	mutex_lock(&mutex);
	queue_up(kt, take_mutex_in_turn, &mutex.rtmutex, NR_CPUS);
	mutex_unlock(&mutex);
	expect_by_urgency(kt);
}

static void hold_spinlock(struct thread *self)
{
	spin_lock(&spinlock);
	self->arg = &stop;
	spin_until_told(self);		/* a holder must not sleep */
	spin_unlock(&spinlock);
}

KTEST(the_most_urgent_of_all_cpus_gets_a_spinlock)
{
	NEEDS_RT("who spins is served in the order of coming: k/smp");
	static struct thread holder;
	NEEDS_CPUS(2);
	RUN_ON(BIT(0));
	RUN_AS_FIFO(fifo(48));

	init();
	thread_run_on(kt, &holder, hold_spinlock, NULL, BIT(1), fifo(5));
	AWAIT(READ_ONCE(holder.seen));
	queue_up(kt, take_spinlock_in_turn, &spinlock.lock, 1);
	if (holder.task)
		KEXPECT_EQ(holder.task->prio, PRIO_OF(fifo(10 + THREADS - 1)));
	WRITE_ONCE(stop, true);
	expect_by_urgency(kt);
	thread_join(&holder);
}

/* --- Lending across CPUs --- */

static void hold_mutex(struct thread *self)
{
	mutex_lock(&mutex);
	self->arg = &go;
	spin_until_told(self);
	self->mark = current->prio;
	mutex_unlock(&mutex);
}

/*
 * The owner waits for a CPU behind a middle priority. We lend it ours, from another CPU.
 * fails with: set_prio() not calling check_preempt_curr()
 */
KTEST(a_loan_preempts_on_the_owners_cpu)
{
	struct thread *owner = &threads[0], *middle = &threads[1];
	NEEDS_CPUS(2);
	RUN_ON(BIT(0));
	RUN_AS_FIFO(fifo(48));

	init();
	thread_run_on(kt, owner, hold_mutex, NULL, BIT(1), fifo(10));
	SPIN_UNTIL(READ_ONCE(owner->seen));
	thread_run_on(kt, middle, spin_until_told, &stop, BIT(1), fifo(20));
	SPIN_UNTIL(READ_ONCE(middle->seen));
	WRITE_ONCE(go, true);				/* but it does not get to see it */
	mutex_lock(&mutex);
	KEXPECT_EQ(owner->mark, PRIO_OF(fifo(48)));
	KEXPECT(!READ_ONCE(middle->done));
	mutex_unlock(&mutex);
	WRITE_ONCE(stop, true);
	thread_join(middle);
	thread_join(owner);
}
