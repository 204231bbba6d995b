// SPDX-License-Identifier: MIT
/* The end: of the machine, for a fault in ring 0; of a process, for its own (see oops.h). */
#include "arch/x86/entry/oops.h"
#include "arch/x86/unwind.h"
#include "kernel/exit.h"
#include "kernel/preempt/preempt.h"
#include "kernel/report/panic.h"
#include "kernel/sched/task.h"
#include "lib/printk.h"

void die(const char *what, struct pt_regs *regs)
{
	report_begin();			/* to the end */
	console_verbose();
	pr_emerg("Oops: %s: %04lx", what, regs->orig_ax);
	show_regs(regs);
	show_stack(current, regs);
	panic("Fatal exception%s", in_hardirq() ? " in interrupt" : "");
}

void force_fatal_exit(int signal, const char *why, struct pt_regs *regs, unsigned long addr)
{
	pr_info("%s[%d]: %s ip:%lx sp:%lx error:%lx addr:%lx", current->comm, current->pid, why,
		regs->ip, regs->sp, regs->orig_ax, addr);
	do_group_exit(signal);
}
