// SPDX-License-Identifier: MIT
/* Debug registers for tests (see watch.h). */
#include "tests/kernel/watch.h"
#include "arch/x86/entry/entry.h"
#include "kernel/locking/spinlock.h"
#include "kernel/report/panic.h"
#include "kernel/sched/sched.h"

#define DR7_ENABLE(nr)		BIT(2 * (nr))
#define DR7_WRITES(nr)		(1UL << (16 + 4 * (nr)))
#define DR7_ACCESSES(nr)	(3UL << (16 + 4 * (nr)))
#define DR7_LEN_8(nr)		(2UL << (18 + 4 * (nr)))
#define DR7_LEN_4(nr)		(3UL << (18 + 4 * (nr)))
#define DR6_NONE		0xffff0ff0UL

#define read_dr(nr)								\
	({ unsigned long __x; __asm__ volatile("mov %%dr" #nr ", %0" : "=r"(__x)); __x; })
#define write_dr(nr, value)							\
	__asm__ volatile("mov %0, %%dr" #nr :: "r"((unsigned long)(value)) : "memory")

static struct watch *watched;
static unsigned int watched_count;

/* In #DB, of the kernel's own access. Off meanwhile: the rule may look at what is watched. */
static void touched(struct pt_regs *regs)
{
	unsigned long which = read_dr(6), enabled = read_dr(7);

	write_dr(7, 0);
	write_dr(6, DR6_NONE);
	for (unsigned int i = 0; i < watched_count; i++) {
		if (!(which & BIT(i)))
			continue;
		watched[i].hits++;
		if (!watched[i].rule(regs) && !watched[i].broken++)
			watched[i].broken_by = regs->ip;
	}
	write_dr(7, enabled);
}

static void set_address(unsigned int nr, const void *at)
{
	switch (nr) {
	case 0: write_dr(0, at); break;
	case 1: write_dr(1, at); break;
	case 2: write_dr(2, at); break;
	case 3: write_dr(3, at); break;
	}
}

void watch_start(struct watch *watches, unsigned int count)
{
	unsigned long enable = 0;

	BUG_ON(count > 4);
	migrate_disable();
	watched = watches;
	watched_count = count;
	for (unsigned int i = 0; i < count; i++) {
		set_address(i, watches[i].at);
		enable |= DR7_ENABLE(i) | (watches[i].half ? DR7_LEN_4(i) : DR7_LEN_8(i)) |
			  (watches[i].reads ? DR7_ACCESSES(i) : DR7_WRITES(i));
	}
	write_dr(6, DR6_NONE);
	kernel_debug_trap = touched;
	write_dr(7, enable);
}

void watch_end(struct ktest_run *kt)
{
	write_dr(7, 0);
	kernel_debug_trap = NULL;
	migrate_enable();
	for (unsigned int i = 0; i < watched_count; i++) {
		const struct watch *w = &watched[i];

		KEXPECT_OR(w->hits && !w->broken,
			   "%s was %s %u times, %u of them against %pS, first by %pS", w->name,
			   w->reads ? "touched" : "written", w->hits, w->broken,
			   (void *)w->rule, (void *)w->broken_by);
	}
}
