/* SPDX-License-Identifier: MIT */
/* Page faults (#PF). */
#pragma once

#include "arch/x86/thread.h"

/* From ring 3, or from a kernel access that has a fixup: may sleep. Else panics. */
void do_page_fault(struct pt_regs *regs);
