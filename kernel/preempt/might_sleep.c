// SPDX-License-Identifier: MIT
/*
 * The reports of "sleeping where you must not" (formats: Linux's kernel/sched/core.c).
 *
 * One rate limit for the whole system: at most one __might_resched report a second is printed (or
 * one from each of two CPUs that come at the same time).
 * Counting comes first, so that a silent report still shows in the counters.
 */
#include "kernel/preempt/might_sleep.h"
#include "arch/x86/cpu/insns.h"
#include "arch/x86/cpu/percpu.h"
#include "arch/x86/unwind.h"
#include "kernel/preempt/preempt.h"
#include "kernel/sched/sched.h"
#include "kernel/sched/task.h"
#include "kernel/time/tick.h"
#include "lib/printk.h"

static u64 last_report;			/* jiffies; 0: none yet */

void might_sleep_ratelimit_reset(void)
{
	WRITE_ONCE(last_report, 0);
}

void rcu_read_lock(void)
{
	current->rcu_read_lock_nesting++;
	barrier();
}

void rcu_read_unlock(void)
{
	barrier();
	WARN_ON(--current->rcu_read_lock_nesting < 0);
}

static void print_preempt_disable_ip(unsigned long ip)
{
	pr_err("Preemption disabled at:");
	pr_err("[<%016lx>] %pS", ip, (void *)ip);
}

void __might_resched(const char *file, int line, unsigned int offsets)
{
	/*
	 * Read first, before a call can overwrite the address; and kept on the stack, so that the
	 * trace shows the address there.
	 */
	volatile unsigned long disable_ip = this_cpu_read(preempt_disable_ip);
	unsigned int expected = offsets & MIGHT_RESCHED_PREEMPT_MASK;
	unsigned int nested = preempt_count();
	unsigned long flags;

	nested += (unsigned int)current->rcu_read_lock_nesting << MIGHT_RESCHED_RCU_SHIFT;
	if (likely(nested == offsets && !irqs_disabled() && !(current->flags & PF_IDLE)))
		return;
	if (system_state != SYSTEM_RUNNING)
		return;
	splat_count(SPLAT_MIGHT_SLEEP);
	if (last_report && jiffies - last_report < HZ)
		return;
	last_report = jiffies ? jiffies : 1;

	flags = report_begin();
	pr_err("BUG: sleeping function called from invalid context at %s:%d", file, line);
	pr_err("in_atomic(): %d, irqs_disabled(): %d, non_block: %d, pid: %d, name: %s",
	       in_atomic(), !(flags & X86_EFLAGS_IF), 0, current->pid, current->comm);
	pr_err("preempt_count: %x, expected: %x", preempt_count(), expected);
	pr_err("RCU nest depth: %d, expected: %u", current->rcu_read_lock_nesting,
	       offsets >> MIGHT_RESCHED_RCU_SHIFT);
	if (*(unsigned long *)current->stack != STACK_END_MAGIC)
		pr_err("Thread overran stack, or stack corrupted");
	if ((unsigned int)preempt_count() != expected)
		print_preempt_disable_ip(disable_ip);
	dump_stack();
	report_end(flags);
	add_taint(TAINT_WARN);
	check_panic_on_warn("might_sleep");
}

void __might_sleep(const char *file, int line)
{
	if (unlikely(READ_ONCE(current->__state) != TASK_RUNNING))
		WARN_KIND_ONCE(SPLAT_STATE,
			       "do not call blocking ops when !TASK_RUNNING; "
			       "state=%x set at [<%p>] %pS",
			       READ_ONCE(current->__state), (void *)current->task_state_change,
			       (void *)current->task_state_change);
	__might_resched(file, line, 0);
}

void __schedule_bug(struct task_struct *prev)
{
	unsigned long disable_ip = this_cpu_read(preempt_disable_ip), flags;

	splat_count(SPLAT_ATOMIC_SCHED);
	flags = report_begin();
	pr_err("BUG: scheduling while atomic: %s/%d/0x%08x", prev->comm, prev->pid,
	       preempt_count());
	pr_err("Modules linked in:");
	print_preempt_disable_ip(disable_ip);
	dump_stack();
	report_end(flags);
	add_taint(TAINT_WARN);
	check_panic_on_warn("scheduling while atomic");
}
