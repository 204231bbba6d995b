/* SPDX-License-Identifier: MIT */
/* In place of the kernel's, for tests/native: one "CPU", in memory. */
#pragma once

#include "lib/types.h"

struct xregs_state;

extern struct native_cpu {
	unsigned int fpu_saves, fpu_restores;
	u64 soft_pasid;
	struct xregs_state *xsave_scratch;
} native_cpu;

#define this_cpu_read(field)		(native_cpu.field)
#define this_cpu_write(field, value)	(native_cpu.field = (value))
#define this_cpu_add_int(field, value)	(native_cpu.field += (value))
