/* SPDX-License-Identifier: MIT */
/* Making, switching and ending the x86 part of a task. */
#pragma once

#include "arch/x86/mm/stack.h"
#include "kernel/fork.h"
#include "kernel/sched/task.h"

/* switch.S, switch.c. Interrupts off, the run queue's lock held. */
struct task_struct *__switch_to_asm(struct task_struct *prev, struct task_struct *next);
struct task_struct *__switch_to(struct task_struct *prev, struct task_struct *next);

/*
 * Fill in @child's kernel stack and thread_struct, FPU state first. May sleep: fpu_clone() takes
 * siglock.
 */
int copy_thread(struct task_struct *child, const struct kernel_clone_args *args);

/* exec: all registers as a new program finds them. May sleep. */
void start_thread(struct pt_regs *regs, unsigned long ip, unsigned long sp);
void flush_thread(void);
void exit_thread(void);			/* exit, on current */

/* Ring 3's registers of @task, at the top of its kernel stack. */
static inline struct pt_regs *task_pt_regs(struct task_struct *task)
{
	return (struct pt_regs *)task_stack_top(task) - 1;
}

/* Second code of a new task, from ret_from_fork: CLONE_CHILD_SETTID. May sleep. */
void set_child_tid(void);

long do_arch_prctl(int option, unsigned long arg2);
