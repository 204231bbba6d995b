/* SPDX-License-Identifier: MIT */
/*
 * Which CPU a task runs on: where its mask says, where something less urgent runs, where nothing
 * does. The test itself sits on CPU 0 or 1 and holds it by its priority.
 */
#include "arch/x86/mm/uaccess.h"
#include "arch/x86/process.h"
#include "kernel/mm/kmalloc.h"
#include "kernel/preempt/might_sleep.h"
#include "kernel/syscalls.h"
#include "lib/errno.h"
#include "tests/kernel/many_cpus.h"

KTEST_SUITE(affinity);

#define BOTH	(BIT(0) | BIT(1))
#define SYS_sched_setaffinity 203

static struct thread a, b, blocker;
static bool stop, stop_blocker;

/* --- The mask --- */

/* fails with: set_cpus_allowed() taking any mask */
KTEST(a_mask_without_a_cpu_is_refused)
{
	u64 old = current->cpus_mask;

	KEXPECT_EQ(set_cpus_allowed(current, 0), -EINVAL);
	KEXPECT_EQ(set_cpus_allowed(current, BIT(nr_cpus)), -EINVAL);
	KEXPECT_EQ(set_cpus_allowed(current, ~0UL << nr_cpus), -EINVAL);
	KEXPECT_EQ(current->cpus_mask, old);
	KEXPECT_EQ(set_cpus_allowed(current, old | BIT(63)), 0);	/* not there: ignored */
	KEXPECT_EQ(current->cpus_mask, old);
}

/* fails with: fault/moved-while-atomic */
KTEST(a_move_may_sleep_and_says_so)
{
	struct splats before = splats_now();
	KMAY_WARN;

	might_sleep_ratelimit_reset();
	preempt_disable();
	set_cpus_allowed(current, current->cpus_mask);
	preempt_enable();
	EXPECT_SPLATS(before, SPLAT_MIGHT_SLEEP, 1);
}

/* fails with: do_sched_setaffinity() not looking at PF_NO_SETAFFINITY */
KTEST(a_cpus_own_thread_cannot_be_moved)
{
	u64 *user_mask = (u64 *)((task_pt_regs(current)->sp - PAGE_SIZE) & ~7UL);
	struct task_struct *own = this_cpu()->ksoftirqd;
	struct pt_regs regs = { .di = own->pid, .si = 8, .dx = (unsigned long)user_mask };
	u64 mask = own->cpus_mask;

	KEXPECT_EQ(mask, BIT(smp_processor_id()));
	KEXPECT_EQ(put_user(~0UL, user_mask), 0);
	KEXPECT_EQ(do_syscall(SYS_sched_setaffinity, &regs), -EINVAL);
	KEXPECT_EQ(own->cpus_mask, mask);
}

/* fails with: set_cpus_allowed() neither asking current to reschedule nor waiting until it has */
KTEST(current_is_there_when_the_call_returns)
{
	RUN_ON(~0UL);

	for (unsigned int i = 0; i < 3 * nr_cpus; i++) {
		unsigned int cpu = i * 5 % nr_cpus;

		KEXPECT_EQ(set_cpus_allowed(current, BIT(cpu)), 0);
		KEXPECT_EQ(smp_processor_id(), cpu);
		KEXPECT_EQ(current->cpu, cpu);
	}
}

/* fails with: select_task_rq() not asking cpu_allowed() */
KTEST(a_thread_starts_where_it_may_be)
{
	for (unsigned int cpu = 0; cpu < nr_cpus; cpu++) {
		thread_run_on(kt, &a, note_cpu, NULL, BIT(cpu), 0);
		thread_join(&a);
		KEXPECT_EQ(a.result, (int)cpu);
	}
}

/* fails with: set_cpus_allowed() returning before a running task has left */
KTEST(a_running_thread_is_moved)
{
	NEEDS_CPUS(2);
	RUN_ON(BIT(0));
	RUN_AS_FIFO(50);

	stop = false;
	thread_run_on(kt, &a, spin_until_told, &stop, BIT(1), 10);
	SPIN_UNTIL(READ_ONCE(a.seen));
	KEXPECT_EQ(a.result, 1);
	if (a.task) {
		set_cpus_allowed(a.task, BIT(0));
		KEXPECT_EQ(a.task->cpu, 0);
		set_cpus_allowed(a.task, BIT(1));
		KEXPECT_EQ(a.task->cpu, 1);
		set_cpus_allowed(a.task, BIT(0));
	}
	WRITE_ONCE(stop, true);
	thread_join(&a);
	KEXPECT_EQ(a.result, 0);
}

/* fails with: change_mask() only changing the mask */
KTEST(a_queued_thread_is_moved)
{
	NEEDS_CPUS(2);
	RUN_ON(BIT(0));
	RUN_AS_FIFO(50);

	thread_make_on(kt, &a, note_cpu, NULL, BIT(0));
	thread_start(&a, 10);
	if (a.task) {
		KEXPECT(a.task->on_rq == QUEUED && !a.seen);
		set_cpus_allowed(a.task, BIT(1));
		SPIN_UNTIL(READ_ONCE(a.seen));		/* we did not let it run here */
		KEXPECT_EQ(a.result, 1);
	}
	thread_join(&a);
}

/* fails with: select_task_rq() going back to the last CPU whatever the mask says */
KTEST(a_sleeping_thread_wakes_where_it_may_be)
{
	NEEDS_CPUS(2);
	RUN_ON(BIT(0));
	RUN_AS_FIFO(50);

	thread_make_on(kt, &a, note_cpu, NULL, BIT(1));
	thread_set_fifo(&a, 10);
	AWAIT(a.task && task_state(a.task) == TASK_UNINTERRUPTIBLE && !a.task->on_rq);
	if (a.task) {
		KEXPECT_EQ(set_cpus_allowed(a.task, BIT(0)), 0);
		KEXPECT(!a.task->on_rq);			/* it sleeps on */
	}
	complete(&a.go);
	thread_join(&a);
	KEXPECT_EQ(a.result, 0);
}

/* --- migrate_disable() --- */

static bool pinned, may_move;
static int after_enable, after_sleep;

static void stay_then_go(struct thread *self)
{
	migrate_disable();
	WRITE_ONCE(pinned, true);
	self->arg = &may_move;
	spin_until_told(self);
	sleep_ns(1);
	after_sleep = smp_processor_id();
	migrate_enable();
	after_enable = smp_processor_id();
}

/* fails with: cpu_allowed() not looking at migration_disabled; migrate_enable() not at the mask */
KTEST(migrate_disable_holds_while_the_mask_changes)
{
	NEEDS_CPUS(2);
	RUN_ON(BIT(0));
	RUN_AS_FIFO(50);

	pinned = may_move = false;
	after_enable = after_sleep = -1;
	thread_run_on(kt, &a, stay_then_go, NULL, BIT(1), 10);
	SPIN_UNTIL(READ_ONCE(pinned));
	if (a.task)
		KEXPECT_EQ(set_cpus_allowed(a.task, BIT(0)), 0);
	for (int i = 0; i < 3; i++) {
		unsigned int seen = READ_ONCE(a.seen);

		sleep_ns(1);
		SPIN_UNTIL(READ_ONCE(a.seen) != seen);		/* it runs, and not where we are */
		KEXPECT_EQ(READ_ONCE(a.result), 1);
	}
	WRITE_ONCE(may_move, true);
	thread_join(&a);
	KEXPECT_EQ(after_sleep, 1);
	KEXPECT_EQ(after_enable, 0);
}

static spinlock_t lock;

static void hold_then_go(struct thread *self)
{
	spin_lock(&lock);
	self->arg = &stop;
	spin_until_told(self);		/* a holder must not sleep */
	spin_unlock(&lock);
	after_enable = smp_processor_id();
}

/* fails with: rt_spin_lock() without migrate_disable() */
KTEST(a_holder_of_a_spinlock_stays)
{
	NEEDS_RT("who spins is not preempted, so it cannot move");
	NEEDS_CPUS(2);
	RUN_ON(BIT(0));
	RUN_AS_FIFO(fifo(40));

	stop = false;
	after_enable = -1;
	spin_lock_init(&lock);
	thread_run_on(kt, &a, hold_then_go, NULL, BIT(1), fifo(10));
	SPIN_UNTIL(READ_ONCE(a.seen));
	if (a.task)
		KEXPECT_EQ(set_cpus_allowed(a.task, BIT(0)), 0);
	for (int i = 0; i < 3; i++) {
		unsigned int seen = READ_ONCE(a.seen);

		AWAIT(READ_ONCE(a.seen) != seen);	/* also if it has come here */
		KEXPECT_EQ(READ_ONCE(a.result), 1);
	}
	WRITE_ONCE(stop, true);
	thread_join(&a);
	KEXPECT_EQ(after_enable, 0);
}

/* --- Placement --- */

/* CPU 1 is busy with something more urgent than @fifo, until stop_blocker. */
static void block_cpu1(struct ktest_run *kt)
{
	stop_blocker = false;
	thread_run_on(kt, &blocker, spin_until_told, &stop_blocker, BIT(1), 40);
	SPIN_UNTIL(READ_ONCE(blocker.seen));
}

static void unblock_cpu1(void)
{
	WRITE_ONCE(stop_blocker, true);
}

/* fails with: select_task_rq() staying on a busy CPU */
KTEST(a_wake_up_goes_to_an_idle_cpu)
{
	NEEDS_CPUS(2);
	RUN_ON(BIT(0));
	RUN_AS_FIFO(50);

	thread_make_on(kt, &a, note_cpu, NULL, BIT(0));
	AWAIT(a.task && task_state(a.task) == TASK_UNINTERRUPTIBLE && !a.task->on_rq);
	if (a.task)
		set_cpus_allowed(a.task, BOTH);
	AWAIT(!cpu_rq(1)->nr_running);
	thread_set_fifo(&a, 0);
	complete(&a.go);
	if (a.task)
		KEXPECT_EQ(READ_ONCE(a.task->cpu), 1);	/* chosen now, not pulled there later */
	SPIN_UNTIL(READ_ONCE(a.seen));			/* here it could not run */
	KEXPECT_EQ(a.result, 1);
	thread_join(&a);
}

/* fails with: balance() without move_waiting() */
KTEST(an_idle_cpu_takes_over_what_waits)
{
	NEEDS_CPUS(2);
	RUN_ON(BIT(0));
	RUN_AS_FIFO(50);

	block_cpu1(kt);
	thread_run_on(kt, &b, note_cpu, NULL, BIT(0), 20);	/* pinned, and more urgent */
	thread_run_on(kt, &a, note_cpu, NULL, BIT(0), 10);
	if (a.task)
		set_cpus_allowed(a.task, BOTH);			/* waits here, and may go */
	KEXPECT_EQ(a.seen + b.seen, 0);
	unblock_cpu1();
	SPIN_UNTIL(READ_ONCE(a.seen));
	KEXPECT_EQ(a.result, 1);
	KEXPECT_EQ(READ_ONCE(b.seen), 0);
	thread_join(&a);
	thread_join(&b);
	KEXPECT_EQ(b.result, 0);
	thread_join(&blocker);
}

static void spin_to_the_other_cpu(struct thread *self)
{
	u64 end = READ_ONCE(jiffies) + AWAIT_TICKS;

	WRITE_ONCE(self->seen, 1);
	while (smp_processor_id() == 1 && !READ_ONCE(stop) && READ_ONCE(jiffies) < end)
		cpu_relax();
	self->result = smp_processor_id();
}

/* A FIFO thread on CPU 1, where a more urgent one comes; CPU 0 has us, less urgent than both. */
static void preempt_on_cpu1(struct ktest_run *kt, u64 mask)
{
	stop = false;
	thread_make_on(kt, &a, spin_to_the_other_cpu, NULL, BIT(1));
	thread_start(&a, 20);
	SPIN_UNTIL(READ_ONCE(a.seen));
	if (a.task)
		set_cpus_allowed(a.task, mask);
	block_cpu1(kt);
}

/* fails with: balance() without push_waiting() */
KTEST(a_preempted_fifo_thread_is_pushed)
{
	NEEDS_CPUS(2);
	RUN_ON(BIT(0));
	RUN_AS_FIFO(5);

	preempt_on_cpu1(kt, BOTH);
	SPIN_UNTIL(READ_ONCE(a.done));			/* while CPU 1 is blocked: it preempts us */
	KEXPECT(!READ_ONCE(blocker.done));
	KEXPECT_EQ(a.result, 0);
	unblock_cpu1();
	WRITE_ONCE(stop, true);
	thread_join(&a);
	thread_join(&blocker);
}

/* fails with: least_urgent_cpu() not asking cpu_allowed() */
KTEST(a_pinned_fifo_thread_is_not_pushed)
{
	NEEDS_CPUS(2);
	RUN_ON(BIT(0));
	RUN_AS_FIFO(5);

	preempt_on_cpu1(kt, BIT(1));
	for (int i = 0; i < 3; i++)
		sleep_ns(1);
	KEXPECT(!READ_ONCE(a.done));
	unblock_cpu1();
	WRITE_ONCE(stop, true);
	thread_join(&a);
	KEXPECT_EQ(a.result, 1);
	thread_join(&blocker);
}

/* fails with: activate_task() counting on the old CPU */
KTEST(each_run_queue_counts_its_own)
{
	u64 switches, migrations[2];
	NEEDS_CPUS(2);
	RUN_ON(BIT(0));
	RUN_AS_FIFO(50);

	thread_make_on(kt, &a, note_cpu, NULL, BIT(0));
	AWAIT(a.task && task_state(a.task) == TASK_UNINTERRUPTIBLE && !a.task->on_rq);
	migrations[0] = cpu_rq(0)->nr_migrations;
	migrations[1] = cpu_rq(1)->nr_migrations;
	switches = cpu_rq(1)->nr_switches;
	if (a.task)
		set_cpus_allowed(a.task, BIT(1));
	thread_start(&a, 10);
	SPIN_UNTIL(READ_ONCE(a.done));
	KEXPECT_EQ(cpu_rq(0)->nr_migrations, migrations[0]);
	KEXPECT_EQ(cpu_rq(1)->nr_migrations, migrations[1] + 1);
	KEXPECT_GE(cpu_rq(1)->nr_switches, switches + 1);
	thread_join(&a);
}

/*
 * Its data may still be in the caches there.
 * fails with: select_task_rq() preferring the first of idle CPUs
 */
KTEST(a_wake_up_prefers_its_home)
{
	unsigned int home = nr_cpus - 1;
	NEEDS_CPUS(3);
	RUN_ON(BIT(0));
	RUN_AS_FIFO(50);

	thread_make_on(kt, &a, note_cpu, NULL, BIT(home));
	thread_set_fifo(&a, 0);
	AWAIT(a.task && task_state(a.task) == TASK_UNINTERRUPTIBLE && !a.task->on_rq);
	if (a.task)
		set_cpus_allowed(a.task, ~0UL);
	AWAIT(!cpu_rq(1)->nr_running && !cpu_rq(home)->nr_running);
	complete(&a.go);
	if (a.task)
		KEXPECT_EQ(READ_ONCE(a.task->cpu), home);	/* and not the first that is idle */
	thread_join(&a);
}
