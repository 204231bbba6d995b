/* SPDX-License-Identifier: MIT */
/* In place of the kernel's, for tests/native. */
#pragma once

#include "lib/types.h"

#define GFP_ATOMIC	0
void *kzalloc(size_t size, int gfp);
