/* SPDX-License-Identifier: MIT */
/*
 * Bytes, strings and formats: each function at its edges (nothing, one too few, one too many,
 * across a word), with guard bytes on both sides of what it may write.
 */
#include "kernel/splat/ktest.h"
#include "lib/errno.h"
#include "lib/kallsyms.h"
#include "lib/string.h"

KTEST_SUITE(string);

#define AREA	64
#define GUARD	0xa5

/* Byte @i of a pattern in which no two neighbours, and no two words, are alike. */
static u8 pattern(size_t i)
{
	return i * 7 + 1;
}

static void fill_pattern(u8 area[AREA])
{
	for (size_t i = 0; i < AREA; i++)
		area[i] = pattern(i);
}

/* fails with: memcpy() moving n % 4 bytes as its tail */
KTEST(memcpy_moves_each_length_exactly)
{
	u8 from[AREA], to[AREA];

	fill_pattern(from);
	for (size_t n = 0; n <= 33; n++) {
		for (size_t i = 0; i < AREA; i++)
			to[i] = GUARD;
		KEXPECT_EQ(memcpy(to + 9, from + n % 8, n), to + 9);
		for (size_t i = 0; i < AREA; i++)
			KEXPECT_EQ(to[i], i >= 9 && i < 9 + n ? pattern(i - 9 + n % 8) : GUARD);
	}
}

/* fails with: memset() not cutting c to a byte */
KTEST(memset_fills_each_length_exactly)
{
	u8 area[AREA];

	for (size_t n = 0; n <= 33; n++) {
		fill_pattern(area);
		KEXPECT_EQ(memset(area + 5, 0x1234, n), area + 5);
		for (size_t i = 0; i < AREA; i++)
			KEXPECT_EQ(area[i], i >= 5 && i < 5 + n ? 0x34 : pattern(i));
	}
}

/* fails with: memcmp() comparing signed chars */
KTEST(comparisons_are_of_unsigned_bytes)
{
	KEXPECT_GE(memcmp("\x80", "\x01", 1), 1);
	KEXPECT_GE(-1, memcmp("ab\x01", "ab\x80", 3));
	KEXPECT_EQ(memcmp("abc", "abd", 2), 0);
	KEXPECT_EQ(memcmp("a", "b", 0), 0);
	KEXPECT_GE(strcmp("\x80", "\x01"), 1);
	KEXPECT_GE(-1, strcmp("ab", "abc"));
	KEXPECT_EQ(strcmp("abc", "abc"), 0);
	KEXPECT_EQ(strncmp("abc", "abd", 2), 0);
	KEXPECT_GE(-1, strncmp("abc", "abd", 3));
	KEXPECT_EQ(strncmp("ab\0x", "ab\0y", 4), 0);	/* both end at the NUL */
}

/* fails with: strchr() stopping at the NUL before it compares */
KTEST(searches_end_where_they_should)
{
	static const char text[] = "splat";
	static const u8 bytes[] = { GUARD, GUARD, GUARD, 0, GUARD };

	KEXPECT_EQ(strlen(text), 5);
	KEXPECT_EQ(strlen(""), 0);
	KEXPECT_EQ(strnlen(text, 3), 3);
	KEXPECT_EQ(strnlen(text, 9), 5);
	KEXPECT_EQ(strchr(text, 'a'), text + 3);
	KEXPECT_EQ(strchr(text, 'x'), NULL);
	KEXPECT_EQ(strchr(text, 0), text + 5);
	KEXPECT_EQ(memchr_inv(bytes, GUARD, 5), bytes + 3);
	KEXPECT_EQ(memchr_inv(bytes, GUARD, 3), NULL);
	KEXPECT_EQ(memchr_inv(bytes, GUARD, 0), NULL);
}

/* fails with: strscpy() taking a text of just @size bytes for one that fits */
KTEST(strscpy_says_when_it_cuts)
{
	char buf[8] = "#######";

	KEXPECT_EQ(strscpy(buf, "abc", 4), 3);
	KEXPECT_EQ(memcmp(buf, "abc\0###", 8), 0);
	KEXPECT_EQ(strscpy(buf, "wxyz", 4), -E2BIG);
	KEXPECT_EQ(memcmp(buf, "wxy\0###", 8), 0);
	KEXPECT_EQ(strscpy(buf, "q", 1), -E2BIG);
	KEXPECT_EQ(memcmp(buf, "\0xy\0###", 8), 0);
	KEXPECT_EQ(strscpy(buf, "q", 0), -E2BIG);
	KEXPECT_EQ(memcmp(buf, "\0xy\0###", 8), 0);
}

/* Without the __printf attribute: some formats below are ones that gcc warns about. */
static void check_format(struct ktest_run *kt, const char *expected, const char *fmt, ...)
{
	char buf[AREA];
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(buf, sizeof(buf), fmt, args);
	va_end(args);
	if (strcmp(buf, expected) || (size_t)len != strlen(expected))
		KFAIL("\"%s\": expected \"%s\", got \"%s\", length %d", fmt, expected, buf, len);
}

/* fails with: put_integer() not sign-extending from spec->bytes */
KTEST(format_integers)
{
	check_format(kt, "0 -1 4294967295", "%d %d %u", 0, -1, -1);
	check_format(kt, "-2147483648", "%d", -2147483647 - 1);
	check_format(kt, "-9223372036854775808", "%ld", (long)BIT(63));
	check_format(kt, "18446744073709551615 ffff", "%zu %llx", (size_t)-1, 0xffffULL);
	check_format(kt, "beef BEEF 0xbeef 0XBEEF 0", "%x %X %#x %#X %#x",
		     0xbeef, 0xbeef, 0xbeef, 0xbeef, 0);
}

/* fails with: put_number() putting the blanks between prefix and digits */
KTEST(format_fields)
{
	check_format(kt, "[   42][42   ][00042][42   ]", "[%5d][%-5d][%05d][%-05d]",
		     42, 42, 42, 42);
	check_format(kt, "[  -42][-0042][-42  ]", "[%5d][%05d][%-5d]", -42, -42, -42);
	check_format(kt, "[0x00002a][    0x2a][  0x002a]", "[%#08x][%#8x][%#8.4x]", 42, 42, 42);
	check_format(kt, "[  007][][   ][12345]", "[%05.3d][%.0d][%3.0d][%2d]", 7, 0, 0, 12345);
	check_format(kt, "[  ab][ab  ][a][   a][]", "[%4s][%-4s][%.1s][%4.1s][%.s]",
		     "ab", "ab", "ab", "ab", "ab");
	check_format(kt, "[  x][x  ](null)", "[%3c][%-3c]%s", 'x', 'x', NULL);
	check_format(kt, "100% %y %", "%d%% %y %", 100);
}

/* fails with: vsnprintf() ending the text at buf[size] */
KTEST(format_cuts_and_still_counts)
{
	static const char whole[] = "pid 42: hello";
	const size_t whole_len = sizeof(whole) - 1;

	for (size_t size = 0; size <= whole_len + 2; size++) {
		size_t kept = min(whole_len, size ? size - 1 : 0);
		char buf[AREA];

		memset(buf, GUARD, sizeof(buf));
		KEXPECT_EQ(snprintf(buf, size, "pid %d: %s", 42, "hello"), whole_len);
		KEXPECT_EQ(memcmp(buf, whole, kept), 0);
		if (size)
			KEXPECT_EQ(buf[kept], 0);
		KEXPECT_EQ(memchr_inv(buf + min(size, whole_len + 1), GUARD, AREA / 2), NULL);
	}
}

/* fails with: put_symbol() printing the offset of the byte that it looked up */
KTEST(format_addresses)
{
	unsigned long start = (unsigned long)kallsyms_lookup, size = 0, offset = 0;
	char buf[AREA], expected[AREA];

	check_format(kt, "ffffffff81000000 0000000000000000", "%p %p", 0xffffffff81000000UL, NULL);
	check_format(kt, "0x1000 [ 0x0]", "%pS [%4pB]", 0x1000UL, NULL);

	KEXPECT(kernel_text_address(start));
	KEXPECT(!kernel_text_address((unsigned long)&start));
	KEXPECT_EQ(kallsyms_lookup(0x1000, &size, &offset), NULL);
	if (!kallsyms_lookup(start + 3, &size, &offset)) {
		KFAIL("kallsyms_lookup is not in the table");
		return;
	}
	KEXPECT_EQ(offset, 3);

	snprintf(expected, sizeof(expected), "kallsyms_lookup+0x3/0x%lx", size);
	check_format(kt, expected, "%pS", start + 3);
	check_format(kt, expected, "%pB", start + 3);

	/*
	 * A call at the very end: the address behind it is in the next function, its caller is not.
	 */
	snprintf(expected, sizeof(expected), "kallsyms_lookup+0x%lx/0x%lx", size, size);
	check_format(kt, expected, "%pB", start + size);
	snprintf(buf, sizeof(buf), "%pS", (void *)(start + size));
	KEXPECT_NE(strcmp(buf, expected), 0);
}
