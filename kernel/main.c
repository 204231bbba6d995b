// SPDX-License-Identifier: MIT
/* The table of contents: what is set up, in which order, until pid 1 runs in ring 3. */
#include "arch/x86/console.h"
#include "arch/x86/cpu/acpi.h"
#include "arch/x86/cpu/apic.h"
#include "arch/x86/cpu/features.h"
#include "arch/x86/cpu/power.h"
#include "arch/x86/entry/entry.h"
#include "arch/x86/fpu/core/xstate.h"
#include "arch/x86/mm/pgtable.h"
#include "arch/x86/time.h"
#include "boot/bootinfo.h"
#include "boot/smpboot.h"
#include "kernel/exec.h"
#include "kernel/files/files.h"
#include "kernel/files/initramfs.h"
#include "kernel/fork.h"
#include "kernel/ksoftirqd.h"
#include "kernel/mm/kmalloc.h"
#include "kernel/report/panic.h"
#include "kernel/sched/sched.h"
#include "kernel/splat/trace_rings.h"
#include "kernel/time/timer.h"
#include "kernel/version.h"
#include "lib/init.h"
#include "lib/options.h"
#include "lib/printk.h"

/* pid 1: begins in the kernel, becomes the program that init= names. */
static int kernel_init(void *unused)
{
	static const char *const envp[] = { "HOME=/", "TERM=linux", NULL };
	int ret;

	ksoftirqd_init();
	files_init();
	late_inits();				/* checkers */
	system_state = SYSTEM_RUNNING;
	ret = kernel_execve(init_path, init_argv, envp);
	if (ret)
		panic("init=%s cannot be run: error %d (is it in the initramfs?)", init_path, ret);
	return 0;
}

void __noreturn start_kernel(u32 magic, u64 info_phys)
{
	console_init();				/* messages from here on */
	percpu_init(0, &init_task);		/* %gs, current, preempt_count */
	idt_init();
	idt_load();				/* a fault is reported from here on */
	bootinfo_init(magic, info_phys);	/* memory map, command line, initramfs */
	pr_info("Splat %s (%s), booted by %s: %s", SPLAT_RELEASE, SPLAT_COMPILER,
		boot_info.protocol, boot_info.cmdline);
	if (boot_info.cmdline_cut)
		pr_warn("options: the command line is cut after %d bytes", BOOT_CMDLINE_MAX - 1);
	options_parse(boot_info.cmdline);	/* before anything that an option decides */
	cpu_features_init();
	fpu_choose_form();
	cpu_setup_control_registers();		/* WP, SMEP, SMAP, OSXSAVE */
	acpi_init(boot_info.rsdp);		/* tables are in the low 4 GiB, mapped until ... */
	power_init();				/* how to switch off */
	pgtable_init();				/* ... the kernel has its own page tables: W^X */
	pages_init();
	kmalloc_init();
	trace_init();
	pic_disable();
	apic_init();
	time_init();				/* time stamps move from here on */
	pr_info("cpu: %s", cpu_has.name);
	fpu_init_system();			/* layout of the register images */
	fpu_init_cpu();				/* XCR0 */
	syscall_init();
	fork_init();
	sched_init_cpu(&init_task);
	timers_init();
	smp_init();				/* the other CPUs run, idle */
	initramfs_init();
	if (user_mode_thread(kernel_init, NULL, "init") != 1)
		panic("cannot make init");
	start_ticks();
	local_irq_enable();			/* the tick: preemption is real from here on */
	cpu_idle();
}
