/* SPDX-License-Identifier: MIT */
/*
 * Small objects: sizes are powers of two, cut from single pages; above half a page, whole pages.
 *
 * Objects are aligned to their size (64 at least from 64 bytes on, which XSAVE needs). Freed
 * objects are filled with a poison that is checked when they are given out again, so a write after
 * free panics, naming the object. A redzone that kfree() checks starts right behind the size asked
 * for, so a write behind the end panics, too.
 * Context: GFP_KERNEL may sleep; GFP_ATOMIC and kfree() never do.
 */
#pragma once

#include "kernel/mm/pages.h"

#define KMALLOC_MIN	32
#define KMALLOC_REDZONE	(POISON_MEMORY ? 8UL : 0)	/* at least; 4 bytes keep the size */
#define KMALLOC_MAX	((PAGE_SIZE << MAX_ORDER) - KMALLOC_REDZONE)

#define POISON_FREE	0x6b		/* in freed objects */
#define POISON_INUSE	0x5a		/* in fresh ones, so that nobody relies on zeros */
#define POISON_REDZONE	0xbb		/* behind them */

void kmalloc_init(void);
void *kmalloc(size_t size, gfp_t gfp);	/* NULL: out of memory, or more than KMALLOC_MAX */
void *kzalloc(size_t size, gfp_t gfp);
void kfree(void *object);		/* NULL is fine */

/* The first byte behind @object's *@size that somebody wrote, or NULL. Only kfree() panics. */
u8 *kmalloc_overrun(void *object, size_t *size);
