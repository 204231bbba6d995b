// SPDX-License-Identifier: MIT
/* Numbers of tasks (see pid.h). */
#include "kernel/pid.h"
#include "kernel/locking/assert.h"
#include "lib/errno.h"

spinlock_t tasklist_lock = SPINLOCK_INIT;
static struct task_struct *pid_table[PID_MAX];	/* tasklist_lock */
static pid_t last_pid;

struct task_struct *find_task_by_pid(pid_t pid)
{
	assert_spin_held(&tasklist_lock);
	return pid > 0 && pid < PID_MAX ? pid_table[pid] : NULL;
}

/* Round and round, so that a number is not used again soon. */
int alloc_pid(struct task_struct *task)
{
	assert_spin_held(&tasklist_lock);
	for (int tries = 1; tries < PID_MAX; tries++) {
		last_pid = last_pid % (PID_MAX - 1) + 1;
		if (!pid_table[last_pid]) {
			pid_table[last_pid] = task;
			task->pid = last_pid;
			return 0;
		}
	}
	return -EAGAIN;
}

void set_pid(pid_t pid, struct task_struct *task)
{
	assert_spin_held(&tasklist_lock);
	pid_table[pid] = task;
}
