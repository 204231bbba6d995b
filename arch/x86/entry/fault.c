// SPDX-License-Identifier: MIT
/* #PF: whose address, whose fault, and what to do (SDM vol. 3, 4.7). */
#include "arch/x86/entry/fault.h"
#include "arch/x86/cpu/insns.h"
#include "arch/x86/entry/oops.h"
#include "arch/x86/mm/uaccess.h"
#include "arch/x86/unwind.h"
#include "kernel/exit.h"
#include "kernel/preempt/preempt.h"
#include "kernel/preempt/thread_flags.h"
#include "kernel/report/trace.h"
#include "kernel/vm/mm.h"

#define PF_WRITE	BIT(1)
#define PF_USER		BIT(2)
#define PF_RSVD		BIT(3)
#define PF_INSTR	BIT(4)
#define PF_PK		BIT(5)

static unsigned int wanted_access(unsigned long error)
{
	return error & PF_WRITE ? VM_WRITE : error & PF_INSTR ? VM_EXEC : VM_READ;
}

/* If memory runs out, a process is ended and the fault is tried again. */
static int bring_in(unsigned long addr, unsigned int access)
{
	int ret;

	while ((ret = handle_mm_fault(current->mm, addr, access)) == -ENOMEM &&
	       !signal_pending(current))
		out_of_memory();
	return ret;
}

void do_page_fault(struct pt_regs *regs)
{
	unsigned long addr = read_cr2(), error = regs->orig_ax;
	bool may_handle = current->mm && addr < TASK_SIZE_MAX && !(error & (PF_RSVD | PF_PK));
	int ret = -EFAULT;

	trace(page_fault, addr, error);
	/*
	 * A supervisor access while ring 3 runs comes from an IRET to ring 0's selectors. No page
	 * can be brought in for it.
	 */
	if (user_mode(regs) && !(error & PF_USER))
		may_handle = false;
	/* Ring 0 may touch ring 3's memory only where it says so, and never with preemption off. */
	if (!user_mode(regs) &&
	    (in_atomic() || !(regs->flags & X86_EFLAGS_IF) || !search_fixup(regs->ip)))
		may_handle = false;
	if (may_handle) {
		local_irq_enable();
		ret = bring_in(addr, wanted_access(error));
		local_irq_disable();
	}
	/* A task that has been told to end does so on the way back to ring 3. */
	if (!ret || (user_mode(regs) && signal_pending(current)))
		return;
	if (user_mode(regs)) {
		local_irq_enable();
		force_fatal_exit(SIGSEGV, "segfault", regs, addr);
	} else if (!fixup_exception(regs)) {
		die(is_stack_guard(addr) ? "kernel stack overflow" :
		    addr < PAGE_SIZE ? "NULL pointer dereference" : "page fault", regs);
	}
}
