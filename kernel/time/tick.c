// SPDX-License-Identifier: MIT
/* The tick drives everything here: jiffies, timers, the scheduler's time slices. */
#include "kernel/time/tick.h"
#include "arch/x86/cpu/insns.h"
#include "kernel/preempt/might_sleep.h"
#include "kernel/sched/sched.h"
#include "kernel/time/timer.h"
#include "lib/errno.h"

u64 jiffies;

/*
 * The pause is for emulators that count instructions. They run one CPU at a time, and some (QEMU
 * before 8.1 with -icount) go on to the next only when this one pauses or halts. Only every second
 * tick pauses, because a CPU that finds its next tick pending when its turn comes must get past
 * this line.
 */
void tick(struct pt_regs *regs)
{
	extern void (*const __start_ontick[])(struct pt_regs *);
	extern void (*const __stop_ontick[])(struct pt_regs *);
	struct cpu *cpu = this_cpu();

	if (++cpu->ticks % 2)
		cpu_relax();
	if (cpu->id == 0)
		WRITE_ONCE(jiffies, jiffies + 1);
	run_timers();
	scheduler_tick();
	for (void (*const *fn)(struct pt_regs *) = __start_ontick; fn < __stop_ontick; fn++)
		(*fn)(regs);
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
 * The interrupt itself wakes a real-time task, as in Linux, and not a softirq. The same goes for
 * kernel threads, because a watchdog must not depend on a softirq.
 */
int sleep_ns(u64 ns)
{
	/* Round up, and add one, because the current tick is already under way. */
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
