/* SPDX-License-Identifier: MIT */
/*
 * The local APIC: its timer, HZ times a second on every CPU, and messages between CPUs (SDM vol. 3,
 * chapter 11).
 */
#pragma once

#include "lib/types.h"

/* Map the APIC and enable this CPU's; needs the kernel's page tables. @phys from the MADT. */
void apic_init(u64 phys);
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

/* Any context. The CPU is named by its APIC's number, as struct cpu has it. */
void apic_send_ipi(u32 apic_id, u8 vector);
void apic_send_nmi(u32 apic_id);
/* To make a CPU begin in real mode at @phys, a page below 1 MiB (SDM vol. 3, 9.4.4). */
void apic_send_init(u32 apic_id);
void apic_send_startup(u32 apic_id, u64 phys);
