/* SPDX-License-Identifier: MIT */
/* The end of the machine: off, once more from the start, or a halt. None of it sleeps. */
#pragma once

#include "lib/types.h"

/* Note what ACPI says about power. After acpi_init(), before pgtable_init(). */
void power_init(void);

/* Leave the machine: an exit code under QEMU (see panic.h), power off elsewhere, or a halt. */
void machine_exit(u8 byte) __noreturn;
void machine_restart(void) __noreturn;
void machine_halt(void) __noreturn;

/* Find \_S5's first two numbers, SLP_TYP for PM1a and PM1b, in @len bytes of AML. */
bool aml_find_s5(const u8 *aml, size_t len, u8 slp_typ[2]);
