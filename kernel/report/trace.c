// SPDX-License-Identifier: MIT
/* The recorder (see trace.h). Floor 1: never sleeps, takes no lock. */
#include "kernel/report/trace.h"
#include "arch/x86/cpu/insns.h"
#include "kernel/preempt/preempt.h"
#include "kernel/sched/task.h"
#include "lib/string.h"

struct trace_ring trace_rings[NR_CPUS];
void trace_task_comm(void)
{
	u64 name[2];

	memcpy(name, current->comm, sizeof(name));
	trace(task_comm, name[0], name[1]);
}

void trace_record(enum trace_type type, u64 a, u64 b)
{
	struct cpu *cpu = this_cpu();
	struct trace_ring *ring = &trace_rings[cpu->id];
	u64 at = __atomic_fetch_add(&ring->head, 1, __ATOMIC_RELAXED);
	struct trace_event *event;

	/* If we migrate here, the record goes to the old CPU's ring, which does no harm. */
	event = &ring->events[at % ring->size];
	event->tsc = rdtsc();
	event->a = a;
	event->b = b;
	event->pid = current->pid;
	event->preempt_count = cpu->preempt_count & ~PREEMPT_NEED_RESCHED;
	event->type = type;
	event->cpu = cpu->id;
	event->irqs_off = irqs_disabled();
	event->state = current->__state;
	event->prio = current->prio;
}
