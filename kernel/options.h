/* SPDX-License-Identifier: MIT */
/*
 * Options: name=value on the command line, some also at run time (splat_setopt). They choose the
 * world.
 *
 * A file that owns an option declares it with BOOT_OPTION(); this is the only list. Unknown names
 * and bad values are named in a warning; boot goes on. What stands after "--" goes to init.
 */
#pragma once

#include "lib/types.h"

struct boot_option {
	const char *name;
	int (*set)(const char *value);		/* 0, or -EINVAL for a bad value */
	const char *values;			/* for the warning and `help`: "on off" */
	bool runtime;				/* may be set by splat_setopt() too */
};

#define BOOT_OPTION(id, _values, _set, _runtime)						\
	static const struct boot_option __boot_option_##id __used __section("bootopts")	\
		__aligned(8) = { #id, _set, _values, _runtime }

/* Index of @value in the NULL-terminated @names, or -EINVAL. */
int option_choice(const char *value, const char *const names[]);

void options_parse(char *cmdline);			/* early: no allocation */
int option_set_runtime(const char *assignment);	/* -EINVAL, -EPERM: at boot only */

extern bool panic_on_warn;
extern char init_path[64];

/* Words after "--", for init's argv. */
#define INIT_ARGS_MAX 16
extern const char *init_args[INIT_ARGS_MAX + 1];
