/* SPDX-License-Identifier: MIT */
/*
 * The privileged instructions, one wrapper each: ports, MSRs, control registers, CPUID, the
 * interrupt flag. None sleeps.
 */
#pragma once

#include "lib/types.h"

#define DEFINE_PORT_IO(suffix, type)						\
static inline void out##suffix(u16 port, type value)				\
{										\
	__asm__ volatile("out" #suffix " %0, %1" :: "a"(value), "Nd"(port));	\
}										\
static inline type in##suffix(u16 port)						\
{										\
	type value;								\
										\
	__asm__ volatile("in" #suffix " %1, %0" : "=a"(value) : "Nd"(port));	\
	return value;								\
}
DEFINE_PORT_IO(b, u8)
DEFINE_PORT_IO(w, u16)

#define X86_EFLAGS_FIXED	BIT(1)
#define X86_EFLAGS_TF		BIT(8)
#define X86_EFLAGS_IF		BIT(9)
#define X86_EFLAGS_DF		BIT(10)
#define X86_EFLAGS_NT		BIT(14)
#define X86_EFLAGS_AC		BIT(18)

static inline unsigned long local_save_flags(void)
{
	unsigned long flags;

	__asm__ volatile("pushfq; popq %0" : "=rm"(flags) :: "memory");
	return flags;
}

static inline bool irqs_disabled(void)
{
	return !(local_save_flags() & X86_EFLAGS_IF);
}

/*
 * Switch interrupts off for a moment without telling anybody (arch/x86/irqflags.h tells). For what
 * the telling stands on: printk() and the reports.
 */
static inline unsigned long raw_local_irq_save(void)
{
	unsigned long flags = local_save_flags();

	__asm__ volatile("cli" ::: "memory");
	return flags;
}

static inline void raw_local_irq_restore(unsigned long flags)
{
	if (flags & X86_EFLAGS_IF)
		__asm__ volatile("sti" ::: "memory");
}

#define MSR_APIC_BASE		0x1b
#define MSR_IA32_XFD		0x1c4
#define MSR_IA32_XFD_ERR	0x1c5
#define MSR_IA32_U_CET		0x6a0
#define MSR_IA32_PL3_SSP	0x6a7
#define MSR_IA32_PASID		0xd93
#define MSR_IA32_XSS		0xda0
#define MSR_EFER		0xc0000080
#define MSR_STAR		0xc0000081
#define MSR_LSTAR		0xc0000082
#define MSR_FMASK		0xc0000084
#define MSR_FS_BASE		0xc0000100
#define MSR_GS_BASE		0xc0000101
#define MSR_KERNEL_GS_BASE	0xc0000102

#define EFER_SCE		BIT(0)
#define EFER_NX			BIT(11)

static inline u64 rdmsr(u32 msr)
{
	u32 low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (u64)high << 32 | low;
}

static inline void wrmsr(u32 msr, u64 value)
{
	__asm__ volatile("wrmsr" :: "c"(msr), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

#define CR0_MP			BIT(1)
#define CR0_EM			BIT(2)
#define CR0_TS			BIT(3)
#define CR0_NE			BIT(5)
#define CR0_WP			BIT(16)
#define CR0_NW			BIT(29)
#define CR0_CD			BIT(30)
#define CR4_PGE			BIT(7)
#define CR4_OSFXSR		BIT(9)
#define CR4_OSXMMEXCPT		BIT(10)
#define CR4_UMIP		BIT(11)
#define CR4_FSGSBASE		BIT(16)
#define CR4_OSXSAVE		BIT(18)
#define CR4_SMEP		BIT(20)
#define CR4_SMAP		BIT(21)
#define CR4_PKE			BIT(22)

#define DEFINE_CR(n)								\
static inline unsigned long read_cr##n(void)					\
{										\
	unsigned long value;							\
										\
	__asm__ volatile("mov %%cr" #n ", %0" : "=r"(value));			\
	return value;								\
}										\
static inline void write_cr##n(unsigned long value)				\
{										\
	__asm__ volatile("mov %0, %%cr" #n :: "r"(value) : "memory");		\
}
DEFINE_CR(0)
DEFINE_CR(2)
DEFINE_CR(3)
DEFINE_CR(4)

/* What LGDT and LIDT take. */
struct desc_ptr {
	u16 limit;
	u64 base;
} __packed;

struct cpuid_regs {
	u32 eax, ebx, ecx, edx;
};

static inline struct cpuid_regs cpuid(u32 leaf, u32 subleaf)
{
	struct cpuid_regs r;

	__asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			 : "a"(leaf), "c"(subleaf));
	return r;
}

static inline u64 rdtsc(void)
{
	u32 low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (u64)high << 32 | low;
}

static inline void invlpg(unsigned long addr)
{
	__asm__ volatile("invlpg (%0)" :: "r"(addr) : "memory");
}

static inline void cpu_relax(void)
{
	__asm__ volatile("pause" ::: "memory");
}
