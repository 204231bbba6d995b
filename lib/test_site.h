/* SPDX-License-Identifier: MIT */
/*
 * Where a test's check is, and in which registers its two values are, for one who looks on from
 * outside (labs/tools/watch.py). No instruction and no byte of the program's comes of it: what is
 * noted stands in a section that is not loaded.
 */
#pragma once

#define __TEXT_OF(x)	#x
#define TEXT_OF(x)	__TEXT_OF(x)

/* @op: how they are compared, and "s" before it if as signed numbers. */
#define TEST_SITE(a, op, b)							\
	__asm__ volatile("991:\n\t"						\
			 ".pushsection .test_sites, \"\", @progbits\n\t"	\
			 ".quad 991b\n\t"					\
			 ".asciz \"" __FILE__ ":" TEXT_OF(__LINE__)		\
			 " %0 " op " %1\"\n\t"					\
			 ".popsection" :: "r"(a), "r"(b))
