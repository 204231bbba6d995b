// SPDX-License-Identifier: MIT
/* The tick drives everything here: jiffies, timers, the scheduler's time slices. */
#include "kernel/time.h"
#include "arch/x86/cpu/insns.h"
#include "kernel/debug/scrub.h"
#include "kernel/might_sleep.h"
#include "kernel/sched/sched.h"
#include "kernel/timer.h"
#include "lib/errno.h"

u64 jiffies;

/*
 * The pause: an emulator that counts instructions runs one CPU at a time, and some (QEMU before 8.1
 * with -icount) go on to the next only when this one pauses or halts. At each second tick only: a
 * CPU that finds its next tick pending when its turn comes must get further than to this line.
 */
void tick(void)
{
	struct cpu *cpu = this_cpu();

	if (++cpu->ticks % 2)
		cpu_relax();
	if (cpu->id == 0)
		WRITE_ONCE(jiffies, jiffies + 1);
	run_timers();
	scrub_tick();
	scheduler_tick();
}

struct sleeper {
	struct timer timer;
	struct task_struct *task;
};

static void wake_sleeper(struct timer *timer)
{
	wake_up_process(container_of(timer, struct sleeper, timer)->task);
}

/*
 * Who has a real-time priority is woken by the interrupt itself, as in Linux, and not by a softirq;
 * so are kernel threads: a watchdog must not depend on one.
 */
int sleep_ns(u64 ns)
{
	/* Round up, and one more: the current tick is already under way. */
	u64 ticks = ns / (1000000000 / HZ) + (ns % (1000000000 / HZ) != 0) + 1;
	u64 until = READ_ONCE(jiffies) + ticks;
	struct sleeper s = { .task = current };

	might_sleep();
	timer_init(&s.timer, wake_sleeper, rt_prio(current->prio) || current->flags & PF_KTHREAD);
	add_timer(&s.timer, until);
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (READ_ONCE(jiffies) >= until || signal_pending(current))
			break;
		schedule();
	}
	__set_current_state(TASK_RUNNING);
	del_timer_sync(&s.timer);
	return READ_ONCE(jiffies) < until ? -EINTR : 0;
}
