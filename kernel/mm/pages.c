// SPDX-License-Identifier: MIT
/*
 * The buddy allocator: free memory is kept in blocks of 2^order pages, aligned to their size. A
 * block whose "buddy" (the address with one bit flipped) is free too is joined with it; a block too
 * large is halved.
 *
 * zone_lock is raw because pages are freed and taken with preemption off.
 */
#include "kernel/mm/pages.h"
#include "boot/bootinfo.h"
#include "kernel/preempt/assert.h"
#include "kernel/preempt/might_sleep.h"
#include "kernel/preempt/raw_spinlock.h"
#include "lib/options.h"
#include "lib/printk.h"
#include "lib/string.h"

extern char _kernel_start[], _kernel_end[];

static raw_spinlock_t zone_lock;
static struct list_head free_area[MAX_ORDER + 1];
static struct page *mem_map;		/* one for each page frame, RAM or not */
static u64 nr_frames;
static u64 total_pages, free_count;

/*
 * --- Before the allocator: a pointer that moves up through RAM, around what the loader put there.
 * ---
 */

static u64 early_next = 0x200000;	/* above the boot section */

static u64 skip_reserved(u64 start, u64 size)
{
	u64 kernel_start = virt_to_phys(_kernel_start), kernel_end = virt_to_phys(_kernel_end);

	for (;;) {
		u64 end = start + size;

		if (start < kernel_end && end > kernel_start)
			start = kernel_end;
		else if (start < boot_info.initrd_end && end > boot_info.initrd_start)
			start = ALIGN_UP(boot_info.initrd_end, PAGE_SIZE);
		else
			return start;
	}
}

void *early_alloc(size_t size)
{
	size = ALIGN_UP(size, PAGE_SIZE);
	for (unsigned int i = 0; i < boot_info.nr_ram; i++) {
		struct boot_mem *ram = &boot_info.ram[i];
		u64 start = skip_reserved(max(ram->start, early_next), size);

		if (start + size > ram->end || start + size > BIT(32))
			continue;
		early_next = start + size;
		return memset(phys_to_virt(start), 0, size);
	}
	panic("mm: no room for %lu KiB of tables; give the machine more memory", size / 1024);
}

u64 early_max_ram(void)
{
	u64 end = 0;

	for (unsigned int i = 0; i < boot_info.nr_ram; i++)
		end = max(end, boot_info.ram[i].end);
	return end;
}

/* --- The buddy system --- */

struct page *phys_to_page(u64 phys)
{
	return &mem_map[phys >> PAGE_SHIFT];
}

u64 page_to_phys(const struct page *page)
{
	return (u64)(page - mem_map) << PAGE_SHIFT;
}

/*
 * Pages that were given back hold PAGE_POISON until they are given out again. Pages that nobody has
 * had yet are filled when they are first given out, because filling all at once would be the
 * longest part of the boot. (Filling also makes QEMU forget what the firmware ran there; until then
 * each store into the page is slow.)
 */
static void poison_pages(struct page *page, unsigned int order)
{
	memset(page_address(page), PAGE_POISON, PAGE_SIZE << order);
	for (unsigned int i = 0; i < 1U << order; i++)
		page[i].poisoned = true;
}

static void check_poison(struct page *page, unsigned int order)
{
	for (struct page *p = page; p < page + (1U << order); p++) {
		u8 *at = NULL;

		if (p->poisoned)
			at = memchr_inv(page_address(p), PAGE_POISON, PAGE_SIZE);
		else
			memset(page_address(p), PAGE_POISON, PAGE_SIZE);
		if (unlikely(at))
			panic("pages: the page at %#llx was written after free: byte %lu is %#x",
			      page_to_phys(p), (unsigned long)at % PAGE_SIZE, *at);
		p->poisoned = false;
	}
}

/* zone_lock held. */
static void free_block(u64 pfn, unsigned int order)
{
	assert_held(&zone_lock);
	free_count += 1UL << order;
	for (; order < MAX_ORDER; order++) {
		u64 buddy = pfn ^ (1UL << order);

		if (buddy >= nr_frames || !mem_map[buddy].free || mem_map[buddy].order != order)
			break;
		list_del(&mem_map[buddy].node);
		mem_map[buddy].free = false;
		pfn &= ~(1UL << order);
	}
	mem_map[pfn].free = true;
	mem_map[pfn].order = order;
	list_add(&mem_map[pfn].node, &free_area[order]);
}

/* zone_lock held. */
static struct page *take_block(unsigned int order)
{
	struct page *page;
	unsigned int have = order;

	assert_held(&zone_lock);
	while (have <= MAX_ORDER && list_empty(&free_area[have]))
		have++;
	if (have > MAX_ORDER)
		return NULL;
	page = list_first_entry(&free_area[have], struct page, node);
	list_del(&page->node);
	page->free = false;
	/* Give the upper half back, until the size is right. */
	while (have > order) {
		struct page *upper = page + (1UL << --have);

		upper->free = true;
		upper->order = have;
		list_add(&upper->node, &free_area[have]);
	}
	page->order = order;
	free_count -= 1UL << order;
	return page;
}

static int fail_countdown;

void fail_nth_alloc(int nr)
{
	__atomic_store_n(&fail_countdown, nr, __ATOMIC_RELAXED);
}

static int set_fail_alloc(const char *value)
{
	int nr = option_number(value, 9999);

	if (nr < 0)
		return nr;
	fail_nth_alloc(nr);
	return 0;
}
BOOT_OPTION(fail_alloc, set_fail_alloc, true, "0 to 9999: the number of the one that fails");

bool should_fail_alloc(void)
{
	/* Whoever counts from 1 to 0 is the one that fails. One that comes late counts below. */
	return READ_ONCE(fail_countdown) > 0 &&
	       !__atomic_sub_fetch(&fail_countdown, 1, __ATOMIC_RELAXED);
}

struct page *alloc_pages(gfp_t gfp, unsigned int order)
{
	struct page *page = NULL;
	unsigned long flags;

	if (gfp & GFP_KERNEL)
		might_sleep();
	flags = raw_spin_lock_irqsave(&zone_lock);
	if (!should_fail_alloc())
		page = take_block(order);
	raw_spin_unlock_irqrestore(&zone_lock, flags);
	if (!page)
		return NULL;
	if (POISON_MEMORY)
		check_poison(page, order);
	page->refcount = 1;
	page->object_size = 0;
	if (gfp & __GFP_ZERO)
		memset(page_address(page), 0, PAGE_SIZE << order);
	return page;
}

void free_pages(struct page *page, unsigned int order)
{
	unsigned long flags;

	BUG_ON(page->free || page->order != order);
	if (POISON_MEMORY)
		poison_pages(page, order);
	flags = raw_spin_lock_irqsave(&zone_lock);
	page->refcount = 0;
	free_block(page - mem_map, order);
	raw_spin_unlock_irqrestore(&zone_lock, flags);
}

void *get_free_page(gfp_t gfp)
{
	struct page *page = alloc_pages(gfp, 0);

	return page ? page_address(page) : NULL;
}

void free_page(void *addr)
{
	put_page(phys_to_page(virt_to_phys(addr)));
}

void get_page(struct page *page)
{
	__atomic_fetch_add(&page->refcount, 1, __ATOMIC_RELAXED);
}

void put_page(struct page *page)
{
	int left = __atomic_sub_fetch(&page->refcount, 1, __ATOMIC_ACQ_REL);

	BUG_ON(left < 0);
	if (!left)
		free_pages(page, page->order);
}

u64 nr_free_pages(void)
{
	return READ_ONCE(free_count);
}

u64 nr_total_pages(void)
{
	return total_pages;
}

void pages_init(void)
{
	unsigned long flags;

	nr_frames = early_max_ram() >> PAGE_SHIFT;
	mem_map = early_alloc(nr_frames * sizeof(struct page));
	for (int order = 0; order <= MAX_ORDER; order++)
		INIT_LIST_HEAD(&free_area[order]);

	/* Page by page: the buddies find each other. */
	flags = raw_spin_lock_irqsave(&zone_lock);
	for (unsigned int i = 0; i < boot_info.nr_ram; i++) {
		struct boot_mem *ram = &boot_info.ram[i];

		for (u64 phys = max(ram->start, early_next); phys < ram->end; phys += PAGE_SIZE)
			if (skip_reserved(phys, PAGE_SIZE) == phys)
				free_block(phys >> PAGE_SHIFT, 0);
	}
	raw_spin_unlock_irqrestore(&zone_lock, flags);
	total_pages = free_count;
	pr_info("mm: %llu MiB free of %llu MiB", free_count >> 8, nr_frames >> 8);
}
