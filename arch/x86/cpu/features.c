// SPDX-License-Identifier: MIT
/* CPUID to cpu_has, and cpu_has to control registers (SDM vol. 2, CPUID; vol. 3, 2.5). */
#include "arch/x86/cpu/features.h"
#include "arch/x86/cpu/insns.h"
#include "kernel/report/panic.h"
#include "lib/options.h"
#include "lib/printk.h"
#include "lib/string.h"

struct cpu_features cpu_has;

/* "nofsgsbase": ring 3 changes the bases of FS and GS by arch_prctl() and selectors only. */
static int no_fsgsbase;
BOOT_CHOICE(nofsgsbase, no_fsgsbase, false, "0", "");

/* Leaf 0x80000000 + @nr; zeros if there is no such leaf. */
static struct cpuid_regs extended_leaf(u32 nr)
{
	if (cpuid(0x80000000, 0).eax < 0x80000000 + nr)
		return (struct cpuid_regs){};
	return cpuid(0x80000000 + nr, 0);
}

static void read_cpu_name(void)
{
	char name[49] = "";
	const char *p = name;

	for (u32 i = 0; i < 3; i++) {
		struct cpuid_regs r = extended_leaf(2 + i);

		memcpy(name + 16 * i, &r, 16);
	}
	while (*p == ' ')
		p++;
	strscpy(cpu_has.name, *p ? p : "x86-64", sizeof(cpu_has.name));
}

/* The name tells what cannot be tried, because the CPU would not come back. */
static bool is_qemu_tcg(struct cpuid_regs leaf1)
{
	struct cpuid_regs r = cpuid(0x40000000, 0);

	return leaf1.ecx & BIT(31) && !memcmp(&r.ebx, "TCGTCGTCGTCG", 12);
}

static bool is_amd(void)
{
	return cpuid(0, 0).ecx == 0x444d4163;		/* Authenti"cAMD" */
}

/* Which forms of XSAVE there are, or that there is none which may be used. */
static void read_forms(struct cpuid_regs leaf1)
{
	u32 forms = cpuid(0xd, 1).eax;
	u32 family = (leaf1.eax >> 8 & 0xf) + (leaf1.eax >> 20 & 0xff);

	/* QEMU 7.2 takes CR4.OSXSAVE for a reserved bit there, and stands still for ever. */
	if (!forms && is_qemu_tcg(leaf1)) {
		pr_warn("cpu: quirk: QEMU stands still at CR4.OSXSAVE if XSAVE is all; not used");
		cpu_has.xsave = false;
		return;
	}
	cpu_has.xsaveopt = forms & BIT(0);
	cpu_has.xsavec = forms & BIT(1);
	cpu_has.xgetbv1 = forms & BIT(2);
	cpu_has.xsaves = forms & BIT(3);
	cpu_has.xfd = forms & BIT(4);
	/* AMD's erratum 1386: XSAVES may leave XMM registers out. XSAVEC does not. */
	if (cpu_has.xsaves && family == 0x17 && is_amd()) {
		pr_warn("cpu: quirk: XSAVES of AMD's family 17h loses XMM registers; not used");
		cpu_has.xsaves = false;
	}
}

void cpu_features_init(void)
{
	u32 max_leaf = cpuid(0, 0).eax;
	struct cpuid_regs leaf1 = cpuid(1, 0);
	struct cpuid_regs leaf7 = {}, extended = extended_leaf(1);
	const char *lacks;

	if (max_leaf >= 7)
		leaf7 = cpuid(7, 0);
	cpu_has.pge = leaf1.edx & BIT(13);
	cpu_has.xsave = leaf1.ecx & BIT(26);
	cpu_has.avx = leaf1.ecx & BIT(28);
	cpu_has.fsgsbase = leaf7.ebx & BIT(0) && !no_fsgsbase;
	cpu_has.avx2 = leaf7.ebx & BIT(5);
	cpu_has.smep = leaf7.ebx & BIT(7);
	cpu_has.avx512f = leaf7.ebx & BIT(16);
	cpu_has.smap = leaf7.ebx & BIT(20);
	cpu_has.umip = leaf7.ecx & BIT(2);
	cpu_has.pku = leaf7.ecx & BIT(3);
	cpu_has.cet = leaf7.ecx & BIT(7);
	cpu_has.amx_tile = leaf7.edx & BIT(24);
	cpu_has.enqcmd = leaf7.ecx & BIT(29);
	cpu_has.fxsave_leak = is_amd() && !(extended_leaf(8).ebx & BIT(2));
	cpu_has.nx = extended.edx & BIT(20);
	if (cpu_has.xsave && max_leaf >= 0xd)
		read_forms(leaf1);
	else
		cpu_has.xsave = false;
	read_cpu_name();
	lacks = !(leaf1.edx & BIT(24)) ? "FXSAVE" : !(leaf1.edx & BIT(25)) ? "SSE" :
		!(extended.edx & BIT(11)) ? "SYSCALL" : NULL;
	if (lacks)
		panic("cpu: %s has no %s; every x86-64 CPU has it", cpu_has.name, lacks);
}

void cpu_setup_control_registers(void)
{
	unsigned long cr0 = read_cr0(), cr4 = read_cr4();

	cr0 &= ~(CR0_EM | CR0_TS | CR0_CD | CR0_NW);	/* a started CPU comes without caches */
	cr0 |= CR0_MP | CR0_NE | CR0_WP;
	write_cr0(cr0);

	cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT;
	cr4 |= cpu_has.pge ? CR4_PGE : 0;
	cr4 |= cpu_has.smep ? CR4_SMEP : 0;
	cr4 |= cpu_has.smap ? CR4_SMAP : 0;
	cr4 |= cpu_has.fsgsbase ? CR4_FSGSBASE : 0;
	cr4 |= cpu_has.umip ? CR4_UMIP : 0;
	cr4 |= cpu_has.xsave ? CR4_OSXSAVE : 0;
	cr4 |= cpu_has.pku && cpu_has.xsave ? CR4_PKE : 0;
	write_cr4(cr4);

	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE | (cpu_has.nx ? EFER_NX : 0));
}
