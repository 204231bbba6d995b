/* SPDX-License-Identifier: MIT */
/*
 * State on demand: large components that a process must ask for, and that get memory at their first
 * use.
 *
 * Permission belongs to the process: one record in the group leader, under siglock, shared by
 * threads, inherited by fork, cleared by exec. Memory belongs to the thread: the first instruction
 * that uses the state faults at the gate (gate.h), the thread gets a larger buffer, and the
 * instruction runs again. Floor 4: may sleep.
 */
#pragma once

#include "arch/x86/fpu/core/fpu_types.h"

/*
 * arch_prctl()'s ARCH_GET_XCOMP_SUPP, and GET and REQ of ARCH_..._XCOMP_PERM and _XCOMP_GUEST_PERM.
 * -EINVAL: another option, or no such component; -EOPNOTSUPP: one that nobody need or can ask for;
 * -EFAULT. Linux's -EBUSY, after the first virtual CPU, cannot occur, as there are none.
 */
long fpu_xstate_prctl(int option, unsigned long arg2);

/**
 * fpu_first_use() - was this fault of ring 3 the first use of a dynamic feature?
 * @vector: the exception.  @signal: what it means otherwise.
 * Context: straight from the exception, interrupts off; they are on afterwards. May sleep.
 * Return: 0: the instruction can run again; else the signal that ends the process: @signal if this
 * has nothing to do with the gate, SIGILL without permission, SIGSEGV without memory.
 */
int fpu_first_use(unsigned long vector, int signal);

/* Frees @fpstate, which was @fpu's, unless it is the buffer inside @fpu. */
void fpstate_free(struct fpu *fpu, struct fpstate *fpstate);
