/* SPDX-License-Identifier: MIT */
/*
 * Lists: after each operation the list is read forwards and backwards. Most faults leave one of the
 * two intact.
 */
#include "kernel/splat/ktest.h"
#include "lib/list.h"

KTEST_SUITE(list);

#define DIGITS_MAX 100000

struct item {
	int value;
	struct list_head link;
};

/* The values in list order as the digits of a number: 1, 2, 3 are 123. A broken ring ends too. */
static int forwards(const struct list_head *head)
{
	struct item *item;
	int digits = 0;

	list_for_each_entry(item, head, link) {
		digits = digits * 10 + item->value;
		if (digits >= DIGITS_MAX)
			break;
	}
	return digits;
}

static int backwards(const struct list_head *head)
{
	const struct list_head *at = head->prev;
	int digits = 0;

	for (; at != head && digits < DIGITS_MAX; at = at->prev)
		digits = digits * 10 + list_entry(at, struct item, link)->value;
	return digits;
}

static void fill(struct list_head *head, struct item items[3])
{
	for (int i = 0; i < 3; i++) {
		items[i].value = i + 1;
		list_add_tail(&items[i].link, head);
	}
}

/* fails with: LIST_HEAD() starting with NULL pointers */
KTEST(new_list_is_empty)
{
	LIST_HEAD(head);
	struct list_head other;

	KEXPECT(list_empty(&head));
	INIT_LIST_HEAD(&other);
	KEXPECT(list_empty(&other));
	KEXPECT_EQ(head.prev, &head);
	KEXPECT_EQ(other.prev, &other);
}

/* fails with: __list_insert() not setting next->prev */
KTEST(add_is_a_stack_and_add_tail_a_queue)
{
	struct item items[3], first = { .value = 9 };
	LIST_HEAD(head);

	fill(&head, items);
	KEXPECT_EQ(forwards(&head), 123);
	KEXPECT_EQ(backwards(&head), 321);
	list_add(&first.link, &head);
	KEXPECT_EQ(forwards(&head), 9123);
	KEXPECT_EQ(backwards(&head), 3219);
	KEXPECT_EQ(list_first_entry(&head, struct item, link), &first);
	KEXPECT(!list_empty(&head));
}

/* fails with: list_del() leaving entry->next as it was */
KTEST(del_joins_the_neighbours_and_poisons)
{
	struct item items[3];
	LIST_HEAD(head);

	fill(&head, items);
	list_del(&items[1].link);
	KEXPECT_EQ(forwards(&head), 13);
	KEXPECT_EQ(backwards(&head), 31);
	KEXPECT_EQ(items[1].link.next, LIST_POISON1);
	KEXPECT_EQ(items[1].link.prev, LIST_POISON2);
	list_del(&items[0].link);
	list_del(&items[2].link);
	KEXPECT(list_empty(&head));
}

/* fails with: list_del_init() poisoning like list_del() */
KTEST(del_init_leaves_an_entry_that_is_on_no_list)
{
	struct item items[3];
	LIST_HEAD(head);

	fill(&head, items);
	list_del_init(&items[0].link);
	KEXPECT(list_empty(&items[0].link));
	if (list_empty(&items[0].link))
		list_del_init(&items[0].link);	/* twice does no harm */
	KEXPECT_EQ(forwards(&head), 23);
}

/* fails with: list_move_tail() adding without taking the entry off its list */
KTEST(move_tail_rotates_and_changes_lists)
{
	struct item items[3];
	LIST_HEAD(head);
	LIST_HEAD(other);

	fill(&head, items);
	list_move_tail(&items[0].link, &head);
	KEXPECT_EQ(forwards(&head), 231);
	KEXPECT_EQ(backwards(&head), 132);
	list_move_tail(&items[2].link, &other);
	KEXPECT_EQ(forwards(&head), 21);
	KEXPECT_EQ(backwards(&head), 12);
	KEXPECT_EQ(forwards(&other), 3);
}

/* fails with: list_for_each_entry_safe() reading pos->member.next after the body */
KTEST(safe_walk_may_remove_each_entry)
{
	struct item items[3], *item, *next;
	int seen = 0;
	LIST_HEAD(head);

	fill(&head, items);
	list_for_each_entry_safe(item, next, &head, link) {
		if (++seen > 3)
			break;
		list_del_init(&item->link);
	}
	KEXPECT_EQ(seen, 3);
	KEXPECT(list_empty(&head));
}
