// SPDX-License-Identifier: MIT
/* Softirqs (see softirq.h); their threads are in kernel/ksoftirqd.c. */
#include "kernel/preempt/softirq.h"
#include "arch/x86/irqflags.h"
#include "kernel/preempt/assert.h"
#include "kernel/preempt/thread_flags.h"
#include "kernel/report/panic.h"
#include "lib/printk.h"

#define MAX_ROUNDS	10		/* after that softirqs get a thread's share */

static void (*actions[NR_SOFTIRQS])(void);
void (*wake_ksoftirqd)(void);

void open_softirq(enum softirq nr, void (*action)(void))
{
	WRITE_ONCE(actions[nr], action);
}

/* Until there are threads, what is pending stays pending. */
static void leave_to_the_thread(void)
{
	if (wake_ksoftirqd)
		wake_ksoftirqd();
}

/* A count that an action leaks would stay with the interrupted task, so set it right. */
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

void softirq_run_pending(void)
{
	u32 pending = this_cpu_read(softirq_pending);

	assert_irqs_off();
	this_cpu_write(softirq_pending, 0);
	local_irq_enable();
	for (int nr = 0; nr < NR_SOFTIRQS; nr++)
		if (pending & BIT(nr))
			call_action(nr);
	local_irq_disable();
}

/*
 * No more rounds once another task is wanted here. The caller looks at need_resched() as soon as
 * preemption is on, and what is left waits for the thread's turn.
 */
void __do_softirq(void)
{
	int rounds = 0;

	assert_irqs_off();
	preempt_count_add(SOFTIRQ_OFFSET);
	while (rounds++ < MAX_ROUNDS && this_cpu_read(softirq_pending)) {
		softirq_run_pending();
		if (need_resched())
			break;
	}
	preempt_count_sub(SOFTIRQ_OFFSET);
	if (this_cpu_read(softirq_pending))
		leave_to_the_thread();
}

void irq_exit(void)
{
	assert_irqs_off();
	if (likely(!this_cpu_read(softirq_pending)) || in_interrupt())
		return;
	if (preempt_rt())
		leave_to_the_thread();
	else
		__do_softirq();
}

void local_bh_enable(void)
{
	WARN_ON_ONCE(irqs_disabled());
	/* One level stays, so that a softirq is not preempted by a task that it wakes. */
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
