/* SPDX-License-Identifier: MIT */
/*
 * Text from a format: what C's printf() does, less the floating point, plus names for code
 * addresses.
 *
 *   flags 0 - #, width and precision, lengths l ll z,
 *   conversions d u x X c s p %
 *   %p	 16 hex digits
 *   %pS an address in code as name+0xoffset/0xsize, or 0x... if no function is there
 *   %pB the same for a return address: the function that the call is in, even at its very end
 */
#pragma once

#include "lib/types.h"

/*
 * Each writes at most @size bytes, the NUL included, which is there unless @size is 0, and returns
 * the length that the whole text has.
 * Context: any.
 */
int vsnprintf(char *buf, size_t size, const char *fmt, va_list args);
int snprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);
