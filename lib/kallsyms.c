/* SPDX-License-Identifier: MIT */
/*
 * Names for the kernel's own code addresses: a binary search in a table that the link puts into
 * .rodata. The table's i-th function starts at _stext + kallsyms_offsets[i]; the offsets are
 * sorted, no two are equal.
 */
#include "lib/kallsyms.h"

/* From the linker script. */
extern const char _stext[], _etext[];

/* From scripts/build/kallsyms.awk. */
extern const u32 kallsyms_count;
extern const u32 kallsyms_offsets[];
extern const u32 kallsyms_name_offsets[];	/* of the i-th name in kallsyms_names */
extern const char kallsyms_names[];

bool kernel_text_address(unsigned long addr)
{
	return addr >= (unsigned long)_stext && addr < (unsigned long)_etext;
}

const char *kallsyms_lookup(unsigned long addr, unsigned long *size, unsigned long *offset)
{
	unsigned long where = addr - (unsigned long)_stext;
	unsigned long end = (unsigned long)_etext - (unsigned long)_stext;
	u32 low = 0, high = kallsyms_count, middle;

	if (!kernel_text_address(addr))
		return NULL;

	/* Functions below low start at or before where, those from high on start behind it. */
	while (low < high) {
		middle = low + (high - low) / 2;
		if (kallsyms_offsets[middle] <= where)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return NULL;
	if (low < kallsyms_count)
		end = kallsyms_offsets[low];
	*size = end - kallsyms_offsets[low - 1];
	*offset = where - kallsyms_offsets[low - 1];
	return kallsyms_names + kallsyms_name_offsets[low - 1];
}
