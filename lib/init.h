/* SPDX-License-Identifier: MIT */
/* Parts that start themselves: each puts a function into a table, which pid 1 runs. */
#pragma once

#include "lib/types.h"

/*
 * pid 1 calls @fn once, before it becomes a program, so tasks can be made and @fn may sleep. Do not
 * count on the order of several functions.
 */
#define LATE_INIT(fn)								\
	static void (*const __late_init_##fn)(void) __used			\
		__section("lateinits") __aligned(8) = fn

void late_inits(void);
