/* SPDX-License-Identifier: MIT */
/* Options: a value is taken whole or not at all, and what is refused is said. */
#include "lib/options.h"
#include "kernel/splat/ktest.h"
#include "lib/errno.h"
#include "lib/printk.h"
#include "lib/string.h"

KTEST_SUITE(options);

/* fails with: fault/option-word-cut */
KTEST(a_word_is_taken_whole_or_not_at_all)
{
	static const struct {
		const char *word, *now;
	} steps[] = {
		{ "seven.7", "seven.7" }, { "", "seven.7" }, { "eight..8", "seven.7" },
		{ "nine....9", "seven.7" }, { "x", "x" },
	};
	char word[8] = "old";

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		bool taken = !strcmp(steps[i].word, steps[i].now);

		KEXPECT_EQ(option_word(word, sizeof(word), steps[i].word), taken ? 0 : -EINVAL);
		KEXPECT_EQ(strcmp(word, steps[i].now), 0);
	}
}

/* fails with: fault/init-path-cut */
KTEST(an_ignored_init_leaves_the_path)
{
	char before[sizeof(init_path)], line[100] = "init=/";
	u64 seq;

	strscpy(before, init_path, sizeof(before));
	memset(line + 6, 'x', sizeof(init_path) - 1);	/* one too many */
	line[6 + sizeof(init_path) - 1] = '\0';
	seq = printk_next();
	options_parse(line);
	KEXPECT_EQ(strcmp(init_path, before), 0);
	KEXPECT_EQ(printk_text(seq) ? strncmp(printk_text(seq), "options: init=", 14) : -1, 0);
	strscpy(line, "init=bin/sh", sizeof(line));
	options_parse(line);
	KEXPECT_EQ(strcmp(init_path, before), 0);
}

/* fails with: fault/option-number-at-its-end */
KTEST(a_number_is_what_is_written)
{
	static const struct {
		const char *value;
		int nr;
	} numbers[] = {
		{ "0", 0 }, { "7", 7 }, { "007", 7 }, { "120", 120 }, { "121", -EINVAL },
		{ "", -EINVAL }, { "-1", -EINVAL }, { "1x", -EINVAL }, { "x", -EINVAL },
		{ " 1", -EINVAL }, { "4294967297", -EINVAL }, { "18446744073709551617", -EINVAL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		KEXPECT_EQ(option_number(numbers[i].value, 120), numbers[i].nr);
}

/* Each that may be set now refuses nonsense, and then holds what it held. */
KTEST(nonsense_is_refused)
{
	extern const struct boot_option __start_bootopts[], __stop_bootopts[];

	for (const struct boot_option *o = __start_bootopts; o < __stop_bootopts; o++) {
		char line[60];
		int before = o->choice ? *o->choice : 0;

		if (!o->runtime)
			continue;
		snprintf(line, sizeof(line), "%s=nonsense", o->name);
		KEXPECT_EQ(option_set_runtime(line), -EINVAL);
		snprintf(line, sizeof(line), "%s=", o->name);
		KEXPECT_EQ(option_set_runtime(line), -EINVAL);
		KEXPECT_EQ(o->choice ? *o->choice : 0, before);
	}
}
