/* SPDX-License-Identifier: MIT */
/*
 * Red-black trees: a binary search tree that stays shallow by two rules about colours.
 *
 *   1. A red node has no red child, and the root is black.
 *   2. Every way from the root down to a NULL passes the same number of black nodes.
 *      (A NULL counts as a black node.)
 *
 * So the longest way is at most twice the shortest. Adding a red leaf can break only rule 1, taking
 * out a black leaf only rule 2; each has one repair function below. @dir stands for either side:
 * the mirror image is the same code.
 */
#include "lib/rbtree.h"

enum { LEFT, RIGHT };

static bool is_red(const struct rb_node *node)
{
	return node && node->red;
}

/* On which side of its parent is @node? It must have one. */
static int side(const struct rb_node *node)
{
	return node->parent->child[RIGHT] == node ? RIGHT : LEFT;
}

/* Let @node's parent (or the root) point at @heir instead, which may be NULL. */
static void replace(struct rb_root_cached *tree, const struct rb_node *node, struct rb_node *heir)
{
	if (node->parent)
		node->parent->child[side(node)] = heir;
	else
		tree->root = heir;
	if (heir)
		heir->parent = node->parent;
}

static void set_child(struct rb_node *parent, int dir, struct rb_node *child)
{
	parent->child[dir] = child;
	if (child)
		child->parent = parent;
}

/*
 * @node sinks towards @dir, and its child from the other side takes its place. The order of the
 * nodes stays.
 */
static void rotate(struct rb_root_cached *tree, struct rb_node *node, int dir)
{
	struct rb_node *up = node->child[!dir];

	replace(tree, node, up);
	set_child(node, !dir, up->child[dir]);
	set_child(up, dir, node);
}

/* Rule 1 may be broken in one place: @node is red, and its parent may be too. */
static void fix_red_pair(struct rb_root_cached *tree, struct rb_node *node)
{
	struct rb_node *parent, *grand, *uncle;
	int dir;

	while (is_red(parent = node->parent)) {
		grand = parent->parent;		/* exists: a red node is not the root */
		dir = side(parent);
		uncle = grand->child[!dir];

		if (is_red(uncle)) {
			/*
			 * Both of grand's children turn black, grand red. Rule 2 holds, and the
			 * trouble moves higher up.
			 */
			parent->red = false;
			uncle->red = false;
			grand->red = true;
			node = grand;
			continue;
		}
		if (side(node) != dir) {
			/* A bend: make it a straight line first. */
			rotate(tree, parent, dir);
			parent = node;
		}
		parent->red = false;
		grand->red = true;
		rotate(tree, grand, !dir);
		break;
	}
	tree->root->red = false;
}

/* Make up for one black node that is missing (or will be) on every way through @node. */
static void fix_missing_black(struct rb_root_cached *tree, struct rb_node *node)
{
	struct rb_node *parent, *sibling;
	int dir;

	while ((parent = node->parent) && !node->red) {
		dir = side(node);
		sibling = parent->child[!dir];	/* exists: that side has a black node more */

		if (sibling->red) {
			/* Get a black sibling: one of the red one's children. */
			sibling->red = false;
			parent->red = true;
			rotate(tree, parent, dir);
			sibling = parent->child[!dir];
		}
		if (!is_red(sibling->child[LEFT]) && !is_red(sibling->child[RIGHT])) {
			/* Let the other side miss one too: then it is missing through parent. */
			sibling->red = true;
			node = parent;
			continue;
		}
		if (!is_red(sibling->child[!dir])) {
			/* The red child must be the outer one. */
			sibling->child[dir]->red = false;
			sibling->red = true;
			rotate(tree, sibling, !dir);
			sibling = parent->child[!dir];
		}
		/* The sibling takes parent's place and colour; parent, black, comes to our side. */
		sibling->red = parent->red;
		parent->red = false;
		sibling->child[!dir]->red = false;
		rotate(tree, parent, dir);
		return;
	}
	node->red = false;
}

/* Take out a node that has at most one child. */
static void unlink(struct rb_root_cached *tree, struct rb_node *node)
{
	struct rb_node *child = node->child[LEFT] ? node->child[LEFT] : node->child[RIGHT];

	if (child)
		child->red = false;	/* by rule 2 it was red and node black */
	else if (!node->red)
		fix_missing_black(tree, node);
	replace(tree, node, child);
}

static struct rb_node *leftmost_below(struct rb_node *node)
{
	while (node->child[LEFT])
		node = node->child[LEFT];
	return node;
}

struct rb_node *rb_next(const struct rb_node *node)
{
	if (node->child[RIGHT])
		return leftmost_below(node->child[RIGHT]);
	while (node->parent && side(node) == RIGHT)
		node = node->parent;
	return node->parent;
}

void rb_add_cached(struct rb_node *node, struct rb_root_cached *tree,
		   bool (*less)(const struct rb_node *, const struct rb_node *))
{
	struct rb_node *parent = NULL, **link = &tree->root;
	bool leftmost = true;

	while (*link) {
		parent = *link;
		if (less(node, parent)) {
			link = &parent->child[LEFT];
		} else {
			link = &parent->child[RIGHT];
			leftmost = false;
		}
	}
	*node = (struct rb_node) { .parent = parent, .red = true };
	*link = node;
	if (leftmost)
		tree->leftmost = node;
	fix_red_pair(tree, node);
}

void rb_erase_cached(struct rb_node *node, struct rb_root_cached *tree)
{
	if (tree->leftmost == node)
		tree->leftmost = rb_next(node);

	if (node->child[LEFT] && node->child[RIGHT]) {
		/*
		 * The next node has no left child. It is easy to take out, and can then stand in
		 * for this one.
		 */
		struct rb_node *next = rb_next(node);

		unlink(tree, next);
		replace(tree, node, next);
		set_child(next, LEFT, node->child[LEFT]);
		set_child(next, RIGHT, node->child[RIGHT]);
		next->red = node->red;
	} else {
		unlink(tree, node);
	}
	RB_CLEAR_NODE(node);
}
