/* SPDX-License-Identifier: MIT */
/* Ticks and sleeping. */
#pragma once

#include "lib/types.h"

extern u64 jiffies;			/* ticks since boot, HZ a second; CPU 0 counts */

/* The timer interrupt. */
void tick(void);

/* Sleep for at least @ns. May sleep. 0, or -EINTR if the group is being killed. */
int sleep_ns(u64 ns);
