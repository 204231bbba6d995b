// SPDX-License-Identifier: MIT
/* Copying to and from ring 3, with SMAP open for just that long. */
#include "arch/x86/mm/uaccess.h"
#include "arch/x86/cpu/features.h"
#include "kernel/preempt/might_sleep.h"

unsigned long search_fixup(unsigned long ip)
{
	extern const struct ex_entry __start_ex_table[], __stop_ex_table[];

	for (const struct ex_entry *e = __start_ex_table; e < __stop_ex_table; e++)
		if (e->insn == ip)
			return e->fixup;
	return 0;
}

bool fixup_exception(struct pt_regs *regs)
{
	unsigned long fixup = search_fixup(regs->ip);

	if (fixup)
		regs->ip = fixup;
	return fixup;
}

/*
 * Copy words, then bytes. Returns how much was left when a fault ended the copy (in the unit that
 * was being copied).
 */
static size_t copy_faultable(void *to, const void *from, size_t size)
{
	size_t count = size / 8;

	if (cpu_has.smap)
		__asm__ volatile("stac" ::: "memory");
	__asm__ volatile("1:	rep movsq\n\t"
			 "	movq %3, %0\n\t"
			 "2:	rep movsb\n"
			 "3:\n\t"
			 EX_TABLE("1b", "3b")
			 EX_TABLE("2b", "3b")
			 : "+&c"(count), "+&D"(to), "+&S"(from) : "r"(size % 8) : "memory");
	if (cpu_has.smap)
		__asm__ volatile("clac" ::: "memory");
	return count;
}

int copy_from_user(void *to, const void *from, size_t size)
{
	might_sleep();
	return !access_ok(from, size) || copy_faultable(to, from, size) ? -EFAULT : 0;
}

int copy_to_user(void *to, const void *from, size_t size)
{
	might_sleep();
	return !access_ok(to, size) || copy_faultable(to, from, size) ? -EFAULT : 0;
}

long strncpy_from_user(char *to, const char *from, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (copy_from_user(to + i, from + i, 1))
			return -EFAULT;
		if (!to[i])
			return i;
	}
	return -ENAMETOOLONG;
}
