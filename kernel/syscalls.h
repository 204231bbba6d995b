/* SPDX-License-Identifier: MIT */
/* System calls: Linux's numbers, and Splat's own above 1000 (kernel/splat/uapi.h). */
#pragma once

#include "arch/x86/thread.h"

/* The call's result, or -ENOSYS. May sleep. */
long do_syscall(unsigned int nr, struct pt_regs *regs);

/* kernel/splat/splat_calls.c: numbers above 1000. */
long do_splat_call(unsigned int nr, struct pt_regs *regs);
