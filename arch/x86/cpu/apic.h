/* SPDX-License-Identifier: MIT */
/*
 * The local APIC: one interrupt source here, its timer, HZ times a second (SDM vol. 3, chapter 11).
 */
#pragma once

#include "lib/types.h"

/* Map and enable this CPU's APIC; needs the kernel's page tables. @phys from the MADT. */
void apic_init(u64 phys);
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
