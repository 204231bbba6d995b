/* SPDX-License-Identifier: MIT */
/*
 * The trace: what happened on which CPU, when, and for whom ("trace=on"). Records of one size in a
 * ring for each CPU; the host reads them from the guest's memory, so writing one is all the guest
 * does. A ring that is full begins anew, and its head tells how many records are lost.
 *
 * A tracepoint that is off costs a compare and a branch. Context: any, NMI included.
 */
#pragma once

#include "kernel/report/hooks.h"
#include "lib/types.h"

/*
 * The name of each event, and what its two values are. scripts/trace/trace.py reads this list: an
 * address is shown as a symbol, a task as its pid. An event says what caused it, so a thing that
 * has two causes has two events, or "by", an address in the function that did it.
 */
#define TRACE_EVENTS(EVENT)							\
	EVENT(task_comm,	"first",	"rest")				\
	EVENT(sched_switch,	"prev_pid",	"next_pid")			\
	EVENT(sched_wakeup,	"pid",		"target_cpu")			\
	EVENT(sched_migrate,	"pid",		"dest_cpu")			\
	EVENT(sched_pi_setprio,	"pid",		"newprio")			\
	EVENT(sched_pi_boost,	"pid",		"newprio")			\
	EVENT(preempt_disable,	"count",	"caller")			\
	EVENT(preempt_enable,	"count",	"caller")			\
	EVENT(irq_disable,	"count",	"caller")			\
	EVENT(irq_enable,	"count",	"caller")			\
	EVENT(irq_entry,	"vector",	"ip")				\
	EVENT(irq_exit,		"vector",	"ip")				\
	EVENT(exception,	"vector",	"ip")				\
	EVENT(page_fault,	"address",	"error_code")			\
	EVENT(sys_enter,	"nr",		"arg0")				\
	EVENT(sys_exit,		"nr",		"ret")				\
	EVENT(fork_step,	"where",	"pid")				\
	EVENT(fpregs_lock,	"caller",	"count")			\
	EVENT(fpregs_unlock,	"caller",	"count")			\
	EVENT(fpu_save,		"fpstate",	"features")			\
	EVENT(fpu_restore,	"fpstate",	"mask")				\
	EVENT(fpu_flag,		"pid",		"set_by")			\
	EVENT(fpu_owner,	"pid",		"by")				\
	EVENT(fpu_gate,		"xfd",		"was")				\
	EVENT(lock_asked,	"lock",		"caller")			\
	EVENT(lock_contended,	"lock",		"owner_pid")			\
	EVENT(lock_acquired,	"lock",		"caller")			\
	EVENT(lock_released,	"lock",		"caller")			\
	EVENT(splat,		"kind",		"ip")

#define __TRACE_ENUM(name, a, b) TRACE_##name,
enum trace_type { TRACE_EVENTS(__TRACE_ENUM) TRACE_TYPES };

/* As it lies in memory: the host's struct is "<QQQiIHBBHBx". */
struct trace_event {
	u64	tsc;
	u64	a, b;
	int	pid;			/* current's */
	u32	preempt_count;
	u16	type;
	u8	cpu;
	u8	irqs_off;
	u16	state;			/* current's: the state it will sleep in */
	u8	prio;			/* current's */
};

/* One CPU's ring. Once it has gone round, events stand from head % size on, the oldest first. */
struct trace_ring {
	struct trace_event	*events;	/* NULL: there is none */
	u64			size;		/* in events */
	u64			head;		/* written so far */
};

extern struct trace_ring trace_rings[];	/* by CPU */

void trace_record(enum trace_type type, u64 a, u64 b);
void trace_task_comm(void);		/* current's name, 16 bytes: if new, or at its first run */

#define trace(name, a, b)								\
	do {										\
		if (unlikely(hook(HOOK_TRACE)))							\
			trace_record(TRACE_##name, (u64)(a), (u64)(b));			\
	} while (0)
