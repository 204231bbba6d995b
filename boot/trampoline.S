/* SPDX-License-Identifier: MIT */
/*
 * Where the other CPUs begin: a start-up message makes a CPU execute at AP_TRAMPOLINE in real mode.
 * smp_init() copies the first part there; the rest runs where it is linked.
 *
 * The code goes from real to protected mode here, then through enter_long_mode in entry32.S like
 * the first CPU, on the same first page tables, and so to ap_entry64.
 */
#include "arch/x86/mm/address_space.h"
#include "asm-offsets.h"

	.section .boot.text, "ax"
	.globl	trampoline_start, trampoline_end, ap_entry64
	.code16
trampoline_start:
	cli
	cld
	xorw	%ax, %ax
	movw	%ax, %ds
	lgdtl	AP_TRAMPOLINE + (ap_gdt_ptr - trampoline_start)
	movl	%cr0, %eax
	orl	$1, %eax			/* PE */
	movl	%eax, %cr0
	ljmpl	$BOOT_CS32, $ap_entry32
	.balign 4
ap_gdt_ptr:
	.short	5 * 8 - 1
	.long	boot_gdt
trampoline_end:

	.code32
ap_entry32:
	movw	$KERNEL_DS, %ax
	movw	%ax, %ds
	movl	$ap_entry64, %edi		/* where enter_long_mode goes on */
	jmp	enter_long_mode

	.code64
ap_entry64:
	/* 1. Is the call for this CPU (CPUID 1, EBX 31:24), and not answered or given up yet? */
	movl	$1, %eax
	cpuid
	shrl	$24, %ebx
	movabsq	$ap_call, %rsi
	cmpl	%ebx, AP_CALL_APIC_ID(%rsi)
	jne	2f
	movl	$AP_STATE_CALLED, %eax
	movl	$AP_STATE_ARRIVED, %ecx
	lock cmpxchgl %ecx, AP_CALL_STATE(%rsi)
	jne	2f
	/* 2. Set NX before loading the tables that use it. Only these tables map the stack. */
	movl	$0xc0000080, %ecx		/* EFER */
	movl	AP_CALL_EFER(%rsi), %eax
	movl	AP_CALL_EFER + 4(%rsi), %edx
	wrmsr
	movq	AP_CALL_SP(%rsi), %rbx
	movq	AP_CALL_CR3(%rsi), %rdx
	movabsq	$3f, %rax
	jmp	*%rax
2:	cli
	hlt
	jmp	2b

	.text					/* the kernel's tables do not show .boot.text */
3:	movq	%rdx, %cr3
	movq	%rbx, %rsp
	xorl	%ebp, %ebp			/* the end of every backtrace */
	pushq	%rbp
	jmp	ap_start
