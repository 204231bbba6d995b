/* SPDX-License-Identifier: MIT */
/*
 * Where preemption comes back on, somebody must look whether a reschedule is wanted: at the end of
 * each kind of section, and in the windows of a few instructions where only an interrupt can ask
 * for it. The interrupt is played by the debug registers (watch.h), at exactly the place in
 * question.
 */
#include "arch/x86/fpu/core/kernel_fpu.h"
#include "arch/x86/fpu/core/regs.h"
#include "arch/x86/irqflags.h"
#include "kernel/fork.h"
#include "kernel/preempt/softirq.h"
#include "kernel/report/panic.h"
#include "kernel/time/tick.h"
#include "kernel/time/timer.h"
#include "lib/errno.h"
#include "lib/kallsyms.h"
#include "lib/string.h"
#include "tests/kernel/many_threads.h"
#include "tests/kernel/watch.h"

KTEST_SUITE(resched);

static struct thread urgent;

/* It waits for the word, and is more urgent than the test. */
static void make_urgent(struct ktest_run *kt)
{
	log_clear();
	thread_make(kt, &urgent, mark, NULL, "urgent");
	thread_set_fifo(&urgent, 60);
}

/* --- Sections --- */

static raw_spinlock_t raw;
static spinlock_t classic;			/* spins with rt=on, too */
static unsigned long flags;

static void off(void) { preempt_disable(); }
static void on(void) { preempt_enable(); }
static void lock(void) { raw_spin_lock(&raw); }
static void trylock(void) { BUG_ON(!raw_spin_trylock(&raw)); }
static void unlock(void) { raw_spin_unlock(&raw); }
static void lock_irq(void) { raw_spin_lock_irq(&raw); }
static void unlock_irq(void) { raw_spin_unlock_irq(&raw); }
static void lock_irqsave(void) { flags = raw_spin_lock_irqsave(&raw); }
static void unlock_irqrestore(void) { raw_spin_unlock_irqrestore(&raw, flags); }
static void classic_lock(void) { spin_lock(&classic); }
static void classic_unlock(void) { spin_unlock(&classic); }
static void classic_lock_irq(void) { spin_lock_irq(&classic); }
static void classic_unlock_irq(void) { spin_unlock_irq(&classic); }
static void lock_fpregs(void) { fpregs_lock(); }
static void unlock_fpregs(void) { fpregs_unlock(); }
static void bh_off(void) { local_bh_disable(); }
static void bh_on(void) { local_bh_enable(); }

static const struct section {
	const char *name;
	void (*enter)(void), (*leave)(void);
	bool rt_off_only;
} sections[] = {
	{ .name = "preempt_disable()", .enter = off, .leave = on },
	{ .name = "raw_spin_lock()", .enter = lock, .leave = unlock },
	{ .name = "raw_spin_trylock()", .enter = trylock, .leave = unlock },
	{ .name = "raw_spin_lock_irq()", .enter = lock_irq, .leave = unlock_irq },
	{ .name = "raw_spin_lock_irqsave()", .enter = lock_irqsave, .leave = unlock_irqrestore },
	{ .name = "spin_lock() that spins", .enter = classic_lock, .leave = classic_unlock },
	{ .name = "spin_lock_irq() that spins", .enter = classic_lock_irq,
	  .leave = classic_unlock_irq },
	{ .name = "fpregs_lock()", .enter = lock_fpregs, .leave = unlock_fpregs },
	{ .name = "kernel_fpu_begin()", .enter = kernel_fpu_begin, .leave = kernel_fpu_end },
	{ .name = "local_bh_disable()", .enter = bh_off, .leave = bh_on, .rt_off_only = true },
};

/* Woken inside, it runs when the section is left: no sooner, and not with the next chance. */
static void wake_in(struct ktest_run *kt, const struct section *s)
{
	bool early, late;

	make_urgent(kt);
	s->enter();
	complete(&urgent.go);
	early = urgent.done;
	s->leave();
	late = urgent.done;
	if (early || !late || preempt_count() || irqs_disabled())
		KFAIL("%s: ran %s", s->name, early ? "too early" : late ? "in time" : "too late");
	thread_end(&urgent);
}

/* fails with: fault/unlock-irq-preempts-first, fault/bh-enable-no-resched, and more like them */
KTEST(the_end_of_each_section_looks)
{
	RUN_AS_FIFO(50);

	spin_lock_init(&classic);
	classic.spins = true;
	for (size_t i = 0; i < ARRAY_SIZE(sections); i++)
		if (!sections[i].rt_off_only || !preempt_rt())
			wake_in(kt, &sections[i]);
}

/* --- Windows --- */

static struct {
	const struct task_struct *in;	/* by this task */
	int from, to;			/* when it takes the count from here to there */
	bool irqs_on;
	int last;
	bool done;
} window;

/* The count has changed. In an interrupt of our own: wakes, switches nothing. */
static bool wake_in_the_window(const struct pt_regs *regs)
{
	int last = window.last;

	window.last = preempt_count();
	if (!window.done && current == window.in && last == window.from &&
	    window.last == window.to && !(regs->flags & X86_EFLAGS_IF) == !window.irqs_on) {
		window.done = true;
		complete(&urgent.go);
	}
	return true;
}

/* Wake @urgent when @task takes the count from @from to @to, with interrupts @irqs_on. */
static struct watch *at_window(const struct task_struct *task, int from, int to, bool irqs_on)
{
	static struct watch watch;

	watch = (struct watch){ .at = &this_cpu()->preempt_count, .name = "preempt_count",
				.half = true, .rule = wake_in_the_window };
	window.in = task;
	window.from = from;
	window.to = to;
	window.irqs_on = irqs_on;
	window.last = preempt_count();
	window.done = false;
	return &watch;
}

#define EXPECT_WOKEN(order) do {							\
	watch_end(kt);									\
	KEXPECT(window.done);								\
	EXPECT_LOG(order);								\
	thread_end(&urgent);								\
} while (0)

/* fails with: fault/trylock-fails-in-silence */
KTEST(a_trylock_that_fails_looks)
{
	static raw_spinlock_t taken = { .serving = 0, .next = 1 };	/* by some other CPU */
	RUN_AS_FIFO(50);

	make_urgent(kt);
	watch_start(at_window(current, 0, 1, true), 1);
	KEXPECT(!raw_spin_trylock(&taken));
	log_mark('1');
	EXPECT_WOKEN("u1");
}

/* fails with: migrate_enable() with preempt_enable_no_resched() */
KTEST(unpinning_looks)
{
	RUN_AS_FIFO(50);

	make_urgent(kt);
	watch_start(at_window(current, 0, 1, true), 1);
	migrate_enable();			/* what the watch had pinned */
	current->migration_disabled = 1;
	log_mark('1');
	EXPECT_WOKEN("u1");
}

/*
 * The run queue's lock is released, and the count is 1 for the last few instructions of
 * schedule(). fails with: fault/schedule-looks-once
 */
KTEST(schedule_looks_again)
{
	RUN_AS_FIFO(50);

	make_urgent(kt);
	watch_start(at_window(current, 2, 1, true), 1);
	schedule();
	log_mark('1');
	EXPECT_WOKEN("u1");
}

/*
 * Interrupts are off wherever preempt_schedule_irq() itself changes the count: else an interrupt
 * would find 0, and come back into it, and the next one too, until the stack is full. @regs are in
 * preempt_count_add() or _sub(); its frame says who called it.
 */
static bool closed_to_interrupts(const struct pt_regs *regs)
{
	unsigned long size, offset, caller = ((unsigned long *)regs->bp)[1];
	const char *name = kallsyms_lookup(caller, &size, &offset);

	if (!name || strcmp(name, "preempt_schedule_irq"))
		return true;
	window.done = true;
	return !(regs->flags & X86_EFLAGS_IF);
}

static bool seen_done;

static int look_at_urgent(void *unused)
{
	seen_done = READ_ONCE(urgent.done);
	return 0;
}

/* The same window, of one that has never run before. fails with: fault/first-run-looks-nowhere */
KTEST(a_new_threads_first_code_looks)
{
	struct task_struct *young;
	RUN_AS_FIFO(50);

	make_urgent(kt);
	young = kthread_create(look_at_urgent, NULL, "young");		/* as urgent as we */
	KEXPECT(!IS_ERR(young));
	if (IS_ERR(young))
		return;
	watch_start(at_window(young, 2, 1, true), 1);
	do_sched_yield();
	EXPECT_WOKEN("u");
	KEXPECT(seen_done);
	KEXPECT_EQ(young->usage, 1);
	put_task_struct(young);
}

static struct timer timer;
static struct thread first;

static void wake_first(struct timer *unused)
{
	complete(&first.go);
}

static void wake_urgent(struct timer *unused)
{
	complete(&urgent.go);
}

/* Who was preempted by an interrupt comes back. fails with: fault/irq-exit-looks-once */
KTEST(the_way_back_from_an_interrupt_looks_again)
{
	u64 end;
	RUN_AS_FIFO(50);

	make_urgent(kt);
	thread_make(kt, &first, mark, NULL, "first");
	thread_set_fifo(&first, 55);			/* both wait for the word */
	timer_init(&timer, wake_first, true);
	watch_start(at_window(current, 2, 1, true), 1);
	window.done = true;				/* add_timer() is not meant */
	add_timer(&timer, READ_ONCE(jiffies) + 2);
	window.done = false;
	end = READ_ONCE(jiffies) + 10;
	while (!READ_ONCE(first.done) && READ_ONCE(jiffies) < end)
		barrier();
	log_mark('1');
	EXPECT_WOKEN("fu1");
	thread_end(&first);
	del_timer_sync(&timer);
}

/* fails with: fault/irq-exit-open-at-the-end; the same at its beginning */
KTEST(the_way_back_does_not_nest)
{
	struct watch *watch;
	RUN_AS_FIFO(50);

	watch = at_window(current, 0, 0, false);
	watch->rule = closed_to_interrupts;
	make_urgent(kt);
	timer_init(&timer, wake_urgent, true);
	watch_start(watch, 1);
	add_timer(&timer, READ_ONCE(jiffies) + 2);
	for (u64 end = READ_ONCE(jiffies) + 10; READ_ONCE(jiffies) < end; )
		if (READ_ONCE(urgent.done))
			break;
	EXPECT_WOKEN("u");
	del_timer_sync(&timer);
}
