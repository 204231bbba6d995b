/* SPDX-License-Identifier: MIT */
/* What the boot has left behind on each CPU, and its trials, once more, on this machine. */
#include "arch/x86/cpu/features.h"
#include "arch/x86/fpu/core/quirks.h"
#include "arch/x86/mm/pgtable.h"
#include "kernel/policy.h"
#include "kernel/sched/sched.h"
#include "tests/kernel/fpu_regs.h"

KTEST_SUITE(fpu_boot);

#define TRIAL_VIRT	(LAPIC_VIRT + PAGE_SIZE)

/* The idle task's PKRU is what its CPU had at boot. fails with: fault/idle-opens-all-keys */
KTEST(idle_tasks_have_the_keys_closed)
{
	u64 allowed = current->cpus_mask;

	if (!cpu_has.pku)
		KSKIP("no protection keys");
	for (unsigned int cpu = 0; cpu < nr_cpus; cpu++) {
		set_cpus_allowed(current, BIT(cpu));
		KEXPECT_EQ(cpus[cpu].rq->idle->thread.pkru, PKRU_DEFAULT);
	}
	set_cpus_allowed(current, allowed);
}

/* fails with: fault/trial-of-keys-stays-mapped */
KTEST(the_trial_of_keys_leaves_nothing)
{
	pte_t *pte = pgtable_pte(kernel_pml4, TRIAL_VIRT, false);
	u32 pkru = read_pkru();

	if (!cpu_has.pku)
		KSKIP("no protection keys");
	KEXPECT_EQ(*pte, 0);
	KEXPECT(!keys_bind_supervisor());		/* else there were none */
	KEXPECT_EQ(*pte, 0);
	KEXPECT_EQ(read_pkru(), pkru);
}

/* With an exception pending and no register free. fails with: fault/x87-pointers-stay */
KTEST(x87_pointers_can_be_overwritten)
{
	KEEP_USER_FPU;
	struct fxregs_state image __aligned(16);

	fxsave(&image);
	image.cwd = 0x0340;				/* nothing is masked */
	image.swd = 0x8081;				/* "invalid" is pending */
	image.twd = 0xff;
	image.rip = 0x1234567;
	KEXPECT_EQ(fxrstor(&image), 0);
	overwrite_x87_pointers();
	fxsave(&image);
	KEXPECT(image.rip != 0x1234567);
	KEXPECT_EQ(image.twd, 0x80);			/* a load; QEMU forgets pointers */
	KEXPECT_EQ(image.swd & 0x80ff, 0);
	__asm__ volatile("fninit");
}
