/* SPDX-License-Identifier: MIT */
/*
 * Vector instructions inside the kernel: only between kernel_fpu_begin() and kernel_fpu_end().
 *
 * begin saves ring 3's registers if they are live. end brings nothing back, because the flag is set
 * and the next exit to ring 3 loads them. Sections do not nest and must not sleep (preemption is
 * off).
 */
#pragma once

#include "kernel/preempt/annotations.h"
#include "lib/types.h"

/*
 * May this context begin a section? Not in NMI, and not inside another section; from an interrupt
 * only if the code it interrupted is not inside fpregs_lock(). Linux looks at softirqs only, and
 * with PREEMPT_RT sees no such section.
 */
bool irq_fpu_usable(void);

void kernel_fpu_begin(void) __acquires(preempt_off);
void kernel_fpu_end(void) __releases(preempt_off);
