/* SPDX-License-Identifier: MIT */
/*
 * Options: name=value on the command line, some also at run time (splat_setopt). They choose the
 * world.
 *
 * A file that owns an option declares it with BOOT_OPTION(); these declarations are the only list.
 * Unknown names and bad values are named in a warning; boot goes on. What stands after "--" goes to
 * init.
 */
#pragma once

#include "lib/types.h"

struct boot_option {
	const char *name;
	const char *const *values;		/* NULL-terminated: the words it takes ... */
	int *choice;				/* ... and where the word's index goes; or NULL */
	int (*set)(const char *value);		/* else this: 0, or -EINVAL for a bad value */
	bool runtime;				/* may be set by splat_setopt() too */
};

#define __BOOT_OPTION(id, ...)								\
	static const struct boot_option __boot_option_##id __used __section("bootopts")	\
		__aligned(8) = { #id, id##_values, __VA_ARGS__ }

/* Option @id takes one of these words (id_values[]); @variable becomes its number. */
#define BOOT_CHOICE(id, variable, runtime, ...)						\
	static const char *const id##_values[] = { __VA_ARGS__, NULL };			\
	__BOOT_OPTION(id, &(variable), NULL, runtime)

/* Option @id has a function of its own; @text says what it takes. */
#define BOOT_OPTION(id, set, runtime, text)						\
	static const char *const id##_values[] = { text, NULL };			\
	__BOOT_OPTION(id, NULL, set, runtime)

/* Setters: copies @value to @to if it has 1 to @size - 1 characters; else -EINVAL, @to stays. */
int option_word(char *to, size_t size, const char *value);

int option_number(const char *value, int most);	/* 0 to @most, in decimal; or -EINVAL */

void options_parse(char *cmdline);			/* early: no allocation */
int option_set_runtime(const char *assignment);	/* -EINVAL, -EPERM: at boot only */

extern int panic_on_warn;
extern char init_path[64];

/* Ends with NULL; the words after "--" stand behind the path. */
#define INIT_ARGS_MAX 16
extern const char *init_argv[INIT_ARGS_MAX + 2];
