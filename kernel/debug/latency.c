// SPDX-License-Identifier: MIT
/* The latency recorder (see latency.h). Each CPU writes its own; nothing here takes a lock. */
#include "kernel/debug/latency.h"
#include "arch/x86/cpu/insns.h"
#include "arch/x86/cpu/percpu.h"
#include "kernel/report/hooks.h"
#include "kernel/splat/uapi.h"
#include "lib/errno.h"
#include "lib/options.h"
#include "lib/string.h"

struct section {
	u64 start;			/* TSC; 0: none */
	unsigned long ip;
	u64 longest;
	unsigned long longest_ip;
};

static struct {
	struct section preempt, irqs;
} recorded[NR_CPUS];

static void begin(struct section *s, unsigned long ip)
{
	if (s->start)
		return;
	s->ip = ip;
	s->start = rdtsc();
}

static void end(struct section *s)
{
	u64 length = rdtsc() - s->start;

	if (s->start && length > s->longest) {
		s->longest = length;
		s->longest_ip = s->ip;
	}
	s->start = 0;
}

static void latency_preempt_off(unsigned long ip)
{
	begin(&recorded[smp_processor_id()].preempt, ip);
}

static void latency_preempt_on(void)
{
	end(&recorded[smp_processor_id()].preempt);
}

static void latency_irqs_off(unsigned long ip)
{
	begin(&recorded[smp_processor_id()].irqs, ip);
}

static void latency_irqs_on(void)
{
	end(&recorded[smp_processor_id()].irqs);
}

/* A section that the idle task has begun does not count. */
static void latency_idle(void)
{
	recorded[smp_processor_id()].preempt.start = 0;
	recorded[smp_processor_id()].irqs.start = 0;
}

static const struct section_hooks latency_hooks = {
	.preempt_off = latency_preempt_off,
	.preempt_on = latency_preempt_on,
	.irqs_off = latency_irqs_off,
	.irqs_on = latency_irqs_on,
	.idle = latency_idle,
};

static int set_latency(const char *value)
{
	if (strcmp(value, "on") && strcmp(value, "off"))
		return -EINVAL;
	__atomic_fetch_and(&hooks_on, ~(int)HOOK_LATENCY, __ATOMIC_SEQ_CST);
	memset(recorded, 0, sizeof(recorded));
	section_hooks = &latency_hooks;
	if (!strcmp(value, "on"))
		__atomic_fetch_or(&hooks_on, HOOK_LATENCY, __ATOMIC_SEQ_CST);
	return 0;
}
BOOT_OPTION(latency, set_latency, true, "off on");

void latency_get(struct splat_latency *result)
{
	memset(result, 0, sizeof(*result));
	for (unsigned int cpu = 0; cpu < nr_cpus; cpu++) {
		const struct section *p = &recorded[cpu].preempt, *i = &recorded[cpu].irqs;

		if (p->longest > result->preempt_off) {
			result->preempt_off = p->longest;
			snprintf(result->preempt_owner, sizeof(result->preempt_owner), "%pS",
				 (void *)p->longest_ip);
		}
		if (i->longest > result->irqs_off) {
			result->irqs_off = i->longest;
			snprintf(result->irqs_owner, sizeof(result->irqs_owner), "%pS",
				 (void *)i->longest_ip);
		}
	}
}
