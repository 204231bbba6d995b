// SPDX-License-Identifier: MIT
/*
 * Between the entry stubs and everything else: system calls, interrupts, and the work before ring 3
 * goes on.
 */
#include "arch/x86/cpu/apic.h"
#include "arch/x86/entry/entry.h"
#include "arch/x86/fpu/core/regs.h"
#include "arch/x86/mm/tlb.h"
#include "kernel/exit.h"
#include "kernel/preempt/softirq.h"
#include "kernel/report/panic.h"
#include "kernel/report/trace.h"
#include "kernel/sched/sched.h"
#include "kernel/syscalls.h"
#include "kernel/time/tick.h"
#include "lib/printk.h"

/*
 * Reschedule and exits come first, as often as they are asked for; then, with interrupts off until
 * ring 3, the registers. In the other order a switch could take the registers away again after they
 * were loaded.
 */
void exit_to_user_mode(struct pt_regs *regs)
{
	local_irq_disable();
	while (current->thread_flags & (BIT(TIF_NEED_RESCHED) | BIT(TIF_SIGPENDING))) {
		local_irq_enable();
		if (need_resched())
			schedule();
		if (signal_pending(current))
			do_group_exit(0);	/* with the code of the task that began it */
		local_irq_disable();
	}
	switch_fpu_return();
	if (unlikely(hook(HOOK_ANY)))
		irqs_go_on(regs->ip);
	fpregs_assert_state_consistent();
	WARN_ON(preempt_count());
}

bool do_syscall_64(struct pt_regs *regs)
{
	local_irq_enable();
	trace(sys_enter, regs->orig_ax, regs->di);
	regs->ax = do_syscall(regs->orig_ax, regs);
	trace(sys_exit, regs->orig_ax, regs->ax);
	exit_to_user_mode(regs);
	/*
	 * SYSRET loads RIP from RCX and flags from R11; anything exec or clone changed needs IRET.
	 */
	return regs->ip == regs->cx && regs->flags == regs->r11 && regs->ip < TASK_SIZE_MAX &&
	       regs->cs == USER_CS && regs->ss == USER_DS;
}

static void do_irq(unsigned long vector, struct pt_regs *regs)
{
	preempt_count_add(HARDIRQ_OFFSET);
	trace(irq_entry, vector, regs->ip);
	if (vector != SPURIOUS_VECTOR)
		apic_eoi();
	switch (vector) {
	case LOCAL_TIMER_VECTOR:
		tick(regs);
		break;
	case RESCHEDULE_VECTOR:
		/* The sender could set the task's flag, but not the bit in our preempt_count. */
		if (need_resched())
			set_preempt_need_resched();
		break;
	case INVALIDATE_TLB_VECTOR:
		tlb_interrupt();
		break;
	case SPURIOUS_VECTOR:
		break;
	default:
		pr_warn("irq: unexpected interrupt vector %#lx", vector);
	}
	trace(irq_exit, vector, regs->ip);
	preempt_count_sub(HARDIRQ_OFFSET);
	irq_exit();
	if (!user_mode(regs) && should_resched())
		preempt_schedule_irq();
}

void do_interrupt(unsigned long vector, struct pt_regs *regs)
{
	/* The CPU has switched interrupts off by itself, and IRET will switch them on. */
	if (unlikely(hook(HOOK_ANY)))
		irqs_went_off(_THIS_IP_);
	if (vector >= FIRST_EXTERNAL_VECTOR)
		do_irq(vector, regs);
	else
		do_exception(vector, regs);
	if (unlikely(hook(HOOK_ANY)) && !user_mode(regs) && (regs->flags & X86_EFLAGS_IF))
		irqs_go_on(regs->ip);
}
