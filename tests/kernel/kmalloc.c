/* SPDX-License-Identifier: MIT */
/*
 * kmalloc. Freed objects are read here on purpose: the direct map still shows them. What ends in a
 * panic is shown by host/kmalloc-panics; of a write behind the end the tests here ask
 * kmalloc_overrun(), before kfree() does.
 */
#include "kernel/mm/kmalloc.h"
#include "kernel/preempt/might_sleep.h"
#include "kernel/preempt/raw_spinlock.h"
#include "lib/string.h"
#include "tests/kernel/threads.h"

KTEST_SUITE(kmalloc);

#define SLAB_MAX	2048		/* the largest object that shares its page */

static const size_t sizes[] = {
	1, 31, 32, 33, 64, 65, 100, 128, 500, 512, 1024, 1025, 2048, 2049, 4096, 4097, 10000, 65536,
};

/* What an object of @size really gets. */
static size_t rounded(size_t size)
{
	size_t real;

	size += KMALLOC_REDZONE;
	real = size > SLAB_MAX ? PAGE_SIZE : KMALLOC_MIN;
	while (real < size)
		real *= 2;
	return real;
}

/* fails with: new_slab() cutting objects from behind a header */
KTEST(objects_are_aligned_to_their_size)
{
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		void *object = kmalloc(sizes[i], GFP_KERNEL);
		size_t align = min(rounded(sizes[i]), PAGE_SIZE);

		KEXPECT(object);
		KEXPECT_EQ((u64)object & (align - 1), 0);
		kfree(object);
	}
}

/* fails with: kmalloc() rounding a size down */
KTEST(objects_do_not_overlap)
{
	static u8 *objects[10 * ARRAY_SIZE(sizes)];

	for (size_t i = 0; i < ARRAY_SIZE(objects); i++) {
		objects[i] = kmalloc(sizes[i % ARRAY_SIZE(sizes)], GFP_KERNEL);
		KEXPECT(objects[i]);
		if (objects[i])
			memset(objects[i], i, sizes[i % ARRAY_SIZE(sizes)]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(objects); i++) {
		size_t size = sizes[i % ARRAY_SIZE(sizes)];

		if (objects[i])
			KEXPECT_EQ(memchr_inv(objects[i], (u8)i, size), NULL);
		kfree(objects[i]);
	}
}

/* fails with: kmalloc() filling nothing, or the free list's link only */
KTEST(fresh_objects_hold_the_inuse_poison)
{
	if (!POISON_MEMORY)
		KSKIP("built with RELEASE=1: no poison");
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		u8 *object = kmalloc(sizes[i], GFP_KERNEL);

		KEXPECT(object);
		if (!object)
			continue;
		KEXPECT_EQ(memchr_inv(object, POISON_INUSE, sizes[i]), NULL);
		kfree(object);
	}
}

/* fails with: kfree() not poisoning, or poisoning less than the object */
KTEST(freed_objects_hold_the_free_poison)
{
	RUN_AS_FIFO(10);		/* nobody takes it in between */

	if (!POISON_MEMORY)
		KSKIP("built with RELEASE=1: no poison");
	for (size_t size = KMALLOC_MIN; size <= SLAB_MAX; size *= 2) {
		u8 *object = kmalloc(size - KMALLOC_REDZONE, GFP_KERNEL), *bad;
		void *keeps_the_slab = kmalloc(size - KMALLOC_REDZONE, GFP_KERNEL);

		KEXPECT(object && keeps_the_slab);
		if (!object)
			continue;
		memset(object, 0xff, size - KMALLOC_REDZONE);
		kfree(object);
		/* The first word links the free objects. */
		bad = memchr_inv(object + sizeof(void *), POISON_FREE, size - sizeof(void *));
		KEXPECT_EQ(bad, NULL);
		kfree(keeps_the_slab);
	}
}

/* fails with: kzalloc() leaving the poison in */
KTEST(zeroed_objects_are_zero)
{
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		u8 *dirty = kmalloc(sizes[i], GFP_KERNEL), *object;

		if (dirty)
			memset(dirty, 0xff, sizes[i]);
		kfree(dirty);
		object = kzalloc(sizes[i], GFP_KERNEL);
		KEXPECT(object);
		if (!object)
			continue;
		KEXPECT_EQ(memchr_inv(object, 0, sizes[i]), NULL);
		kfree(object);
	}
}

/* fails with: kmalloc() not limiting the order */
KTEST(the_largest_size_and_one_more)
{
	RUN_AS_FIFO(10);
	u64 before = nr_free_pages();
	void *object = kmalloc(KMALLOC_MAX, GFP_KERNEL);

	KEXPECT(object);
	KEXPECT_EQ(before - nr_free_pages(), 1UL << MAX_ORDER);
	kfree(object);
	KEXPECT_EQ(kmalloc(KMALLOC_MAX + 1, GFP_KERNEL), NULL);
	KEXPECT_EQ(kmalloc(4 * KMALLOC_MAX, GFP_KERNEL), NULL);
	KEXPECT_EQ(kmalloc(-1UL, GFP_KERNEL), NULL);
	KEXPECT_EQ(nr_free_pages(), before);
}

/* fails with: kfree() looking up the page of address 0 */
KTEST(nothing_is_fine_too)
{
	void *object = kmalloc(0, GFP_KERNEL);

	KEXPECT(object);
	kfree(object);
	kfree(NULL);
}

/* fails with: kfree() keeping a slab whose last object came back */
KTEST(pages_come_back)
{
	RUN_AS_FIFO(10);
	static void *objects[300];
	u64 before = nr_free_pages();

	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
		size_t count = sizes[s] > PAGE_SIZE ? 10 : ARRAY_SIZE(objects);

		for (size_t i = 0; i < count; i++)
			objects[i] = kmalloc(sizes[s], GFP_KERNEL);
		KEXPECT(nr_free_pages() < before);
		/* Even ones first: each slab goes from full through partial to empty. */
		for (size_t i = 0; i < count; i += 2)
			kfree(objects[i]);
		for (size_t i = 1; i < count; i += 2)
			kfree(objects[i]);
		KEXPECT_EQ(nr_free_pages(), before);
	}
}

/* fails with: kfree() not putting a slab that was full back into its bucket */
KTEST(a_freed_object_is_used_again)
{
	RUN_AS_FIFO(10);
	void *first = kmalloc(1024, GFP_KERNEL), *second = kmalloc(1024, GFP_KERNEL), *again;

	KEXPECT(first && second);
	kfree(first);
	again = kmalloc(1024, GFP_KERNEL);
	KEXPECT_EQ(again, first);
	kfree(again);
	kfree(second);
}

/* fails with: kmalloc() using the address of page NULL */
KTEST(no_memory_is_null)
{
	RUN_AS_FIFO(10);
	u64 before = nr_free_pages();
	LIST_HEAD(taken);
	struct page *page, *next;
	size_t denied = 0;

	fail_nth_alloc(1);
	KEXPECT_EQ(kmalloc(4096, GFP_KERNEL), NULL);

	/* With all pages gone, what is left in the slabs is given out, then nothing more. */
	while ((page = alloc_pages(GFP_ATOMIC, 0)))
		list_add(&page->node, &taken);
	KEXPECT_EQ(kmalloc(4096, GFP_ATOMIC), NULL);
	KEXPECT_EQ(kzalloc(65536, GFP_ATOMIC), NULL);
	for (void **object, **chain = NULL;; chain = object) {
		object = kmalloc(SLAB_MAX - KMALLOC_REDZONE, GFP_ATOMIC);
		if (object) {
			*object = chain;
			continue;
		}
		denied++;
		while (chain) {
			object = *chain;
			kfree(chain);
			chain = object;
		}
		break;
	}
	KEXPECT_EQ(denied, 1);
	list_for_each_entry_safe(page, next, &taken, node) {
		list_del(&page->node);
		free_pages(page, 0);
	}
	KEXPECT_EQ(nr_free_pages(), before);
}

/* fails with: kmalloc() or kfree() asserting that they may sleep whatever the flags say */
KTEST(atomic_allocation_is_fine_everywhere)
{
	static raw_spinlock_t lock;
	struct splats before = splats_now();
	void *small, *large;

	raw_spin_lock_irq(&lock);
	small = kmalloc(64, GFP_ATOMIC);
	large = kzalloc(3 * PAGE_SIZE, GFP_ATOMIC);
	kfree(small);
	kfree(large);
	raw_spin_unlock_irq(&lock);
	KEXPECT(small && large);
	EXPECT_SPLATS_IN_ALL(before, 0);
}

/* A byte that is written at @at, behind an object of @size, is seen; and gone when put back. */
static void expect_seen(struct ktest_run *kt, u8 *object, size_t size, size_t at)
{
	u8 was = object[at];
	size_t said;

	object[at] ^= 1;
	if (kmalloc_overrun(object, &said) != object + at || (at == size && said != size))
		KFAIL("a write to byte %lu of an object of %lu bytes is not seen there", at, size);
	object[at] = was;
	KEXPECT_EQ(kmalloc_overrun(object, &said), NULL);
	KEXPECT_EQ(said, size);
}

/* fails with: fault/redzone-at-the-rounded-size */
KTEST(a_write_behind_the_end_is_seen_at_any_size)
{
	if (!POISON_MEMORY)
		KSKIP("built with RELEASE=1: no redzone");
	/* Around each power of two, and so around the ends of all buckets and blocks. */
	for (size_t power = 1; power <= 4 * PAGE_SIZE; power *= 2) {
		for (size_t size = power - min(power, 10UL); size <= power + 2; size++) {
			u8 *object = kmalloc(size, GFP_KERNEL);

			KEXPECT(object);
			if (!object)
				continue;
			expect_seen(kt, object, size, size);
			expect_seen(kt, object, size, size + 1);
			expect_seen(kt, object, size, rounded(size) - sizeof(u32) - 1);
			kfree(object);
		}
	}
}

/* fails with: fault/redzone-forgets-the-kept-size */
KTEST(a_write_over_all_of_the_redzone_is_seen)
{
	static const u8 bytes[] = { 0, 1, POISON_REDZONE, POISON_INUSE, 0xff };

	if (!POISON_MEMORY)
		KSKIP("built with RELEASE=1: no redzone");
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t size = sizes[i], room = rounded(size), said;
		u8 *object = kmalloc(size, GFP_KERNEL);
		u32 kept = *(u32 *)(object + room - sizeof(u32));

		for (size_t b = 0; object && b < ARRAY_SIZE(bytes); b++) {
			memset(object + size, bytes[b], room - size);
			KEXPECT(kmalloc_overrun(object, &said));
		}
		memset(object + size, POISON_REDZONE, room - size);
		*(u32 *)(object + room - sizeof(u32)) = kept;
		kfree(object);
	}
}
