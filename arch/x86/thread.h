/* SPDX-License-Identifier: MIT */
/* The x86 part of a task, and what ring 3's registers look like on the kernel stack. */
#pragma once

#include "arch/x86/fpu/core/fpu_types.h"

/* In the order in which the entry code pushes them: Linux's struct pt_regs. */
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx;
	unsigned long r11, r10, r9, r8, ax, cx, dx, si, di;
	unsigned long orig_ax;		/* system call number, error code, or -1 */
	unsigned long ip, cs, flags, sp, ss;
};

static inline bool user_mode(const struct pt_regs *regs)
{
	return regs->cs & 3;
}

struct thread_struct {
	unsigned long		sp;		/* kernel stack pointer while switched out */
	/* Ring 3's, valid while switched out only: its instructions change the registers. */
	union {
		struct {
			u16	ds, es, fsindex, gsindex;
		};
		u64		selectors;	/* all four at once */
	};
	unsigned long		fsbase, gsbase;
	u32			pkru;
	unsigned int		fpregs_locked;	/* rt=on: inside fpregs_lock() */
	struct fpu		fpu;		/* last: see there */
};
