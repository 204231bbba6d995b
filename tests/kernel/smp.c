/* SPDX-License-Identifier: MIT */
/*
 * Several CPUs at once: messages between them, locks that spin, wake-ups across, shootdowns. What
 * is counted without atomic operations comes out right only if the lock around it works.
 */
#include "arch/x86/cpu/smp.h"
#include "arch/x86/irqflags.h"
#include "arch/x86/mm/tlb.h"
#include "kernel/locking/spinlock.h"
#include "kernel/report/panic.h"
#include "kernel/vm/mm.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "tests/kernel/many_cpus.h"

KTEST_SUITE(smp);

static struct thread threads[NR_CPUS];
static bool go, stop;

/* One thread for each CPU from @first on, @fn with its CPU's number in mark; they start at "go". */
static void start_on_each(struct ktest_run *kt, unsigned int first, void (*fn)(struct thread *self))
{
	go = stop = false;
	for (unsigned int cpu = first; cpu < nr_cpus; cpu++) {
		thread_make_on(kt, &threads[cpu], fn, &go, BIT(cpu));
		threads[cpu].mark = cpu;
		thread_start(&threads[cpu], 10);
	}
}

/*
 * They go, until they are done or a fifth of a second has passed: where the host has fewer CPUs
 * than we, a lock that is handed on in order may wait for its next owner for milliseconds.
 */
static void let_go(unsigned int first)
{
	u64 end = READ_ONCE(jiffies) + HZ / 5;

	WRITE_ONCE(go, true);
	for (unsigned int cpu = first; cpu < nr_cpus; cpu++)
		while (!READ_ONCE(threads[cpu].done) && READ_ONCE(jiffies) < end)
			sleep_ns(1);
	WRITE_ONCE(stop, true);
}

static void join_each(unsigned int first)
{
	for (unsigned int cpu = first; cpu < nr_cpus; cpu++)
		thread_join(&threads[cpu]);
}

/* --- Reschedule --- */

/* fails with: resched_curr() without smp_send_reschedule() */
KTEST(a_message_makes_another_cpu_switch)
{
	struct thread *spinner = &threads[0], *urgent = &threads[1];
	NEEDS_CPUS(2);
	RUN_ON(BIT(0));
	RUN_AS_FIFO(50);

	stop = false;
	thread_run_on(kt, spinner, spin_until_told, &stop, BIT(1), 10);
	thread_make_on(kt, urgent, note_cpu, NULL, BIT(1));
	SPIN_UNTIL(READ_ONCE(spinner->seen));
	thread_start(urgent, 20);
	SPIN_UNTIL(READ_ONCE(urgent->done));
	KEXPECT_EQ(urgent->result, 1);
	KEXPECT(!READ_ONCE(spinner->done));
	WRITE_ONCE(stop, true);
	thread_join(spinner);
	thread_join(urgent);
}

/* --- Locks that spin --- */

#define ADDITIONS	20000		/* for each CPU, if there is time */

static raw_spinlock_t raw;
static spinlock_t classic;
static u64 sum, inside, collisions;

static void add_one(u64 i)
{
	collisions += READ_ONCE(inside);
	WRITE_ONCE(inside, 1);
	if (i % 16 == 0)
		cpu_relax();			/* let the others come and wait */
	sum++;
	WRITE_ONCE(inside, 0);
}

static void add_under_raw_lock(struct thread *self)
{
	spin_until_told(self);
	for (self->seen = 0; self->seen < ADDITIONS && !READ_ONCE(stop); self->seen++) {
		raw_spin_lock(&raw);
		add_one(self->seen);
		raw_spin_unlock(&raw);
	}
}

static void add_on_each(struct ktest_run *kt, void (*fn)(struct thread *self))
{
	u64 added = 0;

	sum = inside = collisions = 0;
	start_on_each(kt, 0, fn);
	let_go(0);
	join_each(0);
	for (unsigned int cpu = 0; cpu < nr_cpus; cpu++)
		added += threads[cpu].seen;
	KEXPECT_EQ(sum, added);
	KEXPECT_EQ(collisions, 0);
}

/* fails with: lock_spinning() going on when its turn is near */
KTEST(a_raw_lock_has_one_holder)
{
	NEEDS_CPUS(2);
	RUN_ON(~0UL);
	RUN_AS_FIFO(50);

	raw = RAW_SPINLOCK_UNLOCKED;
	add_on_each(kt, add_under_raw_lock);
	KEXPECT(!raw_spin_is_locked(&raw));
}

static unsigned int turn, order[NR_CPUS], served;

static void queue_when_it_is_our_turn(struct thread *self)
{
	u64 end = READ_ONCE(jiffies) + AWAIT_TICKS;

	while (READ_ONCE(turn) != (unsigned int)self->mark && READ_ONCE(jiffies) < end)
		cpu_relax();
	raw_spin_lock(&raw);
	order[served++] = self->mark;
	raw_spin_unlock(&raw);
}

/* fails with: raw_spin_is_contended() comparing with > 2; a lock that the nearest CPU gets */
KTEST(raw_locks_serve_in_the_order_of_coming)
{
	unsigned int waiting = 0;
	NEEDS_CPUS(2);
	RUN_ON(BIT(0));
	RUN_AS_FIFO(50);

	raw = RAW_SPINLOCK_UNLOCKED;
	turn = served = 0;
	start_on_each(kt, 1, queue_when_it_is_our_turn);
	raw_spin_lock(&raw);
	KEXPECT(raw_spin_is_locked(&raw) && !raw_spin_is_contended(&raw));
	for (unsigned int cpu = nr_cpus - 1; cpu > 0; cpu--) {
		WRITE_ONCE(turn, cpu);
		waiting++;
		SPIN_UNTIL((u16)(READ_ONCE(raw.next) - READ_ONCE(raw.serving)) == waiting + 1);
		KEXPECT(raw_spin_is_contended(&raw));
	}
	KEXPECT_EQ(READ_ONCE(served), 0);
	KEXPECT(!raw_spin_trylock(&raw));
	raw_spin_unlock(&raw);
	join_each(1);
	KEXPECT_EQ(served, nr_cpus - 1);
	for (unsigned int i = 0; i < served; i++)
		KEXPECT_EQ(order[i], nr_cpus - 1 - i);
}

static void add_under_classic_lock(struct thread *self)
{
	spin_until_told(self);
	for (self->seen = 0; self->seen < ADDITIONS && !READ_ONCE(stop); self->seen++) {
		spin_lock_irq(&classic);
		add_one(self->seen);
		spin_unlock_irq(&classic);
	}
}

/* fails with: spin_lock() of rt=off only counting in the record */
KTEST(a_spinlock_that_spins_has_one_holder)
{
	NEEDS_CPUS(2);
	RUN_ON(~0UL);
	RUN_AS_FIFO(50);

	spin_lock_init(&classic);
	classic.spins = true;			/* with rt=on, too */
	add_on_each(kt, add_under_classic_lock);
	KEXPECT_EQ(classic.record.acquired, sum);
	KEXPECT_EQ(classic.record.preempt_count, 0);
}

static bool about_to_wait;

static void wait_in_a_state(struct thread *self)
{
	set_current_state(TASK_INTERRUPTIBLE);
	WRITE_ONCE(about_to_wait, true);
	spin_lock(&classic);
	self->result = task_state(current);
	spin_unlock(&classic);
	schedule();				/* returns at once if it has been woken */
}

/*
 * Who spins keeps its state for everybody to see: a wake-up that comes meanwhile ends the sleep
 * that it has not begun. fails with: classic_spin_lock() setting the state
 */
KTEST(a_wake_up_while_it_spins_is_not_lost)
{
	NEEDS_CPUS(2);
	RUN_ON(BIT(0));
	RUN_AS_FIFO(50);

	spin_lock_init(&classic);
	classic.spins = true;
	about_to_wait = false;
	thread_make_on(kt, &threads[1], wait_in_a_state, NULL, BIT(1));
	spin_lock(&classic);
	KEXPECT(!spin_is_contended(&classic));
	thread_start(&threads[1], 10);
	SPIN_UNTIL(spin_is_contended(&classic));
	if (threads[1].task) {
		KEXPECT_EQ(task_state(threads[1].task), TASK_INTERRUPTIBLE);
		KEXPECT(wake_up_process(threads[1].task));
		KEXPECT_EQ(task_state(threads[1].task), TASK_RUNNING);
		KEXPECT_EQ(threads[1].task->cpu, 1);
	}
	spin_unlock(&classic);
	thread_join(&threads[1]);
	KEXPECT_EQ(threads[1].result, TASK_RUNNING);
	KEXPECT_EQ(classic.record.contended, 1);
}

/* --- Wake-ups --- */

#define VOLLEYS		20000		/* if there is time */

static unsigned int ball;		/* whose turn it is; counts up */
static bool game_over;

/* Wake the other as soon as it is its turn; it is on its way to sleep, or just asleep. */
static void play(struct thread *self)
{
	struct thread *other = self->arg;
	unsigned int me = self->mark;

	for (unsigned int volley = me; volley < VOLLEYS; volley += 2) {
		for (;;) {
			set_current_state(TASK_UNINTERRUPTIBLE);
			if (READ_ONCE(ball) == volley || READ_ONCE(game_over))
				break;
			schedule();
		}
		__set_current_state(TASK_RUNNING);
		if (READ_ONCE(game_over))
			break;
		WRITE_ONCE(ball, volley + 1);
		wake_up_process(other->task);
	}
}

static void play_on(struct ktest_run *kt, u64 mask_a, u64 mask_b)
{
	struct thread *a = &threads[0], *b = &threads[1];
	u64 end = READ_ONCE(jiffies) + HZ;
	unsigned int last = -1;

	ball = 0;
	game_over = false;
	thread_make_on(kt, a, play, b, mask_a);
	thread_make_on(kt, b, play, a, mask_b);
	a->mark = 0;
	b->mark = 1;
	if (a->task && b->task) {
		thread_start(b, 10);
		thread_start(a, 10);
		while (READ_ONCE(ball) < VOLLEYS && READ_ONCE(jiffies) < end)
			sleep_ns(1);
		last = READ_ONCE(ball);
		if (last < VOLLEYS)
			AWAIT(READ_ONCE(ball) > last);		/* not fast here, but it goes on */
		WRITE_ONCE(game_over, true);
		wake_up_process(a->task);
		wake_up_process(b->task);
	}
	thread_join(a);
	thread_join(b);
}

/* fails with: set_current_state() without its barrier (now and then) */
KTEST(a_wake_up_on_the_way_out_is_not_lost)
{
	NEEDS_CPUS(2);
	RUN_ON(BIT(0));
	RUN_AS_FIFO(50);

	play_on(kt, BIT(0), BIT(1));
}

KTEST(wake_ups_of_those_who_wander)
{
	NEEDS_CPUS(2);
	RUN_ON(BIT(0));
	RUN_AS_FIFO(50);

	play_on(kt, ~0UL, ~0UL);
}

/* --- Shootdown --- */

#define SHOTS		1000		/* if there is time */

static struct mm_struct *target;

static void shoot(struct thread *self)
{
	spin_until_told(self);
	self->result = READ_ONCE(target->cpus) >> smp_processor_id() & 1;
	for (self->seen = 0; self->seen < SHOTS && !READ_ONCE(stop); self->seen++)
		flush_tlb_mm_range(target, PAGE_SIZE, 2 * PAGE_SIZE);
}

/*
 * Everybody shoots at everybody. Who waits for its turn or for the answers must itself answer.
 * fails with: flush_tlb_mm_range() with interrupts off
 */
KTEST(all_shoot_at_once)
{
	u64 reached, end;
	NEEDS_CPUS(2);
	RUN_ON(BIT(0));
	RUN_AS_FIFO(50);

	/* Leave our tables loaded everywhere: a kernel thread that comes there borrows them. */
	target = current->mm;
	start_on_each(kt, 1, shoot);
	for (unsigned int cpu = 1; cpu < nr_cpus; cpu++) {
		set_cpus_allowed(current, BIT(cpu));
		KEXPECT(READ_ONCE(target->cpus) & BIT(cpu));
	}
	set_cpus_allowed(current, BIT(0));
	reached = READ_ONCE(target->cpus);
	KEXPECT_EQ(reached, BIT(nr_cpus) - 1);
	WRITE_ONCE(go, true);
	end = READ_ONCE(jiffies) + HZ / 5;
	for (int i = 0; i < SHOTS && READ_ONCE(jiffies) < end; i++)
		flush_tlb_mm_range(target, PAGE_SIZE, 2 * PAGE_SIZE);
	let_go(1);
	join_each(1);
	for (unsigned int cpu = 1; cpu < nr_cpus; cpu++) {
		KEXPECT_EQ(threads[cpu].result, 1);
		KEXPECT_GE(threads[cpu].seen, 1);
	}
}

/* --- NMI --- */

static void deaf(struct thread *self)
{
	unsigned long flags = local_irq_save();

	for (WRITE_ONCE(self->seen, 1); !READ_ONCE(stop);)
		cpu_relax();
	local_irq_restore(flags);
}

/* fails with: fault/nmi-shows-nothing */
KTEST(who_is_deaf_to_interrupts_shows_its_stack)
{
	unsigned int answers = 0;
	NEEDS_CPUS(2);
	RUN_ON(BIT(0));
	RUN_AS_FIFO(50);

	start_on_each(kt, 1, deaf);
	for (unsigned int cpu = 1; cpu < nr_cpus; cpu++)
		SPIN_UNTIL(READ_ONCE(threads[cpu].seen));
	/* More than once only where the host keeps a CPU from running for so long. */
	for (int i = 0; i < 4 && answers < nr_cpus - 1; i++)
		answers = show_other_cpus();
	KEXPECT_EQ(answers, nr_cpus - 1);
	WRITE_ONCE(stop, true);
	join_each(1);
}

#define SHOWS		"NMI backtrace for cpu "
#define WHERE		"CPU: "

static void ask_at_once(struct thread *self)
{
	unsigned long flags;

	spin_until_told(self);			/* leaves its CPU's number in result */
	flags = local_irq_save();
	self->result = show_other_cpus();
	local_irq_restore(flags);
}

/* Each stack that was shown since message @from is that of the CPU it is said to be of. */
static unsigned int stacks_shown(struct ktest_run *kt, u64 from)
{
	unsigned int count = 0;

	for (; from + 1 < printk_next(); from++) {
		const char *text = printk_text(from), *next = printk_text(from + 1);

		if (!text || strncmp(text, SHOWS, strlen(SHOWS)))
			continue;
		count++;
		if (!next || strncmp(next, WHERE, strlen(WHERE)) ||
		    next[strlen(WHERE)] != text[strlen(SHOWS)])
			KFAIL("\"%s\" is followed by \"%s\"", text, next ? next : "");
	}
	return count;
}

/* fails with: fault/all-ask-at-once, fault/next-asked-before-the-end */
KTEST(one_cpu_at_a_time_asks_for_the_others_stacks)
{
	unsigned int answers = 0;
	u64 from;
	NEEDS_CPUS(2);
	RUN_ON(BIT(0));
	RUN_AS_FIFO(50);

	start_on_each(kt, 0, ask_at_once);
	from = printk_next();
	WRITE_ONCE(go, true);
	join_each(0);
	for (unsigned int cpu = 0; cpu < nr_cpus; cpu++)
		answers += threads[cpu].result;
	KEXPECT_GE(answers, 1);
	KEXPECT_EQ(stacks_shown(kt, from), answers);
}
