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
