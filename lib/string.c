/* SPDX-License-Identifier: MIT */
/*
 * Bytes and strings.
 *
 * The large movers use the string instructions: eight bytes a step, and no loop for the compiler to
 * see. The compiler would recognise a loop that copies or fills, and replace it with a call of the
 * very function that it stands in. The string instructions go upwards because the direction flag is
 * always clear in C code: each entry to the kernel sees to that.
 */
#include "lib/errno.h"
#include "lib/string.h"

void *memcpy(void *dst, const void *src, size_t n)
{
	void *to = dst;
	size_t words = n / 8;

	__asm__ volatile("rep movsq\n\t"
			 "mov %[tail], %%rcx\n\t"
			 "rep movsb"
			 : "+&D" (to), "+&S" (src), "+&c" (words)
			 : [tail] "r" (n % 8)
			 : "memory");
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	void *to = dst;
	size_t words = n / 8;

	__asm__ volatile("rep stosq\n\t"
			 "mov %[tail], %%rcx\n\t"
			 "rep stosb"
			 : "+&D" (to), "+&c" (words)
			 : "a" ((u8)c * 0x0101010101010101UL), [tail] "r" (n % 8)
			 : "memory");
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *x = a, *y = b;

	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

void *memchr_inv(const void *p, int c, size_t n)
{
	const u64 wanted = (u8)c * 0x0101010101010101UL;
	const u8 *s = p;

	for (; n >= 8 && *(const u64 *)s == wanted; n -= 8)
		s += 8;
	for (; n; n--, s++)
		if (*s != (u8)c)
			return (void *)s;
	return NULL;
}

size_t strnlen(const char *s, size_t max)
{
	size_t len = 0;

	while (len < max && s[len])
		len++;
	return len;
}

size_t strlen(const char *s)
{
	return strnlen(s, SIZE_MAX);
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n; n--, a++, b++)
		if (*a != *b || !*a)
			return (u8)*a - (u8)*b;
	return 0;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, SIZE_MAX);
}

char *strchr(const char *s, int c)
{
	for (; *s != (char)c; s++)
		if (!*s)
			return NULL;
	return (char *)s;
}

ssize_t strscpy(char *dst, const char *src, size_t size)
{
	size_t len = strnlen(src, size), kept = min(len, size - 1);

	if (!size)
		return -E2BIG;
	memcpy(dst, src, kept);
	dst[kept] = '\0';
	return len < size ? (ssize_t)len : -E2BIG;
}
