/* SPDX-License-Identifier: MIT */
/*
 * What a function demands of its caller is asserted (assert.h in kernel/preempt and
 * kernel/locking): each kind of demand, broken and kept, by functions that do no harm either way.
 */
#include "arch/x86/irqflags.h"
#include "kernel/locking/assert.h"
#include "kernel/pid.h"
#include "kernel/sched/sched.h"
#include "kernel/vm/areas.h"
#include "kernel/vm/mm.h"
#include "tests/kernel/threads.h"

KTEST_SUITE(contracts);

static struct rt_mutex_base rt_mutex;
static raw_spinlock_t raw;
static spinlock_t spin;
static mutex_t mutex;

static void look_up_init(void)
{
	find_task_by_pid(1);
}

static void look_for_an_area(void)
{
	mm_find_area(current->mm, 0, 1);
}

static void fix_up(void)
{
	fixup_rt_mutex_waiters(&rt_mutex);
}

static void ask_for_a_reschedule(void)
{
	preempt_disable();
	resched_curr(this_cpu()->rq);
	preempt_enable();
}

static void want_raw(void)
{
	assert_held(&raw);
}

static void want_spin(void)
{
	assert_spin_held(&spin);
}

static void want_mutex(void)
{
	assert_mutex_held(&mutex);
}

static void want_irqs_off(void)
{
	assert_irqs_off();
}

static void want_preempt_off(void)
{
	assert_preempt_off();
}

/* Each demand, and how it is kept. */
#define KEEP(name, on, off)								\
	static void __no_lock_analysis name(void (*call)(void)) { on; call(); off; }
KEEP(with_tasklist, spin_lock(&tasklist_lock), spin_unlock(&tasklist_lock))
KEEP(with_mmap_lock, mutex_lock(&current->mm->mmap_lock), mutex_unlock(&current->mm->mmap_lock))
KEEP(with_wait_lock, raw_spin_lock_irq(&rt_mutex.wait_lock),
     raw_spin_unlock_irq(&rt_mutex.wait_lock))
KEEP(with_rq_lock, local_irq_disable(); raw_spin_lock(&this_cpu()->rq->lock),
     raw_spin_unlock(&this_cpu()->rq->lock); local_irq_enable())
KEEP(with_raw, raw_spin_lock(&raw), raw_spin_unlock(&raw))
KEEP(with_spin, spin_lock(&spin), spin_unlock(&spin))
KEEP(with_mutex, mutex_lock(&mutex), mutex_unlock(&mutex))
KEEP(with_irqs_off, local_irq_disable(), local_irq_enable())
KEEP(with_preempt_off, preempt_disable(), preempt_enable())

static const struct {
	const char *name;
	void (*call)(void);
	void (*keep)(void (*call)(void));
} demands[] = {
	{ "find_task_by_pid(): tasklist_lock", look_up_init, with_tasklist },
	{ "mm_find_area(): mmap_lock", look_for_an_area, with_mmap_lock },
	{ "fixup_rt_mutex_waiters(): wait_lock", fix_up, with_wait_lock },
	{ "resched_curr(): the run queue's lock", ask_for_a_reschedule, with_rq_lock },
	{ "a raw lock", want_raw, with_raw },
	{ "a spinlock_t", want_spin, with_spin },
	{ "a mutex", want_mutex, with_mutex },
	{ "interrupts off", want_irqs_off, with_irqs_off },
	{ "preemption off", want_preempt_off, with_preempt_off },
	{ "preemption off, by interrupts off", want_preempt_off, with_irqs_off },
};

static void init_locks(void)
{
	rt_mutex = (struct rt_mutex_base)RT_MUTEX_BASE_INIT;
	spin_lock_init(&spin);
	mutex_init(&mutex);
}

/* fails with: fault/assertions-are-silent, fault/pids-without-the-lock */
KTEST(a_demand_that_is_broken_is_reported)
{
	KMAY_WARN;

	if (!ASSERTIONS)
		KSKIP("built with RELEASE=1: nothing is asserted");
	init_locks();
	for (unsigned int i = 0; i < ARRAY_SIZE(demands); i++) {
		u64 before = splat_counts[SPLAT_WARN];

		demands[i].call();
		if (splat_counts[SPLAT_WARN] - before != 1)
			KFAIL("%s: %llu reports", demands[i].name,
			      splat_counts[SPLAT_WARN] - before);
	}
}

/* fails with: fault/spinlock-held-by-nobody */
KTEST(a_demand_that_is_kept_is_not)
{
	u64 before = splat_counts[SPLAT_WARN];

	init_locks();
	for (unsigned int i = 0; i < ARRAY_SIZE(demands); i++) {
		demands[i].keep(demands[i].call);
		if (splat_counts[SPLAT_WARN] != before)
			KFAIL("%s", demands[i].name);
		before = splat_counts[SPLAT_WARN];
	}
}

static struct completion locked, release;
static struct thread other;

static void hold_mutex(struct thread *self)
{
	mutex_lock(&mutex);
	complete(&locked);
	wait_for_completion(&release);
	mutex_unlock(&mutex);
}

/* Held, but not by us. fails with: fault/mutex-held-by-anybody */
KTEST(whose_it_is_counts)
{
	KMAY_WARN;
	u64 before = splat_counts[SPLAT_WARN];

	if (!ASSERTIONS)
		KSKIP("built with RELEASE=1: nothing is asserted");
	init_locks();
	init_completion(&locked);
	init_completion(&release);
	thread_run(kt, &other, hold_mutex, NULL, "holds", 0);
	wait_for_completion(&locked);
	want_mutex();
	complete(&release);
	thread_end(&other);
	KEXPECT_EQ(splat_counts[SPLAT_WARN] - before, 1);
}
