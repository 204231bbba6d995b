// SPDX-License-Identifier: MIT
/* The recorder (see trace.h). Floor 1: never sleeps, takes no lock. */
#include "kernel/trace.h"
#include "arch/x86/cpu/insns.h"
#include "arch/x86/irqflags.h"
#include "kernel/mm/kmalloc.h"
#include "kernel/options.h"
#include "kernel/panic.h"
#include "kernel/preempt.h"
#include "kernel/task.h"
#include "lib/errno.h"
#include "lib/string.h"

#define RING_SIZE	(512 * 1024UL - KMALLOC_REDZONE)

struct trace_ring trace_rings[NR_CPUS];
static bool wanted;

static int make_rings(void)
{
	for (unsigned int i = 0; i < NR_CPUS; i++) {
		struct trace_ring *ring = &trace_rings[i];

		if (!ring->events)
			ring->events = kmalloc(RING_SIZE, GFP_ATOMIC);
		if (!ring->events)
			return -ENOMEM;
		ring->size = RING_SIZE / sizeof(struct trace_event);
	}
	return 0;
}

/* At run time: "on" goes on where "off" stopped. */
static int set_trace(const char *value)
{
	if (strcmp(value, "on") && strcmp(value, "off"))
		return -EINVAL;
	wanted = !strcmp(value, "on");
	if (!wanted || system_state != SYSTEM_RUNNING) {
		__atomic_fetch_and(&hooks_on, ~(int)HOOK_TRACE, __ATOMIC_SEQ_CST);
		return 0;
	}
	if (make_rings())
		return -EINVAL;
	__atomic_fetch_or(&hooks_on, HOOK_TRACE, __ATOMIC_SEQ_CST);
	return 0;
}
BOOT_OPTION(trace, set_trace, true, "off on");

void trace_task_comm(void)
{
	u64 name[2];

	memcpy(name, current->comm, sizeof(name));
	trace(task_comm, name[0], name[1]);
}

void trace_init(void)
{
	if (!wanted)
		return;
	if (make_rings())
		panic("trace=on: no memory for %lu KiB a CPU", RING_SIZE / 1024);
	__atomic_fetch_or(&hooks_on, HOOK_TRACE, __ATOMIC_SEQ_CST);
}

void trace_record(enum trace_type type, u64 a, u64 b)
{
	struct cpu *cpu = this_cpu();
	struct trace_ring *ring = &trace_rings[cpu->id];
	u64 at = __atomic_fetch_add(&ring->head, 1, __ATOMIC_RELAXED);
	struct trace_event *event;

	/* On another CPU than the one we looked up, after a migration here: still in order. */
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
