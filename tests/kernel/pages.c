/* SPDX-License-Identifier: MIT */
/*
 * The page allocator. That free blocks are joined again shows in how many blocks of the largest
 * size can be had: pages that were freed one by one and stayed apart would leave none.
 */
#include "kernel/mm/pages.h"
#include "lib/list.h"
#include "lib/string.h"
#include "tests/kernel/threads.h"

KTEST_SUITE(pages);

/* Take all that there is of @order. Allocated pages do not use their list node. */
static u64 take_all(struct list_head *taken, unsigned int order)
{
	struct page *page;
	u64 count = 0;

	for (; (page = alloc_pages(GFP_ATOMIC, order)); count++)
		list_add_tail(&page->node, taken);
	return count;
}

static void give_back(struct list_head *taken, unsigned int order)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, taken, node) {
		list_del(&page->node);
		free_pages(page, order);
	}
}

static u64 count_blocks(unsigned int order)
{
	LIST_HEAD(taken);
	u64 count = take_all(&taken, order);

	give_back(&taken, order);
	return count;
}

/* fails with: take_block() giving back the lower half instead of the upper one */
KTEST(each_order_is_aligned_and_accounted)
{
	RUN_AS_FIFO(10);
	u64 before = nr_free_pages();

	for (unsigned int order = 0; order <= MAX_ORDER; order++) {
		struct page *page = alloc_pages(GFP_KERNEL, order);

		KEXPECT(page);
		if (!page)
			continue;
		KEXPECT_EQ(page_to_phys(page) & ((PAGE_SIZE << order) - 1), 0);
		KEXPECT_EQ(page->order, order);
		KEXPECT_EQ(page->refcount, 1);
		KEXPECT_EQ(nr_free_pages(), before - (1UL << order));
		free_pages(page, order);
		KEXPECT_EQ(nr_free_pages(), before);
	}
	KEXPECT_EQ(alloc_pages(GFP_ATOMIC, MAX_ORDER + 1), NULL);
	KEXPECT_EQ(nr_free_pages(), before);
}

/* fails with: page_to_phys() forgetting that struct page is not one byte */
KTEST(addresses_convert_both_ways)
{
	struct page *page = alloc_pages(GFP_KERNEL, 0);
	void *addr;

	KEXPECT(page);
	if (!page)
		return;
	addr = page_address(page);
	KEXPECT_EQ(phys_to_page(page_to_phys(page)), page);
	KEXPECT_EQ(virt_to_phys(addr), page_to_phys(page));
	KEXPECT_EQ(phys_to_virt(virt_to_phys(addr)), addr);
	KEXPECT_EQ(virt_to_phys((void *)KERNEL_OFFSET), 0);	/* the kernel image's other name */
	free_page(addr);
}

/* fails with: take_block() not taking the block out of its list */
KTEST(blocks_do_not_overlap)
{
	RUN_AS_FIFO(10);
	struct page *pages[3 * 8];
	u64 before = nr_free_pages();

	for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
		pages[i] = alloc_pages(GFP_KERNEL, i % 3);
		KEXPECT(pages[i]);
		if (pages[i])
			memset(page_address(pages[i]), i, PAGE_SIZE << i % 3);
	}
	for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
		if (!pages[i])
			continue;
		KEXPECT_EQ(memchr_inv(page_address(pages[i]), i, PAGE_SIZE << i % 3), NULL);
		free_pages(pages[i], i % 3);
	}
	KEXPECT_EQ(nr_free_pages(), before);
}

/* fails with: alloc_pages() ignoring __GFP_ZERO, or zeroing one page of a block only */
KTEST(zeroed_means_the_whole_block)
{
	RUN_AS_FIFO(10);		/* nobody takes the dirty block in between */
	struct page *page = alloc_pages(GFP_KERNEL, 2);

	KEXPECT(page);
	if (!page)
		return;
	memset(page_address(page), 0xff, PAGE_SIZE << 2);
	free_pages(page, 2);
	page = alloc_pages(GFP_KERNEL | __GFP_ZERO, 2);
	KEXPECT(page);
	if (!page)
		return;
	KEXPECT_EQ(memchr_inv(page_address(page), 0, PAGE_SIZE << 2), NULL);
	free_pages(page, 2);
}

/*
 * That a write after free panics is host/freed-page's business; here, what the check relies on.
 *
 * fails with: poison_pages() filling one page of a block only, or not saying which pages it filled
 */
KTEST(freed_pages_hold_the_poison)
{
	RUN_AS_FIFO(10);
	struct page *page = alloc_pages(GFP_KERNEL, 2);
	void *at;

	if (!POISON_MEMORY) {
		if (page)
			free_pages(page, 2);
		KSKIP("a release build does not poison");
	}
	KEXPECT(page);
	if (!page)
		return;
	at = page_address(page);
	memset(at, 0x11, PAGE_SIZE << 2);
	for (int i = 0; i < 4; i++)
		KEXPECT(!page[i].poisoned);
	free_pages(page, 2);
	KEXPECT_EQ(memchr_inv(at, PAGE_POISON, PAGE_SIZE << 2), NULL);
	for (int i = 0; i < 4; i++)
		KEXPECT(page[i].poisoned);

	page = alloc_pages(GFP_KERNEL, 2);
	KEXPECT_EQ(page_address(page), at);
	for (int i = 0; i < 4; i++)
		KEXPECT(!page[i].poisoned);
	free_pages(page, 2);
}

/* fails with: free_block() stopping at the first order, so that buddies are not joined */
KTEST(buddies_join_back)
{
	RUN_AS_FIFO(10);
	u64 before = nr_free_pages(), blocks = count_blocks(MAX_ORDER), count = 0;
	struct page *page, *next;
	LIST_HEAD(taken);

	KEXPECT_NE(blocks, 0);
	take_all(&taken, 0);
	KEXPECT_EQ(count_blocks(MAX_ORDER), 0);

	/* Every second page first: then there is no buddy to join with; the others join all. */
	list_for_each_entry_safe(page, next, &taken, node) {
		if (page_to_phys(page) & PAGE_SIZE) {
			list_del(&page->node);
			free_pages(page, 0);
			count++;
		}
	}
	KEXPECT_EQ(nr_free_pages(), count);
	KEXPECT_EQ(count_blocks(1), 0);
	give_back(&taken, 0);
	KEXPECT_EQ(count_blocks(MAX_ORDER), blocks);
	KEXPECT_EQ(nr_free_pages(), before);
}

/* fails with: take_block() looking at orders below the wanted one */
KTEST(exhaustion_returns_null_and_all_comes_back)
{
	RUN_AS_FIFO(10);
	u64 before = nr_free_pages();
	LIST_HEAD(taken);
	struct page *page;

	KEXPECT_EQ(take_all(&taken, 0), before);
	KEXPECT_EQ(nr_free_pages(), 0);
	KEXPECT_EQ(alloc_pages(GFP_ATOMIC, 0), NULL);
	KEXPECT_EQ(alloc_pages(GFP_KERNEL, 0), NULL);
	KEXPECT_EQ(get_free_page(GFP_ATOMIC | __GFP_ZERO), NULL);

	/* One page comes free: one can be had, but not two in a row. */
	page = list_first_entry(&taken, struct page, node);
	list_del(&page->node);
	free_pages(page, 0);
	KEXPECT_EQ(alloc_pages(GFP_ATOMIC, 1), NULL);
	KEXPECT_EQ(alloc_pages(GFP_ATOMIC, 0), page);
	list_add(&page->node, &taken);

	give_back(&taken, 0);
	KEXPECT_EQ(nr_free_pages(), before);
	KEXPECT(before <= nr_total_pages());
}

/* fails with: put_page() freeing at every call */
KTEST(the_last_reference_frees)
{
	RUN_AS_FIFO(10);
	u64 before = nr_free_pages();
	struct page *page = alloc_pages(GFP_KERNEL, 1);

	KEXPECT(page);
	if (!page)
		return;
	get_page(page);
	get_page(page);
	KEXPECT_EQ(page->refcount, 3);
	put_page(page);
	put_page(page);
	KEXPECT_EQ(page->refcount, 1);
	KEXPECT_EQ(nr_free_pages(), before - 2);
	put_page(page);
	KEXPECT_EQ(nr_free_pages(), before);	/* both pages of the block */
}

/* fails with: fail_nth_alloc() counting one too far, or going on to fail */
KTEST(fail_nth_alloc_fails_that_one_only)
{
	RUN_AS_FIFO(10);
	u64 before = nr_free_pages();
	void *page;

	for (int nr = 1; nr <= 3; nr++) {
		fail_nth_alloc(nr);
		for (int i = 1; i <= 4; i++) {
			page = get_free_page(GFP_KERNEL);
			KEXPECT_EQ(!page, i == nr);
			if (page)
				free_page(page);
		}
	}
	fail_nth_alloc(1);
	fail_nth_alloc(0);
	page = get_free_page(GFP_KERNEL);
	KEXPECT(page);
	if (page)
		free_page(page);
	KEXPECT_EQ(nr_free_pages(), before);
}
