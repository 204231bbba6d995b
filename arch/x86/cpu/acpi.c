// SPDX-License-Identifier: MIT
/*
 * RSDP to RSDT or XSDT to MADT (ACPI 6.4, 5.2). A table with a bad checksum or length is not
 * believed.
 */
#include "arch/x86/cpu/acpi.h"
#include "kernel/mm/pages.h"
#include "lib/printk.h"
#include "lib/string.h"

struct acpi_info acpi_info = { .lapic_phys = 0xfee00000, .nr_cpus = 1 };

struct rsdp {
	char signature[8];
	u8 checksum;
	char oem[6];
	u8 revision;
	u32 rsdt;
	u32 length;			/* from revision 2 on */
	u64 xsdt;
	u8 xchecksum, reserved[3];
} __packed;

struct madt {
	struct sdt header;
	u32 lapic_phys, flags;
	u8 entries[];
} __packed;

/* Tables are read through the boot mapping of the low 4 GiB. */
#define TABLE_SIZE_MAX		0x100000
#define TABLES_END		(BIT(32) - TABLE_SIZE_MAX)

#define MADT_LOCAL_APIC		0
#define MADT_LAPIC_OVERRIDE	5
#define MADT_ENABLED		1

static const struct rsdp *rsdp;		/* NULL: none */

static bool sum_is_zero(const void *p, size_t len)
{
	u8 sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += ((const u8 *)p)[i];
	return sum == 0;
}

const struct sdt *acpi_table_at(u64 phys)
{
	const struct sdt *sdt = phys_to_virt(phys);

	if (!phys || phys >= TABLES_END || sdt->length < sizeof(*sdt) ||
	    sdt->length > TABLE_SIZE_MAX || !sum_is_zero(sdt, sdt->length))
		return NULL;
	return sdt;
}

const struct sdt *acpi_find_table(const char *signature)
{
	bool wide = rsdp && rsdp->revision >= 2 && rsdp->xsdt;
	const struct sdt *root = rsdp ? acpi_table_at(wide ? rsdp->xsdt : rsdp->rsdt) : NULL;
	size_t entry_size = wide ? 8 : 4;

	if (!root)
		return NULL;
	for (size_t pos = sizeof(*root); pos + entry_size <= root->length; pos += entry_size) {
		const struct sdt *sdt;
		u64 phys = 0;

		memcpy(&phys, (const u8 *)root + pos, entry_size);
		sdt = acpi_table_at(phys);
		if (sdt && !memcmp(sdt->signature, signature, 4))
			return sdt;
	}
	return NULL;
}

static void parse_madt(const struct madt *madt)
{
	const u8 *p = madt->entries, *end = (const u8 *)madt + madt->header.length;
	unsigned int left_out = 0;

	acpi_info.lapic_phys = madt->lapic_phys;
	acpi_info.nr_cpus = 0;
	for (; p + 2 <= end && p[1] >= 2 && p + p[1] <= end; p += p[1]) {
		u32 flags;

		if (p[0] == MADT_LAPIC_OVERRIDE && p[1] >= 12) {
			memcpy(&acpi_info.lapic_phys, p + 4, 8);
		} else if (p[0] == MADT_LOCAL_APIC && p[1] >= 8) {
			memcpy(&flags, p + 4, 4);
			if (!(flags & MADT_ENABLED))
				continue;
			if (acpi_info.nr_cpus < NR_CPUS)
				acpi_info.apic_ids[acpi_info.nr_cpus++] = p[3];
			else
				left_out++;
		}
	}
	if (!acpi_info.nr_cpus)
		acpi_info.nr_cpus = 1;		/* this one runs, whatever the table says */
	if (left_out)
		pr_warn("acpi: %u CPUs more than the %d that fit are left out", left_out, NR_CPUS);
}

void acpi_init(u64 rsdp_phys)
{
	const struct rsdp *found = phys_to_virt(rsdp_phys);
	const struct madt *madt;

	if (rsdp_phys && rsdp_phys < TABLES_END && !memcmp(found->signature, "RSD PTR ", 8) &&
	    sum_is_zero(found, 20))
		rsdp = found;
	madt = (const struct madt *)acpi_find_table("APIC");
	if (madt && madt->header.length >= sizeof(*madt))
		parse_madt(madt);
	else
		pr_warn("acpi: no MADT; one CPU, local APIC at %#llx", acpi_info.lapic_phys);
	pr_info("acpi: %u CPU%s, local APIC at %#llx", acpi_info.nr_cpus,
		acpi_info.nr_cpus == 1 ? "" : "s", acpi_info.lapic_phys);
}
