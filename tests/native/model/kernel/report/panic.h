/* SPDX-License-Identifier: MIT */
/* In place of the kernel's, for tests/native. */
#pragma once

#include "lib/types.h"

void panic(const char *fmt, ...) __noreturn __printf(1, 2);

#define BUG_ON(condition)		((condition) ? panic("BUG: %s", #condition) : (void)0)
#define WARN_ON_ONCE(condition)		({ bool __c = (condition); BUG_ON(__c); __c; })
#define WARN_ON(condition)		WARN_ON_ONCE(condition)
#define WARN_ONCE(condition, ...)	((condition) ? panic(__VA_ARGS__) : (void)0)
