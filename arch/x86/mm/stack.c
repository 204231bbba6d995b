// SPDX-License-Identifier: MIT
/*
 * Kernel stacks: slots in an area of their own, a page that is never mapped below each stack.
 * Running over the end of a stack faults there at once; the fault itself then has no stack, so it
 * becomes a double fault, which has one by IST.
 */
#include "arch/x86/layout.h"
#include "arch/x86/mm/fault.h"
#include "arch/x86/mm/pgtable.h"
#include "kernel/locking/raw_spinlock.h"
#include "kernel/mm/pages.h"
#include "kernel/task.h"

#define SLOT_SIZE	(2 * THREAD_SIZE)	/* the stack in the upper half */
#define MAX_SLOTS	8192

static raw_spinlock_t stack_lock;
static unsigned int nr_slots;			/* ever mapped */
static void *free_stacks;			/* linked through their first word */

static void *slot_stack(unsigned int slot)
{
	return (void *)(STACK_AREA + slot * SLOT_SIZE + SLOT_SIZE - THREAD_SIZE);
}

static void *map_new_stack(unsigned int slot)
{
	void *stack = slot_stack(slot);

	for (unsigned long offset = 0; offset < THREAD_SIZE; offset += PAGE_SIZE) {
		void *page = get_free_page(GFP_KERNEL);

		if (!page || kernel_map_page((unsigned long)stack + offset, virt_to_phys(page),
					     PTE_RW | PTE_NX))
			return NULL;	/* rare; what is mapped already stays with the slot */
	}
	return stack;
}

void *alloc_kernel_stack(void)
{
	unsigned long flags = raw_spin_lock_irqsave(&stack_lock);
	unsigned int slot = nr_slots;
	void *stack = free_stacks;

	if (stack)
		free_stacks = *(void **)stack;
	else if (slot < MAX_SLOTS)
		nr_slots++;
	raw_spin_unlock_irqrestore(&stack_lock, flags);
	if (!stack && slot < MAX_SLOTS)
		stack = map_new_stack(slot);
	if (stack)
		*(unsigned long *)stack = STACK_END_MAGIC;
	return stack;
}

void free_kernel_stack(void *stack)
{
	unsigned long flags = raw_spin_lock_irqsave(&stack_lock);

	*(void **)stack = free_stacks;
	free_stacks = stack;
	raw_spin_unlock_irqrestore(&stack_lock, flags);
}

bool is_stack_guard(unsigned long addr)
{
	return addr >= STACK_AREA && addr < STACK_AREA + MAX_SLOTS * SLOT_SIZE &&
	       (addr - STACK_AREA) % SLOT_SIZE < SLOT_SIZE - THREAD_SIZE;
}
