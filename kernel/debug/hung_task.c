// SPDX-License-Identifier: MIT
/*
 * khungtaskd looks at every task now and then. It reports a task that has waited for long in a way
 * that nothing can interrupt, and, if the task waits for a lock, the lock's owner.
 */
#include "arch/x86/unwind.h"
#include "kernel/debug/watchdog.h"
#include "kernel/fork.h"
#include "kernel/pid.h"
#include "kernel/report/panic.h"
#include "kernel/sched/sched.h"
#include "kernel/time/tick.h"
#include "lib/errno.h"
#include "lib/init.h"
#include "lib/printk.h"

#define NS_PER_TICK	(1000000000 / HZ)

/* The owner of the lock that @task waits for, with a reference, or NULL. */
static struct task_struct *blocker_of(struct task_struct *task)
{
	struct task_struct *owner = NULL;
	struct rt_mutex_base *lock;

	raw_spin_lock_irq(&task->pi_lock);
	lock = task->pi_blocked_on ? task->pi_blocked_on->lock : NULL;
	if (lock && raw_spin_trylock(&lock->wait_lock)) {	/* wrong lock order, so only try */
		owner = rt_mutex_owner(lock);
		if (owner)
			get_task_struct(owner);
		raw_spin_unlock(&lock->wait_lock);
	}
	raw_spin_unlock_irq(&task->pi_lock);
	return owner;
}

static void report(struct task_struct *task, u64 seconds)
{
	struct task_struct *owner = blocker_of(task);
	unsigned long flags;

	splat_count(SPLAT_HUNG_TASK);
	flags = report_begin();
	pr_err("INFO: task %s:%d blocked for more than %llu seconds.", task->comm, task->pid,
	       seconds);
	show_stack(task, NULL);
	if (owner) {
		pr_err("It waits for a lock that %s:%d holds, state %x:", owner->comm, owner->pid,
		       task_state(owner));
		if (!READ_ONCE(owner->on_cpu))
			show_stack(owner, NULL);
	}
	report_end(flags);
	if (owner)
		put_task_struct(owner);
}

/* Has @task waited for more than @limit ticks, for the first time in this look? */
static bool is_hung(struct task_struct *task, u64 limit, u64 period)
{
	u64 waited = READ_ONCE(jiffies) - READ_ONCE(task->switched_out);

	unsigned int state = task_state(task);

	return (state & (TASK_UNINTERRUPTIBLE | TASK_RTLOCK_WAIT)) && !(state & TASK_WAKEKILL) &&
	       !task->on_rq && waited > limit && waited <= limit + period;
}

/* Look at every task, with the limits of @unit. The last look was @period ticks ago. */
static void look(u64 unit, u64 period)
{
	u64 limit = HUNG_TASK_UNITS * unit / NS_PER_TICK;
	bool any = false;

	spin_lock(&tasklist_lock);
	for (pid_t pid = 1; pid < PID_MAX; pid++) {
		struct task_struct *task = find_task_by_pid(pid);

		if (task && is_hung(task, limit, period)) {
			any = true;
			report(task, limit / HZ);
		}
	}
	spin_unlock(&tasklist_lock);
	if (any)
		watchdog_barked();
}

/*
 * The option may change while we sleep, so each look uses one unit only. Off counts as another
 * unit. With a new unit, every task that has waited for too long is reported, however long ago its
 * wait began.
 */
static int khungtaskd(void *unused)
{
	u64 last = READ_ONCE(jiffies), last_unit = 0;

	for (;;) {
		u64 unit = READ_ONCE(watchdog_ns), now;

		sleep_ns(unit ? unit : 1000000000);
		unit = READ_ONCE(watchdog_ns);
		now = READ_ONCE(jiffies);
		if (unit)
			look(unit, unit == last_unit ? now - last : now);
		last = now;
		last_unit = unit;
	}
	return 0;
}

static void hung_task_init(void)
{
	if (IS_ERR(kthread_create(khungtaskd, NULL, "khungtaskd")))
		panic("cannot make khungtaskd");
}
LATE_INIT(hung_task_init);
