// SPDX-License-Identifier: MIT
/*
 * Kernel stacks: slots in an area of their own, a page that is never mapped below each stack.
 * Running over the end of a stack faults there at once; the fault itself then has no stack, so it
 * becomes a double fault, which has one by IST.
 */
#include "arch/x86/mm/stack.h"
#include "arch/x86/mm/pgtable.h"
#include "kernel/mm/pages.h"
#include "kernel/preempt/assert.h"
#include "lib/errno.h"

#define MAX_SLOTS	((STACK_AREA_END - STACK_AREA) / STACK_SLOT)

static raw_spinlock_t stack_lock;
static void *free_stacks;			/* linked through their first word */
static unsigned int nr_slots;			/* ever mapped */

/*
 * Stacks are never given back, so all of them may take an eighth of memory, as in Linux (where that
 * is max_threads). One fork bomb then does not make the machine small for good.
 */
static unsigned int max_slots(void)
{
	return min(MAX_SLOTS, nr_total_pages() / (8 * THREAD_SIZE / PAGE_SIZE));
}

/*
 * Map the next slot. If memory runs out, pages already mapped stay for the next try. stack_lock
 * held.
 */
static void *map_next_slot(void)
{
	void *stack = (void *)(STACK_AREA + (nr_slots + 1) * STACK_SLOT - THREAD_SIZE);

	assert_held(&stack_lock);
	if (nr_slots >= max_slots())
		return ERR_PTR(-EAGAIN);
	for (void *at = stack; at < stack + THREAD_SIZE; at += PAGE_SIZE) {
		pte_t *pte = pgtable_pte(kernel_pml4, (unsigned long)at, false);
		void *page;

		if (pte && (*pte & PTE_P))
			continue;
		page = get_free_page(GFP_ATOMIC);
		if (!page)
			return ERR_PTR(-ENOMEM);
		if (kernel_map_page((unsigned long)at, virt_to_phys(page), PTE_RW | PTE_NX)) {
			free_page(page);
			return ERR_PTR(-ENOMEM);
		}
	}
	nr_slots++;
	return stack;
}

void *alloc_kernel_stack(void)
{
	unsigned long flags = raw_spin_lock_irqsave(&stack_lock);
	void *stack = free_stacks;

	if (stack)
		free_stacks = *(void **)stack;
	else
		stack = map_next_slot();
	raw_spin_unlock_irqrestore(&stack_lock, flags);
	if (!IS_ERR(stack))
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
