/* SPDX-License-Identifier: MIT */
/*
 * Bytes and strings: the C library's names with the C library's meaning, and Linux's names where C
 * has no safe one. gcc calls the first four on its own. None of them sleeps, allocates, or touches
 * a vector register.
 */
#pragma once

#include "lib/types.h"

void *memcpy(void *dst, const void *src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
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

/**
 * simple_strtoul() - the number at the start of @s, which may be empty: then 0.
 * @end: where the number ends, if not NULL.  @base: 2 to 16, or 0 to go by a prefix (0x: 16, 0: 8,
 * else 10). No blanks, no sign; a number too large keeps its low 64 bits.
 */
unsigned long simple_strtoul(const char *s, char **end, unsigned int base);
