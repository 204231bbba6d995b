// SPDX-License-Identifier: MIT
/*
 * Starting the other CPUs: INIT, two start-up messages, and a bounded wait (SDM vol. 3, 9.4.4).
 *
 * One CPU at a time. A CPU that starts looks for its own APIC number in ap_call and takes the call
 * with one compare-and-swap, or halts for ever, so a CPU that comes too late, after it was given
 * up, does no harm. The real-mode part is boot/trampoline.S.
 */
#include "boot/smpboot.h"
#include "arch/x86/cpu/acpi.h"
#include "arch/x86/cpu/apic.h"
#include "arch/x86/cpu/features.h"
#include "arch/x86/cpu/insns.h"
#include "arch/x86/entry/entry.h"
#include "arch/x86/fpu/core/xstate.h"
#include "arch/x86/irqflags.h"
#include "arch/x86/mm/pgtable.h"
#include "arch/x86/mm/stack.h"
#include "arch/x86/time.h"
#include "boot/bootinfo.h"
#include "kernel/fork.h"
#include "kernel/mm/pages.h"
#include "kernel/report/panic.h"
#include "kernel/sched/sched.h"
#include "lib/options.h"
#include "lib/printk.h"
#include "lib/string.h"

#define INIT_US		10000
#define STARTUP_US	200
#define ANSWER_US	1000000		/* an emulator's CPU may have to wait for the host's */
#define SETUP_US	10000000
#define TICK_SLOT_NS		100000

/* What a starting CPU finds; boot/trampoline.S reads it. */
struct ap_call ap_call;

static struct task_struct *ap_idle;		/* becomes its first stack */

/* Each word is its own number. As in Linux, 0 starts no other CPU either. */
static int maxcpus = NR_CPUS;
BOOT_CHOICE(maxcpus, maxcpus, false, "0", "1", "2", "3", "4", "5", "6", "7", "8");

/* Each CPU ticks at a different time, so that CPUs do not all want the same locks at once. */
void start_ticks(void)
{
	u64 slots = 1000000000 / HZ / TICK_SLOT_NS;
	u64 mine = slots / acpi_info.nr_cpus * smp_processor_id();

	while (acpi_info.nr_cpus > 1 && sched_clock() / TICK_SLOT_NS % slots != mine)
		cpu_relax();
	apic_timer_start();
}

/* First C code of another CPU, on its idle task's stack, interrupts off. */
void __noreturn ap_start(void);
void __noreturn ap_start(void)
{
	percpu_init(nr_cpus, ap_idle);
	idt_load();
	cpu_setup_control_registers();
	apic_init_cpu();
	fpu_init_cpu();
	syscall_init();
	sched_init_cpu(ap_idle);
	__atomic_store_n(&ap_call.state, AP_RUNS, __ATOMIC_RELEASE);
	start_ticks();
	local_irq_enable();
	cpu_idle();
}

/* Waits up to @us microseconds for @state; false if it was not reached. */
static bool await_state(u32 state, u64 us)
{
	for (u64 start = sched_clock(); sched_clock() - start < us * 1000; cpu_relax())
		if (__atomic_load_n(&ap_call.state, __ATOMIC_ACQUIRE) >= state)
			return true;
	return false;
}

static bool start_cpu(u32 apic_id)
{
	u32 called = AP_CALLED;

	ap_idle = idle_create(nr_cpus);
	if (!ap_idle)
		panic("smp: no memory for the idle task of CPU %u", nr_cpus);
	ap_call.apic_id = apic_id;
	ap_call.sp = (u64)task_stack_top(ap_idle);
	__atomic_store_n(&ap_call.state, AP_CALLED, __ATOMIC_SEQ_CST);

	apic_send(apic_id, APIC_INIT);
	await_state(AP_ARRIVED, INIT_US);
	apic_send(apic_id, APIC_STARTUP | AP_TRAMPOLINE >> PAGE_SHIFT);
	if (!await_state(AP_ARRIVED, STARTUP_US))
		apic_send(apic_id, APIC_STARTUP | AP_TRAMPOLINE >> PAGE_SHIFT);
	await_state(AP_ARRIVED, ANSWER_US);
	if (__atomic_compare_exchange_n(&ap_call.state, &called, AP_NONE, false, __ATOMIC_SEQ_CST,
					__ATOMIC_RELAXED)) {
		pr_warn("smp: the CPU with APIC number %u does not answer; it is left out",
			apic_id);
		put_task_struct(ap_idle);
		return false;
	}
	if (!await_state(AP_RUNS, SETUP_US))
		panic("smp: the CPU with APIC number %u stopped on its way into the kernel",
		      apic_id);
	return true;
}

void smp_init(void)
{
	extern const u8 trampoline_start[], trampoline_end[];

	if (!boot_info.low_page) {
		pr_warn("smp: no RAM at %#lx, where other CPUs would begin: only one runs",
			AP_TRAMPOLINE);
		return;
	}
	memcpy(phys_to_virt(AP_TRAMPOLINE), phys_to_virt((u64)trampoline_start),
	       trampoline_end - trampoline_start);
	ap_call.cr3 = virt_to_phys(kernel_pml4);
	ap_call.efer = rdmsr(MSR_EFER);
	for (unsigned int i = 0; i < acpi_info.nr_cpus && nr_cpus < (unsigned int)maxcpus; i++)
		if (acpi_info.apic_ids[i] != cpus[0].apic_id && start_cpu(acpi_info.apic_ids[i]))
			nr_cpus++;
	pr_info("smp: %u CPU%s", nr_cpus, nr_cpus == 1 ? "" : "s");
}
