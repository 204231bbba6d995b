/* SPDX-License-Identifier: MIT */
/* Page faults (#PF), and the stacks of kernel tasks with their guard pages. */
#pragma once

#include "arch/x86/thread.h"

/* From ring 3, or from a kernel access that has a fixup: may sleep. Else panics. */
void do_page_fault(struct pt_regs *regs);

/* Is @addr in the unmapped page below a kernel stack? */
bool is_stack_guard(unsigned long addr);

/*
 * A kernel stack of THREAD_SIZE, its lowest word STACK_END_MAGIC. ERR_PTR: -ENOMEM, or -EAGAIN if
 * there are too many already. Never sleeps. Freed stacks stay mapped and are used again first, so
 * their pages count as used for ever.
 */
void *alloc_kernel_stack(void);
void free_kernel_stack(void *stack);
