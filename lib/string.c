/* SPDX-License-Identifier: MIT */
/*
 * Bytes and strings.
 *
 * The large movers use the string instructions: eight bytes a step, no loop for the compiler to
 * see. It would recognise one that copies or fills, and replace it by a call of the very function
 * that it stands in. The string instructions go upwards because the direction flag is clear, in C
 * code always: each entry to the kernel sees to it.
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

void *memmove(void *dst, const void *src, size_t n)
{
	const u8 *from = src;
	u8 *to = dst;

	/*
	 * Upwards is wrong only where it would overwrite what is still to be read: dst inside [src,
	 * src + n).
	 */
	if ((size_t)(to - from) >= n)
		return memcpy(dst, src, n);
	while (n--) {
		to[n] = from[n];
		barrier();	/* or gcc sees a memmove() in this loop */
	}
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
	const u8 *s = p;

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
	size_t len;

	if (!size)
		return -E2BIG;
	len = strnlen(src, size);
	if (len < size) {
		memcpy(dst, src, len + 1);
		return len;
	}
	memcpy(dst, src, size - 1);
	dst[size - 1] = '\0';
	return -E2BIG;
}

/* The value of a digit in any base; one that is no digit has a value that no base reaches. */
static unsigned int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;	/* lower case */
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

unsigned long simple_strtoul(const char *s, char **end, unsigned int base)
{
	/* "0x" is a prefix only before a digit: else the number is the 0, and ends there. */
	bool hex = s[0] == '0' && (s[1] | 0x20) == 'x' && digit(s[2]) < 16;
	unsigned long value = 0;

	if (!base)
		base = hex ? 16 : s[0] == '0' ? 8 : 10;
	if (hex && base == 16)
		s += 2;
	for (; digit(*s) < base; s++)
		value = value * base + digit(*s);
	if (end)
		*end = (char *)s;
	return value;
}
