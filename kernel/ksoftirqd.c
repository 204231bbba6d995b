// SPDX-License-Identifier: MIT
/* The threads for softirqs, one for each CPU (see preempt/softirq.h). */
#include "kernel/ksoftirqd.h"
#include "arch/x86/irqflags.h"
#include "kernel/fork.h"
#include "kernel/policy.h"
#include "kernel/preempt/softirq.h"
#include "kernel/report/panic.h"
#include "kernel/sched/sched.h"
#include "lib/errno.h"
#include "lib/string.h"

static void wake_thread(void)
{
	struct task_struct *thread = this_cpu_read(ksoftirqd);

	if (thread)				/* else this CPU's does not exist yet */
		wake_up_process(thread);
}

/*
 * SCHED_OTHER with rt=on, too, as in Linux (mainline has a timer thread of FIFO 1 beside it since
 * 6.13), because endless work left by interrupts must not keep tasks from running. So a soft timer
 * waits for each FIFO task, except a task that waits for the timer's function, because expiry_lock
 * lends that task's priority (kernel/time/timer.c). Hard timers wake tasks that cannot wait so
 * long.
 */
static int ksoftirqd(void *unused)
{
	current->flags |= PF_NO_SETAFFINITY;
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (!this_cpu_read(softirq_pending)) {
			schedule();
			continue;
		}
		__set_current_state(TASK_RUNNING);
		local_irq_disable();
		if (preempt_rt())
			softirq_run_pending();
		else
			__do_softirq();
		local_irq_enable();
		/* rt=off: an interrupt in a softirq could only ask for a reschedule. */
		cond_resched();
	}
	return 0;
}

/*
 * We go to each CPU ourselves, and the thread stays where it is made. Moving a thread may sleep,
 * and with rt=on no timer wakes us before the threads exist.
 */
void ksoftirqd_init(void)
{
	wake_ksoftirqd = wake_thread;
	for (unsigned int cpu = 0; cpu < nr_cpus; cpu++) {
		struct task_struct *thread;
		char name[TASK_COMM_LEN];

		set_cpus_allowed(current, BIT(cpu));
		snprintf(name, sizeof(name), "ksoftirqd/%u", cpu);
		thread = kthread_create(ksoftirqd, NULL, name);
		if (IS_ERR(thread))
			panic("cannot make %s", name);
		cpus[cpu].ksoftirqd = thread;
	}
	set_cpus_allowed(current, ~0UL);
}
