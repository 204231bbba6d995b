// SPDX-License-Identifier: MIT
/* Warnings and the end (see panic.h). Output goes through printk(), which works everywhere. */
#include "kernel/report/panic.h"
#include "arch/x86/cpu/insns.h"
#include "arch/x86/cpu/percpu.h"
#include "arch/x86/unwind.h"
#include "kernel/sched/task.h"
#include "lib/options.h"
#include "lib/printk.h"
#include "lib/string.h"

enum system_states system_state = SYSTEM_BOOTING;

void check_panic_on_warn(const char *origin)
{
	if (panic_on_warn)
		panic("%s: panic_on_warn set ...", origin);
}

void warn_slowpath(enum splat_kind kind, const char *file, int line, unsigned long ip,
		   const char *fmt, ...)
{
	unsigned long flags;
	char text[160];
	va_list args;

	splat_count(kind);
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	flags = report_begin();
	printk(KERN_WARNING "------------[ cut here ]------------");
	printk(KERN_WARNING "WARNING: CPU: %u PID: %d at %s:%d %pS", smp_processor_id(),
	       current->pid, file, line, (void *)ip);
	printk(KERN_WARNING "%s", text);
	dump_stack();
	printk(KERN_WARNING "---[ end trace 0000000000000000 ]---");
	report_end(flags);
	add_taint(TAINT_WARN);
	check_panic_on_warn("kernel");
}

void panic(const char *fmt, ...)
{
	bool have_cpu = rdmsr(MSR_GS_BASE);	/* false before percpu_init() */
	unsigned int me = have_cpu ? smp_processor_id() : 0, first = NR_CPUS;
	char text[200];
	va_list args;

	raw_local_irq_save();
	/* Another CPU is in panic() already, and will stop this one. */
	if (!__atomic_compare_exchange_n(&panic_cpu, &first, me, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_SEQ_CST) && first != me)
		for (;;)
			__asm__ volatile("hlt");
	system_state = SYSTEM_HALT;
	console_verbose();
	machine_ops.stop_other_cpus();
	console_take_over();
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	printk(KERN_EMERG "Kernel panic - not syncing: %s", text);
	/*
	 * A second panic, out of the first one's trace, gets its line but no trace. Before %gs is
	 * set there is no trace either.
	 */
	if (first == NR_CPUS && have_cpu) {
		machine_ops.save_registers();
		dump_stack();
	}
	printk(KERN_EMERG "---[ end Kernel panic - not syncing: %s ]---", text);
	machine_ops.exit(EXIT_BYTE_PANIC);
	__builtin_unreachable();
}
