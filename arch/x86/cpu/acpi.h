/* SPDX-License-Identifier: MIT */
/*
 * ACPI's tables: finding them, and what the MADT says: which CPUs there are, and where the local
 * APIC is. (Power: power.c.)
 */
#pragma once

#include "arch/x86/mm/address_space.h"
#include "lib/types.h"

struct sdt {			/* how each table begins */
	char signature[4];
	u32 length;
	u8 revision, checksum;
	char oem[6], oem_table[8];
	u32 oem_revision, creator, creator_revision;
} __packed;

struct acpi_info {
	u64		lapic_phys;
	unsigned int	nr_cpus;		/* enabled in the MADT, NR_CPUS at most kept */
	u32		apic_ids[NR_CPUS];
};

extern struct acpi_info acpi_info;

/*
 * Parse the tables (low 4 GiB, mapped at boot). Without ACPI: one CPU and the APIC at its usual
 * place.
 */
void acpi_init(u64 rsdp_phys);

/* A whole and believable table, or NULL. Only until the loader's memory is given out. */
const struct sdt *acpi_find_table(const char *signature);
const struct sdt *acpi_table_at(u64 phys);
