/* SPDX-License-Identifier: MIT */
/*
 * The rule for several CPUs: of the tasks that want to run, the most urgent do, as far as their
 * masks let them. One test for each event that may break it; balance_many.c looks at all queues
 * after many of them. The test sits on CPU 1, the last one of the two that matter.
 */
#include "kernel/fork.h"
#include "kernel/locking/rtmutex.h"
#include "kernel/locking/spinlock.h"
#include "kernel/policy.h"
#include "lib/errno.h"
#include "tests/kernel/many_cpus.h"

KTEST_SUITE(balance);

#define BOTH		(BIT(0) | BIT(1))
#define FOR_A_WHILE	2000		/* looks; less than a tick, but enough to switch */

static struct thread hog, low, own, other, fillers[NR_CPUS];
static bool stop, stop_low, release, has;
static mutex_t mutex;
static spinlock_t spinlock;

static void spin(struct thread *self)
{
	while (!READ_ONCE(stop)) {
		WRITE_ONCE(self->result, smp_processor_id() + 1);
		cpu_relax();
	}
}

static void spin_low(struct thread *self)
{
	while (!READ_ONCE(stop_low) && !READ_ONCE(stop)) {
		WRITE_ONCE(self->result, smp_processor_id() + 1);
		cpu_relax();
	}
}

/* Where a thread ran first; 0: nowhere yet. */
static void note_place(struct thread *self)
{
	WRITE_ONCE(self->result, smp_processor_id() + 1);
}

static void hold_mutex(struct thread *self)
{
	mutex_lock(&mutex);
	WRITE_ONCE(has, true);
	while (!READ_ONCE(release))
		cpu_relax();
	WRITE_ONCE(self->result, smp_processor_id() + 1);
	mutex_unlock(&mutex);
}

static void want_mutex(struct thread *self)
{
	mutex_lock(&mutex);
	WRITE_ONCE(self->result, 1);
	mutex_unlock(&mutex);
}

static void hold_spinlock(struct thread *self)
{
	spin_lock(&spinlock);
	WRITE_ONCE(has, true);
	while (!READ_ONCE(release))
		cpu_relax();
	spin_unlock(&spinlock);
}

static void want_spinlock(struct thread *self)
{
	spin_lock(&spinlock);
	WRITE_ONCE(self->result, 1);
	spin_unlock(&spinlock);
}

/* What is under way on CPU 0 comes to its end, within less than a tick. */
static void settle(void)
{
	for (int i = 0; i < FOR_A_WHILE; i++)
		cpu_relax();
}

/* CPUs 2 and up have something more urgent to do than all that these tests are about. */
static void begin(struct ktest_run *kt)
{
	stop = stop_low = release = has = false;
	mutex_init(&mutex);
	spin_lock_init(&spinlock);
	for (unsigned int cpu = 2; cpu < nr_cpus; cpu++)
		thread_run_on(kt, &fillers[cpu], spin, NULL, BIT(cpu), 95);
	for (unsigned int cpu = 2; cpu < nr_cpus; cpu++)
		AWAIT(READ_ONCE(fillers[cpu].result));
}

static void end(void)
{
	WRITE_ONCE(release, true);
	WRITE_ONCE(stop, true);
	thread_join(&own);
	thread_join(&other);
	thread_join(&low);
	thread_join(&hog);
	for (unsigned int cpu = 2; cpu < nr_cpus; cpu++)
		thread_join(&fillers[cpu]);
}

/* @t, at first on CPU 0 only, waits there behind the hog of FIFO 80; then it may go. */
static void wait_behind_hog(struct ktest_run *kt, struct thread *t,
			    void (*fn)(struct thread *self), int fifo)
{
	thread_run_on(kt, &hog, spin, NULL, BIT(0), 80);
	AWAIT(READ_ONCE(hog.result));
	thread_run_on(kt, t, fn, NULL, BIT(0), fifo);
	AWAIT(t->task && READ_ONCE(t->task->on_rq) == QUEUED);
}

#define TWO_CPUS_AS_FIFO(prio)								\
	NEEDS_CPUS(2);									\
	RUN_ON(BIT(1));									\
	RUN_AS_FIFO(prio);								\
	begin(kt)

/* fails with: fault/raised-waiter-stays */
KTEST(a_raised_thread_leaves_a_busy_cpu)
{
	TWO_CPUS_AS_FIFO(90);
	wait_behind_hog(kt, &own, note_place, 5);
	if (own.task)
		set_cpus_allowed(own.task, BOTH);	/* here are we, more urgent than the hog */
	set_own_fifo(10);
	settle();
	KEXPECT_EQ(READ_ONCE(own.result), 0);
	thread_set_fifo(&own, 50);
	settle();				/* it takes this CPU from us */
	KEXPECT_EQ(READ_ONCE(own.result), 2);
	end();
}

KTEST(a_boosted_owner_leaves_a_busy_cpu)
{
	TWO_CPUS_AS_FIFO(90);
	thread_run_on(kt, &own, hold_mutex, NULL, BIT(0), 0);
	AWAIT(READ_ONCE(has));
	thread_run_on(kt, &hog, spin, NULL, BIT(0), 80);
	AWAIT(READ_ONCE(hog.result));
	thread_run_on(kt, &low, spin, NULL, BIT(1), 10);
	if (own.task)
		set_cpus_allowed(own.task, BOTH);
	WRITE_ONCE(release, true);
	thread_run_on(kt, &other, want_mutex, NULL, BIT(1), 50);
	AWAIT(READ_ONCE(other.result));
	KEXPECT_EQ(own.result, 2);
	end();
}

/* fails with: fault/wider-mask-unheard */
KTEST(a_thread_whose_mask_grows_leaves_a_busy_cpu)
{
	TWO_CPUS_AS_FIFO(20);
	wait_behind_hog(kt, &own, note_place, 50);
	if (own.task)
		set_cpus_allowed(own.task, BOTH);
	for (int i = 0; i < FOR_A_WHILE && !READ_ONCE(own.result); i++)
		cpu_relax();
	KEXPECT_EQ(READ_ONCE(own.result), 2);
	end();
}

/* CPU 1 has FIFO 60 to do, then ordinary work; FIFO 50 waits on CPU 0. */
static void wait_for_less_urgent_work(struct ktest_run *kt)
{
	wait_behind_hog(kt, &own, note_place, 50);
	thread_run_on(kt, &low, spin_low, NULL, BIT(1), 60);
	thread_run_on(kt, &other, spin, NULL, BIT(1), 0);
	if (own.task)
		set_cpus_allowed(own.task, BOTH);
	sleep_ns(1);
	KEXPECT(READ_ONCE(low.result));
	KEXPECT(!READ_ONCE(own.result));
}

/* fails with: fault/nothing-pulled */
KTEST(a_cpu_with_less_urgent_work_takes_over_what_waits)
{
	TWO_CPUS_AS_FIFO(90);
	wait_for_less_urgent_work(kt);
	WRITE_ONCE(stop_low, true);
	AWAIT(READ_ONCE(own.result) == 2);
	end();
}

KTEST(a_cpu_whose_task_is_lowered_takes_over_what_waits)
{
	TWO_CPUS_AS_FIFO(90);
	wait_for_less_urgent_work(kt);
	thread_set_fifo(&low, 10);
	AWAIT(READ_ONCE(own.result) == 2);
	end();
}

/* fails with: fault/pull-from-the-first */
KTEST(a_cpu_takes_the_most_urgent_of_all_that_wait)
{
	NEEDS_CPUS(3);
	RUN_ON(BIT(0));
	RUN_AS_FIFO(96);		/* so all others stay where they are */
	begin(kt);
	/* CPU 1: FIFO 30 waits; CPU 2: FIFO 50. CPU 0 has only us. */
	thread_run_on(kt, &hog, spin, NULL, BIT(1), 80);
	AWAIT(READ_ONCE(hog.result));
	thread_run_on(kt, &other, spin, NULL, BIT(1), 30);
	thread_run_on(kt, &own, spin, NULL, BIT(2), 50);
	set_cpus_allowed(own.task, BIT(0) | BIT(2));
	set_cpus_allowed(other.task, BIT(0) | BIT(1));
	KEXPECT(!READ_ONCE(own.result) && !READ_ONCE(other.result));
	sleep_ns(1);
	AWAIT(READ_ONCE(own.result) == 1);
	KEXPECT(!READ_ONCE(other.result));
	/* Else CPU 1 may have sent it to CPU 0, where it waits as well, at the same moment. */
	if (other.task && !cpus_race())
		KEXPECT_EQ(READ_ONCE(other.task->cpu), 1);
	end();
}

/* fails with: push_waiting() without ask_to_leave() */
KTEST(who_can_go_makes_room_for_who_cannot)
{
	TWO_CPUS_AS_FIFO(20);
	thread_run_on(kt, &hog, spin, NULL, BIT(0), 80);
	AWAIT(READ_ONCE(hog.result));
	set_cpus_allowed(hog.task, BOTH);
	thread_run_on(kt, &own, note_place, NULL, BIT(0), 50);
	AWAIT(READ_ONCE(own.result));
	KEXPECT_EQ(own.result, 1);
	end();
}

/* fails with: fault/room-not-asked-for-later */
KTEST(room_is_made_when_another_cpu_has_less_to_do)
{
	TWO_CPUS_AS_FIFO(90);
	wait_for_less_urgent_work(kt);
	set_cpus_allowed(own.task, BIT(0));
	set_cpus_allowed(hog.task, BOTH);
	sleep_ns(1);
	KEXPECT(!READ_ONCE(own.result));
	WRITE_ONCE(stop_low, true);
	AWAIT(READ_ONCE(own.result));
	KEXPECT_EQ(own.result, 1);
	end();
}

/* fails with: fault/raised-hog-unpublished */
KTEST(who_was_raised_makes_room_as_well)
{
	TWO_CPUS_AS_FIFO(20);
	thread_run_on(kt, &hog, spin, NULL, BIT(0), 10);
	AWAIT(READ_ONCE(hog.result));
	set_cpus_allowed(hog.task, BOTH);
	thread_set_fifo(&hog, 80);		/* it runs, and goes on */
	thread_run_on(kt, &own, note_place, NULL, BIT(0), 50);
	AWAIT(READ_ONCE(own.result));
	KEXPECT_EQ(own.result, 1);
	end();
}

/* A holder of a spinlock_t stays where it is, so its CPU must be left to it. */
KTEST(a_boosted_holder_of_a_spinlock_gets_its_cpu)
{
	NEEDS_RT("a holder can be preempted");
	TWO_CPUS_AS_FIFO(90);
	thread_run_on(kt, &own, hold_spinlock, NULL, BIT(0), 0);
	AWAIT(READ_ONCE(has));
	if (own.task)
		set_cpus_allowed(own.task, BOTH);
	thread_run_on(kt, &hog, spin, NULL, BIT(0), 80);
	AWAIT(READ_ONCE(hog.result));
	thread_run_on(kt, &low, spin, NULL, BIT(1), 10);
	set_cpus_allowed(hog.task, BOTH);
	WRITE_ONCE(release, true);
	thread_run_on(kt, &other, want_spinlock, NULL, BIT(1), 50);
	AWAIT(READ_ONCE(other.result));
	end();
}

static void spin_pinned(struct thread *self)
{
	migrate_disable();
	while (!READ_ONCE(release)) {
		WRITE_ONCE(self->result, smp_processor_id() + 1);
		cpu_relax();
	}
	migrate_enable();
	spin(self);
}

/* fails with: fault/room-forgotten-at-migrate-enable */
KTEST(who_is_asked_with_migration_off_goes_when_it_is_on)
{
	TWO_CPUS_AS_FIFO(20);
	thread_run_on(kt, &hog, spin_pinned, NULL, BIT(0), 80);
	AWAIT(READ_ONCE(hog.result));
	set_cpus_allowed(hog.task, BOTH);
	thread_run_on(kt, &own, note_place, NULL, BIT(0), 50);
	sleep_ns(1);
	KEXPECT(!READ_ONCE(own.result));
	WRITE_ONCE(release, true);
	SPIN_UNTIL(READ_ONCE(own.result));	/* where the hog was; nobody else chooses */
	end();
}

/* A thread for CPU 0: once own runs, let it go where it wants, and leave the CPU idle. */
static void widen_own(struct thread *self)
{
	while (!READ_ONCE(own.result) && !READ_ONCE(stop))
		cpu_relax();
	set_cpus_allowed(own.task, BOTH);
}

/* fails with: fault/preempted-is-not-pushed */
KTEST(a_preempted_thread_goes_to_an_idle_cpu_at_once)
{
	TWO_CPUS_AS_FIFO(50);
	thread_run_on(kt, &own, spin, NULL, BIT(1), 0);
	thread_run_on(kt, &other, widen_own, NULL, BIT(0), 30);
	AWAIT(READ_ONCE(other.done));
	/* We have preempted it, and pushed it. */
	if (own.task)
		KEXPECT_EQ(READ_ONCE(own.task->cpu), 0);
	AWAIT(READ_ONCE(own.result) == 1);
	end();
}

/* fails with: select_task_rq() that always stays */
KTEST(a_wake_up_disturbs_the_least_urgent)
{
	TWO_CPUS_AS_FIFO(90);
	thread_make_on(kt, &own, note_place, NULL, BIT(1));	/* slept here last */
	AWAIT(own.task && task_state(own.task) == TASK_UNINTERRUPTIBLE && !own.task->on_rq);
	if (own.task)
		set_cpus_allowed(own.task, BOTH);
	thread_run_on(kt, &low, spin, NULL, BIT(1), 10);
	sleep_ns(1);
	KEXPECT_EQ(READ_ONCE(low.result), 2);
	thread_start(&own, 50);
	KEXPECT_EQ(own.task ? READ_ONCE(own.task->cpu) : 0, 0);
	AWAIT(READ_ONCE(own.result) == 1);
	end();
}

static void wake_up_often(struct thread *self)
{
	self->seen = smp_processor_id();
	for (int i = 0; i < 20 && !self->result; i++) {
		sleep_ns(1);
		if (smp_processor_id() != self->seen)
			WRITE_ONCE(self->result, i + 1);	/* how often it stayed, and 1 */
	}
}

/* Both CPUs have an ordinary thread to run: to go to the other one would gain nothing. */
static void stay_on(struct ktest_run *kt, unsigned int cpu)
{
	begin(kt);
	thread_run_on(kt, &low, spin, NULL, BIT(0), 0);
	thread_run_on(kt, &hog, spin, NULL, BIT(1), 0);
	AWAIT(READ_ONCE(low.result) && READ_ONCE(hog.result));
	thread_make_on(kt, &own, wake_up_often, NULL, BIT(cpu));
	AWAIT(own.task && task_state(own.task) == TASK_UNINTERRUPTIBLE && !own.task->on_rq);
	if (own.task)
		set_cpus_allowed(own.task, BOTH);
	thread_start(&own, 50);
	AWAIT(READ_ONCE(own.done));
	KEXPECT_EQ(own.seen, cpu);
	KEXPECT_EQ(own.result, 0);
	end();
}

/* fails with: fault/wake-up-goes-to-the-first, fault/who-preempts-is-pushed */
KTEST(of_equal_cpus_a_wake_up_takes_the_last_one)
{
	NEEDS_CPUS(2);
	RUN_ON(BIT(1));
	stay_on(kt, 1);
	stay_on(kt, 0);
}

static int note_where(void *arg)
{
	WRITE_ONCE(other.result, smp_processor_id() + 1);
	while (!READ_ONCE(stop))
		cpu_relax();
	return 0;
}

/* fails with: fault/first-turn-looks-at-nobody */
KTEST(a_cpu_that_begins_a_new_task_takes_over_what_waits)
{
	struct task_struct *fresh;
	TWO_CPUS_AS_FIFO(90);
	wait_behind_hog(kt, &own, note_place, 50);
	thread_run_on(kt, &low, spin_low, NULL, BIT(1), 60);
	other.result = 0;
	fresh = kthread_create(note_where, NULL, "fresh");
	if (IS_ERR(fresh)) {
		KFAIL("no thread: %ld", PTR_ERR(fresh));
		return end();
	}
	sched_setscheduler(fresh, SCHED_OTHER, 0);
	if (own.task)
		set_cpus_allowed(own.task, BOTH);
	sleep_ns(1);
	KEXPECT(READ_ONCE(low.result));
	KEXPECT(!READ_ONCE(own.result) && !READ_ONCE(other.result));
	WRITE_ONCE(stop_low, true);
	AWAIT(READ_ONCE(other.result));
	KEXPECT_EQ(READ_ONCE(own.result), 2);
	end();
	put_task_struct(fresh);
}
