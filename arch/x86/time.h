/* SPDX-License-Identifier: MIT */
/*
 * Time: the TSC, scaled by a calibration against the PIT. Monotonic on one CPU; starts near 0 at
 * boot.
 */
#pragma once

#include "lib/types.h"

extern u64 tsc_khz;			/* 0 until time_init() */

/* Calibrates TSC and local APIC timer; interrupts off, some 100 us; on a busy host up to 80 ms. */
void time_init(void);
u64 sched_clock(void);			/* ns since boot; any context; 0 before time_init() */
