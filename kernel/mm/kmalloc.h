/* SPDX-License-Identifier: MIT */
/*
 * Small objects: sizes are powers of two, cut from single pages; above half a page, whole pages.
 *
 * Objects are aligned to their size (64 at least from 64 bytes on, which XSAVE needs). Freed
 * objects are filled with a poison that is checked when they are given out again: a write after
 * free panics, naming the object.
 * Context: GFP_KERNEL may sleep; GFP_ATOMIC and kfree() never do.
 */
#pragma once

#include "kernel/mm/pages.h"

#define KMALLOC_MIN	32
#define KMALLOC_MAX	(PAGE_SIZE << MAX_ORDER)

#define POISON_FREE	0x6b		/* in freed objects */
#define POISON_INUSE	0x5a		/* in fresh ones, so that nobody relies on zeros */

void kmalloc_init(void);
void *kmalloc(size_t size, gfp_t gfp);	/* NULL: out of memory, or more than KMALLOC_MAX */
void *kzalloc(size_t size, gfp_t gfp);
void kfree(void *object);		/* NULL is fine */
