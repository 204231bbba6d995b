// SPDX-License-Identifier: MIT
/* #PF: whose address, whose fault, and what to do (SDM vol. 3, 4.7). */
#include "arch/x86/mm/fault.h"
#include "arch/x86/cpu/insns.h"
#include "arch/x86/entry/entry.h"
#include "arch/x86/mm/uaccess.h"
#include "kernel/exit.h"
#include "kernel/mm/mm.h"
#include "kernel/preempt.h"
#include "kernel/trace.h"

#define PF_WRITE	BIT(1)
#define PF_USER		BIT(2)
#define PF_RSVD		BIT(3)
#define PF_INSTR	BIT(4)
#define PF_PK		BIT(5)

static unsigned int wanted_access(unsigned long error)
{
	return error & PF_WRITE ? VM_WRITE : error & PF_INSTR ? VM_EXEC : VM_READ;
}

/* A page is made, or somebody ends for it: a fault does not fail for want of memory. */
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
	 * Ring 3 at the wheel, but a supervisor's access: IRET to ring 0's selectors. Not a page
	 * that could be brought in.
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
	/* Who has been told to end does so on the way back to ring 3. */
	if (!ret || (user_mode(regs) && signal_pending(current)))
		return;
	if (user_mode(regs)) {
		local_irq_enable();
		force_fatal_exit(SIGSEGV, "segfault", regs);
	} else if (!fixup_exception(regs)) {
		die(is_stack_guard(addr) ? "kernel stack overflow" :
		    addr < PAGE_SIZE ? "NULL pointer dereference" : "page fault", regs);
	}
}
