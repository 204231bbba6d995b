// SPDX-License-Identifier: MIT
/* The local APIC in xAPIC mode, by its memory-mapped registers. */
#include "arch/x86/cpu/apic.h"
#include "arch/x86/cpu/acpi.h"
#include "arch/x86/cpu/insns.h"
#include "arch/x86/cpu/percpu.h"
#include "arch/x86/entry/entry.h"
#include "arch/x86/irqflags.h"
#include "arch/x86/mm/address_space.h"
#include "arch/x86/mm/pgtable.h"
#include "kernel/report/panic.h"
#include "kernel/sched/sched.h"

#define APIC_ID			0x20
#define APIC_TPR		0x80
#define APIC_EOI		0xb0
#define APIC_SVR		0xf0
#define APIC_SVR_ENABLE		BIT(8)
#define APIC_ICR_LOW		0x300
#define APIC_ICR_HIGH		0x310
#define APIC_ICR_PENDING	BIT(12)
#define APIC_ICR_ASSERT		BIT(14)
#define APIC_LVT_TIMER		0x320
#define APIC_LVT_LINT0		0x350
#define APIC_LVT_LINT1		0x360
#define APIC_LVT_MASKED		BIT(16)
#define APIC_LVT_PERIODIC	BIT(17)
#define APIC_LVT_NMI		(4 << 8)
#define APIC_TMICT		0x380
#define APIC_TMCCT		0x390
#define APIC_TDCR		0x3e0
#define APIC_TDCR_DIV1		0xb

u32 apic_timer_khz;

static u32 apic_read(u32 reg)
{
	return READ_ONCE(*(u32 *)(LAPIC_VIRT + reg));
}

static void apic_write(u32 reg, u32 value)
{
	WRITE_ONCE(*(u32 *)(LAPIC_VIRT + reg), value);
}

void apic_init(void)
{
	if (kernel_map_page(LAPIC_VIRT, acpi_info.lapic_phys,
			    PTE_RW | PTE_NX | PTE_PCD | PTE_PWT))
		panic("apic: no memory to map its registers");
	apic_init_cpu();
}

void apic_init_cpu(void)
{
	wrmsr(MSR_APIC_BASE, acpi_info.lapic_phys | (rdmsr(MSR_APIC_BASE) & 0xfff) | BIT(11));
	apic_write(APIC_TPR, 0);
	apic_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
	apic_write(APIC_LVT_LINT0, APIC_LVT_MASKED);
	/* The NMI button, and QEMU's `nmi` command. */
	apic_write(APIC_LVT_LINT1, APIC_LVT_NMI);
	apic_write(APIC_SVR, APIC_SVR_ENABLE | SPURIOUS_VECTOR);
	apic_write(APIC_TDCR, APIC_TDCR_DIV1);
	this_cpu()->apic_id = apic_read(APIC_ID) >> 24;
}

/* --- Messages to other CPUs (SDM vol. 3, 11.6.1) --- */

/* A message takes two writes, and an interrupt between them might send one of its own. */
void apic_send(u32 apic_id, u32 what)
{
	unsigned long flags = local_irq_save();

	while (apic_read(APIC_ICR_LOW) & APIC_ICR_PENDING)
		cpu_relax();
	apic_write(APIC_ICR_HIGH, apic_id << 24);
	apic_write(APIC_ICR_LOW, what | APIC_ICR_ASSERT);
	local_irq_restore(flags);
}

void apic_eoi(void)
{
	apic_write(APIC_EOI, 0);
}

void apic_timer_start(void)
{
	apic_write(APIC_LVT_TIMER, LOCAL_TIMER_VECTOR | APIC_LVT_PERIODIC);
	apic_write(APIC_TMICT, apic_timer_khz * (1000 / HZ));
}

void apic_timer_count_start(void)
{
	apic_write(APIC_TMICT, ~0U);
}

u32 apic_timer_counted(void)
{
	return ~0U - apic_read(APIC_TMCCT);
}

void pic_disable(void)
{
	/* ICW1-4 to each: vectors 0x20 and 0x28, then all lines masked. */
	static const u8 init[][2] = {
		{ 0x20, 0x11 }, { 0xa0, 0x11 }, { 0x21, 0x20 }, { 0xa1, 0x28 }, { 0x21, 4 },
		{ 0xa1, 2 },	{ 0x21, 1 },	{ 0xa1, 1 },	{ 0x21, 0xff }, { 0xa1, 0xff },
	};

	for (size_t i = 0; i < ARRAY_SIZE(init); i++)
		outb(init[i][0], init[i][1]);
}
