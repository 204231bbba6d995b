/* SPDX-License-Identifier: MIT */
/*
 * Backtraces as Linux prints them. Any context; never sleeps, and never faults, because it reads
 * only inside known stacks.
 */
#pragma once

#include "arch/x86/thread.h"

struct task_struct;

/*
 * Print "Call Trace:" of @task: from @regs if given, else from the caller (current) or from where
 * it was switched out. Entries that the frame pointers confirm print plain, other kernel addresses
 * found on the stack with "? ".
 */
void show_stack(struct task_struct *task, const struct pt_regs *regs);

/* "CPU: n PID: n Comm: name tainted release", then the trace. */
void dump_stack(void);
void print_cpu_line(void);

/* Is @addr in the unmapped page below a kernel stack? */
bool is_stack_guard(unsigned long addr);

/* RIP, stack pointer and flags of an entry frame: two lines. And with all other registers. */
void print_frame(const struct pt_regs *regs);
void show_regs(const struct pt_regs *regs);
