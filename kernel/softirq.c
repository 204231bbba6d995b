// SPDX-License-Identifier: MIT
/* Softirqs and their threads (see softirq.h). */
#include "kernel/softirq.h"
#include "arch/x86/irqflags.h"
#include "kernel/debug/scrub.h"
#include "kernel/fork.h"
#include "kernel/locking/spinlock.h"
#include "kernel/panic.h"
#include "kernel/sched/sched.h"
#include "kernel/timer.h"
#include "lib/errno.h"
#include "lib/printk.h"
#include "lib/string.h"

#define MAX_ROUNDS	10		/* then they must be content with a thread's share */

static void (*actions[NR_SOFTIRQS])(void) = {
	[TIMER_SOFTIRQ] = run_timer_softirq,
	[SCRUB_SOFTIRQ] = scrub_softirq,
};

void open_softirq(enum softirq nr, void (*action)(void))
{
	WRITE_ONCE(actions[nr], action);
}

static void wake_ksoftirqd(void)
{
	struct task_struct *thread = this_cpu_read(ksoftirqd);

	if (thread)				/* else: not yet; what is pending stays so */
		wake_up_process(thread);
}

/* What an action leaks would stay with the task that it interrupted: set it right. */
static void call_action(unsigned int nr)
{
	static const char *const names[NR_SOFTIRQS] = { "TIMER", "SCRUB" };
	int count = preempt_count();

	actions[nr]();
	if (likely(preempt_count() == count))
		return;
	local_irq_disable();
	splat_count(SPLAT_CORRUPTED);
	pr_err("huh, entered softirq %u %s %p with preempt_count %08x, exited with %08x?", nr,
	       names[nr], (void *)actions[nr], count, preempt_count());
	preempt_count_set(count);
	local_irq_enable();
}

/* One round. Interrupts off, but on while the actions run. */
static void run_pending(void)
{
	u32 pending = this_cpu_read(softirq_pending);

	this_cpu_write(softirq_pending, 0);
	local_irq_enable();
	for (int nr = 0; nr < NR_SOFTIRQS; nr++)
		if (pending & BIT(nr))
			call_action(nr);
	local_irq_disable();
}

/*
 * rt=off. Interrupts off. No more rounds once somebody else is wanted here: the caller looks at
 * need_resched() as soon as preemption is on, and what is left waits for the thread's turn.
 */
static void __do_softirq(void)
{
	int rounds = 0;

	preempt_count_add(SOFTIRQ_OFFSET);
	while (rounds++ < MAX_ROUNDS && this_cpu_read(softirq_pending)) {
		run_pending();
		if (need_resched())
			break;
	}
	preempt_count_sub(SOFTIRQ_OFFSET);
	if (this_cpu_read(softirq_pending))
		wake_ksoftirqd();
}

void irq_exit(void)
{
	if (likely(!this_cpu_read(softirq_pending)) || in_interrupt())
		return;
	if (preempt_rt())
		wake_ksoftirqd();
	else
		__do_softirq();
}

void local_bh_enable(void)
{
	WARN_ON_ONCE(irqs_disabled());
	/* One level stays: a softirq is not preempted by what it wakes. */
	preempt_count_sub(SOFTIRQ_DISABLE_OFFSET - PREEMPT_OFFSET);
	if (unlikely(this_cpu_read(softirq_pending)) && !in_interrupt()) {
		local_irq_disable();
		__do_softirq();
		local_irq_enable();
	}
	preempt_count_sub(PREEMPT_OFFSET);
	if (unlikely(should_resched()))
		preempt_schedule();
}

/*
 * SCHED_OTHER with rt=on, too, as in Linux (mainline has a timer thread of FIFO 1 beside it since
 * 6.13): what interrupts leave without end must not keep tasks from running. So a soft timer waits
 * for each FIFO task, except one that waits for the timer's function: that one's priority is lent
 * by expiry_lock (kernel/timer.c). Those who cannot wait so long are woken by hard timers.
 */
static int ksoftirqd(void *unused)
{
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (!this_cpu_read(softirq_pending)) {
			schedule();
			continue;
		}
		__set_current_state(TASK_RUNNING);
		local_irq_disable();
		if (preempt_rt())
			run_pending();
		else
			__do_softirq();
		local_irq_enable();
		/* rt=off: an interrupt in a softirq could only ask for it. */
		cond_resched();
	}
	return 0;
}

/*
 * We go to each CPU ourselves, and the thread stays where it is made. To move it there we might
 * have to sleep, and until the thread is there, with rt=on nothing would wake us.
 */
void softirq_init(void)
{
	for (unsigned int cpu = 0; cpu < nr_cpus; cpu++) {
		struct task_struct *thread;
		char name[TASK_COMM_LEN];

		set_cpus_allowed(current, BIT(cpu));
		snprintf(name, sizeof(name), "ksoftirqd/%u", cpu);
		thread = kthread_create(ksoftirqd, NULL, name);
		if (IS_ERR(thread))
			panic("cannot make %s", name);
		thread->flags |= PF_NO_SETAFFINITY;
		cpus[cpu].ksoftirqd = thread;
	}
	set_cpus_allowed(current, ~0UL);
}
