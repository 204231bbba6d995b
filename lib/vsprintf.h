/* SPDX-License-Identifier: MIT */
/*
 * Text from a format: what C's printf() does, less the floating point, plus names for code
 * addresses.
 *
 *   flags 0 - #, width and precision (each may be *), lengths hh h l ll z,
 *   conversions d u x X c s p %
 *   %p	 16 hex digits
 *   %pS an address in code as name+0xoffset/0xsize, or 0x... if no function is there
 *   %pB the same for a return address: the function that the call is in, even at its very end
 */
#ifndef LIB_VSPRINTF_H
#define LIB_VSPRINTF_H

#include "lib/types.h"

/*
 * Each writes at most @size bytes, the NUL included, which is there unless @size is 0. The first
 * two return the length that the whole text has, the last one the length of what is in @buf.
 * Context: any.
 */
int vsnprintf(char *buf, size_t size, const char *fmt, va_list args);
int snprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);
int scnprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);

#endif
