/* SPDX-License-Identifier: MIT */
/*
 * The ways in and out: SYSCALL, exceptions and interrupts, NMI, and the first return of a new task.
 *
 * Every way in builds a struct pt_regs on the kernel stack and calls C; %gs is the kernel's from
 * then on. The CFI lines describe each push, so that GDB's backtrace crosses from the kernel into
 * what was interrupted. %rbp tells our own unwinder the same: address of pt_regs plus 1
 * (arch/x86/unwind.c).
 */
#include "arch/x86/mm/address_space.h"
#include "asm-offsets.h"

	.cfi_sections .debug_frame
	.text

	.macro PUSH reg
	pushq	%\reg
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset \reg, 0
	.endm

	.macro POP reg
	popq	%\reg
	.cfi_adjust_cfa_offset -8
	.cfi_restore \reg
	.endm

/* Push si .. r15, below an already saved di, and leave the unwinder's mark in rbp. */
	.macro PUSH_REGS
	.irp	reg, rsi, rdx, rcx, rax, r8, r9, r10, r11, rbx, rbp, r12, r13, r14, r15
	PUSH	\reg
	.endr
	leaq	1(%rsp), %rbp
	.endm

	.macro POP_REGS_BUT_DI
	.irp	reg, r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi
	POP	\reg
	.endr
	.endm

	.macro CLAC_IF_SMAP
	cmpb	$0, cpu_has + CPU_HAS_SMAP(%rip)
	je	.Lno_smap\@
	clac
.Lno_smap\@:
	.endm

	.macro POP_DI_AND_IRET
	POP	rdi
	addq	$8, %rsp			/* orig_ax */
	.cfi_adjust_cfa_offset -8
	iretq
	.endm

/* CFA: where an interrupt frame with an error code (or its stand-in) on top was pushed from. */
	.macro CFI_FRAME extra
	.cfi_startproc simple
	.cfi_signal_frame
	.cfi_def_cfa rsp, 40 + \extra
	.cfi_offset rip, -40
	.cfi_offset rsp, -16
	.endm

/*
 * void entry_SYSCALL_64(void) - SDM vol. 2, SYSCALL: RCX = return address, R11 = flags, IF clear by
 * FMASK; RSP and GS are still ring 3's. Arguments: rdi rsi rdx r10 r8 r9, number in rax.
 */
	.globl	entry_SYSCALL_64
entry_SYSCALL_64:
	.cfi_startproc simple
	.cfi_signal_frame
	.cfi_def_cfa rsp, 0
	.cfi_register rip, rcx
	/* 1. The kernel's GS, then the kernel's stack. */
	swapgs
	movq	%rsp, %gs:CPU_USER_SP
	movq	%gs:CPU_KERNEL_SP, %rsp
	/* 2. The frame that an interrupt would have pushed, then all registers. */
	pushq	$USER_DS
	pushq	%gs:CPU_USER_SP
	pushq	%r11
	pushq	$USER_CS
	pushq	%rcx
	.cfi_def_cfa rsp, 40
	.cfi_offset rip, -40
	.cfi_offset rsp, -16
	pushq	%rax				/* orig_ax */
	.cfi_adjust_cfa_offset 8
	PUSH	rdi
	PUSH_REGS
	movq	$-38, PT_AX(%rsp)		/* -ENOSYS until a call says otherwise */
	/* 3. Do it. */
	movq	%rsp, %rdi
	call	do_syscall_64
	testb	%al, %al
	jz	return_to_user_iret
	/*
	 * 4. The fast way back: RCX and R11 hold what SYSRET wants. Interrupts are off from here to
	 * ring 3.
	 */
	.cfi_remember_state
	POP_REGS_BUT_DI
	movq	%rsp, %rdi			/* rdi is still saved there */
	movq	(PT_SP - PT_ORIG_AX + 8)(%rdi), %rsp
	movq	(%rdi), %rdi
	swapgs
	sysretq
	.cfi_restore_state
	.cfi_endproc

/* Back to ring 3 by IRET: pt_regs at RSP, all checks done, interrupts off. */
	.globl	return_to_user_iret
return_to_user_iret:
	CFI_FRAME 128
	POP_REGS_BUT_DI
	swapgs
	POP_DI_AND_IRET
	.cfi_endproc

/*
 * Exceptions and interrupts. A stub per vector makes every frame alike (where the CPU pushes no
 * error code: 0, or -1 for an interrupt), then puts the vector where di will be saved. 16 bytes
 * each.
 */
	.balign 16
	.globl	entry_stubs
entry_stubs:
	.set	vec, 0
	.rept	256
	.balign 16
	.if (vec == 8) || ((vec >= 10) && (vec <= 14)) || (vec == 17) || (vec == 21)
	CFI_FRAME 8
	.else
	CFI_FRAME 0
	.if vec < 32
	pushq	$0
	.else
	pushq	$-1
	.endif
	.cfi_adjust_cfa_offset 8
	.endif
	pushq	$vec
	.cfi_adjust_cfa_offset 8
	.if vec == 1
	jmp	debug_entry
	.elseif (vec == 2) || (vec == 8) || (vec == 18)
	jmp	paranoid_entry
	.else
	jmp	common_entry
	.endif
	.cfi_endproc
	.set	vec, vec + 1
	.endr

common_entry:
	CFI_FRAME 16
	/*
	 * 1. From ring 3: load the kernel's GS. Flags that ring 3 could have set are not ours: DF,
	 * and AC, which opens SMAP.
	 */
	cld
	testb	$3, 24(%rsp)			/* the saved CS */
	jz	1f
	swapgs
1:	CLAC_IF_SMAP
	/* 2. The rest of pt_regs; rdi gets the vector. */
	xchgq	%rdi, (%rsp)
	.cfi_rel_offset rdi, 0
	PUSH_REGS
	movq	%rsp, %rsi
	call	do_interrupt
	/* 3. Back: to ring 3 through its exit work, to the kernel straight. */
	testb	$3, PT_CS(%rsp)
	jz	3f
	movq	%rsp, %rdi
	call	exit_to_user_mode
	jmp	return_to_user_iret
3:	POP_REGS_BUT_DI
	POP_DI_AND_IRET
	.cfi_endproc

/*
 * #DB may come with the first instruction after SYSCALL, which ring 3 stepped into, while RSP is
 * still ring 3's, so it has a stack of its own. A #DB from ring 3 itself may sleep, so it goes on
 * on the task's stack, as if it had come there.
 */
debug_entry:
	CFI_FRAME 16
	testb	$3, 24(%rsp)			/* the saved CS */
	jz	paranoid_entry
	swapgs
	PUSH	rax
	movq	%rsp, %rax
	.cfi_def_cfa_register rax
	movq	%gs:CPU_KERNEL_SP, %rsp
	.irp	offset, 56, 48, 40, 32, 24, 16, 8	/* ss, sp, flags, cs, ip, error, vector */
	pushq	\offset(%rax)
	.endr
	movq	(%rax), %rax
	.cfi_def_cfa rsp, 40 + 16
	.cfi_restore rax
	swapgs
	jmp	common_entry
	.cfi_endproc

/*
 * NMI, double fault and machine check may come between ring 3 and SWAPGS, so the saved CS does not
 * tell whose GS is loaded; its base does. IST gives them a stack of their own, and on top of it
 * stands the kernel's base. The base's sign would not tell, because WRGSBASE takes any address. If
 * ring 3's base is just the same, either may stay. No exit work.
 */
paranoid_entry:
	CFI_FRAME 16
	cld
	CLAC_IF_SMAP
	xchgq	%rdi, (%rsp)
	.cfi_rel_offset rdi, 0
	PUSH_REGS
	movl	$0xc0000101, %ecx		/* MSR_GS_BASE */
	rdmsr
	shlq	$32, %rdx
	orq	%rdx, %rax
	xorl	%ebx, %ebx
	cmpq	%rax, PT_SIZE(%rsp)
	je	1f
	swapgs
	movl	$1, %ebx
1:	movq	%rsp, %rsi
	call	do_interrupt
	testl	%ebx, %ebx
	jz	2f
	swapgs
2:	POP_REGS_BUT_DI
	POP_DI_AND_IRET
	.cfi_endproc

/*
 * First code of a new task, on its own stack: RAX = the task switched from, RBX = function or 0,
 * R12 = its argument, pt_regs above. A function that returns has made this a ring-3 task (exec), or
 * ends its kernel thread.
 */
	.globl	ret_from_fork
ret_from_fork:
	CFI_FRAME 128
	leaq	1(%rsp), %rbp
	movq	%rax, %rdi
	call	schedule_tail
	call	set_child_tid
	testq	%rbx, %rbx
	jz	1f
	movq	%r12, %rdi
	call	*%rbx
	movl	%eax, %edi
	call	kernel_function_returned
1:	movq	%rsp, %rdi
	call	exit_to_user_mode
	jmp	return_to_user_iret
	.cfi_endproc
