/* SPDX-License-Identifier: MIT */
/*
 * Vector instructions inside the kernel: only between kernel_fpu_begin() and kernel_fpu_end().
 *
 * begin saves ring 3's registers if they are live; end brings nothing back: the flag is set, so the
 * next exit to ring 3 does. Sections do not nest and must not sleep (preemption is off).
 */
#pragma once

#include "kernel/locking/annotations.h"
#include "lib/types.h"

/*
 * May this context begin a section? Not in NMI, not inside another; from an interrupt only if what
 * it interrupted is not inside fpregs_lock(). Linux looks at softirqs only, and with PREEMPT_RT
 * sees no such section.
 */
bool irq_fpu_usable(void);

void kernel_fpu_begin(void) __acquires(preempt_off);
void kernel_fpu_end(void) __releases(preempt_off);
