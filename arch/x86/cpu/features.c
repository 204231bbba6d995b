// SPDX-License-Identifier: MIT
/* CPUID to cpu_has, and cpu_has to control registers (SDM vol. 2, CPUID; vol. 3, 2.5). */
#include "arch/x86/cpu/features.h"
#include "arch/x86/cpu/insns.h"
#include "kernel/options.h"
#include "kernel/panic.h"
#include "lib/string.h"

struct cpu_features cpu_has;

/* "nofsgsbase": ring 3 changes the bases of FS and GS by arch_prctl() and selectors only. */
static int no_fsgsbase;
BOOT_CHOICE(nofsgsbase, no_fsgsbase, false, "0", "");

static void read_cpu_name(void)
{
	char name[49] = "x86-64";
	const char *p = name;

	for (u32 i = 0; i < 3 && cpuid(0x80000000, 0).eax >= 0x80000004; i++) {
		struct cpuid_regs r = cpuid(0x80000002 + i, 0);

		memcpy(name + 16 * i, &r, 16);
	}
	while (*p == ' ')
		p++;
	strscpy(cpu_has.name, p, sizeof(cpu_has.name));
}

void cpu_features_init(void)
{
	u32 max_leaf = cpuid(0, 0).eax;
	struct cpuid_regs leaf1 = cpuid(1, 0);
	struct cpuid_regs leaf7 = {};

	if (max_leaf >= 7)
		leaf7 = cpuid(7, 0);
	cpu_has.pge = leaf1.edx & BIT(13);
	cpu_has.fxsr = leaf1.edx & BIT(24);
	cpu_has.sse = leaf1.edx & BIT(25);
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
	cpu_has.nx = cpuid(0x80000001, 0).edx & BIT(20);
	if (cpu_has.xsave && max_leaf >= 0xd) {
		u32 forms = cpuid(0xd, 1).eax;

		cpu_has.xsaveopt = forms & BIT(0);
		cpu_has.xsavec = forms & BIT(1);
		cpu_has.xgetbv1 = forms & BIT(2);
		cpu_has.xsaves = forms & BIT(3);
		cpu_has.xfd = forms & BIT(4);
	} else {
		/* No way to save what these bring. */
		cpu_has.xsave = cpu_has.avx = cpu_has.avx512f = cpu_has.pku = false;
	}
	read_cpu_name();
	if (!cpu_has.fxsr || !cpu_has.sse)
		panic("cpu: %s has no FXSAVE or SSE; every x86-64 CPU has both", cpu_has.name);
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
