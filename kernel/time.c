// SPDX-License-Identifier: MIT
/*
 * The tick drives everything here: jiffies, the scheduler's time slices, and those who sleep.
 */
#include "kernel/time.h"
#include "arch/x86/cpu/insns.h"
#include "kernel/locking/raw_spinlock.h"
#include "kernel/might_sleep.h"
#include "kernel/sched/sched.h"
#include "lib/errno.h"

u64 jiffies;

/* Who sleeps, the soonest to wake first. In interrupts, too: taken with them off. */
static raw_spinlock_t sleepers_lock;
static LIST_HEAD(sleepers);

struct sleeper {
	struct task_struct *task;
	u64 until;				/* in jiffies */
	struct list_head node;
};

static void wake_sleepers(void) __no_lock_analysis
{
	struct sleeper *s, *next;

	raw_spin_lock(&sleepers_lock);
	list_for_each_entry_safe(s, next, &sleepers, node) {
		if (s->until > jiffies)
			break;
		list_del_init(&s->node);
		wake_up_process(s->task);
	}
	raw_spin_unlock(&sleepers_lock);
}

/*
 * The pause: an emulator that counts instructions runs one CPU at a time, and some (QEMU before 8.1
 * with -icount) go on to the next only when this one pauses or halts.
 */
void tick(void)
{
	cpu_relax();
	if (smp_processor_id() == 0) {
		WRITE_ONCE(jiffies, jiffies + 1);
		wake_sleepers();
	}
	scheduler_tick();
}

int sleep_ns(u64 ns) __no_lock_analysis
{
	/* Round up, and one more: the current tick is already under way. */
	u64 ticks = ns / (1000000000 / HZ) + (ns % (1000000000 / HZ) != 0) + 1;
	struct sleeper s = { .task = current, .until = jiffies + ticks }, *later;
	unsigned long flags;

	might_sleep();
	flags = raw_spin_lock_irqsave(&sleepers_lock);
	list_for_each_entry(later, &sleepers, node)
		if (later->until > s.until)
			break;
	list_add_tail(&s.node, &later->node);	/* at the end if the loop ran through */
	raw_spin_unlock_irqrestore(&sleepers_lock, flags);

	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (jiffies >= s.until || signal_pending(current))
			break;
		schedule();
	}
	__set_current_state(TASK_RUNNING);
	flags = raw_spin_lock_irqsave(&sleepers_lock);
	list_del_init(&s.node);
	raw_spin_unlock_irqrestore(&sleepers_lock, flags);
	return jiffies < s.until ? -EINTR : 0;
}
