/* SPDX-License-Identifier: MIT */
/* In place of the kernel's, for tests/native: one "CPU", in memory. */
#pragma once

#include "arch/x86/mm/address_space.h"
#include "lib/types.h"

struct fpstate;
struct fpu;
struct task_struct;
struct xregs_state;

extern struct native_cpu {
	unsigned int fpu_saves, fpu_restores, fpu_gate_writes, id;
	int preempt_count;
	u32 softirq_pending;
	bool in_kernel_fpu;
	struct fpu *fpu_fpregs_owner_ctx;
	u64 xfd_state, xfd_model, soft_pasid;
	struct xregs_state *xsave_scratch;
	struct fpstate *dump_fpstate;
	struct task_struct *curr_task;
} native_cpu;

#define __cpu_offset(field)		offsetof(struct native_cpu, field)
#define this_cpu_read(field)		(native_cpu.field)
#define this_cpu_write(field, value)	(native_cpu.field = (value))
#define this_cpu_add_int(field, value)	(native_cpu.field += (value))
#define smp_processor_id()		(native_cpu.id)
#define current				(native_cpu.curr_task)
