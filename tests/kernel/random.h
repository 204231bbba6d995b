/* SPDX-License-Identifier: MIT */
/*
 * Numbers that look random, and are the same in each run, so that a failure can be had again
 * (xorshift64; Marsaglia, "Xorshift RNGs", 2003). The seed must not be 0.
 */
#pragma once

#include "lib/types.h"

static inline u64 next_random64(u64 *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* The upper half: its low bits are the better ones. */
static inline u32 next_random(u64 *seed)
{
	return next_random64(seed) >> 32;
}
