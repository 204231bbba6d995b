/* SPDX-License-Identifier: MIT */
/* The interrupt flag of this CPU. A change is told to those that hooks.h names. */
#pragma once

#include "arch/x86/cpu/insns.h"
#include "kernel/report/hooks.h"

static inline void local_irq_disable(void)
{
	__asm__ volatile("cli" ::: "memory");
	if (unlikely(hook(HOOK_ANY)))
		irqs_went_off(_RET_IP_);
}

static inline void local_irq_enable(void)
{
	if (unlikely(hook(HOOK_ANY)))
		irqs_go_on(_RET_IP_);
	__asm__ volatile("sti" ::: "memory");
}

static inline unsigned long local_irq_save(void)
{
	unsigned long flags = local_save_flags();

	local_irq_disable();
	return flags;
}

static inline void local_irq_restore(unsigned long flags)
{
	if (flags & X86_EFLAGS_IF)
		local_irq_enable();
}
