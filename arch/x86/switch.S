/* SPDX-License-Identifier: MIT */
/*
 * struct task_struct *__switch_to_asm(struct task_struct *prev, struct task_struct *next);
 *
 * Changes stacks. What the C calling convention wants kept is on the old stack; nobody expects the
 * rest to survive a call. Returns, on next's stack, the task switched from. Interrupts off, the run
 * queue's lock held.
 */
#include "asm-offsets.h"

	.cfi_sections .debug_frame
	.text
	.globl	__switch_to_asm
	.type	__switch_to_asm, @function
__switch_to_asm:
	.cfi_startproc
	/* 1. prev's callee-saved registers: struct inactive_task_frame (arch/x86/process.c). */
	.irp	reg, rbp, rbx, r12, r13, r14, r15
	pushq	%\reg
	.endr
	.cfi_adjust_cfa_offset 48
	/* 2. The stacks. */
	movq	%rsp, TASK_THREAD_SP(%rdi)
	movq	TASK_THREAD_SP(%rsi), %rsp
	/* 3. next's registers, as it left them or as copy_thread() made them. */
	.irp	reg, r15, r14, r13, r12, rbx, rbp
	popq	%\reg
	.endr
	.cfi_adjust_cfa_offset -48
	/* 4. The rest in C; it returns prev to our caller on this stack, or to ret_from_fork. */
	jmp	__switch_to
	.cfi_endproc
	.size	__switch_to_asm, . - __switch_to_asm
