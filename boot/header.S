/* SPDX-License-Identifier: MIT */
/*
 * How the two boot protocols find us: a Multiboot2 header (GRUB) and a PVH note (QEMU -kernel).
 * Both enter boot_entry32 in 32-bit protected mode with paging off.
 */
	.section .multiboot, "a"
	.balign 8
mb2_header:
	.long	0xe85250d6			/* magic */
	.long	0				/* architecture: i386, 32-bit protected mode */
	.long	mb2_header_end - mb2_header
	.long	-(0xe85250d6 + (mb2_header_end - mb2_header))

	.balign 8				/* entry address: physical, whatever e_entry says */
	.short	3, 0
	.long	12
	.long	boot_entry32

	.balign 8				/* modules on page boundaries */
	.short	6, 0
	.long	8

	.balign 8				/* end */
	.short	0, 0
	.long	8
mb2_header_end:

	.section .note.pvh, "a", @note
	.balign 4
	.long	2f - 1f				/* name size */
	.long	4f - 3f				/* descriptor size */
	.long	18				/* XEN_ELFNOTE_PHYS32_ENTRY */
1:	.asciz	"Xen"
2:	.balign 4
3:	.long	boot_pvh32
4:
