/* SPDX-License-Identifier: MIT */
/*
 * What each CPU has for itself, reached through %gs in one instruction.
 *
 * One instruction matters, because between reading "which CPU am I" and using the answer a task
 * could be preempted and go on elsewhere. A field read through this_cpu_read() is right at that
 * instant; a pointer from this_cpu() stays right only while preemption is off.
 */
#pragma once

#include "arch/x86/mm/address_space.h"
#include "lib/types.h"

struct fpstate;
struct fpu;
struct mm_struct;
struct rq;
struct task_struct;
struct xregs_state;

struct tss {
	u32 reserved0;
	u64 rsp0, rsp1, rsp2;
	u64 reserved1;
	u64 ist[7];
	u64 reserved2;
	u16 reserved3, iomap_base;
} __packed;

#define IST_DF		1		/* as the IDT counts: 1..7 */
#define IST_NMI		2
#define IST_DB		3
#define IST_STACK_SIZE	8192

struct cpu {
	struct cpu		*self;
	struct task_struct	*curr_task;
	int			preempt_count;		/* preempt.h; bit 31 inverted */
	unsigned int		id, apic_id;
	unsigned int		ticks;			/* timer interrupts; may wrap */
	unsigned long		preempt_disable_ip;	/* who took the count from 0 */
	unsigned long		kernel_sp;		/* top of current's kernel stack */
	unsigned long		user_sp;		/* scratch of the SYSCALL entry */

	/*
	 * FPU: whose state the registers hold (arch/x86/fpu/core/regs.c), and whether the kernel is
	 * using them.
	 */
	struct fpu		*fpu_fpregs_owner_ctx;
	bool			in_kernel_fpu;
	/* Executed since boot; may wrap. */
	unsigned int		fpu_saves, fpu_restores, fpu_clone_saves, fpu_gate_writes;
	u64			xfd_state;		/* features that the gate keeps off */
	u64			xfd_model, xfd_err_model;	/* of MSRs: see fpu/gate.h */
	u64			soft_pasid;		/* xsave=soft: model of IA32_PASID */
	struct xregs_state	*xsave_scratch;
	struct fpstate		*dump_fpstate;		/* fpu_save_for_dump() */

	u32			softirq_pending;	/* kernel/preempt/softirq.c */
	struct task_struct	*ksoftirqd;

	struct rq		*rq;
	struct mm_struct	*loaded_mm;		/* whose tables CR3 points to */

	u64			gdt[10];
	struct tss		tss __aligned(16);
};

/* A stack for events that trust no other; the guard is not mapped. */
struct ist_stack {
	u8			guard[PAGE_SIZE];
	union {
		u8		bytes[IST_STACK_SIZE];
		/* On top, for paranoid_entry: whose stack this is. */
		struct cpu	*whose[IST_STACK_SIZE / 8];
	};
} __aligned(PAGE_SIZE);

#define IST_STACK_TOP		(IST_STACK_SIZE - 16)	/* where it begins to grow down */

#define NR_IST			3
extern struct ist_stack ist_stacks[NR_CPUS][NR_IST];
extern struct cpu cpus[NR_CPUS];
extern unsigned int nr_cpus;			/* that run */

/*
 * cpu/percpu.c: each once on each CPU, interrupts off. percpu_init() comes first of all; after it
 * %gs, current and preempt_count work.
 */
void percpu_init(unsigned int id, struct task_struct *idle);
void syscall_init(void);

#define __cpu_offset(field)	offsetof(struct cpu, field)

#define this_cpu_read(field) ({							\
	__typeof__(((struct cpu *)0)->field) __v;				\
	__asm__ volatile("mov %%gs:%c1, %0" : "=r"(__v) : "i"(__cpu_offset(field)) : "memory"); \
	__v; })
#define this_cpu_write(field, value) ({						\
	__typeof__(((struct cpu *)0)->field) __v = (value);			\
	__asm__ volatile("mov %0, %%gs:%c1" :: "r"(__v), "i"(__cpu_offset(field)) : "memory"); })
#define this_cpu_add_int(field, value)							\
	__asm__ volatile("addl %0, %%gs:%c1" :: "ri"(value), "i"(__cpu_offset(field))	\
			 : "memory", "cc")

static inline struct cpu *this_cpu(void)
{
	return this_cpu_read(self);
}

static inline unsigned int smp_processor_id(void)
{
	return this_cpu_read(id);
}

/* current never changes under its own feet, so the compiler may keep what it has read. */
static inline struct task_struct *get_current(void)
{
	struct task_struct *task;

	__asm__("mov %%gs:%c1, %0" : "=r"(task) : "i"(__cpu_offset(curr_task)));
	return task;
}
#define current get_current()
