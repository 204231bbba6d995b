/* SPDX-License-Identifier: MIT */
/*
 * Ring 3's segment registers, and the bases of its FS and GS.
 *
 * Ring 3 changes them without a word to the kernel: by MOV, and by WRFSBASE and WRGSBASE where
 * CR4.FSGSBASE allows these. So the registers are the truth while a task runs, thread_struct only
 * while it does not. The kernel itself uses none but GS: while it runs, ring 3's GS base waits in
 * MSR_KERNEL_GS_BASE, "inactive".
 *
 * No load here can fault: each selector was in the same register before, or is null, and the GDT
 * never changes. All segments are flat, so a load makes the base 0. Some CPUs keep the base when
 * the selector is null, so code that loads a selector writes the base afterwards.
 */
#pragma once

#include "arch/x86/cpu/features.h"
#include "arch/x86/cpu/insns.h"
#include "arch/x86/irqflags.h"
#include "arch/x86/thread.h"

#define savesegment(seg, var)	__asm__ volatile("mov %%" #seg ", %0" : "=m"(var))
#define loadsegment(seg, value)	__asm__ volatile("mov %0, %%" #seg :: "r"((u32)(value)) : "memory")

/*
 * Between the two SWAPGS the kernel has no GS, so interrupts are off, and paranoid_entry sees it.
 * The base that the load changes is ring 3's.
 */
static inline void load_gs_index(u16 selector)
{
	unsigned long flags = local_irq_save();

	__asm__ volatile("swapgs; mov %0, %%gs; swapgs" :: "r"((u32)selector) : "memory");
	local_irq_restore(flags);
}

static inline unsigned long x86_fsbase_read_cpu(void)
{
	unsigned long base;

	if (!cpu_has.fsgsbase)
		return rdmsr(MSR_FS_BASE);
	__asm__ volatile("rdfsbase %0" : "=r"(base));
	return base;
}

static inline void x86_fsbase_write_cpu(unsigned long base)
{
	if (!cpu_has.fsgsbase)
		return wrmsr(MSR_FS_BASE, base);
	__asm__ volatile("wrfsbase %0" :: "r"(base) : "memory");
}

/* What ring 3 has now, to @thread: current's, or that of a copy of it. */
static inline void save_segments(struct thread_struct *thread)
{
	savesegment(ds, thread->ds);
	savesegment(es, thread->es);
	savesegment(fs, thread->fsindex);
	savesegment(gs, thread->gsindex);
	thread->fsbase = x86_fsbase_read_cpu();
	thread->gsbase = rdmsr(MSR_KERNEL_GS_BASE);
}
