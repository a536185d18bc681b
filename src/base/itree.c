// SPDX-License-Identifier: MIT
/*
 * The order is by (start, address): nodes with equal starts are told apart by
 * where they live, so that every node has one place and itree_next() can name
 * its successor from the node alone.
 */
#include "base/itree.h"

/* A 64-bit finaliser: neighbouring addresses must not give sorted priorities. */
static u64 priority(const struct itree_node *n)
{
	u64 x = (uintptr_t)n;

	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ULL;
	return x ^ (x >> 33);
}

static bool before(const struct itree_node *a, const struct itree_node *b)
{
	if (a->start != b->start)
		return a->start < b->start;
	return (uintptr_t)a < (uintptr_t)b;
}

static void update(struct itree_node *n)
{
	u64 max = n->last;

	if (n->left)
		max = max_u64(max, n->left->max_last);
	if (n->right)
		max = max_u64(max, n->right->max_last);
	n->max_last = max;
}

/* Cut @t in two: what comes before @key, and the rest. */
static void split(struct itree_node *t, const struct itree_node *key, struct itree_node **left,
		  struct itree_node **right)
{
	if (!t) {
		*left = *right = NULL;
	} else if (before(t, key)) {
		split(t->right, key, &t->right, right);
		update(t);
		*left = t;
	} else {
		split(t->left, key, left, &t->left);
		update(t);
		*right = t;
	}
}

/* Everything in @a comes before everything in @b. */
static struct itree_node *merge(struct itree_node *a, struct itree_node *b)
{
	if (!a)
		return b;
	if (!b)
		return a;
	if (priority(a) > priority(b)) {
		a->right = merge(a->right, b);
		update(a);
		return a;
	}
	b->left = merge(a, b->left);
	update(b);
	return b;
}

void itree_insert(struct itree *t, struct itree_node *n)
{
	struct itree_node **link = &t->root;
	u64 prio = priority(n);

	while (*link && priority(*link) > prio) {
		struct itree_node *p = *link;

		p->max_last = max_u64(p->max_last, n->last);
		link = before(n, p) ? &p->left : &p->right;
	}
	split(*link, n, &n->left, &n->right);
	update(n);
	*link = n;
}

static void remove_below(struct itree_node **link, struct itree_node *n)
{
	struct itree_node *p = *link;

	if (p == n) {
		*link = merge(n->left, n->right);
		return;
	}
	remove_below(before(n, p) ? &p->left : &p->right, n);
	update(p);
}

void itree_remove(struct itree *t, struct itree_node *n)
{
	remove_below(&t->root, n);
}

struct itree_node *itree_first(const struct itree *t, u64 start, u64 last)
{
	struct itree_node *n = t->root;

	while (n) {
		/* If anything on the left reaches @start, the answer is there or nowhere. */
		if (n->left && n->left->max_last >= start) {
			n = n->left;
			continue;
		}
		if (n->start > last)
			return NULL;
		if (n->last >= start)
			return n;
		n = n->right;
	}
	return NULL;
}

/* First node after @key, in order, that touches [start, last]. */
static struct itree_node *next_below(struct itree_node *n, const struct itree_node *key, u64 start,
				     u64 last)
{
	struct itree_node *found;

	if (!n || n->max_last < start)
		return NULL;
	if (before(key, n)) {
		found = next_below(n->left, key, start, last);
		if (found)
			return found;
		if (n->start > last)
			return NULL;
		if (n->last >= start)
			return n;
	}
	return next_below(n->right, key, start, last);
}

struct itree_node *itree_next(const struct itree *t, const struct itree_node *n, u64 start,
			      u64 last)
{
	return next_below(t->root, n, start, last);
}

/* Set the span that begins at @start. */
static void span_at(struct itree_span *span, u64 start)
{
	const struct itree_node *n = itree_first(span->tree, start, span->range_last);

	span->start = start;
	if (!n) {
		span->used = false;
		span->last = span->range_last;
		return;
	}
	if (n->start > start) {
		span->used = false;
		span->last = n->start - 1;
		return;
	}
	span->used = true;
	span->last = n->last;
	/* Swallow what overlaps or follows without a gap. */
	while (span->last < span->range_last) {
		n = itree_first(span->tree, span->last + 1, span->last + 1);
		if (!n)
			break;
		span->last = n->last;
	}
	span->last = min_u64(span->last, span->range_last);
}

void itree_span_begin(struct itree_span *span, const struct itree *t, u64 start, u64 last)
{
	span->tree = t;
	span->range_last = last;
	span_at(span, start);
}

bool itree_span_next(struct itree_span *span)
{
	if (span->last >= span->range_last)
		return false;
	span_at(span, span->last + 1);
	return true;
}
