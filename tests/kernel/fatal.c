/* SPDX-License-Identifier: MIT */
/*
 * What ends the machine, and must. A boot that is made for it says which ("fatal="), and its
 * console is looked at from outside: tests/host/reports.py. In all others there is nothing to do.
 */
#include "arch/x86/cpu/insns.h"
#include "arch/x86/fpu/core/gate.h"
#include "arch/x86/fpu/core/regs.h"
#include "arch/x86/time.h"
#include "kernel/policy.h"
#include "kernel/preempt/might_sleep.h"
#include "kernel/report/panic.h"
#include "lib/options.h"
#include "lib/printk.h"
#include "tests/kernel/threads.h"
#include "tests/kernel/watch.h"

KTEST_SUITE(fatal);

enum { NOTHING, RAW_LOCK_TWICE, MIGHT_SLEEP, ATOMIC, WARNING, STACK_END, OOPSES, OOPS_MEANWHILE,
       REPORT_HELD, FIRST_USE };
static int wanted;
BOOT_CHOICE(fatal, wanted, false, "none", "raw-lock-twice", "might-sleep", "atomic", "warning",
	    "stack-end", "oopses", "oops-meanwhile", "report-held",
	    "first-use");

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

#define REPORT_NS	5000000UL

static void report_slowly(struct thread *self)
{
	unsigned long flags;

	set_cpus_allowed(current, BIT(1));
	flags = report_begin();
	pr_info("fatal: a report begins");
	WRITE_ONCE(ready, 1);
	for (u64 start = sched_clock(); sched_clock() - start < REPORT_NS; )
		cpu_relax();
	pr_info("fatal: the report ends");
	report_end(flags);
}

/* CPU 1 is in the middle of a report when CPU 0 oopses: an oops is one more report, and waits. */
static void oops_meanwhile(struct ktest_run *kt)
{
	static struct thread reporter;

	set_cpus_allowed(current, BIT(0));
	thread_run(kt, &reporter, report_slowly, NULL, "reporter", 0);
	while (!READ_ONCE(ready))
		do_sched_yield();
	__builtin_trap();
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

/* State that is given on demand is given to ring 3. In ring 0 its first use is a mistake. */
static noinline void use_what_is_off(void)
{
	static const u8 one_byte[64] __aligned(64) = { [0] = 1, [16] = 1, [48] = 1 };

	fpregs_lock();
	xfd_update_state(init_fpstate.xfd);
	if (init_fpstate.xfd & XFEATURE_MASK(XTILE_DATA))
		load_tile(one_byte);
	else
		__asm__ volatile("vzeroupper");
	fpregs_unlock();
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
	case OOPS_MEANWHILE:
		oops_meanwhile(kt);
		break;
	case REPORT_HELD:
		panic_amid_a_report(kt);
		break;
	case OOPSES:
		oops_on_all(kt);
		break;
	case FIRST_USE:
		use_what_is_off();
		break;
	}
	KFAIL("the machine goes on");
}
