/* SPDX-License-Identifier: MIT */
/*
 * From 32-bit protected mode to C in long mode.
 *
 * In: EBX = physical address of the loader's information; EAX = Multiboot2's magic, or anything
 * from PVH. Out: start_kernel(magic, info) on the boot stack, at the kernel's linked address,
 * interrupts off.
 */
#include "arch/x86/mm/address_space.h"

#define COM1		0x3f8
#define DEBUG_EXIT	0xf4			/* QEMU's isa-debug-exit; nothing elsewhere */
#define PVH_MAGIC	0x336ec578
#define PVH_NR_MODULES	12			/* in the start info: see bootinfo.c */
#define PVH_MODLIST	16
#define PHYS(sym)	((sym) - KERNEL_OFFSET)

#define PTE_P		0x001
#define PTE_RW		0x002
#define PTE_PS		0x080

	.section .boot.text, "ax"
	.code32
	.globl	boot_pvh32, boot_entry32

boot_pvh32:
	movl	$PVH_MAGIC, %eax		/* PVH's magic, as if handed over */

boot_entry32:
	cli
	cld
	movl	%eax, %ebp			/* EBP: magic, EBX: info; kept until long mode */

	/*
	 * 1. Is the whole kernel in memory, to its last word, with nothing on top of it? QEMU's PVH
	 * does not check: it writes where there is no memory, and puts the initramfs over the
	 * kernel.
	 */
	movl	$no_memory_text, %esi
	movl	$PHYS(_kernel_end) - 4, %edi
	movl	%edi, (%edi)
	cmpl	%edi, (%edi)
	jne	refuse
	movl	$0, (%edi)
	cmpl	$PVH_MAGIC, %ebp
	jne	1f
	cmpl	$0, PVH_NR_MODULES(%ebx)
	je	1f
	movl	PVH_MODLIST(%ebx), %ecx
	movl	(%ecx), %eax			/* the first module: start, size */
	cmpl	$PHYS(_kernel_end), %eax
	jae	1f
	addl	8(%ecx), %eax
	cmpl	$PHYS(_kernel_start), %eax
	ja	refuse
1:
	/*
	 * 2. Is this a 64-bit CPU? (SDM vol. 2, CPUID 0x80000001 EDX bit 29) Any CPU that boots
	 * this has CPUID. Ask for CMOV here (CPUID 1 EDX bit 15), because C code uses it before it
	 * could ask.
	 */
	movl	$PHYS(boot_stack_top), %esp
	pushl	%ebx
	movl	$no_long_mode_text, %esi
	movl	$0x80000000, %eax
	cpuid
	cmpl	$0x80000001, %eax
	jb	refuse
	movl	$0x80000001, %eax
	cpuid
	btl	$29, %edx
	jnc	refuse
	movl	$no_cmov_text, %esi
	movl	$1, %eax
	cpuid
	btl	$15, %edx
	jnc	refuse
	popl	%ebx

	movl	$boot_entry64, %edi

	/*
	 * 3. PAE, the tables, long mode, paging, in this order (SDM vol. 3, 10.8.5). In: EDI =
	 * where to continue. Kept: EBP, EBX.
	 */
	.globl	enter_long_mode
enter_long_mode:
	movl	%cr4, %eax
	orl	$0x20, %eax
	movl	%eax, %cr4
	movl	$boot_pml4, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx		/* EFER */
	rdmsr
	orl	$0x100, %eax			/* LME */
	wrmsr
	movl	%cr0, %eax
	orl	$0x80010001, %eax		/* PG, WP, PE */
	movl	%eax, %cr0

	/* 4. A 64-bit code segment, and off to the linked address. */
	lgdt	boot_gdt_ptr
	ljmp	$KERNEL_CS, $1f
	.code64
1:	movl	%edi, %edi
	jmp	*%rdi
	.code32

/* Send the line at ESI to the serial port, exit with a failing code, then do nothing for ever. */
refuse:
3:	movw	$(COM1 + 5), %dx
4:	inb	%dx, %al
	testb	$0x20, %al
	jz	4b
	lodsb
	testb	%al, %al
	jz	5f
	movw	$COM1, %dx
	outb	%al, %dx
	jmp	3b
5:	movb	$0x12, %al
	outb	%al, $DEBUG_EXIT
6:	hlt
	jmp	6b

	.code64
boot_entry64:					/* data segments: percpu_init() */
	movl	%ebp, %edi
	movl	%ebx, %esi
	movabsq	$boot_stack_top, %rsp
	movabsq	$start_kernel, %rax
	xorl	%ebp, %ebp			/* the end of every backtrace */
	pushq	%rbp
	jmp	*%rax

	.section .boot.rodata, "a"
no_long_mode_text:
	.asciz	"splat: this CPU has no long mode; an x86-64 CPU is needed\r\n"
no_cmov_text:
	.asciz	"splat: this CPU has no CMOV; every x86-64 CPU has it\r\n"
no_memory_text:
	.asciz	"splat: the kernel and its initramfs do not fit in memory; more is needed\r\n"
	.balign 8
	.globl	boot_gdt
boot_gdt:
	.quad	0
	.quad	0x00cf9a000000ffff		/* BOOT_CS32 */
	.quad	0x00af9a000000ffff		/* KERNEL_CS */
	.quad	0x00cf92000000ffff		/* KERNEL_DS */
boot_gdt_ptr:
	.short	boot_gdt_ptr - boot_gdt - 1
	.quad	boot_gdt

/*
 * The first page tables map the low 4 GiB in 2 MiB pages at 0 (where we run) and in the direct map,
 * and the first GiB at KERNEL_OFFSET. pgtable_init() replaces them with tables that keep W^X.
 */
	.balign 4096
boot_pd:
	.set	page, PTE_P + PTE_RW + PTE_PS
	.rept	4 * 512
	.quad	page
	.set	page, page + 0x200000
	.endr
boot_pdpt:
	.irp	gib, 0, 1, 2, 3
	.quad	boot_pd + \gib * 4096 + PTE_P + PTE_RW
	.endr
	.balign 4096
boot_pdpt_kernel:
	.skip	510 * 8
	.quad	boot_pd + PTE_P + PTE_RW, 0
boot_pml4:
	.quad	boot_pdpt + PTE_P + PTE_RW		/* 0: identity */
	.skip	272 * 8
	.quad	boot_pdpt + PTE_P + PTE_RW		/* 273: DIRECT_MAP */
	.skip	237 * 8
	.quad	boot_pdpt_kernel + PTE_P + PTE_RW	/* 511: KERNEL_OFFSET */

	.section .bss
	.balign 4096
	.globl	boot_stack_guard, boot_stack, boot_stack_top
boot_stack_guard:	.skip 4096			/* unmapped by pgtable_init() */
boot_stack:		.skip THREAD_SIZE
boot_stack_top:
