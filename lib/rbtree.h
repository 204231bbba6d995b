/* SPDX-License-Identifier: MIT */
/*
 * Red-black trees: sorted objects, O(log n) to add and erase, the smallest one at hand.
 *
 * The nodes live inside the objects and the tree allocates nothing, so it may be used under a raw
 * spinlock. The caller brings the order as less(a, b). Among equals the first one added is the
 * first one out. Nothing here locks.
 */
#pragma once

#include "lib/types.h"

struct rb_node {
	struct rb_node *parent;		/* NULL: the root; the node itself: in no tree */
	struct rb_node *child[2];	/* [0] the smaller side, [1] the rest */
	bool red;
};

struct rb_root_cached {
	struct rb_node *root;
	struct rb_node *leftmost;
};

#define RB_ROOT_CACHED		((struct rb_root_cached) { NULL, NULL })
#define RB_CLEAR_NODE(node)	((node)->parent = (node))
#define RB_EMPTY_NODE(node)	((node)->parent == (node))
#define rb_entry(ptr, type, member) container_of(ptr, type, member)

static inline bool rb_empty_cached(const struct rb_root_cached *tree)
{
	return !tree->root;
}

/* The smallest node, or NULL. */
static inline struct rb_node *rb_first_cached(const struct rb_root_cached *tree)
{
	return tree->leftmost;
}

/* The node after @node in order, or NULL. */
struct rb_node *rb_next(const struct rb_node *node);

/**
 * rb_add_cached() - put @node where less() says, behind its equals.
 * @node: in no tree.  @less: does the first node come before the second? It may not change its mind
 * about nodes that are in the tree: to change a key, erase the node, change it, add it again.
 */
void rb_add_cached(struct rb_node *node, struct rb_root_cached *tree,
		   bool (*less)(const struct rb_node *, const struct rb_node *));

/* Takes @node out of @tree, which it must be in, and clears it: RB_EMPTY_NODE() then holds. */
void rb_erase_cached(struct rb_node *node, struct rb_root_cached *tree);
