// SPDX-License-Identifier: MIT
/*
 * Exceptions. From ring 3: the process's own fault ends it, with the signal that Linux would send.
 * From ring 0: an entry in the exception table, or the end of the machine, with registers and
 * trace. A page fault may be neither's fault: then the page is brought in (SDM vol. 3, 4.7).
 */
#include "arch/x86/cpu/insns.h"
#include "arch/x86/cpu/smp.h"
#include "arch/x86/entry/entry.h"
#include "arch/x86/fpu/dynamic.h"
#include "arch/x86/mm/uaccess.h"
#include "arch/x86/unwind.h"
#include "kernel/exit.h"
#include "kernel/preempt/preempt.h"
#include "kernel/preempt/thread_flags.h"
#include "kernel/report/panic.h"
#include "kernel/report/trace.h"
#include "kernel/sched/task.h"
#include "kernel/vm/mm.h"
#include "lib/printk.h"

struct exception {
	const char *name;
	u8 signal;
};

static const struct exception exceptions[32] = {
	[X86_TRAP_DE] = { "divide error", SIGFPE },
	[X86_TRAP_DB] = { "debug", SIGTRAP },
	[X86_TRAP_NMI] = { "NMI", 0 },
	[X86_TRAP_BP] = { "int3", SIGTRAP },
	[X86_TRAP_OF] = { "overflow", SIGSEGV },
	[X86_TRAP_BR] = { "bounds", SIGSEGV },
	[X86_TRAP_UD] = { "invalid opcode", SIGILL },
	[X86_TRAP_NM] = { "device not available", SIGSEGV },
	[X86_TRAP_DF] = { "double fault", 0 },
	[10] = { "invalid TSS", SIGSEGV },
	[11] = { "segment not present", SIGBUS },
	[12] = { "stack segment", SIGBUS },
	[X86_TRAP_GP] = { "general protection fault", SIGSEGV },
	[X86_TRAP_PF] = { "page fault", SIGSEGV },
	[X86_TRAP_MF] = { "x87 floating-point exception", SIGFPE },
	[X86_TRAP_AC] = { "alignment check", SIGBUS },
	[X86_TRAP_MC] = { "machine check", 0 },
	[X86_TRAP_XF] = { "SIMD floating-point exception", SIGFPE },
};

/* --- The end: of the machine, for a fault in ring 0; of a process, for its own --- */

/* A fault that ring 0 must not have. */
static void __noreturn die(const char *what, struct pt_regs *regs)
{
	report_begin();			/* to the end */
	console_verbose();
	pr_emerg("Oops: %s: %04lx", what, regs->orig_ax);
	show_regs(regs);
	show_stack(current, regs);
	panic("Fatal exception%s", in_hardirq() ? " in interrupt" : "");
}

/*
 * Ring 3 did something fatal: end its thread group with wait status @signal. @addr: of a page
 * fault, else 0. Does not return to the fault.
 */
static void force_fatal_exit(int signal, const char *why, struct pt_regs *regs, unsigned long addr)
{
	pr_info("%s[%d]: %s ip:%lx sp:%lx error:%lx addr:%lx", current->comm, current->pid, why,
		regs->ip, regs->sp, regs->orig_ax, addr);
	do_group_exit(signal);
}

/* --- Page faults: whose address, whose fault, and what to do --- */

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

/* From ring 3, or from a kernel access that has a fixup: may sleep. Else panics. */
static void do_page_fault(struct pt_regs *regs)
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

/* --- All exceptions --- */

void (*kernel_debug_trap)(struct pt_regs *regs);

static void do_nmi(struct pt_regs *regs)
{
	preempt_count_add(NMI_OFFSET + HARDIRQ_OFFSET);
	if (!smp_nmi(regs)) {
		unsigned long flags = report_begin();

		pr_notice("NMI received on CPU %u", smp_processor_id());
		show_regs(regs);
		report_end(flags);
	}
	preempt_count_sub(NMI_OFFSET + HARDIRQ_OFFSET);
}

void do_exception(unsigned long vector, struct pt_regs *regs)
{
	const struct exception *e = &exceptions[vector];
	const char *name = e->name ? e->name : "unknown exception";

	trace(exception, vector, regs->ip);
	if (vector == X86_TRAP_NMI) {
		do_nmi(regs);
	} else if (vector == X86_TRAP_DB && !user_mode(regs) &&
		   regs->ip == (unsigned long)entry_SYSCALL_64) {
		/* Some CPUs step into SYSCALL. The return sets TF, so the next #DB is in ring 3. */
	} else if (vector == X86_TRAP_DB && !user_mode(regs) && kernel_debug_trap) {
		kernel_debug_trap(regs);
	} else if (vector == X86_TRAP_PF) {
		do_page_fault(regs);
	} else if (vector == X86_TRAP_DF || vector == X86_TRAP_MC) {
		die(is_stack_guard(read_cr2()) ? "kernel stack overflow (double fault)" : name,
		    regs);
	} else if (user_mode(regs)) {
		int signal = fpu_first_use(vector, e->signal ? e->signal : SIGSEGV);

		if (signal)
			force_fatal_exit(signal, name, regs, 0);
	} else if (!fixup_exception(regs)) {
		die(name, regs);
	}
}
