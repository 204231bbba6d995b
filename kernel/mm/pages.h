/* SPDX-License-Identifier: MIT */
/*
 * Pages of physical memory: a buddy allocator, and a struct page for each page of RAM.
 *
 * Freeing never sleeps. Allocating does not sleep either (nothing is ever written out), but with
 * GFP_KERNEL the caller says that it may sleep, and that is checked, because code that works only
 * while memory is plentiful is still wrong. A write to a freed page panics when the page is given
 * out again.
 */
#pragma once

#include "arch/x86/mm/address_space.h"
#include "lib/list.h"

typedef unsigned int gfp_t;
#define GFP_ATOMIC	0x0
#define GFP_KERNEL	0x1		/* may sleep */
#define __GFP_ZERO	0x2

#define MAX_ORDER	10		/* 4 MiB */

/* Fill free memory with poison and look for double frees, except with make RELEASE=1. */
#ifdef RELEASE
#define POISON_MEMORY	false
#else
#define POISON_MEMORY	true
#endif

struct page {
	int			refcount;	/* atomic; address spaces that map it, or 1 */
	/* About the free or allocated block that starts here. */
	u8			order;
	u8			free;		/* in the buddy's lists */
	u16			object_size;	/* kmalloc: 0 if the block is not a slab */
	unsigned int		inuse;		/* kmalloc: objects out; a top level: tables */
	bool			poisoned;	/* this page: filled with PAGE_POISON */
	void			*freelist;	/* kmalloc: first free object */
	/* In the buddy's lists, or in the list of one address space's page tables. */
	struct list_head	node;
};

#define PAGE_POISON	0xaa		/* in pages that were given back */

/*
 * Before pages_init(): memory that is never freed, zeroed, page-aligned, below 4 GiB. Panics if
 * there is none.
 */
void *early_alloc(size_t size);
u64 early_max_ram(void);		/* end of the highest RAM */
void pages_init(void);

struct page *alloc_pages(gfp_t gfp, unsigned int order);	/* NULL: out of memory */
void free_pages(struct page *page, unsigned int order);
void *get_free_page(gfp_t gfp);		/* its address in the direct map, or NULL */
void free_page(void *addr);

/* A page that several address spaces map (copy-on-write). The last put frees it. */
void get_page(struct page *page);
void put_page(struct page *page);

struct page *phys_to_page(u64 phys);
u64 page_to_phys(const struct page *page);

static inline void *phys_to_virt(u64 phys)
{
	return (void *)(phys + DIRECT_MAP);
}

/* For direct-map addresses and the kernel image. */
static inline u64 virt_to_phys(const void *addr)
{
	u64 v = (u64)addr;

	return v >= KERNEL_OFFSET ? v - KERNEL_OFFSET : v - DIRECT_MAP;
}

static inline void *page_address(const struct page *page)
{
	return phys_to_virt(page_to_phys(page));
}

u64 nr_free_pages(void);
u64 nr_total_pages(void);

/*
 * For tests: the @nr-th allocation from now (of pages or kmalloc) fails; 0 switches this off.
 * Programs use the option "fail_alloc=".
 */
void fail_nth_alloc(int nr);
bool should_fail_alloc(void);
