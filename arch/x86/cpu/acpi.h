/* SPDX-License-Identifier: MIT */
/* ACPI, as far as the MADT: which CPUs there are, and where the local APIC is. */
#pragma once

#include "arch/x86/layout.h"
#include "lib/types.h"

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
