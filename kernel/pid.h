/* SPDX-License-Identifier: MIT */
/* Which task has which number, and the lock that guards the family of all tasks. */
#pragma once

#include "kernel/sched/task.h"

/* Guards the family tree, thread lists, exit states and the pid table. Sleeps on RT. */
extern spinlock_t tasklist_lock;

/* All under tasklist_lock. */
#define PID_MAX		4096
struct task_struct *find_task_by_pid(pid_t pid);	/* NULL: nobody */
int alloc_pid(struct task_struct *task);		/* -EAGAIN: all are in use */
void set_pid(pid_t pid, struct task_struct *task);	/* now @task's; NULL: free */
