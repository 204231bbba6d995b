// SPDX-License-Identifier: MIT
/* Reading, writing and switching PKRU (see pkru.h). */
#include "arch/x86/fpu/core/pkru.h"
#include "arch/x86/cpu/features.h"
#include "arch/x86/fpu/core/xsave_insns.h"

u32 read_pkru(void)
{
	return cpu_has.pku ? rdpkru_insn() : 0;
}

void write_pkru(u32 pkru)
{
	if (cpu_has.pku)
		wrpkru_insn(pkru);
}

void x86_pkru_load(struct thread_struct *prev, struct thread_struct *next)
{
	prev->pkru = read_pkru();
	if (prev->pkru != next->pkru)
		write_pkru(next->pkru);
}
