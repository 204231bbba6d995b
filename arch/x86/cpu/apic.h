/* SPDX-License-Identifier: MIT */
/*
 * The local APIC: its timer, HZ times a second on every CPU, and messages between CPUs (SDM vol. 3,
 * chapter 11).
 */
#pragma once

#include "lib/types.h"

/* Map the APIC and enable this CPU's; after acpi_init(), needs the kernel's page tables. */
void apic_init(void);
void apic_init_cpu(void);		/* the same on another CPU */
void apic_eoi(void);
void apic_timer_start(void);		/* periodic, LOCAL_TIMER_VECTOR; after time_init() */

/*
 * For the calibration: start counting down from the largest value; how much has been counted since.
 */
void apic_timer_count_start(void);
u32 apic_timer_counted(void);
extern u32 apic_timer_khz;		/* counts a millisecond, with divisor 1 */

/* Route the 8259s out of the way and mask them: no legacy interrupt is used. */
void pic_disable(void);

/*
 * A message to another CPU, which is named by its APIC's number, as struct cpu has it. @what: a
 * vector, or one of these. The last two make a CPU begin in real mode, in a page below 1 MiB whose
 * number is added (SDM vol. 3, 9.4.4). Any context.
 */
#define APIC_NMI	(4 << 8)
#define APIC_INIT	(5 << 8)
#define APIC_STARTUP	(6 << 8)
void apic_send(u32 apic_id, u32 what);
