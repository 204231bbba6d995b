/* SPDX-License-Identifier: MIT */
/*
 * The scrubber, "scrub=on": a page of the kernel's text at each tick, compared with its checksum of
 * the first time. Nothing may change there, so a difference is a stray write or broken memory, and
 * the end.
 *
 * It computes in vector registers, in a softirq: the case for which fpregs_lock() holds softirqs
 * off where they run on top of tasks (rt=off).
 */
#pragma once

#include "lib/types.h"

void scrub_tick(void);			/* the tick: raises SCRUB_SOFTIRQ */
void scrub_softirq(void);

bool scrub_is_on(void);			/* the option */

/* Pages looked at in vector registers, and in general ones since the FPU was not to be had. */
extern u64 scrub_vector_pages, scrub_scalar_pages;
