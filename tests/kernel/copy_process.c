/* SPDX-License-Identifier: MIT */
/* What a task starts with that begins in a kernel function, and when none may be made any more. */
#include "arch/x86/entry/entry.h"
#include "arch/x86/mm/stack.h"
#include "arch/x86/process.h"
#include "arch/x86/segments.h"
#include "kernel/exit.h"
#include "kernel/fork.h"
#include "kernel/locking/wait.h"
#include "lib/errno.h"
#include "tests/kernel/fpu_regs.h"
#include "tests/kernel/threads.h"

KTEST_SUITE(copy_process);

static struct completion ran;
static struct thread_struct seen;	/* of it: segments and PKRU */

static int look_around(void *arg)
{
	seen.pkru = read_pkru();
	save_segments(&seen);
	complete(&ran);
	do_exit(0);
}

/* With everything of ring 3's that it must not start with; whoever runs then looks. */
static void expect_clean_start(struct ktest_run *kt, bool kthread)
{
	KEEP_USER_FPU;
	const u32 open = PKRU_DEFAULT & ~0xc;	/* key 1 */
	struct task_struct *task;
	struct thread_struct own;
	pid_t pid;

	init_completion(&ran);
	memset(&seen, 0xff, sizeof(seen));
	write_pkru(open);
	loadsegment(es, USER_DS);
	x86_fsbase_write_cpu(0x1000);
	wrmsr(MSR_KERNEL_GS_BASE, 0x2000);
	if (kthread) {
		task = kthread_create(look_around, NULL, "look_around");
		KEXPECT(!IS_ERR(task));
		KEXPECT_EQ(task->real_parent, &init_task);	/* nobody's child to wait for */
		wait_for_completion(&ran);
		put_task_struct(task);
	} else {
		pid = user_mode_thread(look_around, NULL, "look_around");
		KEXPECT_GE(pid, 1);
		KEXPECT_EQ(do_wait(pid, &(int){ 0 }, 0), pid);
	}
	KEXPECT_EQ(seen.selectors, 0);
	KEXPECT_EQ(seen.fsbase, 0);
	KEXPECT_EQ(seen.gsbase, 0);
	KEXPECT_EQ(seen.pkru, cpu_has.pku ? PKRU_DEFAULT : 0);
	/* And ours came back. */
	save_segments(&own);
	KEXPECT_EQ(own.es, USER_DS);
	KEXPECT_EQ(own.fsbase, 0x1000);
	KEXPECT_EQ(own.gsbase, 0x2000);
	KEXPECT_EQ(read_pkru(), cpu_has.pku ? open : 0);
	loadsegment(es, 0);
	x86_fsbase_write_cpu(0);
	wrmsr(MSR_KERNEL_GS_BASE, 0);
}

/* fails with: fault/kthread-pkru-inherited, fault/kernel-function-inherits-segments */
KTEST(a_kernel_thread_starts_clean)
{
	expect_clean_start(kt, true);
}

KTEST(a_user_task_in_a_kernel_function_starts_clean_too)
{
	expect_clean_start(kt, false);
}

/*
 * A stack that was another's. A report of a task that has never run ends at its pt_regs, which say
 * that it was not in ring 3.
 * fails with: fault/new-stack-without-mark, fault/new-stack-with-old-registers
 */
KTEST(the_stack_of_a_new_task_can_be_read)
{
	struct kernel_clone_args args = { .fn = look_around };
	KEEP_USER_FPU;
	struct task_struct *child = fake_task();
	unsigned long *frame;

	child->stack = alloc_kernel_stack();
	BUG_ON(!child->stack);
	memset(task_stack_top(child) - 512, 0xcc, 512);
	KEXPECT_EQ(copy_thread(child, &args), 0);
	frame = (unsigned long *)child->thread.sp;
	KEXPECT_EQ(frame[5], (unsigned long)task_pt_regs(child) + 1);
	KEXPECT_EQ(frame[6], (unsigned long)ret_from_fork);
	KEXPECT(!memchr_inv(task_pt_regs(child), 0, sizeof(struct pt_regs)));
	free_kernel_stack(child->stack);
	kfree(child);
}

/* As every task that is switched out, each CPU's idle task has its PKRU in memory. */
KTEST(the_idle_task_has_the_default_pkru)
{
	if (!cpu_has.pku)
		KSKIP("no protection keys");
	preempt_disable();
	KEXPECT_EQ(this_cpu()->rq->idle->thread.pkru, PKRU_DEFAULT);
	preempt_enable();
}

static int end_in_a_section(void *arg)
{
	preempt_disable();
	complete(&ran);
	return 0;
}

/* It says so, and the count that it leaves behind is nobody's. */
KTEST(a_task_may_end_with_preemption_off)
{
	struct splats before = splats_now();
	struct task_struct *task;

	init_completion(&ran);
	task = kthread_create(end_in_a_section, NULL, "in_a_section");
	KEXPECT(!IS_ERR(task));
	wait_for_completion(&ran);
	while (READ_ONCE(task->exit_state) != EXIT_DEAD || READ_ONCE(task->on_cpu))
		do_sched_yield();
	put_task_struct(task);
	KEXPECT_EQ(preempt_count(), 0);
	EXPECT_SPLATS_IN_ALL(before, 0);
}

static int end_at_once(void *arg)
{
	do_exit(0);
}

/*
 * A thread made while the group is being ended would not hear of it: nobody looks again. Its maker
 * need not have heard, either.
 * fails with: fault/group-exit-thread
 */
KTEST(a_dying_group_gets_no_new_thread)
{
	struct kernel_clone_args args = {
		.flags = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD, .fn = end_at_once,
	};
	struct signal_struct *signal = current->signal;
	int threads = signal->nr_threads;

	set_thread_flag(TIF_SIGPENDING);	/* as a group's end does to each thread */
	KEXPECT_EQ(kernel_clone(&args), -EINTR);
	clear_thread_flag(TIF_SIGPENDING);
	wait_event_state(&signal->wait_chldexit, TASK_UNINTERRUPTIBLE,
			 READ_ONCE(signal->nr_threads) == threads);
}
