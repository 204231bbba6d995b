/* SPDX-License-Identifier: MIT */
/* The stacks of kernel tasks. Below each is a page that is never mapped: is_stack_guard(). */
#pragma once

#include "kernel/sched/task.h"

/*
 * A kernel stack of THREAD_SIZE, its lowest word STACK_END_MAGIC. ERR_PTR: -ENOMEM, or -EAGAIN if
 * there are too many already. Never sleeps. Freed stacks stay mapped and are used again first, so
 * their pages count as used for ever.
 */
void *alloc_kernel_stack(void);
void free_kernel_stack(void *stack);

static inline void *task_stack_top(const struct task_struct *task)
{
	return task->stack + THREAD_SIZE;
}
