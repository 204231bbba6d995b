/* SPDX-License-Identifier: MIT */
/*
 * Touching ring 3's memory. Each instruction that may fault there has an entry in the exception
 * table. The page-fault handler first tries to bring the page in, and else continues at the entry's
 * fixup, so the caller gets -EFAULT. May sleep (the page may have to be made), unless page faults
 * are disabled.
 */
#pragma once

#include "arch/x86/mm/address_space.h"
#include "arch/x86/thread.h"
#include "lib/errno.h"

struct ex_entry {
	u64 insn, fixup;
};

/* In inline assembly: if the instruction at @from faults, go on at @to. */
#define EX_TABLE(from, to)						\
	".pushsection ex_table, \"a\"\n\t"				\
	".balign 8\n\t"							\
	".quad " from ", " to "\n\t"					\
	".popsection\n\t"

/* Where to go on if the instruction at @ip faults; 0: it must not. */
unsigned long search_fixup(unsigned long ip);

/* True: regs->ip now stands at the fixup. */
bool fixup_exception(struct pt_regs *regs);

static inline bool access_ok(const void *addr, size_t size)
{
	return size <= TASK_SIZE_MAX && (unsigned long)addr <= TASK_SIZE_MAX - size;
}

/* 0 or -EFAULT. On -EFAULT a part may have been copied. */
int copy_from_user(void *to, const void *from, size_t size);
int copy_to_user(void *to, const void *from, size_t size);

/* Length of the string, or -EFAULT, or -ENAMETOOLONG if it does not fit with its NUL. */
long strncpy_from_user(char *to, const char *from, size_t size);

#define put_user(value, ptr) ({						\
	__typeof__(*(ptr)) __pu = (value);				\
	copy_to_user((ptr), &__pu, sizeof(__pu)); })
#define get_user(var, ptr) copy_from_user(&(var), (ptr), sizeof(var))
