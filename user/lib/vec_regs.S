/* SPDX-License-Identifier: MIT */
/*
 * Load every vector register, do one thing, store every vector register. See vec.h for the
 * contracts.
 */
#include "user/lib/vec.h"

	.text

/* Loads all registers from the image at %rdi. Uses %rax, %rcx, %rdx. */
	.macro	LOAD
	fxrstor64 (%rdi)			/* x87, MXCSR; the xmm registers come next */
	mov	vec_live(%rip), %eax
	test	$VEC_AVX512, %eax
	jnz	.Lload_zmm\@
	test	$VEC_AVX, %eax
	jnz	.Lload_ymm\@
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	movups	VEC_REG + VEC_REG_SIZE * \n(%rdi), %xmm\n
	.endr
	jmp	.Lload_pkru\@
.Lload_ymm\@:
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	vmovups	VEC_REG + VEC_REG_SIZE * \n(%rdi), %ymm\n
	.endr
	jmp	.Lload_pkru\@
.Lload_zmm\@:
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	vmovups	VEC_REG + VEC_REG_SIZE * \n(%rdi), %zmm\n
	.endr
	.irp	n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	vmovups	VEC_REG + VEC_REG_SIZE * \n(%rdi), %zmm\n
	.endr
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	kmovq	VEC_K + 8 * \n(%rdi), %k\n
	.endr
.Lload_pkru\@:
	test	$VEC_PKU, %eax
	jz	.Lload_done\@
	mov	VEC_PKRU(%rdi), %eax
	xor	%ecx, %ecx
	xor	%edx, %edx
	wrpkru
.Lload_done\@:
	.endm

/* Stores all registers to the image at %r9. Uses %rax, %rcx, %rdx. */
	.macro	STORE
	fxsave64 (%r9)
	mov	vec_live(%rip), %eax
	test	$VEC_AVX512, %eax
	jnz	.Lstore_zmm\@
	test	$VEC_AVX, %eax
	jnz	.Lstore_ymm\@
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	movups	%xmm\n, VEC_REG + VEC_REG_SIZE * \n(%r9)
	.endr
	jmp	.Lstore_pkru\@
.Lstore_ymm\@:
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	vmovups	%ymm\n, VEC_REG + VEC_REG_SIZE * \n(%r9)
	.endr
	jmp	.Lstore_pkru\@
.Lstore_zmm\@:
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	vmovups	%zmm\n, VEC_REG + VEC_REG_SIZE * \n(%r9)
	.endr
	.irp	n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	vmovups	%zmm\n, VEC_REG + VEC_REG_SIZE * \n(%r9)
	.endr
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	kmovq	%k\n, VEC_K + 8 * \n(%r9)
	.endr
.Lstore_pkru\@:
	test	$VEC_PKU, %eax
	jz	.Lstore_done\@
	xor	%ecx, %ecx
	rdpkru
	mov	%eax, VEC_PKRU(%r9)
.Lstore_done\@:
	.endm

/*
 * The ABI keeps these over a call, so C code must not see the pattern: an odd rounding mode, a full
 * x87 stack. The upper halves are cleared because SSE code is slow while they are in use.
 */
	.macro	RESET_CONTROL
	fninit
	ldmxcsr	mxcsr_reset(%rip)
	testl	$VEC_AVX, vec_live(%rip)
	jz	.Lreset_done\@
	vzeroupper
.Lreset_done\@:
	.endm

	.macro	DETECT
	cmpl	$0, vec_live(%rip)
	jne	.Ldetected\@
	call	vec_detect
.Ldetected\@:
	.endm

/*
 * long vec_syscall(const struct vec_image *in, struct vec_image *out, struct sysargs *args)
 *		    %rdi			%rsi		       %rdx
 *
 * Nothing is pushed, because the child may have another stack (clone) or write over this one before
 * the parent runs on (vfork). What must outlive the call is in %r8 and %r9, which SYSCALL keeps.
 */
	.globl	vec_syscall
	.type	vec_syscall, @function
vec_syscall:
	DETECT
	/*
	 * 1. Save what is needed afterwards: args in %r8, out in %r9, our return address in args.
	 */
	mov	%rdx, %r8
	mov	%rsi, %r9
	mov	(%rsp), %rax
	mov	%rax, SYSARGS_RET(%r8)

	/* 2. Load, and call. */
	LOAD
	mov	0(%r8), %rax
	mov	8(%r8), %rdi
	mov	16(%r8), %rsi
	mov	24(%r8), %rdx
	mov	32(%r8), %r10
	syscall

	/*
	 * 3. Parent: our return address again, which the child of vfork may have overwritten.
	 * Child: its image.
	 */
	test	%rax, %rax
	jz	1f
	mov	SYSARGS_RET(%r8), %rcx
	mov	%rcx, (%rsp)
	jmp	2f
1:	mov	SYSARGS_CHILD(%r8), %rcx
	test	%rcx, %rcx
	cmovnz	%rcx, %r9

	/* 4. Store. */
2:	mov	%rax, %r10
	STORE
	RESET_CONTROL
	mov	%r10, %rax
	ret
	.size	vec_syscall, . - vec_syscall

/*
 * void vec_spin(const struct vec_image *in (%rdi), struct vec_image *out (%rsi), unsigned long
 * loops (%rdx))
 */
	.globl	vec_spin
	.type	vec_spin, @function
vec_spin:
	DETECT
	mov	%rsi, %r9
	mov	%rdx, %r8
	LOAD
1:	dec	%r8
	jnz	1b
	STORE
	RESET_CONTROL
	ret
	.size	vec_spin, . - vec_spin

/* void vec_store(struct vec_image *out (%rdi)) */
	.globl	vec_store
	.type	vec_store, @function
vec_store:
	DETECT
	mov	%rdi, %r9
	STORE
	ret
	.size	vec_store, . - vec_store

/*
 * Sets vec_live; keeps every other register. In assembly because it may run at _start, when the
 * compiler must not have touched a vector register yet.
 */
	.type	vec_detect, @function
vec_detect:
	push	%rax
	push	%rbx
	push	%rcx
	push	%rdx
	push	%r8
	push	%r9

	/*
	 * 1. If CPUID.1:ECX.OSXSAVE[27] is set, the kernel's choice is in XCR0; else there is
	 * FXSAVE only.
	 */
	mov	$3, %r8d
	mov	$1, %eax
	cpuid
	bt	$27, %ecx
	jnc	1f
	xor	%ecx, %ecx
	xgetbv
	and	$(3 | VEC_AVX | VEC_AVX512 | VEC_PKU), %eax
	mov	%eax, %r8d

	/*
	 * 2. CPUID.7: opmasks are 64 bits with AVX512BW (EBX[30]); RDPKRU works with OSPKE
	 * (ECX[4]).
	 */
1:	xor	%r9d, %r9d
	xor	%eax, %eax
	cpuid
	cmp	$7, %eax
	jb	2f
	mov	$7, %eax
	xor	%ecx, %ecx
	cpuid
	bt	$30, %ebx
	jnc	3f
	or	$VEC_AVX512, %r9d
3:	bt	$4, %ecx
	jnc	2f
	or	$VEC_PKU, %r9d
2:	or	$(3 | VEC_AVX), %r9d
	and	%r9d, %r8d
	mov	%r8d, vec_live(%rip)

	pop	%r9
	pop	%r8
	pop	%rdx
	pop	%rcx
	pop	%rbx
	pop	%rax
	ret
	.size	vec_detect, . - vec_detect

/* unsigned int vec_live_mask(void) */
	.globl	vec_live_mask
	.type	vec_live_mask, @function
vec_live_mask:
	DETECT
	mov	vec_live(%rip), %eax
	ret
	.size	vec_live_mask, . - vec_live_mask

	.section .rodata
	.balign	4
mxcsr_reset:
	.long	0x1f80

	.bss
	.balign	4
vec_live:
	.skip	4

	.section .note.GNU-stack, "", @progbits
