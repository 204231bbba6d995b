/* SPDX-License-Identifier: MIT */
/*
 * The two system calls that C cannot make, because the child comes back on a stack that is not its
 * own (vfork), or on one that holds no frame yet (clone with a new stack).
 */
	.text

/*
 * pid_t vfork(void)
 *
 * Parent and child share the stack, and the child runs first: it returns from here, calls other
 * functions and so writes over the slot with our return address. SYSCALL keeps %rdx, so the address
 * waits there.
 */
	.globl	vfork
	.type	vfork, @function
vfork:
	pop	%rdx
	mov	$58, %eax			/* SYS_vfork */
	syscall
	push	%rdx
	ret
	.size	vfork, . - vfork

/*
 * long clone_call(unsigned long flags (%rdi), void *stack_top (%rsi), int *ptid (%rdx),
 *		   int *ctid (%rcx), void (*fn)(void *) (%r8), void *arg (%r9))
 *
 * The kernel takes ctid in %r10 (SYSCALL overwrites %rcx) and would take a TLS address in %r8.
 * Without CLONE_SETTLS it does not look at %r8, so fn waits there.
 */
	.globl	clone_call
	.type	clone_call, @function
clone_call:
	mov	%rcx, %r10
	and	$-16, %rsi
	mov	$56, %eax			/* SYS_clone */
	syscall
	test	%rax, %rax
	jz	1f
	ret
1:	xor	%ebp, %ebp			/* the child: an empty, aligned stack */
	mov	%r9, %rdi
	call	*%r8
	xor	%edi, %edi
	mov	$60, %eax			/* SYS_exit: this thread only */
	syscall
	ud2
	.size	clone_call, . - clone_call

	.section .note.GNU-stack, "", @progbits
