/* SPDX-License-Identifier: MIT */
/* In place of the kernel's, for tests/native. */
#pragma once

#include "lib/types.h"

void panic(const char *fmt, ...) __noreturn __printf(1, 2);
