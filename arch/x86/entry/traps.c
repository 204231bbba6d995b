// SPDX-License-Identifier: MIT
/*
 * Exceptions. From ring 3: the process's own fault ends it, with the signal that Linux would send.
 * From ring 0: an entry in the exception table, or the end of the machine, with registers and
 * trace.
 */
#include "arch/x86/cpu/insns.h"
#include "arch/x86/cpu/smp.h"
#include "arch/x86/entry/entry.h"
#include "arch/x86/entry/fault.h"
#include "arch/x86/entry/oops.h"
#include "arch/x86/fpu/dynamic.h"
#include "arch/x86/mm/uaccess.h"
#include "arch/x86/unwind.h"
#include "kernel/exit.h"
#include "kernel/preempt/preempt.h"
#include "kernel/report/panic.h"
#include "kernel/report/trace.h"
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
