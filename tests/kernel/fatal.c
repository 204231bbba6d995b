/* SPDX-License-Identifier: MIT */
/*
 * What ends the machine, and must. A boot that is made for it says which ("fatal="), and its
 * console is looked at from outside: tests/host_reports.py. In all others there is nothing to do.
 */
#include "arch/x86/cpu/insns.h"
#include "kernel/might_sleep.h"
#include "kernel/options.h"
#include "kernel/panic.h"
#include "tests/kernel/threads.h"
#include "tests/kernel/watch.h"

KTEST_SUITE(fatal);

enum { NOTHING, RAW_LOCK_TWICE, MIGHT_SLEEP, ATOMIC, WARNING, STACK_END, OOPSES, REPORT_HELD };
static int wanted;
BOOT_CHOICE(fatal, wanted, false, "none", "raw-lock-twice", "might-sleep", "atomic", "warning",
	    "stack-end", "oopses", "report-held");

static void take_twice(void) __no_lock_analysis
{
	static raw_spinlock_t lock;

	raw_spin_lock(&lock);
	raw_spin_lock(&lock);
}

static unsigned int ready;

static void oops_with_the_others(struct thread *self)
{
	set_cpus_allowed(current, BIT((long)self->arg));
	__atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&ready, __ATOMIC_SEQ_CST) < nr_cpus)
		cpu_relax();
	__builtin_trap();
}

/* On all CPUs at the same time: one of them reports it. */
static void oops_on_all(struct ktest_run *kt)
{
	static struct thread threads[NR_CPUS];

	for (unsigned long cpu = 1; cpu < nr_cpus; cpu++)
		thread_run(kt, &threads[cpu], oops_with_the_others, (void *)cpu, "dies", 0);
	oops_with_the_others(&threads[0]);
}

static void report_for_ever(struct thread *self)
{
	set_cpus_allowed(current, BIT(1));
	report_begin();
	WRITE_ONCE(ready, 1);
	for (;;)
		cpu_relax();
}

static bool warn_meanwhile(const struct pt_regs *regs)
{
	WARN_ON(system_state == SYSTEM_HALT);
	return true;
}

/*
 * CPU 1 is stopped in the middle of a report; CPU 0, which panics, has something to report, too.
 * fails, and hangs, with: report_begin() that waits on the CPU that panics
 */
static void panic_amid_a_report(struct ktest_run *kt)
{
	static struct thread reporter;
	static struct watch watch = { .at = &system_state, .name = "system_state", .half = true,
				      .rule = warn_meanwhile };

	set_cpus_allowed(current, BIT(0));
	thread_run(kt, &reporter, report_for_ever, NULL, "reporter", 0);
	while (!READ_ONCE(ready))
		do_sched_yield();
	watch_start(&watch, 1);
	panic("amid a report");
}

KTEST(as_the_boot_asked)
{
	switch (wanted) {
	case NOTHING:
		KSKIP("host/fatal-* ask for it");
	case RAW_LOCK_TWICE:
		take_twice();
		break;
	case MIGHT_SLEEP:
		preempt_disable();
		might_sleep();
		break;
	case ATOMIC:
		preempt_disable();
		schedule();
		break;
	case WARNING:
		WARN_ON(wanted == WARNING);
		break;
	case STACK_END:
		*(unsigned long *)current->stack = 0;
		schedule();
		break;
	case REPORT_HELD:
		panic_amid_a_report(kt);
		break;
	case OOPSES:
		oops_on_all(kt);
		break;
	}
	KFAIL("the machine goes on");
}
