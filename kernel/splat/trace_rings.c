// SPDX-License-Identifier: MIT
/* The option "trace=", and the memory for what report/trace.h records. */
#include "kernel/splat/trace_rings.h"
#include "kernel/mm/kmalloc.h"
#include "kernel/report/panic.h"
#include "kernel/report/trace.h"
#include "lib/errno.h"
#include "lib/options.h"
#include "lib/string.h"

#define RING_SIZE	(512 * 1024UL - KMALLOC_REDZONE)

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

/* At run time "on" continues where "off" stopped. */
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

void trace_init(void)
{
	if (!wanted)
		return;
	if (make_rings())
		panic("trace=on: no memory for %lu KiB a CPU", RING_SIZE / 1024);
	__atomic_fetch_or(&hooks_on, HOOK_TRACE, __ATOMIC_SEQ_CST);
}
