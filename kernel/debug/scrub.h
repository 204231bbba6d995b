/* SPDX-License-Identifier: MIT */
/*
 * The scrubber ("scrub=on") compares a page of the kernel's text at each tick with the page's first
 * checksum. Nothing may change there, so a difference means a stray write or broken memory, and the
 * kernel panics.
 *
 * It computes in vector registers, in a softirq. Because of such code fpregs_lock() holds softirqs
 * off where they run on top of tasks (rt=off).
 */
#pragma once

#include "lib/types.h"

void scrub_softirq(void);

bool scrub_is_on(void);			/* the option */

/* Pages summed in vector registers, and in general ones because the FPU was not available. */
extern u64 scrub_vector_pages, scrub_scalar_pages;
