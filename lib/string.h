/* SPDX-License-Identifier: MIT */
/*
 * Bytes and strings: the C library's names with the C library's meaning, and Linux's names where C
 * has no safe one. gcc calls the first three on its own. None of them sleeps, allocates, or touches
 * a vector register.
 */
#pragma once

#include "lib/types.h"

void *memcpy(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);

/* The first of @n bytes at @p that is not @c, or NULL. */
void *memchr_inv(const void *p, int c, size_t n);

size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);

/**
 * strscpy() - copy as much of @src as fits in @size bytes, with a NUL at the end unless @size is 0.
 * Return: the length of the copy, or -E2BIG if @src was cut.
 */
ssize_t strscpy(char *dst, const char *src, size_t size);

/*
 * Text from a format: what C's printf() does, less the floating point, plus names for code
 * addresses.
 *
 *   flags 0 - #, width and precision, lengths l ll z,
 *   conversions d u x X c s p %
 *   %p	 16 hex digits
 *   %pS an address in code as name+0xoffset/0xsize, or 0x... if no function is there
 *   %pB the same for a return address: the function that the call is in, even at its very end
 *
 * Each writes at most @size bytes, the NUL included, which is there unless @size is 0, and returns
 * the length that the whole text has.
 * Context: any.
 */
int vsnprintf(char *buf, size_t size, const char *fmt, va_list args);
int snprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);
