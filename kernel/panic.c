// SPDX-License-Identifier: MIT
/* Warnings and the end (see panic.h). Output goes through printk(), which works everywhere. */
#include "kernel/panic.h"
#include "arch/x86/cpu/insns.h"
#include "arch/x86/cpu/smp.h"
#include "arch/x86/cpu/power.h"
#include "arch/x86/fpu/regs.h"
#include "arch/x86/unwind.h"
#include "kernel/options.h"
#include "kernel/task.h"
#include "lib/printk.h"
#include "lib/string.h"

enum system_states system_state = SYSTEM_BOOTING;

static unsigned long tainted;
static unsigned int panic_cpu = NR_CPUS;	/* the first to panic */
static unsigned int report_cpu = NR_CPUS;	/* whose report is being printed */

void add_taint(unsigned int bit)
{
	__atomic_fetch_or(&tainted, BIT(bit), __ATOMIC_RELAXED);
}

/*
 * 19 columns, one a flag, blank where unset; only W exists here, and the first is G as there are no
 * modules.
 */
const char *print_tainted(void)
{
	return tainted & BIT(TAINT_WARN) ? "Tainted: G        W         " : "Not tainted";
}

#define REPORT_OUTERMOST BIT(63)		/* in the flags: this end gives it back */

unsigned long report_begin(void)
{
	for (;;) {
		unsigned long flags = local_irq_save();
		unsigned int me = smp_processor_id(), owner = NR_CPUS;

		if (__atomic_compare_exchange_n(&report_cpu, &owner, me, false, __ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED))
			return flags | REPORT_OUTERMOST;
		/* The CPU that panics has stopped the owner; others wait until it stops them. */
		if (owner == me || READ_ONCE(panic_cpu) == me)
			return flags;
		local_irq_restore(flags);
		cpu_relax();
	}
}

void report_end(unsigned long flags)
{
	if (flags & REPORT_OUTERMOST)
		__atomic_store_n(&report_cpu, NR_CPUS, __ATOMIC_RELEASE);
	local_irq_restore(flags);
}

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
	bool have_cpu = rdmsr(MSR_GS_BASE);	/* not so before percpu_init() */
	unsigned int me = have_cpu ? smp_processor_id() : 0, first = NR_CPUS;
	char text[200];
	va_list args;

	local_irq_disable();
	/* Another CPU is at it, and will stop this one. */
	if (!__atomic_compare_exchange_n(&panic_cpu, &first, me, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_SEQ_CST) && first != me)
		for (;;)
			__asm__ volatile("hlt");
	system_state = SYSTEM_HALT;
	console_verbose();
	stop_other_cpus();
	console_take_over();
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	printk(KERN_EMERG "Kernel panic - not syncing: %s", text);
	/*
	 * A second panic, out of the first one's trace, gets its line but no trace. Before %gs is
	 * set: neither.
	 */
	if (first == NR_CPUS && have_cpu) {
		fpu_save_for_dump();
		dump_stack();
	}
	printk(KERN_EMERG "---[ end Kernel panic - not syncing: %s ]---", text);
	machine_exit(EXIT_BYTE_PANIC);
}
