/* SPDX-License-Identifier: MIT */
/* What fork, exec and exit do to FPU state. Floor 4: may sleep. */
#pragma once

#include "kernel/task.h"

/**
 * fpu_clone() - give @child a copy of current's FPU state.
 * @clone_flags: CLONE_THREAD keeps the permissions in the group leader, uncopied.
 * @minimal: the child starts in a kernel function: a clean state instead of a copy.
 * Context: task, preempt_count 0. May sleep: it takes current's siglock if dynamic features exist.
 * Always returns 0.
 */
int fpu_clone(struct task_struct *child, unsigned long clone_flags, bool minimal);

/* Default buffer, default features, default permissions. */
void fpstate_reset(struct fpu *fpu);

/* exec: current starts the new program with initial state. */
void fpu_flush_thread(void);

/*
 * Are there features that a process must ask for? Then fork has permissions to inherit. Option
 * "dynamic=".
 */
bool fpu_state_size_dynamic(void);

/* The options as they stand: "fixed" or "buggy"; "auto", "off" or "force". */
const char *fpu_clone_order_name(void);
const char *fpu_dynamic_name(void);
