// SPDX-License-Identifier: MIT
/*
 * Off is ACPI's sleeping state S5 (ACPI 6.4, 4.8.3.2 and 7.4.2): a number and a "go" into one or
 * two ports. The FADT has the ports; the numbers stand in the package \_S5 of the DSDT, which is a
 * program for an interpreter. Only that package is looked for, by its bytes.
 *
 * Nothing here waits for ever, and a table that makes no sense counts as none.
 */
#include "arch/x86/cpu/power.h"
#include "arch/x86/console.h"
#include "arch/x86/cpu/acpi.h"
#include "arch/x86/cpu/insns.h"
#include "arch/x86/cpu/smp.h"
#include "arch/x86/fpu/core/regs.h"
#include "arch/x86/irqflags.h"
#include "kernel/report/panic.h"
#include "lib/options.h"
#include "lib/printk.h"
#include "lib/string.h"

#define DEBUG_EXIT_PORT	0xf4		/* QEMU's isa-debug-exit */
#define BOCHS_EXIT_PORT	0x8900
#define KEYBOARD_PORT	0x64		/* its controller resets the CPU, too */
#define RESET_PORT	0xcf9		/* of the PC's chip set */

#define PM1_SCI_EN	BIT(0)
#define PM1_SLP_EN	BIT(13)
#define FADT_RESET_SUP	BIT(10)

struct fadt {
	struct sdt header;
	u32 firmware_ctrl, dsdt, unused1, smi_cmd;
	u8 acpi_enable, unused2[11];
	u32 pm1_cnt[2];				/* ports; the second may be 0: none */
	u8 unused3[40];
	u32 flags;
	u8 reset_space, unused4[3];		/* 1: ports. From here on: revision 2 */
	u64 reset_port;
	u8 reset_value, unused5[11];
	u64 x_dsdt;
} __packed;

static struct fadt fadt;			/* what it is too short for stays 0 */
static u8 slp_typ[2];
static bool has_s5;
static char nonce[24];

static int set_nonce(const char *value)
{
	return option_word(nonce, sizeof(nonce), value);
}
BOOT_OPTION(nonce, set_nonce, false, "a word of less than 24 characters");

bool aml_find_s5(const u8 *aml, size_t len, u8 typ[2])
{
	const u8 *end = aml + len;

	for (; aml + 6 <= end; aml++) {
		const u8 *p = aml + 5;

		if (memcmp(aml, "_S5_\x12", 5))		/* a name, PackageOp */
			continue;
		p += 1 + (*p >> 6) + 1;			/* PkgLength, 1 to 4 bytes; NumElements */
		for (int i = 0; i < 2; i++, p++) {
			bool byte = p < end && *p == 0x0a;	/* BytePrefix */

			p += byte;
			if (p >= end || (!byte && *p > 1))	/* else ZeroOp or OneOp */
				return false;
			typ[i] = *p;
		}
		return true;
	}
	return false;
}

void power_init(void)
{
	const struct sdt *table = acpi_find_table("FACP"), *dsdt;

	if (!table)
		return;
	memcpy(&fadt, table, min(table->length, (u32)sizeof(fadt)));
	dsdt = acpi_table_at(fadt.dsdt ? fadt.dsdt : fadt.x_dsdt);
	has_s5 = dsdt && fadt.pm1_cnt[0] && aml_find_s5((const u8 *)dsdt, dsdt->length, slp_typ);
}

/* Firmware and emulators need some time to obey. */
static void wait_a_moment(void)
{
	for (int i = 0; i < 1000000; i++)
		cpu_relax();
}

/* Nothing else may run from here on. */
static void stop_machine(void)
{
	local_irq_disable();
	system_state = SYSTEM_HALT;
	stop_other_cpus();
	console_take_over();
}

static void acpi_power_off(void)
{
	/* Until the firmware is told that ACPI is in use, the ports are its own. */
	if (fadt.smi_cmd && !(inw(fadt.pm1_cnt[0]) & PM1_SCI_EN)) {
		outb(fadt.smi_cmd, fadt.acpi_enable);
		wait_a_moment();
	}
	for (int i = 0; i < 2; i++)
		if (fadt.pm1_cnt[i])
			outw(fadt.pm1_cnt[i], (inw(fadt.pm1_cnt[i]) & ~(7 << 10)) |
					      (slp_typ[i] & 7) << 10 | PM1_SLP_EN);
	wait_a_moment();
}

void machine_exit(u8 byte)
{
	stop_machine();
	/* For machines without a debug-exit device: only this run can have printed the nonce. */
	console_loglevel = max(console_loglevel, 1);
	if (*nonce)
		pr_emerg("verdict %#x, nonce %s", byte, nonce);
	console_drain();
	outb(DEBUG_EXIT_PORT, byte);		/* before the others, as it hands over a verdict */
	for (const char *s = "Shutdown"; *s; s++)
		outb(BOCHS_EXIT_PORT, *s);
	/* A panic stays on the screen. */
	if (byte != EXIT_BYTE_PANIC && has_s5)
		acpi_power_off();
	machine_halt();
}

const struct machine_ops machine_ops = {
	.stop_other_cpus = stop_other_cpus,
	.save_registers = fpu_save_for_dump,
	.exit = machine_exit,
};

void machine_halt(void)
{
	stop_machine();
	printk(KERN_EMERG "System halted; power off by hand");
	for (;;)
		__asm__ volatile("hlt");
}

void machine_restart(void)
{
	static const struct desc_ptr no_idt;

	stop_machine();
	/* First the firmware's own reset, last the triple fault, which every CPU has. */
	if ((fadt.flags & FADT_RESET_SUP) && fadt.reset_space == 1)
		outb(fadt.reset_port, fadt.reset_value);
	wait_a_moment();
	outb(RESET_PORT, 0x02);			/* which reset: of all the machine; ... */
	outb(RESET_PORT, 0x06);			/* ... now */
	wait_a_moment();
	outb(KEYBOARD_PORT, 0xfe);		/* pulse the CPU's reset line */
	wait_a_moment();
	__asm__ volatile("lidt %0; int3" :: "m"(no_idt));
	__builtin_unreachable();
}
