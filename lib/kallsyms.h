/* SPDX-License-Identifier: MIT */
/*
 * Names for the kernel's own code addresses: for backtraces, and to find a function by its name.
 * The table is made at link time by scripts/build/kallsyms.awk. It holds functions only, and never
 * changes. Context: any.
 */
#pragma once

#include "lib/types.h"

/**
 * kallsyms_lookup() - which function is @addr in?
 * @size: set to its length, up to the next function.  @offset: set to how far into it @addr is.
 * Return: its name, or NULL (and @size, @offset untouched) if @addr is in none.
 */
const char *kallsyms_lookup(unsigned long addr, unsigned long *size, unsigned long *offset);

/* Is @addr in the kernel's code? */
bool kernel_text_address(unsigned long addr);
