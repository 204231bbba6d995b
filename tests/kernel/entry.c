/* SPDX-License-Identifier: MIT */
/*
 * The ways into the kernel and out of it: whose GS an event that may come anywhere finds, and what
 * holds when ring 3 goes on.
 */
#include "arch/x86/entry/entry.h"
#include "arch/x86/process.h"
#include "arch/x86/segments.h"
#include "kernel/report/panic.h"
#include "tests/kernel/fpu_regs.h"

KTEST_SUITE(entry);

/* --- In --- */

static struct {
	unsigned int count;
	struct cpu *cpu;
	unsigned long other_base;
} seen;

static void look_at_gs(struct pt_regs *regs)
{
	seen.count++;
	seen.cpu = this_cpu();
	seen.other_base = rdmsr(MSR_KERNEL_GS_BASE);
}

/*
 * INT 1 takes the way of an NMI, and stands where an NMI may come: before the kernel's SWAPGS, with
 * ring 3's base @base. What that base is then.
 */
static unsigned long event_before_swapgs(unsigned long base)
{
	unsigned long flags = local_irq_save();

	wrmsr(MSR_KERNEL_GS_BASE, base);
	kernel_debug_trap = look_at_gs;
	__asm__ volatile("swapgs; int $1; swapgs" ::: "memory");
	kernel_debug_trap = NULL;
	base = rdmsr(MSR_KERNEL_GS_BASE);
	local_irq_restore(flags);
	return base;
}

/*
 * Those of vectors that never come, too: nothing else would notice.
 * fails with: keys_bind_supervisor() writing at the begin of trial's page
 */
KTEST(every_gate_leads_to_its_stub)
{
	struct { u16 offset0, selector; u8 ist, type; u16 offset16; u32 offset32, reserved; } *gate;
	struct desc_ptr idt;

	__asm__ volatile("sidt %0" : "=m"(idt));
	KEXPECT_EQ(idt.limit, 256 * sizeof(*gate) - 1);
	gate = (void *)idt.base;
	for (int i = 0; i < 256; i++, gate++) {
		KEXPECT_EQ(gate->offset0 | gate->offset16 << 16 | (u64)gate->offset32 << 32,
			   (u64)entry_stubs[i]);
		KEXPECT_EQ(gate->selector, KERNEL_CS);
		KEXPECT_EQ(gate->type, i == X86_TRAP_BP || i == X86_TRAP_OF ? 0xee : 0x8e);
	}
}

/* fails with: fault/gs-by-its-sign */
KTEST(an_event_anywhere_finds_the_kernels_gs)
{
	unsigned long old = rdmsr(MSR_KERNEL_GS_BASE);
	unsigned long bases[] = { 0, 0x1000, (u64)&cpus[0], (u64)&cpus[1], (u64)&cpus[nr_cpus],
				  0xffff888000000000 };

	migrate_disable();
	for (size_t i = 0; i < ARRAY_SIZE(bases); i++) {
		seen.count = 0;
		KEXPECT_EQ(event_before_swapgs(bases[i]), bases[i]);
		KEXPECT_EQ(seen.count, 1);
		KEXPECT_EQ(seen.cpu, &cpus[smp_processor_id()]);
		KEXPECT_EQ(this_cpu(), &cpus[smp_processor_id()]);
	}
	wrmsr(MSR_KERNEL_GS_BASE, old);
	migrate_enable();
}

/* And behind it: that base is left alone. fails with: paranoid_entry swapping always */
KTEST(an_event_in_the_kernel_keeps_gs)
{
	unsigned long old = rdmsr(MSR_KERNEL_GS_BASE), flags;

	seen.count = 0;
	flags = local_irq_save();
	kernel_debug_trap = look_at_gs;
	wrmsr(MSR_KERNEL_GS_BASE, 0x1000);
	__asm__ volatile("int $1" ::: "memory");
	kernel_debug_trap = NULL;
	KEXPECT_EQ(seen.count, 1);
	KEXPECT_EQ(seen.cpu, this_cpu());
	KEXPECT_EQ(seen.other_base, 0x1000);
	KEXPECT_EQ(rdmsr(MSR_KERNEL_GS_BASE), 0x1000);
	wrmsr(MSR_KERNEL_GS_BASE, old);
	local_irq_restore(flags);
}

/* A selector is loaded for ring 3: the kernel's own GS stays, and ring 3's base goes. */
KTEST(a_gs_selector_is_ring_3s)
{
	unsigned long old = rdmsr(MSR_KERNEL_GS_BASE);
	u16 selector;

	migrate_disable();
	wrmsr(MSR_KERNEL_GS_BASE, 0x1000);
	load_gs_index(USER_DS);
	savesegment(gs, selector);
	KEXPECT_EQ(selector, USER_DS);
	KEXPECT_EQ(rdmsr(MSR_KERNEL_GS_BASE), 0);
	KEXPECT_EQ(this_cpu(), &cpus[smp_processor_id()]);
	KEXPECT(!irqs_disabled());
	load_gs_index(0);
	wrmsr(MSR_KERNEL_GS_BASE, old);
	migrate_enable();
}

static unsigned int swaps, open_swaps;

static void look_for_swapgs(struct pt_regs *regs)
{
	static const u8 swapgs[] = { 0x0f, 0x01, 0xf8 };

	if (memcmp((void *)regs->ip, swapgs, sizeof(swapgs)))
		return;
	swaps++;
	open_swaps += !!(regs->flags & X86_EFLAGS_IF);
}

/*
 * Step by step through ARCH_SET_GS: an interrupt between the two SWAPGS would take ring 3's GS for
 * the kernel's, as it goes by CS.
 * fails with: fault/gs-loaded-with-interrupts-on
 */
KTEST(no_interrupt_comes_while_ring_3s_gs_is_loaded)
{
	migrate_disable();
	swaps = open_swaps = 0;
	kernel_debug_trap = look_for_swapgs;
	__asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq" ::: "memory", "cc");
	do_arch_prctl(0x1001, 0x1000);
	__asm__ volatile("pushfq; andq $~0x100, (%%rsp); popfq" ::: "memory", "cc");
	kernel_debug_trap = NULL;
	KEXPECT_EQ(rdmsr(MSR_KERNEL_GS_BASE), 0x1000);
	wrmsr(MSR_KERNEL_GS_BASE, 0);
	migrate_enable();
	KEXPECT_EQ(swaps, 2);
	KEXPECT_EQ(open_swaps, 0);
}

/* --- Out --- */

/* The way out, with @work to do first. Were interrupts off at its end? */
static bool goes_out_with_irqs_off(unsigned int work)
{
	bool off;

	if (work)
		set_thread_flag(work);
	exit_to_user_mode(task_pt_regs(current));
	off = irqs_disabled();
	local_irq_enable();
	return off;
}

/* fails with: fault/exit-irqs-on */
KTEST(from_the_last_look_on_interrupts_are_off)
{
	KEEP_USER_FPU;
	struct task_struct *other = fake_task();

	own_in_memory(other);
	KEXPECT(goes_out_with_irqs_off(0));
	KEXPECT(!test_thread_flag(TIF_NEED_FPU_LOAD));
	EXPECT_REGS(OWN);
	own_in_memory(other);
	KEXPECT(goes_out_with_irqs_off(TIF_NEED_RESCHED));
	KEXPECT(!test_thread_flag(TIF_NEED_RESCHED));
	KEXPECT(!test_thread_flag(TIF_NEED_FPU_LOAD));
	EXPECT_REGS(OWN);
	kfree(other);
}

/* fails with: fault/exit-warn-gone */
KTEST(ring_3_with_preemption_off_is_reported)
{
	KMAY_WARN;
	KEEP_USER_FPU;
	u64 warnings = splat_counts[SPLAT_WARN];

	preempt_disable();
	KEXPECT(goes_out_with_irqs_off(0));
	preempt_enable();
	KEXPECT_EQ(splat_counts[SPLAT_WARN] - warnings, 1);
}

/* Flag 0, not valid: nobody's registers. fails with: fault/exit-illegal-row-unseen */
KTEST(ring_3_with_nobodys_registers_is_reported)
{
	KMAY_WARN;
	KEEP_USER_FPU;
	u64 warnings = splat_counts[SPLAT_WARN];

	own_in_registers();
	own_fpu()->last_cpu = -1;
	KEXPECT(goes_out_with_irqs_off(0));
	own_fpu()->last_cpu = smp_processor_id();
	KEXPECT_EQ(splat_counts[SPLAT_WARN] - warnings, 1);
}
