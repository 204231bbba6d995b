/* SPDX-License-Identifier: MIT */
/*
 * Finding \_S5 in a DSDT: the forms that AML compilers write, and bytes that only look like it.
 * Switching off itself is tested from outside (tests/host/boot.py).
 */
#include "arch/x86/cpu/power.h"
#include "kernel/splat/ktest.h"

KTEST_SUITE(power);

#define NAME	'_', 'S', '5', '_'
#define PACKAGE	0x12
#define BYTE	0x0a

static u8 typ[2];

static bool found(const u8 *aml, size_t len)
{
	typ[0] = typ[1] = 0xee;
	return aml_find_s5(aml, len, typ);
}

/* fails with: fault/package-length-of-one-byte */
KTEST(each_form_is_read)
{
	static const u8 zeros[] = { 0x08, NAME, PACKAGE, 6, 4, 0, 0, 0, 0 };
	static const u8 one_and_byte[] = { 8, NAME, PACKAGE, 7, 4, 1, BYTE, 5, 0, 0 };
	static const u8 bytes[] = { 8, '\\', NAME, PACKAGE, 10, 4, BYTE, 7, BYTE, 6, 0, 0 };
	static const u8 long_length[] = { 8, NAME, PACKAGE, 0x47, 0, 4, BYTE, 3, BYTE, 4, 0 };
	static const u8 longest[] = { 8, NAME, PACKAGE, 0xc9, 0, 0, 0, 4, BYTE, 2, 1 };
	static const struct {
		const u8 *aml;
		size_t len;
		u8 a, b;
	} forms[] = {
		{ zeros, sizeof(zeros), 0, 0 }, { one_and_byte, sizeof(one_and_byte), 1, 5 },
		{ bytes, sizeof(bytes), 7, 6 }, { long_length, sizeof(long_length), 3, 4 },
		{ longest, sizeof(longest), 2, 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		KEXPECT(found(forms[i].aml, forms[i].len));
		KEXPECT_EQ(typ[0], forms[i].a);
		KEXPECT_EQ(typ[1], forms[i].b);
	}
}

/* fails with: fault/package-past-the-table */
KTEST(what_is_cut_off_is_not_read)
{
	static const u8 aml[] = { 0, 0, 8, NAME, PACKAGE, 6, 2, BYTE, 3, BYTE, 4 };

	KEXPECT(found(aml, sizeof(aml)));
	for (size_t len = 0; len < sizeof(aml); len++)
		KEXPECT(!found(aml, len));
}

KTEST(other_bytes_are_not_taken_for_it)
{
	static const u8 used[] = { NAME, 0x70, 7, 4, 1, 1, 1, 1 };
	static const u8 method[] = { 0x14, 8, NAME, 0, 0xa4, 0, 0, 0, 0 };
	static const u8 strings[] = { 8, NAME, PACKAGE, 6, 2, 0x0d, 'a', 0, 0x0d, 0 };
	static const u8 second[] = { 8, NAME, 0x70, 8, NAME, PACKAGE, 5, 2, 1, BYTE, 3 };

	KEXPECT(!found(used, sizeof(used)));
	KEXPECT(!found(method, sizeof(method)));
	KEXPECT(!found(strings, sizeof(strings)));
	KEXPECT(found(second, sizeof(second)));
	KEXPECT_EQ(typ[1], 3);
}
