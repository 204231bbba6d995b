/* SPDX-License-Identifier: MIT */
/* Splat's own calls, as far as only the kernel can see them. The rest: tests/user/calls.c. */
#include "arch/x86/thread.h"
#include "kernel/options.h"
#include "kernel/syscalls.h"
#include "kernel/time.h"
#include "lib/errno.h"
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

/* This test is itself run by that call. fails with: fault/suites-run-at-once */
KTEST(a_second_run_of_a_suite_is_refused)
{
	struct pt_regs regs = { .di = SPLAT_KTEST_RUN, .si = short_suite() };

	KEXPECT_EQ(do_splat_call(SYS_splat_ktest, &regs), (u64)-EBUSY);
	regs.si = ktap_suite_count();
	KEXPECT_EQ(do_splat_call(SYS_splat_ktest, &regs), (u64)-ENOENT);
}

/* An option whose owner takes its time and wants no other meanwhile. For tests/user/calls.c. */
static int set_slowly(const char *value)
{
	static bool inside;
	int ret = READ_ONCE(inside) ? -EINVAL : 0;

	WRITE_ONCE(inside, true);
	sleep_ns(1);
	WRITE_ONCE(inside, false);
	return ret;
}
BOOT_OPTION(slow, set_slowly, true, "any word");
