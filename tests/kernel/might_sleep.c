/* SPDX-License-Identifier: MIT */
/*
 * "Sleeping function called from invalid context": who is reported, how often, and who is not.
 *
 * The tests count reports; each begins with the rate limit open, so its first one is printed too,
 * and some look at what was printed. Whole reports, word by word, are compared with golden files:
 * those of violation_mutex and violation_kmalloc.
 */
#include "arch/x86/irqflags.h"
#include "kernel/mm/kmalloc.h"
#include "kernel/preempt/might_sleep.h"
#include "kernel/preempt/softirq.h"
#include "kernel/report/panic.h"
#include "kernel/time/tick.h"
#include "lib/errno.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "tests/kernel/threads.h"

KTEST_SUITE(might_sleep);

static mutex_t mutex = MUTEX_INIT;
static spinlock_t spinlock = SPINLOCK_INIT, other_spinlock = SPINLOCK_INIT;
static raw_spinlock_t raw_lock;

static void reopen_limit(bool *unused)
{
	might_sleep_ratelimit_reset();
}

/* The rate limit is open at the start of this block, and left open for whoever comes next. */
#define WITH_OPEN_LIMIT									\
	bool __limit __unused __attribute__((cleanup(reopen_limit))) =			\
		(might_sleep_ratelimit_reset(), true)

/* Exactly one report, of this kind. */
#define EXPECT_ONE(before, kind) do {							\
	EXPECT_SPLATS(before, kind, 1);							\
	EXPECT_SPLATS_IN_ALL(before, 1);						\
} while (0)

/* How deep things are nested, and how often repeated: as "seed=" says. */
#define DEPTH		(2 + (unsigned int)(ktest_seed % 5))

/* What a spinlock_t in the wrong place is worth: it may be taken anywhere where it spins. */
#define SPINLOCK_REPORTS (preempt_rt() ? 1 : 0)

/* An object of 64 bytes is free in its slab, so that kmalloc() goes the same way in each run. */
static void *keep_a_64_byte_slab(void)
{
	void *kept = kmalloc(64, GFP_KERNEL), *freed = kmalloc(64, GFP_KERNEL);

	kfree(freed);
	return kept;
}

/* --- The two whose lines a golden file compares --- */

static noinline void violate_mutex_under_preempt_disable(void)
{
	preempt_disable();
	mutex_lock(&mutex);
	mutex_unlock(&mutex);
	preempt_enable();
}

static noinline void violate_kmalloc_under_raw_lock(void)
{
	void *object;

	raw_spin_lock(&raw_lock);
	object = kmalloc(64, GFP_KERNEL);
	raw_spin_unlock(&raw_lock);
	kfree(object);
}

/* fails with: mutex_lock() without might_sleep() */
KTEST(violation_mutex)
{
	WITH_OPEN_LIMIT;
	struct splats before = splats_now();

	violate_mutex_under_preempt_disable();
	EXPECT_ONE(before, SPLAT_MIGHT_SLEEP);
	KEXPECT_EQ(preempt_count(), 0);
}

/* fails with: kmalloc() asking only when it needs a page */
KTEST(violation_kmalloc)
{
	void *kept = keep_a_64_byte_slab();
	WITH_OPEN_LIMIT;
	struct splats before = splats_now();

	violate_kmalloc_under_raw_lock();
	EXPECT_ONE(before, SPLAT_MIGHT_SLEEP);
	KEXPECT_EQ(preempt_count(), 0);
	kfree(kept);
}

/* --- Preemption off --- */

/* fails with: rt_spin_lock() checking in the slow path only */
KTEST(a_free_spinlock_is_reported)
{
	WITH_OPEN_LIMIT;
	struct splats before = splats_now();

	preempt_disable();
	spin_lock(&spinlock);
	KEXPECT_EQ(preempt_count(), 1 + SPINLOCK_COUNT);
	spin_unlock(&spinlock);
	preempt_enable();
	EXPECT_SPLATS(before, SPLAT_MIGHT_SLEEP, SPINLOCK_REPORTS);
	EXPECT_SPLATS_IN_ALL(before, SPINLOCK_REPORTS);
	KEXPECT_EQ(preempt_count(), 0);
}

/* fails with: spin_lock_irq() being exempt */
KTEST(the_irq_form_is_reported_too)
{
	WITH_OPEN_LIMIT;
	struct splats before = splats_now();

	preempt_disable();
	spin_lock_irq(&spinlock);
	spin_unlock_irq(&spinlock);
	preempt_enable();
	EXPECT_SPLATS(before, SPLAT_MIGHT_SLEEP, SPINLOCK_REPORTS);
	EXPECT_SPLATS_IN_ALL(before, SPINLOCK_REPORTS);
}

/* fails with: wait_for_completion() without might_sleep() */
KTEST(other_sleeping_calls_are_reported)
{
	WITH_OPEN_LIMIT;
	struct splats before = splats_now();
	struct completion done;
	struct page *page;

	init_completion(&done);
	complete(&done);
	complete(&done);
	KEXPECT_EQ(done.done, 2);
	if (done.done != 2)
		return;			/* else we would wait for ourselves */
	preempt_disable();
	wait_for_completion(&done);
	EXPECT_SPLATS(before, SPLAT_MIGHT_SLEEP, 1);
	wait_for_completion_interruptible(&done);
	EXPECT_SPLATS(before, SPLAT_MIGHT_SLEEP, 2);
	KEXPECT_EQ(mutex_lock_checked(&mutex), 0);
	mutex_unlock(&mutex);
	EXPECT_SPLATS(before, SPLAT_MIGHT_SLEEP, 3);
	page = alloc_pages(GFP_KERNEL, 0);
	EXPECT_SPLATS(before, SPLAT_MIGHT_SLEEP, 4);
	preempt_enable();
	if (page)
		free_pages(page, 0);
	EXPECT_SPLATS_IN_ALL(before, 4);
}

/* --- Interrupts off --- */

/* fails with: __might_resched() looking at preempt_count only */
KTEST(interrupts_off_is_reported)
{
	void *kept = keep_a_64_byte_slab(), *object;
	WITH_OPEN_LIMIT;
	struct splats before = splats_now();

	local_irq_disable();
	spin_lock(&spinlock);
	spin_unlock(&spinlock);
	EXPECT_SPLATS(before, SPLAT_MIGHT_SLEEP, SPINLOCK_REPORTS);
	might_sleep_ratelimit_reset();
	mutex_lock(&mutex);
	mutex_unlock(&mutex);
	EXPECT_SPLATS(before, SPLAT_MIGHT_SLEEP, SPINLOCK_REPORTS + 1);
	might_sleep_ratelimit_reset();
	object = kmalloc(64, GFP_KERNEL);
	EXPECT_SPLATS(before, SPLAT_MIGHT_SLEEP, SPINLOCK_REPORTS + 2);
	kfree(object);
	KEXPECT(irqs_disabled());		/* none of them switched them on */
	local_irq_enable();
	EXPECT_SPLATS_IN_ALL(before, SPINLOCK_REPORTS + 2);
	kfree(kept);
}

/*
 * Softirq bits and the RCU depth stand in the same place of different numbers.
 * fails with: __might_resched() joining the two by "or"
 */
KTEST(softirqs_off_is_reported)
{
	WITH_OPEN_LIMIT;
	struct splats before = splats_now();

	local_bh_disable();
	mutex_lock(&mutex);
	mutex_unlock(&mutex);
	EXPECT_ONE(before, SPLAT_MIGHT_SLEEP);
	rcu_read_lock();
	rcu_read_lock();
	might_sleep_ratelimit_reset();
	spin_lock(&spinlock);
	spin_unlock(&spinlock);
	rcu_read_unlock();
	rcu_read_unlock();
	local_bh_enable();
	EXPECT_SPLATS_IN_ALL(before, 1 + SPINLOCK_REPORTS);
}

/* fails with: __might_resched() not asking for PF_IDLE, or sparing it */
KTEST(the_idle_task_may_not_sleep)
{
	WITH_OPEN_LIMIT;
	struct splats before = splats_now();

	current->flags |= PF_IDLE;
	might_sleep();
	current->flags &= ~PF_IDLE;
	EXPECT_ONE(before, SPLAT_MIGHT_SLEEP);
}

/*
 * On RT the two stay on; else _irq says what it does.
 * fails with: spin_lock_irq() as it is in the other world
 */
KTEST(a_held_spinlock_and_preemption_and_interrupts)
{
	struct splats before = splats_now();

	spin_lock_irq(&spinlock);
	KEXPECT_EQ(preempt_count(), SPINLOCK_COUNT);
	KEXPECT_EQ(irqs_disabled(), !preempt_rt());
	KEXPECT_EQ(current->rcu_read_lock_nesting, preempt_rt());
	KEXPECT_EQ(current->migration_disabled, preempt_rt());
	spin_unlock_irq(&spinlock);
	KEXPECT_EQ(preempt_count(), 0);
	KEXPECT(!irqs_disabled());
	KEXPECT_EQ(current->rcu_read_lock_nesting, 0);
	KEXPECT_EQ(current->migration_disabled, 0);
	EXPECT_SPLATS_IN_ALL(before, 0);
}

/* --- RCU readers --- */

/* fails with: RTLOCK_RESCHED_OFFSETS of 0 */
KTEST(an_rcu_reader_may_take_a_spinlock)
{
	struct splats before = splats_now();

	for (unsigned int i = 0; i < DEPTH; i++) {
		rcu_read_lock();
		spin_lock(&spinlock);
		spin_lock(&other_spinlock);
		spin_unlock(&other_spinlock);
		spin_unlock(&spinlock);
	}
	for (unsigned int i = 0; i < DEPTH; i++)
		rcu_read_unlock();
	EXPECT_SPLATS_IN_ALL(before, 0);
	KEXPECT_EQ(current->rcu_read_lock_nesting, 0);
}

/* fails with: __might_resched() leaving the RCU depth out */
KTEST(an_rcu_reader_may_not_take_a_mutex_or_memory)
{
	void *kept = keep_a_64_byte_slab(), *object;
	WITH_OPEN_LIMIT;
	struct splats before = splats_now();

	rcu_read_lock();
	mutex_lock(&mutex);
	mutex_unlock(&mutex);
	EXPECT_ONE(before, SPLAT_MIGHT_SLEEP);
	might_sleep_ratelimit_reset();
	object = kmalloc(64, GFP_KERNEL);
	EXPECT_SPLATS(before, SPLAT_MIGHT_SLEEP, 2);
	kfree(object);
	rcu_read_unlock();
	EXPECT_SPLATS_IN_ALL(before, 2);
	kfree(kept);
}

/* fails with: rt_spin_lock() without its rcu_read_lock() */
KTEST(a_mutex_inside_a_spinlock_is_reported)
{
	WITH_OPEN_LIMIT;
	struct splats before = splats_now();

	spin_lock(&spinlock);
	/* On RT it is not the count that gives it away. */
	KEXPECT_EQ(preempt_count(), SPINLOCK_COUNT);
	KEXPECT_EQ(current->rcu_read_lock_nesting, preempt_rt());
	mutex_lock(&mutex);
	mutex_unlock(&mutex);
	spin_unlock(&spinlock);
	EXPECT_ONE(before, SPLAT_MIGHT_SLEEP);
}

/* fails with: rcu_read_unlock() letting the depth go below 0 in silence */
KTEST(an_rcu_unlock_too_many_warns)
{
	struct splats before = splats_now();

	KMAY_WARN;
	rcu_read_unlock();
	current->rcu_read_lock_nesting = 0;
	EXPECT_ONE(before, SPLAT_WARN);
}

/* --- What is legal --- */

/* fails with: kfree(), complete() or wake_up_process() asserting that they may sleep */
KTEST(nothing_is_reported_from_legal_contexts)
{
	static mutex_t inner = MUTEX_INIT;
	struct splats before = splats_now();
	struct completion done;
	unsigned long flags;
	void *object, *atomic;

	init_completion(&done);
	might_sleep();
	mutex_lock(&mutex);
	mutex_lock(&inner);
	spin_lock(&spinlock);
	spin_lock_irq(&other_spinlock);
	spin_unlock_irq(&other_spinlock);
	spin_unlock(&spinlock);
	mutex_unlock(&inner);
	object = kmalloc(3000, GFP_KERNEL);
	mutex_unlock(&mutex);

	flags = raw_spin_lock_irqsave(&raw_lock);
	atomic = kmalloc(100, GFP_ATOMIC);
	kfree(object);
	kfree(atomic);
	complete(&done);
	wake_up_process(current);
	rcu_read_lock();
	rcu_read_unlock();
	migrate_disable();
	migrate_enable();
	raw_spin_unlock_irqrestore(&raw_lock, flags);
	wait_for_completion(&done);
	EXPECT_SPLATS_IN_ALL(before, 0);
}

/* fails with: __might_resched() not looking at system_state */
KTEST(silent_while_booting)
{
	struct splats before = splats_now();

	preempt_disable();
	system_state = SYSTEM_BOOTING;
	mutex_lock(&mutex);
	mutex_unlock(&mutex);
	system_state = SYSTEM_RUNNING;
	preempt_enable();
	EXPECT_SPLATS_IN_ALL(before, 0);
}

/* --- The rate limit --- */

/* fails with: __might_resched() counting behind the limit */
KTEST(counting_goes_on_while_printing_is_limited)
{
	WITH_OPEN_LIMIT;
	struct splats before = splats_now();

	preempt_disable();
	for (unsigned int i = 1; i <= DEPTH; i++) {
		mutex_lock(&mutex);
		mutex_unlock(&mutex);
		EXPECT_SPLATS(before, SPLAT_MIGHT_SLEEP, i);
	}
	preempt_enable();
	EXPECT_SPLATS_IN_ALL(before, DEPTH);
}

/* What was printed since message @from: how often a line begins so; the number of the last one. */
static unsigned int printed(u64 from, const char *begin, u64 *last)
{
	unsigned int count = 0;

	for (; from < printk_next(); from++) {
		const char *text = printk_text(from);

		if (!text || strncmp(text, begin, strlen(begin)))
			continue;
		count++;
		*last = from;
	}
	return count;
}

#define TICK_NS		(1000000000UL / HZ)
#define FIRST_LINE	"BUG: sleeping function called from invalid context"

/* Until tick @at; not at all if a slow machine has it behind it. */
static void sleep_until(u64 at)
{
	u64 now = READ_ONCE(jiffies);

	if (now < at)
		sleep_ns((at - now) * TICK_NS);
}

/*
 * Silent for a second, to the last tick, whatever else comes in it; and then no more.
 * fails with: __might_resched() without the limit, or with one that a silent report prolongs
 */
KTEST(one_report_a_second_is_printed)
{
	WITH_OPEN_LIMIT;
	u64 from = printk_next(), last, first = READ_ONCE(jiffies), printed_by;

	violate_mutex_under_preempt_disable();		/* a report may take several ticks */
	printed_by = READ_ONCE(jiffies);
	sleep_until(first + HZ / 2 + ktest_seed % (HZ / 4));
	violate_mutex_under_preempt_disable();
	sleep_until(first + HZ - 2);
	violate_mutex_under_preempt_disable();
	if (READ_ONCE(jiffies) - first < HZ)
		KEXPECT_EQ(printed(from, FIRST_LINE, &last), 1);
	sleep_until(printed_by + HZ);
	violate_mutex_under_preempt_disable();
	KEXPECT_EQ(printed(from, FIRST_LINE, &last), 2);
}

/* Report a mutex at this depth, and be told whose address that is: the first one's. */
static void expect_name(struct ktest_run *kt)
{
	u64 from = printk_next(), last = 0;
	char address[24];

	for (unsigned int i = 0; i < DEPTH; i++) {
		preempt_disable();
		if (!i)
			snprintf(address, sizeof(address), "[<%016lx>]",
				 (unsigned long)this_cpu_read(preempt_disable_ip));
	}
	might_sleep_ratelimit_reset();
	mutex_lock(&mutex);
	mutex_unlock(&mutex);
	for (unsigned int i = 0; i < DEPTH; i++)
		preempt_enable();
	KEXPECT_EQ(printed(from, "Preemption disabled at:", &last), 1);
	KEXPECT(printk_text(last + 1) && !strncmp(printk_text(last + 1), address,
						  strlen(address)));
}

/*
 * Also if that is not all that is wrong.
 * fails with: print_preempt_disable_ip() not called, or given another address
 */
KTEST(the_report_names_who_turned_preemption_off)
{
	WITH_OPEN_LIMIT;

	expect_name(kt);
	rcu_read_lock();
	expect_name(kt);
	rcu_read_unlock();
	local_irq_disable();
	expect_name(kt);
	local_irq_enable();
}

/* Interrupts that are off, or a reader, are nobody's preempt_disable(). */
KTEST(nobody_is_named_if_preemption_is_on)
{
	WITH_OPEN_LIMIT;
	u64 from, last;

	for (int reader = 0; reader < 2; reader++) {
		might_sleep_ratelimit_reset();
		from = printk_next();
		reader ? rcu_read_lock() : local_irq_disable();
		mutex_lock(&mutex);
		mutex_unlock(&mutex);
		reader ? rcu_read_unlock() : local_irq_enable();
		KEXPECT_EQ(printed(from, "Preemption disabled at:", &last), 0);
	}
}
