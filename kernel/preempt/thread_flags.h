/* SPDX-License-Identifier: MIT */
/*
 * task->thread_flags: what a task must see to before it goes back to ring 3. Any CPU may set one,
 * so setting and clearing are atomic. TIF_NEED_FPU_LOAD is one of the three facts that say where a
 * task's registers are (fpu/core/regs.h), so the trace records each change. Context: any.
 */
#pragma once

#include "kernel/report/trace.h"
#include "kernel/sched/task.h"

/* Bit numbers. */
#define TIF_SIGPENDING		2		/* the thread group is being killed */
#define TIF_NEED_RESCHED	3
#define TIF_NEED_FPU_LOAD	14		/* registers must be (re)loaded before ring 3 */

static __always_inline void set_tsk_thread_flag(struct task_struct *task, int flag)
{
	if (flag == TIF_NEED_FPU_LOAD)
		trace(fpu_flag, task->pid, _THIS_IP_);
	__atomic_fetch_or(&task->thread_flags, BIT(flag), __ATOMIC_SEQ_CST);
}

static __always_inline void clear_tsk_thread_flag(struct task_struct *task, int flag)
{
	if (flag == TIF_NEED_FPU_LOAD)
		trace(fpu_flag, task->pid, 0);
	__atomic_fetch_and(&task->thread_flags, ~BIT(flag), __ATOMIC_SEQ_CST);
}

static inline bool test_tsk_thread_flag(const struct task_struct *task, int flag)
{
	return READ_ONCE(task->thread_flags) & BIT(flag);
}

#define set_thread_flag(flag)	set_tsk_thread_flag(current, flag)
#define clear_thread_flag(flag)	clear_tsk_thread_flag(current, flag)
#define test_thread_flag(flag)	test_tsk_thread_flag(current, flag)

static inline bool need_resched(void)
{
	return test_thread_flag(TIF_NEED_RESCHED);
}

static inline bool signal_pending(const struct task_struct *task)
{
	return test_tsk_thread_flag(task, TIF_SIGPENDING);
}

/* Must @task, which sleeps in @state or is about to, wake up and go? */
static inline bool signal_pending_state(unsigned int state, const struct task_struct *task)
{
	return (state & (TASK_INTERRUPTIBLE | TASK_WAKEKILL)) && signal_pending(task);
}
