/* SPDX-License-Identifier: MIT */
/* The end of a task or a machine whose fault nothing repairs. */
#pragma once

#include "arch/x86/thread.h"

/* A fault that ring 0 must not have: print and panic. */
void __noreturn die(const char *what, struct pt_regs *regs);
/*
 * Ring 3 did something fatal: end its thread group with wait status @signal. @addr: of a page fault,
 * else 0. Does not return to the fault.
 */
void force_fatal_exit(int signal, const char *why, struct pt_regs *regs, unsigned long addr);
