/* SPDX-License-Identifier: MIT */
/*
 * The museum: "bug=name" re-creates one known mistake at run time, so that a check can be seen to
 * fail.
 */
#pragma once

#include "lib/types.h"

enum museum_piece {
	BUG_NONE,
	/* Fork does not save the parent's registers into the child's buffer. */
	BUG_SKIP_SAVE,
	/* Who holds the siglock for a demonstration never lets go: for the watchdogs. */
	BUG_KEEP_SIGLOCK,
};

/* Is this bug switched on? */
bool museum_bug(enum museum_piece piece);
