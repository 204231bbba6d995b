/* SPDX-License-Identifier: MIT */
/* Starting the other CPUs. */
#pragma once

#include "lib/types.h"

/* Starts the CPUs that ACPI lists. Called once, from CPU 0, before there are tasks. */
void smp_init(void);

/* Start this CPU's ticks, HZ a second. Interrupts off; ticks come once interrupts are on. */
void start_ticks(void);

/* Between smpboot.c and trampoline.S. */
struct ap_call {
	u32		state;
	u32		apic_id;	/* the CPU that is meant */
	u64		cr3, efer, sp;
};

enum { AP_NONE, AP_CALLED, AP_ARRIVED, AP_RUNS };
