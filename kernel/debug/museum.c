// SPDX-License-Identifier: MIT
/* The option "bug=" (see museum.h). */
#include "kernel/debug/museum.h"
#include "kernel/options.h"
#include "kernel/task.h"

#define SCRIBBLE	0x5c21bb1e

static int on_show;
BOOT_CHOICE(bug, on_show, true, "none", "skip-save", "keep-siglock", "scribble");

bool museum_bug(enum museum_piece piece)
{
	return unlikely(on_show == (int)piece);
}

/*
 * As a driver would with a pointer to memory that it has long given back: four bytes of xmm3. Once
 * is enough.
 */
static noinline void scribble(struct fpstate *fpstate)
{
	u32 *xmm3 = (u32 *)fpstate->regs.fxsave.xmm_space[3];

	if (*xmm3 != SCRIBBLE)
		*xmm3 = SCRIBBLE;
}

/*
 * The victim is a child of current that has not run yet: its registers are in its image, and
 * nowhere else, so it is sure to load what is written there. From ring 3 only: in the kernel
 * current may be at work on the list.
 */
void museum_tick(const struct pt_regs *regs)
{
	struct task_struct *child;

	if (!museum_bug(BUG_SCRIBBLE) || !user_mode(regs) || list_empty(&current->children))
		return;
	child = list_first_entry(&current->children, struct task_struct, sibling);
	if (!child->on_cpu && child->thread.fpu.last_cpu == -1U)
		scribble(child->thread.fpu.fpstate);
}
