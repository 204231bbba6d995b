// SPDX-License-Identifier: MIT
/*
 * The end of a task_struct: dropping the last reference frees it and what it holds. Never sleeps,
 * because the scheduler does it for a task that has just left its stack for ever.
 */
#include "kernel/sched/task.h"
#include "arch/x86/mm/stack.h"
#include "kernel/mm/kmalloc.h"

void put_sighand(struct sighand_struct *sighand)
{
	if (!__atomic_sub_fetch(&sighand->count, 1, __ATOMIC_ACQ_REL))
		kfree(sighand);
}

void free_task(struct task_struct *task)
{
	struct signal_struct *signal = task->signal;

	if (task->sighand)
		put_sighand(task->sighand);
	if (signal && !__atomic_sub_fetch(&signal->refs, 1, __ATOMIC_ACQ_REL))
		kfree(signal);
	free_kernel_stack(task->stack);
	kfree(task);
}

void put_task_struct(struct task_struct *task)
{
	if (!__atomic_sub_fetch(&task->usage, 1, __ATOMIC_ACQ_REL))
		free_task(task);
}
