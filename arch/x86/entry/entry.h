/* SPDX-License-Identifier: MIT */
/*
 * The ways into the kernel and out of it (entry.S), and the C they call (idt.c, traps.c, common.c).
 */
#pragma once

#include "arch/x86/thread.h"

/* Vectors. 0-31 are the CPU's. */
#define X86_TRAP_DE		0
#define X86_TRAP_DB		1
#define X86_TRAP_NMI		2
#define X86_TRAP_BP		3
#define X86_TRAP_OF		4
#define X86_TRAP_BR		5
#define X86_TRAP_UD		6
#define X86_TRAP_NM		7
#define X86_TRAP_DF		8
#define X86_TRAP_GP		13
#define X86_TRAP_PF		14
#define X86_TRAP_MF		16
#define X86_TRAP_AC		17
#define X86_TRAP_MC		18
#define X86_TRAP_XF		19
#define FIRST_EXTERNAL_VECTOR	0x20
#define LOCAL_TIMER_VECTOR	0xec
#define INVALIDATE_TLB_VECTOR	0xfc
#define RESCHEDULE_VECTOR	0xfd
#define SPURIOUS_VECTOR		0xff

void entry_SYSCALL_64(void);		/* not a C function */
void ret_from_fork(void);		/* first code of a new task */
extern const u8 entry_stubs[256][16];	/* code: a stub for each vector */

void idt_init(void);			/* builds the one IDT */
void idt_load(void);			/* on each CPU */

/* Called by entry.S. */
void do_interrupt(unsigned long vector, struct pt_regs *regs);
bool do_syscall_64(struct pt_regs *regs);	/* true: SYSRET may be used to go back */
void exit_to_user_mode(struct pt_regs *regs);

/* traps.c */
/* For tests that watch memory by the debug registers: called for a #DB of the kernel's own. */
extern void (*kernel_debug_trap)(struct pt_regs *regs);
void do_exception(unsigned long vector, struct pt_regs *regs);
