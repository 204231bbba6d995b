// SPDX-License-Identifier: MIT
/* The option "bug=" (see museum.h). */
#include "kernel/debug/museum.h"
#include "kernel/options.h"

static const char *const names[] = { "none", "skip-save", NULL };
static int on_show;

bool museum_bug(enum museum_piece piece)
{
	return unlikely(on_show == (int)piece);
}

static int set_bug(const char *value)
{
	int choice = option_choice(value, names);

	if (choice < 0)
		return choice;
	on_show = choice;
	return 0;
}
BOOT_OPTION(bug, "none skip-save", set_bug, true);
