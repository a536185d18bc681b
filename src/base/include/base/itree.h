/* SPDX-License-Identifier: MIT */
/*
 * Interval tree: ranges [start, last] that may overlap, found in O(log n).
 *
 * A treap ordered by start, each node also knowing the highest last below it.
 * Priorities are a hash of the node's own address, so a node needs neither a
 * parent pointer, a colour nor a stored priority: 40 bytes, which is what keeps
 * a mapping small. The depth is logarithmic whatever order ranges come in.
 *
 * The tree owns no memory and takes no lock; nodes live inside the caller's
 * structures. A node's start and last must not change while it is linked.
 */
#ifndef BASE_ITREE_H
#define BASE_ITREE_H

#include "base/types.h"

/**
 * struct itree_node - one range
 * @start: first value of the range
 * @last: last value, inclusive
 * @max_last: highest @last in this subtree; kept by the tree
 * @left: nodes with smaller starts
 * @right: nodes with starts not smaller
 */
struct itree_node {
	u64 start;
	u64 last;
	u64 max_last;
	struct itree_node *left;
	struct itree_node *right;
};

struct itree {
	struct itree_node *root;
};

static inline bool itree_empty(const struct itree *t)
{
	return !t->root;
}

void itree_insert(struct itree *t, struct itree_node *n);

/* @n must be in @t. */
void itree_remove(struct itree *t, struct itree_node *n);

/*
 * The node with the lowest start that touches [start, last]; among equal
 * starts, the one at the lowest address. NULL if there is none.
 */
struct itree_node *itree_first(const struct itree *t, u64 start, u64 last);

/* The node after @n, in the same order, that touches [start, last], or NULL. */
struct itree_node *itree_next(const struct itree *t, const struct itree_node *n, u64 start,
			      u64 last);

/**
 * struct itree_span - walks a range as alternating used spans and holes
 * @start: first value of the current span
 * @last: last value of the current span
 * @used: the span is covered by at least one node; otherwise by none
 *
 * The spans follow one another without a gap and together are exactly the range
 * the walk was begun with. Adjacent and overlapping nodes make one used span.
 */
struct itree_span {
	u64 start;
	u64 last;
	bool used;
	/* private: */
	const struct itree *tree;
	u64 range_last;
};

void itree_span_begin(struct itree_span *span, const struct itree *t, u64 start, u64 last);

/* Step to the following span; false once the range is exhausted. */
bool itree_span_next(struct itree_span *span);

#endif
