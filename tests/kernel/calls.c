/* SPDX-License-Identifier: MIT */
/* Splat's own calls, as far as only the kernel can see them. The rest: tests/user/calls.c. */
#include "arch/x86/mm/uaccess.h"
#include "arch/x86/process.h"
#include "kernel/syscalls.h"
#include "kernel/time/tick.h"
#include "lib/errno.h"
#include "lib/options.h"
#include "lib/string.h"
#include "tests/kernel/threads.h"

KTEST_SUITE(calls);

/* The shortest suite that there is: were it to run, it would do no harm but to the report. */
static unsigned int short_suite(void)
{
	for (unsigned int i = 0; i < ktap_suite_count(); i++)
		if (ktap_suite_name(i) && ktap_suite_name(i)[0] == 'f' &&
		    ktap_suite_name(i)[1] == 'a')
			return i;
	return 0;
}

static void do_nothing(struct thread *self)
{
}

/* This test is itself run by that call. fails with: run_suite() not asking whether one runs */
KTEST(a_second_run_of_a_suite_is_refused)
{
	struct pt_regs regs = { .di = SPLAT_KTEST_RUN, .si = short_suite() };

	KEXPECT_EQ(do_splat_call(SYS_splat_ktest, &regs), (u64)-EBUSY);
	regs.si = ktap_suite_count();
	KEXPECT_EQ(do_splat_call(SYS_splat_ktest, &regs), (u64)-ENOENT);
}

/* Text or a number in the caller's memory, below its stack. */
static u64 in_ring_3(const void *data, size_t size)
{
	u64 at = task_pt_regs(current)->sp - 512;

	return copy_to_user((void *)at, data, size) ? 0 : at;
}

/* fails with: fault/options-set-during-tests */
KTEST(nobody_sets_options_while_a_suite_runs)
{
	static const char option[] = "loglevel=8";
	struct pt_regs regs = { .di = in_ring_3(option, sizeof(option)) };

	KEXPECT_EQ(do_splat_call(SYS_splat_setopt, &regs), (u64)-EBUSY);
}

/* fails with: fault/tests-can-be-moved, fault/tests-can-be-raised */
KTEST(nobody_moves_or_raises_a_test)
{
	static struct thread other;
	u64 mask = ~0UL;
	int fifo = 20;
	struct pt_regs affinity = { .si = sizeof(mask) }, policy = { .si = SCHED_FIFO };

	thread_make(kt, &other, NULL, NULL, "other");
	for (int i = 0; i < 2 && other.task; i++) {
		affinity.di = policy.di = i ? other.task->pid : current->pid;
		policy.dx = in_ring_3(&fifo, sizeof(fifo));
		KEXPECT_EQ(do_syscall(144, &policy), (u64)-EPERM);	/* sched_setscheduler */
		affinity.dx = in_ring_3(&mask, sizeof(mask));
		KEXPECT_EQ(do_syscall(203, &affinity), (u64)-EINVAL);	/* sched_setaffinity */
	}
	KEXPECT_EQ(current->policy, SCHED_OTHER);
	other.fn = do_nothing;
	thread_start(&other, 0);
	while (other.task && !READ_ONCE(other.done))
		sleep_ns(1);
	thread_end(&other);
}

/* An option whose owner takes its time and wants no other meanwhile. For tests/user/calls.c. */
static int set_slowly(const char *value)
{
	static bool inside;
	int ret = READ_ONCE(inside) ? -EINVAL : 0;

	if (strcmp(value, "1"))
		return -EINVAL;
	WRITE_ONCE(inside, true);
	sleep_ns(1);
	WRITE_ONCE(inside, false);
	return ret;
}
BOOT_OPTION(slow, set_slowly, true, "1");
