// SPDX-License-Identifier: MIT
/* The option "bug=" (see museum.h). */
#include "kernel/debug/museum.h"
#include "kernel/options.h"

static int on_show;
BOOT_CHOICE(bug, on_show, true, "none", "skip-save", "keep-siglock");

bool museum_bug(enum museum_piece piece)
{
	return unlikely(on_show == (int)piece);
}
