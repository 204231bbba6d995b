/* SPDX-License-Identifier: MIT */
/*
 * What the boot loader told us, whichever loader it was. Filled once, before anything is allocated.
 * The initramfs stays where the loader put it, so the page allocator must leave its pages alone.
 */
#pragma once

#include "lib/types.h"

#define BOOT_MEM_MAX	64
#define BOOT_CMDLINE_MAX 1024

struct boot_mem {
	u64 start, end;			/* bytes, physical, usable RAM */
};

struct boot_info {
	const char	*protocol;	/* "Multiboot2" or "PVH" */
	char		cmdline[BOOT_CMDLINE_MAX];
	struct boot_mem	ram[BOOT_MEM_MAX];
	unsigned int	nr_ram;
	u64		initrd_start, initrd_end;	/* physical; equal if there is none */
	/* Physical address of (a copy of) ACPI's RSDP; 0: none. */
	u64		rsdp;
	bool		cmdline_cut;	/* it was longer than we keep */
	bool		low_page;	/* AP_TRAMPOLINE's page is RAM */
};

extern struct boot_info boot_info;

/* Parse what EAX and EBX held at entry. Halts with one line if @magic is neither protocol's. */
void bootinfo_init(u32 magic, u64 info_phys);
