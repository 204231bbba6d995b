/* SPDX-License-Identifier: MIT */
/*
 * The first instructions of every program: from the stack that execve built to main(argc, argv,
 * envp).
 *
 * At entry %rsp points at argc, then argv[], NULL, envp[], NULL and the auxiliary vector; it is
 * 16-byte aligned. _start_hook() runs before any register is touched, so that a test can look at
 * what execve left in them.
 */
	.text
	.globl	_start
	.type	_start, @function
_start:
	call	_start_hook
	xor	%ebp, %ebp			/* the outermost frame: a backtrace ends here */
	mov	(%rsp), %rdi			/* argc */
	lea	8(%rsp), %rsi			/* argv */
	lea	8(%rsi,%rdi,8), %rdx		/* envp: behind argv[] and its NULL */
	and	$-16, %rsp			/* main() may rely on it */
	call	main
	mov	%eax, %edi
	call	exit				/* writes out a pending line; does not return */
	ud2
	.size	_start, . - _start

/* Programs that want to see the registers at entry define their own. */
	.weak	_start_hook
	.type	_start_hook, @function
_start_hook:
	ret
	.size	_start_hook, . - _start_hook

	.section .note.GNU-stack, "", @progbits
