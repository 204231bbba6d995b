/* SPDX-License-Identifier: MIT */
/*
 * The museum: "bug=name" re-creates one known mistake at run time, so that a check can be seen to
 * fail.
 */
#pragma once

#include "lib/types.h"

struct pt_regs;

enum museum_piece {
	BUG_NONE,
	/* Fork does not save the parent's registers into the child's buffer. */
	BUG_SKIP_SAVE,
	/* Who holds the siglock for a demonstration never lets go: for the watchdogs. */
	BUG_KEEP_SIGLOCK,
	/* An interrupt's handler writes into the saved registers of a task: museum_tick(). */
	BUG_SCRIBBLE,
};

/* Is this bug switched on? */
bool museum_bug(enum museum_piece piece);

/* The tick that interrupted @regs. */
void museum_tick(const struct pt_regs *regs);
