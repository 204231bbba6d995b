/* SPDX-License-Identifier: MIT */
/*
 * Out of memory in fork and exec: each allocation on the way fails once, and each time the caller
 * gets -ENOMEM, nothing is left behind and nothing of the parent's is lost.
 */
#include "kernel/debug/ktap.h"
#include "kernel/exec.h"
#include "kernel/exit.h"
#include "kernel/fork.h"
#include "kernel/mm/pages.h"
#include "kernel/sched/sched.h"
#include "lib/errno.h"

KTEST_SUITE(oom);

#define MANY	1000

static int just_exit(void *unused)
{
	do_exit(0);
}

/* In the child: which allocation of exec fails? */
static int exec_with_failure(void *arg)
{
	static const char *const argv[] = { "/bin/false", NULL };
	int ret;

	fail_nth_alloc((long)arg);
	ret = kernel_execve("/bin/echo", argv, argv + 1);
	fail_nth_alloc(0);
	if (ret)
		do_exit((ret == -ENOMEM ? 12 : 1) << 8);
	return 0;
}

/* Fork a task that starts in @fn, wait for it. Its status, or the error of fork. */
static int run_child(struct ktest_run *kt, int (*fn)(void *arg), long arg)
{
	int status = -1;
	pid_t pid = kernel_clone(&(struct kernel_clone_args){
		.fn = fn, .fn_arg = (void *)arg, .name = "oom" });

	fail_nth_alloc(0);
	if (pid < 0)
		return pid;
	KEXPECT_EQ(do_wait(pid, &status, 0), pid);
	do_sched_yield();			/* it leaves its stack, and the memory comes back */
	return status;
}

/* fails with: copy_process() forgetting mmput() when a later step fails */
KTEST(fork_fails_cleanly_at_each_allocation)
{
	u64 before;
	int n, ret = -ENOMEM;

	KEXPECT_EQ(run_child(kt, just_exit, 0), 0);
	before = nr_free_pages();
	for (n = 1; n < MANY && ret == -ENOMEM; n++) {
		fail_nth_alloc(n);
		ret = run_child(kt, just_exit, 0);
		KEXPECT_EQ(nr_free_pages(), before);
	}
	KEXPECT_EQ(ret, 0);
	KEXPECT_GE(n, 10);			/* we did get somewhere */
}

/* fails with: kernel_execve() forgetting mmput() when a later step fails */
KTEST(exec_fails_cleanly_at_each_allocation)
{
	u64 before;
	int n, ret = 12 << 8;

	KEXPECT_EQ(run_child(kt, exec_with_failure, 0), 0);
	before = nr_free_pages();
	for (n = 1; n < MANY && ret == 12 << 8; n++) {
		ret = run_child(kt, exec_with_failure, n);
		KEXPECT_EQ(nr_free_pages(), before);
	}
	KEXPECT_EQ(ret, 0);
	KEXPECT_GE(n, 10);
}
