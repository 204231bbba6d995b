/* SPDX-License-Identifier: MIT */
/*
 * What ends the machine, and must. A boot that is made for it says which ("fatal="), and its
 * console is looked at from outside: tests/host_reports.py. In all others there is nothing to do.
 */
#include "kernel/might_sleep.h"
#include "kernel/options.h"
#include "kernel/panic.h"
#include "tests/kernel/threads.h"

KTEST_SUITE(fatal);

enum { NOTHING, RAW_LOCK_TWICE, MIGHT_SLEEP, ATOMIC, WARNING, STACK_END };
static int wanted;
BOOT_CHOICE(fatal, wanted, false, "none", "raw-lock-twice", "might-sleep", "atomic", "warning",
	    "stack-end");

static void take_twice(void) __no_lock_analysis
{
	static raw_spinlock_t lock;

	raw_spin_lock(&lock);
	raw_spin_lock(&lock);
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
	}
	KFAIL("the machine goes on");
}
