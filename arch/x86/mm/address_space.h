/* SPDX-License-Identifier: MIT */
/*
 * Where things stand in the 48-bit address space. Read by C and by assembly.
 *
 * ffffffffff5fb000  this CPU's local APIC, one page
 * ffffffff81000000  the kernel image, loaded at 16 MiB
 * ffffc90000000000  kernel stacks, each with an unmapped page below it
 * ffff888000000000  all RAM, one to one (the direct map)
 * ffff800000000000  canonical again: the kernel's half begins
 * 0000800000000000  not canonical: an address here faults, whatever the page tables say
 * 00007ffffffff000  not ring 3's: the last page below the gap
 * 0000000000400000  ring 3: program, heap, mmap, stack
 */
#pragma once

#ifdef __ASSEMBLER__
#define UL(x)			x
#else
#define UL(x)			x##UL
#endif

#define KERNEL_OFFSET		UL(0xffffffff80000000)	/* image: virtual minus physical */
#define DIRECT_MAP		UL(0xffff888000000000)
#define DIRECT_MAP_MAX		UL(0x0000010000000000)	/* 1 TiB of RAM at most */
#define STACK_AREA		UL(0xffffc90000000000)
#define STACK_AREA_END		UL(0xffffc90010000000)	/* 256 MiB: 8192 stacks and their guards */
#define LAPIC_VIRT		UL(0xffffffffff5fb000)	/* its registers, one page, uncached */
#define TASK_SIZE_MAX		UL(0x00007ffffffff000)	/* first address ring 3 may not have */

#define THREAD_SIZE		UL(0x4000)		/* a kernel stack; ... */
#define STACK_SLOT		(2 * THREAD_SIZE)	/* ... the upper half of its slot */
#define NR_CPUS			8
#define AP_TRAMPOLINE		UL(0x8000)		/* physical: other CPUs begin here */

/* Selectors. SYSRET wants user data at STAR[63:48]+8 and user code at +16 (SDM vol. 2, SYSRET). */
#define BOOT_CS32		0x08			/* 32-bit code; in the first GDT only */
#define KERNEL_CS		0x10
#define KERNEL_DS		0x18
#define USER_DS			0x2b
#define USER_CS			0x33
#define TSS_SEL			0x40
