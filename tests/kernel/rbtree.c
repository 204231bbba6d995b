/* SPDX-License-Identifier: MIT */
/*
 * Red-black trees: whatever is added and erased, the two rules hold, and the order is by key and
 * then by age. The sequence is random but the same in each run, so that a failure can be had again.
 */
#include "kernel/splat/ktest.h"
#include "lib/rbtree.h"
#include "tests/kernel/random.h"

KTEST_SUITE(rbtree);

#define ITEMS	128
#define STEPS	6000
#define KEYS	40	/* fewer than items, so that many are equal */

struct item {
	struct rb_node node;
	u32 key, age;
};

static struct item items[ITEMS];

static bool key_less(const struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct item, node)->key < rb_entry(b, struct item, node)->key;
}

/* How many black nodes are on each way down from @node; -1 if something is wrong below it. */
static int black_height(const struct rb_node *node, const struct rb_node *parent)
{
	int left, right;

	if (!node)
		return 0;
	if (node->parent != parent || (node->red && (!parent || parent->red)))
		return -1;
	left = black_height(node->child[0], node);
	right = black_height(node->child[1], node);
	return left < 0 || left != right ? -1 : left + !node->red;
}

/* The nodes in order; -1 if the order is wrong, or the leftmost one. */
static int count_in_order(const struct rb_root_cached *tree)
{
	struct rb_node *node = rb_first_cached(tree);
	const struct item *last = NULL, *item;
	int count = 0;

	if (node ? node->child[0] != NULL : !rb_empty_cached(tree))
		return -1;
	for (; node; node = rb_next(node), last = item) {
		item = rb_entry(node, struct item, node);
		if (last && (last->key > item->key ||
			     (last->key == item->key && last->age >= item->age)))
			return -1;
		if (++count > ITEMS)
			return -1;
	}
	return count;
}

/* False once something is wrong: then there is no point in going on. */
static bool check_tree(struct ktest_run *kt, const struct rb_root_cached *tree, int count, int step)
{
	if (black_height(tree->root, NULL) >= 0 && count_in_order(tree) == count)
		return true;
	KFAIL("step %d: black height %d, %d nodes in order of %d", step,
	      black_height(tree->root, NULL), count_in_order(tree), count);
	return false;
}

static void clear_items(void)
{
	for (int i = 0; i < ITEMS; i++)
		RB_CLEAR_NODE(&items[i].node);
}

/* fails with: fix_missing_black() not painting the sibling red before it goes up */
KTEST(random_adds_and_erases_keep_the_rules)
{
	struct rb_root_cached tree = RB_ROOT_CACHED;
	u64 seed = 0x9e3779b97f4a7c15;
	int count = 0;

	clear_items();
	for (int step = 0; step < STEPS; step++) {
		struct item *item = &items[next_random(&seed) % ITEMS];

		if (RB_EMPTY_NODE(&item->node)) {
			item->key = next_random(&seed) % KEYS;
			item->age = step;
			rb_add_cached(&item->node, &tree, key_less);
			count++;
		} else {
			rb_erase_cached(&item->node, &tree);
			KEXPECT(RB_EMPTY_NODE(&item->node));
			count--;
		}
		if (!check_tree(kt, &tree, count, step))
			return;
	}
}

/* fails with: rb_erase_cached() not moving tree->leftmost on */
KTEST(taking_the_first_each_time_sorts)
{
	struct rb_root_cached tree = RB_ROOT_CACHED;
	u64 seed = 1;
	u32 last = 0;

	clear_items();
	for (int i = 0; i < ITEMS; i++) {
		items[i].key = next_random(&seed);
		items[i].age = i;
		rb_add_cached(&items[i].node, &tree, key_less);
	}
	for (int left = ITEMS; left > 0; left--) {
		struct item *first = rb_entry(rb_first_cached(&tree), struct item, node);

		KEXPECT_GE(first->key, last);
		last = first->key;
		rb_erase_cached(&first->node, &tree);
		if (!check_tree(kt, &tree, left - 1, ITEMS - left))
			return;
	}
	KEXPECT(rb_empty_cached(&tree));
	KEXPECT_EQ(rb_first_cached(&tree), NULL);
}

/* fails with: rb_add_cached() going left unless less(parent, node) */
KTEST(equal_keys_come_out_first_in_first_out)
{
	struct rb_root_cached tree = RB_ROOT_CACHED;

	clear_items();
	for (int i = 0; i < ITEMS; i++) {
		items[i].key = 7;
		rb_add_cached(&items[i].node, &tree, key_less);
	}
	for (int i = 0; i < ITEMS; i++) {
		KEXPECT_EQ(rb_first_cached(&tree), &items[i].node);
		rb_erase_cached(&items[i].node, &tree);
	}
}

/* fails with: fix_red_pair() without its rotations */
KTEST(sorted_input_stays_shallow)
{
	struct rb_root_cached tree = RB_ROOT_CACHED;
	int depth, deepest = 0;

	clear_items();
	for (int i = 0; i < ITEMS; i++) {
		items[i].key = i;
		rb_add_cached(&items[i].node, &tree, key_less);
	}
	for (int i = 0; i < ITEMS; i++) {
		depth = 0;
		for (struct rb_node *node = &items[i].node; node; node = node->parent)
			depth++;
		deepest = max(deepest, depth);
	}
	KEXPECT_GE(14, deepest);	/* 2 * log2(128 + 1), rounded down */
}
