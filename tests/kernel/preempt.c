/* SPDX-License-Identifier: MIT */
/*
 * preempt_count. The tests that break its rules do so on purpose, watch that it is counted, and
 * check that the count is right again afterwards: the WARNINGs they print belong to them.
 */
#include "arch/x86/irqflags.h"
#include "kernel/preempt/might_sleep.h"
#include "kernel/preempt/preempt.h"
#include "kernel/preempt/raw_spinlock.h"
#include "lib/kallsyms.h"
#include "lib/string.h"
#include "tests/kernel/threads.h"

KTEST_SUITE(preempt);

#define NEAR_OVERFLOW	245		/* 255 less 10 */

static struct thread other;

/* Is @ip in the function called @name? */
static void expect_in(struct ktest_run *kt, unsigned long ip, const char *name)
{
	unsigned long size, offset;
	const char *got = kallsyms_lookup(ip, &size, &offset);

	if (!got || strcmp(got, name))
		KFAIL("%lx is in %s, not in %s", ip, got ? got : "no function", name);
}

/* --- Counting --- */

/* fails with: do_syscall_64() being entered with preemption off */
KTEST(a_system_call_starts_at_zero)
{
	KEXPECT_EQ(preempt_count(), 0);
	KEXPECT(!in_atomic());
	KEXPECT(!irqs_disabled());
}

static void note_count(struct thread *self)
{
	self->seen = preempt_count();
	self->result = irqs_disabled();
}

/* fails with: schedule_tail() without its preempt_enable() */
KTEST(a_new_thread_starts_at_zero)
{
	RUN_AS_FIFO(10);

	thread_run(kt, &other, note_count, NULL, "new", 20);
	KEXPECT_EQ(other.seen, 0);
	KEXPECT_EQ(other.result, false);
	thread_end(&other);
	KEXPECT_EQ(preempt_count(), 0);
}

/* fails with: preempt_enable() setting the count to 0 */
KTEST(it_nests)
{
	static raw_spinlock_t lock;
	int counts[5];

	preempt_disable();
	counts[0] = preempt_count();
	preempt_disable();
	counts[1] = preempt_count();
	raw_spin_lock(&lock);
	counts[2] = preempt_count();
	raw_spin_unlock(&lock);
	counts[3] = preempt_count();
	preempt_enable();
	counts[4] = preempt_count();
	preempt_enable();
	KEXPECT_EQ(counts[0], 1);
	KEXPECT_EQ(counts[1], 2);
	KEXPECT_EQ(counts[2], 3);
	KEXPECT_EQ(counts[3], 2);
	KEXPECT_EQ(counts[4], 1);
	KEXPECT_EQ(preempt_count(), 0);
}

/* fails with: HARDIRQ_MASK taking in the NMI bits */
KTEST(each_context_has_its_bits)
{
	local_irq_disable();		/* no real interrupt on top of the ones we play */
	preempt_disable();
	KEXPECT(in_atomic() && !in_hardirq() && !in_nmi());
	preempt_count_add(HARDIRQ_OFFSET);
	KEXPECT(in_hardirq() && !in_nmi());
	KEXPECT_EQ(preempt_count(), HARDIRQ_OFFSET + 1);
	preempt_count_add(HARDIRQ_OFFSET);
	preempt_count_sub(HARDIRQ_OFFSET);
	KEXPECT(in_hardirq());
	preempt_count_sub(HARDIRQ_OFFSET);
	KEXPECT(!in_hardirq());
	preempt_count_add(NMI_OFFSET);
	KEXPECT(in_nmi() && !in_hardirq());
	preempt_count_sub(NMI_OFFSET);
	preempt_count_add(SOFTIRQ_OFFSET);
	KEXPECT(in_atomic() && !in_hardirq() && !in_nmi());
	preempt_count_sub(SOFTIRQ_OFFSET);
	KEXPECT_EQ(preempt_count(), 1);
	preempt_enable_no_resched();
	local_irq_enable();
	KEXPECT_EQ(preempt_count(), 0);
}

/* fails with: preempt_count_set() storing all 32 bits */
KTEST(setting_the_count_keeps_the_inverted_bit)
{
	local_irq_disable();
	preempt_disable();
	KEXPECT(this_cpu_read(preempt_count) & PREEMPT_NEED_RESCHED);
	preempt_count_set(5);
	KEXPECT_EQ(this_cpu_read(preempt_count), (int)(PREEMPT_NEED_RESCHED | 5));
	set_preempt_need_resched();
	KEXPECT_EQ(this_cpu_read(preempt_count), 5);
	preempt_count_set(1);
	KEXPECT_EQ(this_cpu_read(preempt_count), 1);
	KEXPECT(!should_resched());
	preempt_enable_no_resched();
	KEXPECT(should_resched());		/* 0, and a reschedule is wanted */
	clear_preempt_need_resched();
	KEXPECT(!should_resched());
	local_irq_enable();
	KEXPECT_EQ(preempt_count(), 0);
}

/* --- Who took it from 0 --- */

static noinline unsigned long second_level(void)
{
	unsigned long ip;

	preempt_disable();
	ip = this_cpu()->preempt_disable_ip;
	preempt_enable();
	return ip;
}

static noinline void first_level(unsigned long ips[4])
{
	preempt_disable();
	ips[0] = this_cpu()->preempt_disable_ip;
	ips[1] = second_level();
	ips[2] = this_cpu()->preempt_disable_ip;
	preempt_enable();
	preempt_disable();
	ips[3] = this_cpu()->preempt_disable_ip;
	preempt_enable();
}

/* fails with: preempt_count_add_ip() noting the address at each level */
KTEST(the_first_level_is_named)
{
	unsigned long ips[4];

	first_level(ips);
	expect_in(kt, ips[0], "first_level");
	KEXPECT_EQ(ips[1], ips[0]);
	KEXPECT_EQ(ips[2], ips[0]);
	expect_in(kt, ips[3], "first_level");
	KEXPECT_NE(ips[3], ips[0]);		/* from 0 again, and from another place */
	second_level();
	expect_in(kt, second_level(), "second_level");
}

static noinline void take_raw_locks(unsigned long ips[4])
{
	static raw_spinlock_t lock;
	unsigned long flags;

	raw_spin_lock(&lock);
	ips[0] = this_cpu()->preempt_disable_ip;
	raw_spin_unlock(&lock);
	raw_spin_lock_irq(&lock);
	ips[1] = this_cpu()->preempt_disable_ip;
	raw_spin_unlock_irq(&lock);
	flags = raw_spin_lock_irqsave(&lock);
	ips[2] = this_cpu()->preempt_disable_ip;
	raw_spin_unlock_irqrestore(&lock, flags);
	ips[3] = 0;
	if (raw_spin_trylock(&lock)) {
		ips[3] = this_cpu()->preempt_disable_ip;
		raw_spin_unlock(&lock);
	}
}

/* fails with: raw_spin_lock() calling preempt_disable(), which names raw_spin_lock() */
KTEST(a_raw_lock_names_its_caller)
{
	unsigned long ips[4];

	take_raw_locks(ips);
	for (int i = 0; i < 4; i++)
		expect_in(kt, ips[i], "take_raw_locks");
}

/* --- Raw locks --- */

/* fails with: raw_spin_trylock() keeping preemption off when it fails */
KTEST(a_failed_trylock_leaves_nothing)
{
	static raw_spinlock_t lock;

	raw_spin_lock(&lock);
	KEXPECT(raw_spin_is_held(&lock));
	KEXPECT(!raw_spin_trylock(&lock));
	KEXPECT_EQ(preempt_count(), 1);
	raw_spin_unlock(&lock);
	KEXPECT(!raw_spin_is_held(&lock));
	KEXPECT(raw_spin_trylock(&lock));
	KEXPECT_EQ(preempt_count(), 1);
	raw_spin_unlock(&lock);
	KEXPECT_EQ(preempt_count(), 0);
}

/* fails with: raw_spin_unlock_irqrestore() switching interrupts on whatever @flags say */
KTEST(raw_locks_restore_the_interrupt_flag)
{
	static raw_spinlock_t outer, inner;
	unsigned long flags;

	raw_spin_lock_irq(&outer);
	KEXPECT(irqs_disabled());
	flags = raw_spin_lock_irqsave(&inner);
	raw_spin_unlock_irqrestore(&inner, flags);
	KEXPECT(irqs_disabled());
	raw_spin_unlock_irq(&outer);
	KEXPECT(!irqs_disabled());
	flags = raw_spin_lock_irqsave(&outer);
	KEXPECT(irqs_disabled());
	raw_spin_unlock_irqrestore(&outer, flags);
	KEXPECT(!irqs_disabled());
	raw_spin_lock(&outer);
	KEXPECT(!irqs_disabled());
	raw_spin_unlock(&outer);
}

/* fails with: fault/raw-unlock-unchecked */
KTEST(unlocking_what_another_cpu_holds_is_reported)
{
	static raw_spinlock_t lock;
	struct splats before = splats_now();

	KMAY_WARN;
	raw_spin_lock(&lock);
	raw_spin_unlock(&lock);
	EXPECT_SPLATS_IN_ALL(before, 0);
	raw_spin_lock(&lock);
	lock.holder = NR_CPUS + 1;
	raw_spin_unlock(&lock);
	EXPECT_SPLATS(before, SPLAT_WARN, 1);
	EXPECT_SPLATS_IN_ALL(before, 1);
	KEXPECT(!raw_spin_is_locked(&lock));
}

/* --- When the switch comes --- */

static void mark(struct thread *self)
{
	log_mark(self->mark);
}

/* fails with: preempt_enable() rescheduling at any level, or never */
KTEST(the_outermost_enable_switches)
{
	RUN_AS_FIFO(10);

	log_clear();
	thread_make(kt, &other, mark, NULL, "urgent");
	thread_set_fifo(&other, 20);		/* it runs, and waits for the word */
	preempt_disable();
	preempt_disable();
	complete(&other.go);
	log_mark('1');
	KEXPECT(need_resched());
	preempt_enable();
	log_mark('2');
	preempt_enable();
	log_mark('3');
	KEXPECT(!need_resched());
	EXPECT_LOG("12u3");
	thread_end(&other);
}

/* fails with: raw_spin_unlock() using preempt_enable_no_resched() */
KTEST(a_raw_unlock_switches)
{
	static raw_spinlock_t outer, inner;
	RUN_AS_FIFO(10);

	log_clear();
	thread_make(kt, &other, mark, NULL, "urgent");
	thread_set_fifo(&other, 20);
	raw_spin_lock(&outer);
	raw_spin_lock_irq(&inner);
	complete(&other.go);
	log_mark('1');
	raw_spin_unlock_irq(&inner);
	log_mark('2');
	raw_spin_unlock(&outer);
	log_mark('3');
	EXPECT_LOG("12u3");
	thread_end(&other);
}

/* fails with: preempt_schedule() not looking at the interrupt flag */
KTEST(no_switch_with_interrupts_off)
{
	RUN_AS_FIFO(10);

	log_clear();
	thread_make(kt, &other, mark, NULL, "urgent");
	thread_set_fifo(&other, 20);
	local_irq_disable();
	complete(&other.go);			/* its raw lock ends in preempt_enable() */
	log_mark('1');
	preempt_disable();
	preempt_enable();
	log_mark('2');
	KEXPECT(irqs_disabled());
	local_irq_enable();
	preempt_disable();			/* if no interrupt was first */
	preempt_enable();
	log_mark('3');
	EXPECT_LOG("12u3");
	thread_end(&other);
}

/* fails with: preempt_enable_no_resched() being preempt_enable() */
KTEST(no_resched_waits_for_the_next_chance)
{
	RUN_AS_FIFO(10);

	log_clear();
	thread_make(kt, &other, mark, NULL, "urgent");
	thread_set_fifo(&other, 20);
	local_irq_disable();			/* an interrupt would be the next chance */
	preempt_disable();
	complete(&other.go);
	preempt_enable_no_resched();
	log_mark('1');
	KEXPECT(need_resched());
	preempt_disable();
	local_irq_enable();
	log_mark('2');
	preempt_enable();
	log_mark('3');
	EXPECT_LOG("12u3");
	thread_end(&other);
}

/* --- Broken rules --- */

/* fails with: preempt_count_sub() subtracting all the same */
KTEST(underflow_is_counted_and_not_done)
{
	struct splats before = splats_now();
	unsigned long flags = local_irq_save();	/* a wrong count must not live to see one */
	int after_one, after_two;

	preempt_count_sub(1);
	after_one = preempt_count();
	preempt_count_set(1);
	preempt_count_sub(2);
	after_two = preempt_count();
	preempt_count_set(0);
	local_irq_restore(flags);
	EXPECT_SPLATS(before, SPLAT_UNDERFLOW, 2);
	EXPECT_SPLATS_IN_ALL(before, 2);
	KEXPECT_EQ(after_one, 0);
	KEXPECT_EQ(after_two, 1);
	KEXPECT_EQ(preempt_count(), 0);
}

/* The enable that would match is left out: schedule() has set the count right by then. */
static void schedule_while_atomic(struct thread *self)
{
	preempt_disable();
	preempt_disable();
	schedule();
	self->seen = preempt_count();
}

/* fails with: schedule_debug() reporting and leaving the count as it is */
KTEST(scheduling_while_atomic_is_counted_and_set_right)
{
	struct splats before = splats_now();
	RUN_AS_FIFO(10);

	thread_run(kt, &other, schedule_while_atomic, NULL, "atomic", 20);
	EXPECT_SPLATS(before, SPLAT_ATOMIC_SCHED, 1);
	EXPECT_SPLATS_IN_ALL(before, 1);
	KEXPECT_EQ(other.seen, 0);
	KEXPECT_EQ(preempt_count(), 0);
	thread_end(&other);
}

static void block_while_atomic(struct thread *self)
{
	preempt_disable();
	set_current_state(TASK_UNINTERRUPTIBLE);
	schedule();
	self->seen = preempt_count();
	preempt_enable();			/* one too many now */
	log_mark('b');
}

/* fails with: schedule() switching at the depth it was called with */
KTEST(blocking_while_atomic_does_not_hurt_the_next_task)
{
	struct splats before = splats_now();
	RUN_AS_FIFO(10);

	log_clear();
	thread_run(kt, &other, block_while_atomic, NULL, "atomic", 20);
	KEXPECT_EQ(preempt_count(), 0);
	EXPECT_SPLATS(before, SPLAT_ATOMIC_SCHED, 1);
	EXPECT_SPLATS(before, SPLAT_CORRUPTED, 0);
	log_mark('1');
	if (other.task)
		wake_up_process(other.task);
	log_mark('2');
	EXPECT_LOG("1b2");
	KEXPECT_EQ(other.seen, 0);
	EXPECT_SPLATS(before, SPLAT_UNDERFLOW, 1);
	EXPECT_SPLATS_IN_ALL(before, 2);
	thread_end(&other);
}

/*
 * What a new task does first, done once more, at depth @depth: it takes itself to come out of a
 * switch from @prev.
 */
static void come_out_of_a_switch(struct task_struct *prev, int depth)
{
	raw_spin_lock_irq(&this_cpu()->rq->lock);
	preempt_count_set(depth);
	schedule_tail(prev);
}

static void park(struct thread *self)
{
	set_current_state(TASK_UNINTERRUPTIBLE);
	schedule();
}

/* fails with: finish_task_switch() not looking at the count */
KTEST(a_switch_at_the_wrong_depth_is_corrupted)
{
	struct splats before = splats_now();
	RUN_AS_FIFO(10);

	thread_run(kt, &other, park, NULL, "parked", 20);
	if (!other.task)
		return;
	come_out_of_a_switch(other.task, FORK_PREEMPT_COUNT);
	EXPECT_SPLATS_IN_ALL(before, 0);
	KEXPECT_EQ(preempt_count(), 0);
	for (int depth = 1; depth <= 4; depth++) {
		before = splats_now();
		come_out_of_a_switch(other.task, depth);
		EXPECT_SPLATS(before, SPLAT_CORRUPTED, depth != FORK_PREEMPT_COUNT);
		EXPECT_SPLATS_IN_ALL(before, depth != FORK_PREEMPT_COUNT);
		KEXPECT_EQ(preempt_count(), 0);
		KEXPECT(!irqs_disabled());
	}
	wake_up_process(other.task);
	thread_end(&other);
}

/* fails with: a limit of 255, which is one step before the softirq bits */
KTEST(near_overflow_is_reported_at_each_level)
{
	KMAY_WARN;
	struct splats before = splats_now();
	unsigned long flags = local_irq_save();	/* an interrupt would count, too */
	int depth;

	for (depth = 1; depth < NEAR_OVERFLOW; depth++)
		preempt_disable();
	EXPECT_SPLATS_IN_ALL(before, 0);
	for (; depth <= NEAR_OVERFLOW + 5; depth++)
		preempt_disable();
	EXPECT_SPLATS(before, SPLAT_WARN, 6);		/* printed once, counted each time */
	while (--depth)
		preempt_enable();
	local_irq_restore(flags);
	EXPECT_SPLATS_IN_ALL(before, 6);
	KEXPECT_EQ(preempt_count(), 0);
}
