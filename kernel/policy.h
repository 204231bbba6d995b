/* SPDX-License-Identifier: MIT */
/* What others may want of a task: how urgent it is on its own, and where it may run. */
#pragma once

#include "kernel/sched/sched.h"

int sched_setscheduler(struct task_struct *task, int policy, int rt_priority);	/* -EINVAL */
/* May sleep: returns when @task is where it may be. -EINVAL: none of @mask's CPUs exists. */
int set_cpus_allowed(struct task_struct *task, u64 mask);
