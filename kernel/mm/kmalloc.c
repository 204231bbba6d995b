// SPDX-License-Identifier: MIT
/*
 * Slabs of one page: free objects are linked through their first word; the rest of them is poison.
 */
#include "kernel/mm/kmalloc.h"
#include "kernel/preempt/might_sleep.h"
#include "kernel/preempt/raw_spinlock.h"
#include "lib/string.h"

struct bucket {
	raw_spinlock_t lock;
	struct list_head partial;	/* slabs with a free object */
};

static struct bucket buckets[7];	/* 32, 64, ... 2048 */

static unsigned int bucket_index(size_t size)
{
	unsigned int i = 0;

	while ((size_t)KMALLOC_MIN << i < size)
		i++;
	return i;
}

void kmalloc_init(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(buckets); i++)
		INIT_LIST_HEAD(&buckets[i].partial);
}

static void poison(void *object, size_t size)
{
	if (POISON_MEMORY)
		memset(object + sizeof(void *), POISON_FREE, size - sizeof(void *));
}

static void check_poison(void *object, size_t size)
{
	u8 *bad = NULL;

	if (POISON_MEMORY)
		bad = memchr_inv(object + sizeof(void *), POISON_FREE, size - sizeof(void *));
	if (unlikely(bad))
		panic("kmalloc: object %p (%lu bytes) was written after free: byte %ld is %#x",
		      object, size, (long)(bad - (u8 *)object), *bad);
}

/* --- The redzone follows the size asked for; the last word of the room says that size. --- */

/* Where in its @room the size of @object is kept. */
static u32 *kept_size(void *object, size_t room)
{
	return object + room - sizeof(u32);
}

static void set_redzone(void *object, size_t size, size_t room)
{
	memset(object + size, POISON_REDZONE, room - size - sizeof(u32));
	*kept_size(object, room) = size;
}

/* The room of the object that starts in @page. */
static size_t room_of(const struct page *page)
{
	return page->object_size ? page->object_size : PAGE_SIZE << page->order;
}

static struct page *page_of(const void *object)
{
	return phys_to_page(virt_to_phys(object) & PAGE_MASK);
}

u8 *kmalloc_overrun(void *object, size_t *size)
{
	size_t room = room_of(page_of(object));
	u32 *kept = kept_size(object, room);
	u8 *bad;

	if (!POISON_MEMORY)
		return NULL;
	/* A write that reached the kept size has also hit the bytes before it. */
	*size = min((size_t)*kept, room - KMALLOC_REDZONE);
	bad = memchr_inv(object + *size, POISON_REDZONE, room - *size - sizeof(u32));
	return bad || *kept == *size ? bad : (u8 *)kept;
}

static void check_redzone(void *object)
{
	size_t size;
	u8 *bad = kmalloc_overrun(object, &size);

	if (unlikely(bad))
		panic("kmalloc: object %p (%lu bytes) was written behind its end: byte %ld is %#x",
		      object, size, (long)(bad - (u8 *)object), *bad);
}

/* --- Slabs --- */

static struct page *new_slab(size_t size)
{
	/* kmalloc() has checked whether this may sleep. */
	struct page *page = alloc_pages(GFP_ATOMIC, 0);
	void *base;

	if (!page)
		return NULL;
	base = page_address(page);
	page->object_size = size;
	page->inuse = 0;
	page->freelist = NULL;
	for (size_t offset = PAGE_SIZE; offset; offset -= size) {
		void **object = base + offset - size;

		poison(object, size);
		*object = page->freelist;
		page->freelist = object;
	}
	return page;
}

static void *kmalloc_slab(size_t size, unsigned int index)
{
	struct bucket *b = &buckets[index];
	unsigned long flags = raw_spin_lock_irqsave(&b->lock);
	struct page *page;
	void **object;

	if (list_empty(&b->partial)) {
		raw_spin_unlock_irqrestore(&b->lock, flags);
		page = new_slab(size);
		if (!page)
			return NULL;
		flags = raw_spin_lock_irqsave(&b->lock);
		list_add(&page->node, &b->partial);
	}
	page = list_first_entry(&b->partial, struct page, node);
	object = page->freelist;
	page->freelist = *object;
	page->inuse++;
	if (!page->freelist)
		list_del(&page->node);
	raw_spin_unlock_irqrestore(&b->lock, flags);
	check_poison(object, size);
	return object;
}

void *kmalloc(size_t size, gfp_t gfp)
{
	unsigned int index, order = 0;
	size_t room = size + KMALLOC_REDZONE;
	void *object;

	if (gfp & GFP_KERNEL)
		might_sleep();
	if (size > KMALLOC_MAX)
		return NULL;
	index = bucket_index(room);
	if (index < ARRAY_SIZE(buckets)) {
		room = (size_t)KMALLOC_MIN << index;
		object = should_fail_alloc() ? NULL : kmalloc_slab(room, index);
	} else {
		struct page *page;

		while (PAGE_SIZE << order < room)
			order++;
		room = PAGE_SIZE << order;
		page = alloc_pages(GFP_ATOMIC, order);
		object = page ? page_address(page) : NULL;
	}
	if (!object)
		return NULL;
	if (POISON_MEMORY || gfp & __GFP_ZERO)
		memset(object, gfp & __GFP_ZERO ? 0 : POISON_INUSE, size);
	if (POISON_MEMORY)
		set_redzone(object, size, room);
	return object;
}

void *kzalloc(size_t size, gfp_t gfp)
{
	return kmalloc(size, gfp | __GFP_ZERO);
}

/* The slab's lock held. An object that is already on the free list is being freed twice. */
static void check_double_free(struct page *page, void *object)
{
	for (void **p = POISON_MEMORY ? page->freelist : NULL; p; p = *p)
		if (unlikely(p == object))
			panic("kmalloc: object %p (%u bytes) is freed twice", object,
			      page->object_size);
}

void kfree(void *object)
{
	struct page *page;
	struct bucket *b;
	unsigned long flags;
	size_t size;

	if (!object)
		return;
	page = page_of(object);
	size = room_of(page);
	BUG_ON(!page->refcount);		/* nobody has allocated this */
	if ((u64)object & (size - 1))
		panic("kmalloc: kfree(%p) is no object's start (size %lu)", object, size);
	if (!page->object_size) {
		check_redzone(object);
		free_pages(page, page->order);
		return;
	}
	b = &buckets[bucket_index(size)];
	flags = raw_spin_lock_irqsave(&b->lock);
	check_double_free(page, object);
	check_redzone(object);
	poison(object, size);
	if (!page->freelist)
		list_add(&page->node, &b->partial);
	*(void **)object = page->freelist;
	page->freelist = object;
	if (!--page->inuse) {
		list_del(&page->node);
		page->object_size = 0;
	} else {
		page = NULL;
	}
	raw_spin_unlock_irqrestore(&b->lock, flags);
	if (page)
		free_pages(page, 0);
}
