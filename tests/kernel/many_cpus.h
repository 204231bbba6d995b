/* SPDX-License-Identifier: MIT */
/*
 * For tests of several CPUs. A suite is pinned to one of them, and so is what it makes: these let a
 * test go where it wants, put its threads where it wants, and wait for another CPU, never without a
 * bound.
 *
 * The log of marks (threads.h) is for one CPU; here threads leave what they saw in their struct.
 */
#pragma once

#include "arch/x86/cpu/insns.h"
#include "kernel/policy.h"
#include "kernel/time/tick.h"
#include "tests/kernel/threads.h"

#define NEEDS_CPUS(n) do { if (nr_cpus < (n)) KSKIP("needs " #n " CPUs"); } while (0)

#define AWAIT_TICKS	500		/* 2 s: then the test fails, and goes on */

/* Until @cond: asleep, so that others may run here; or spinning, in any context with interrupts. */
#define AWAIT(cond)		__AWAIT(cond, sleep_ns(1))
#define SPIN_UNTIL(cond)	__AWAIT(cond, cpu_relax())
#define __AWAIT(cond, step) do {							\
	u64 __end = READ_ONCE(jiffies) + AWAIT_TICKS;					\
											\
	while (!(cond) && READ_ONCE(jiffies) < __end)					\
		step;									\
	KEXPECT(cond);									\
} while (0)

/* --- The test itself --- */

static inline u64 test_cpus_set(u64 mask)
{
	u64 old = current->cpus_mask;

	set_cpus_allowed(current, mask);
	return old;
}

static inline void test_cpus_restore(u64 *old)
{
	set_cpus_allowed(current, *old);
}

/* For the rest of this block, run on the CPUs of @mask. Before RUN_AS_FIFO(). */
#define RUN_ON(mask) u64 __old_cpus __unused						\
	__attribute__((cleanup(test_cpus_restore))) = test_cpus_set(mask)

/* --- Threads --- */

/* thread_make(), on the CPUs of @mask. */
static inline void thread_make_on(struct ktest_run *kt, struct thread *t,
				  void (*fn)(struct thread *self), void *arg, u64 mask)
{
	thread_make(kt, t, fn, arg, "many");
	if (t->task)
		KEXPECT_EQ(set_cpus_allowed(t->task, mask), 0);
}

static inline void thread_run_on(struct ktest_run *kt, struct thread *t,
				 void (*fn)(struct thread *self), void *arg, u64 mask, int fifo)
{
	thread_make_on(kt, t, fn, arg, mask);
	thread_start(t, fifo);
}

/* Wait for its end, on whatever CPU. Afterwards the task is gone, or the test has failed. */
static inline void thread_join(struct thread *t)
{
	struct ktest_run *kt = t->kt;

	if (!t->task)
		return;
	AWAIT(READ_ONCE(t->done) && READ_ONCE(t->task->usage) == 1);
	if (t->done)
		put_task_struct(t->task);
	t->task = NULL;
}

/* For a thread: spin until @arg, a bool, is set; note where that was. */
static inline void spin_until_told(struct thread *self)
{
	u64 end = READ_ONCE(jiffies) + AWAIT_TICKS;

	do {
		WRITE_ONCE(self->result, (int)smp_processor_id());
		WRITE_ONCE(self->seen, self->seen + 1);
		cpu_relax();
	} while (!READ_ONCE(*(bool *)self->arg) && READ_ONCE(jiffies) < end);
	WRITE_ONCE(self->result, (int)smp_processor_id());	/* it may have moved */
}

/* For a thread: note where it runs, and end. */
static inline void note_cpu(struct thread *self)
{
	WRITE_ONCE(self->result, (int)smp_processor_id());
	self->seen++;
}
