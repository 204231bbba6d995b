// SPDX-License-Identifier: MIT
/* Signed test results (see verdict.h). Floor 1: never sleeps. */
#include "kernel/splat/verdict.h"
#include "kernel/mm/pages.h"
#include "lib/errno.h"
#include "lib/options.h"
#include "lib/printk.h"
#include "lib/string.h"

/* QEMU's -device loader has put 128 bits there. They are removed before anybody can look. */
#define SECRET_PHYS	0x2000000

static u64 secret[2];
static bool has_secret;

static int set_secret(const char *value)
{
	if (strcmp(value, "on"))
		return -EINVAL;
	memcpy(secret, phys_to_virt(SECRET_PHYS), sizeof(secret));
	memset(phys_to_virt(SECRET_PHYS), 0, sizeof(secret));
	has_secret = true;
	return 0;
}
BOOT_OPTION(secret, set_secret, false, "on: 16 bytes stand at the physical address 0x2000000");

static u64 rotate(u64 x, int by)
{
	return x << by | x >> (64 - by);
}

static void sip_round(u64 v[4])
{
	v[0] += v[1]; v[1] = rotate(v[1], 13) ^ v[0]; v[0] = rotate(v[0], 32);
	v[2] += v[3]; v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3]; v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1]; v[1] = rotate(v[1], 17) ^ v[2]; v[2] = rotate(v[2], 32);
}

/* SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed hash for short texts. */
static u64 siphash(const char *text)
{
	u64 v[4] = { secret[0] ^ 0x736f6d6570736575, secret[1] ^ 0x646f72616e646f6d,
		     secret[0] ^ 0x6c7967656e657261, secret[1] ^ 0x7465646279746573 };
	size_t len = strlen(text);

	for (size_t at = 0; at <= len; at += 8) {
		u64 word = 0;

		memcpy(&word, text + at, min(len - at, (size_t)8));
		if (len - at < 8)
			word |= (u64)len << 56;
		v[3] ^= word;
		sip_round(v);
		sip_round(v);
		v[0] ^= word;
	}
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void verdict_print(const char *suite, const char *test, const char *status)
{
	char text[160], digits[17] = "";
	u64 signature;

	if (!has_secret)
		return;
	snprintf(text, sizeof(text), "%s %s %s", suite, test, status);
	signature = siphash(text);
	/* Each digit takes the same steps, so that with any secret the boot goes the same way. */
	for (int i = 0; i < 16; i++)
		digits[i] = "0123456789abcdef"[signature >> (60 - 4 * i) & 15];
	pr_plain("  # verdict %s %s", digits, text);
}
