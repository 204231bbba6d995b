/* SPDX-License-Identifier: MIT */
/* The interrupt flag of this CPU. */
#pragma once

#include "kernel/debug/latency.h"
#include "lib/types.h"

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

static inline bool irqs_disabled(void)
{
	return !(local_save_flags() & X86_EFLAGS_IF);
}
