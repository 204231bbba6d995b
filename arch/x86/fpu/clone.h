/* SPDX-License-Identifier: MIT */
/* What fork, exec and exit do to FPU state. Floor 4: may sleep. */
#pragma once

#include "kernel/sched/task.h"

/**
 * fpu_clone() - give @child a copy of current's FPU state.
 * @clone_flags: CLONE_THREAD keeps the permissions in the group leader, uncopied.
 * @minimal: the child starts in a kernel function, so it gets a clean state instead of a copy.
 * Context: task, preempt_count 0. May sleep: it takes current's siglock if dynamic features exist.
 * Always returns 0.
 */
int fpu_clone(struct task_struct *child, unsigned long clone_flags, bool minimal);

/* Give @fpu its default buffer and its default features. */
void fpstate_reset(struct fpu *fpu);
void fpu_reset_perms(struct fpu *fpu);

/* exec: current starts the new program with initial state. Does not sleep. */
void fpu_flush_thread(void);

/* exit: current will not see ring 3 again. Does not sleep. */
void fpu_exit_thread(void);

/* The option as it stands: "fixed" or "buggy". */
const char *fpu_clone_order_name(void);
