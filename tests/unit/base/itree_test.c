// SPDX-License-Identifier: MIT
/* The interval tree: against a plain array of ranges, at the edges of 64 bits, and its spans. */
#include "base/itree.h"
#include "unit.h"

#define NODES 400

static struct itree tree;
static struct itree_node nodes[NODES];
static bool linked[NODES];

static void begin(void)
{
	tree = (struct itree){ 0 };
	memset(linked, 0, sizeof(linked));
}

static void insert(unsigned int i, u64 start, u64 last)
{
	nodes[i].start = start;
	nodes[i].last = last;
	itree_insert(&tree, &nodes[i]);
	linked[i] = true;
}

static void remove_node(unsigned int i)
{
	itree_remove(&tree, &nodes[i]);
	linked[i] = false;
}

static bool touches(unsigned int i, u64 start, u64 last)
{
	return linked[i] && nodes[i].start <= last && nodes[i].last >= start;
}

/* The node after @prev in the tree's order; NULL for the first. */
static struct itree_node *model_next(const struct itree_node *prev, u64 start, u64 last)
{
	struct itree_node *best = NULL;
	unsigned int i;

	/* The array's order is the order of addresses. */
	for (i = 0; i < NODES; i++) {
		struct itree_node *n = &nodes[i];

		if (!touches(i, start, last))
			continue;
		if (prev && (n->start < prev->start || (n->start == prev->start && n <= prev)))
			continue;
		if (!best || n->start < best->start)
			best = n;
	}
	return best;
}

static void compare(u64 start, u64 last)
{
	struct itree_node *want = model_next(NULL, start, last);
	struct itree_node *got = itree_first(&tree, start, last);

	while (got && got == want) {
		want = model_next(want, start, last);
		got = itree_next(&tree, got, start, last);
	}
	ASSERT_TRUE(got == want);
}

static bool covered(u64 at)
{
	return model_next(NULL, at, at);
}

/* Spans are adjacent, alternate, and say of their ends what the model says. */
static void compare_spans(u64 start, u64 last)
{
	struct itree_span span;
	u64 at = start;
	bool used;

	itree_span_begin(&span, &tree, start, last);
	do {
		ASSERT_EQ(at, span.start);
		ASSERT_TRUE(span.last >= span.start && span.last <= last);
		ASSERT_EQ(span.used, covered(span.start));
		ASSERT_EQ(span.used, covered(span.last));
		if (!span.used)
			ASSERT_TRUE(!model_next(NULL, span.start, span.last));
		if (span.last < last)
			ASSERT_TRUE(span.used != covered(span.last + 1));
		used = span.used;
		at = span.last + 1;
	} while (itree_span_next(&span) && span.used != used);
	ASSERT_EQ(last, span.last);
}

TEST(empty)
{
	struct itree_span span;

	begin();
	EXPECT_TRUE(itree_empty(&tree));
	EXPECT_TRUE(!itree_first(&tree, 0, U64_MAX));
	itree_span_begin(&span, &tree, 0, U64_MAX);
	EXPECT_TRUE(!span.used && span.start == 0 && span.last == U64_MAX);
	EXPECT_TRUE(!itree_span_next(&span));
}

TEST(edges_of_64_bits)
{
	begin();
	insert(0, 0, 0);
	insert(1, U64_MAX, U64_MAX);
	compare(0, U64_MAX);
	compare(0, 0);
	compare(1, U64_MAX - 1);
	compare(U64_MAX, U64_MAX);
	compare_spans(0, U64_MAX);
	compare_spans(U64_MAX, U64_MAX);
	insert(2, 0, U64_MAX);
	compare(5, 5);
	compare_spans(0, U64_MAX);
	remove_node(2);
	insert(3, 1, U64_MAX - 1);
	compare_spans(0, U64_MAX);
	compare_spans(3, 9);
}

TEST(equal_starts_come_by_address)
{
	begin();
	insert(5, 10, 20);
	insert(2, 10, 12);
	insert(9, 10, 10);
	EXPECT_TRUE(itree_first(&tree, 10, 10) == &nodes[2]);
	EXPECT_TRUE(itree_next(&tree, &nodes[2], 10, 10) == &nodes[5]);
	EXPECT_TRUE(itree_next(&tree, &nodes[5], 10, 10) == &nodes[9]);
	EXPECT_TRUE(!itree_next(&tree, &nodes[9], 10, 10));
	EXPECT_TRUE(itree_next(&tree, &nodes[2], 11, 30) == &nodes[5]);
	EXPECT_TRUE(itree_first(&tree, 13, 13) == &nodes[5]);
}

TEST(adjacent_and_overlapping_nodes_make_one_span)
{
	struct itree_span span;

	begin();
	insert(0, 10, 19);
	insert(1, 20, 29);
	insert(2, 25, 27);
	insert(3, 31, 40);
	itree_span_begin(&span, &tree, 5, 50);
	EXPECT_TRUE(!span.used && span.last == 9);
	ASSERT_TRUE(itree_span_next(&span));
	EXPECT_TRUE(span.used && span.start == 10 && span.last == 29);
	ASSERT_TRUE(itree_span_next(&span));
	EXPECT_TRUE(!span.used && span.start == 30 && span.last == 30);
	ASSERT_TRUE(itree_span_next(&span));
	EXPECT_TRUE(span.used && span.last == 40);
	ASSERT_TRUE(itree_span_next(&span));
	EXPECT_TRUE(!span.used && span.start == 41 && span.last == 50);
	EXPECT_TRUE(!itree_span_next(&span));
	/* A range that begins and ends within one. */
	itree_span_begin(&span, &tree, 15, 26);
	EXPECT_TRUE(span.used && span.start == 15 && span.last == 26);
	EXPECT_TRUE(!itree_span_next(&span));
}

/* A value in 32 bits, or within 16 of either end of 64. */
static u64 pick(u64 *seed)
{
	u64 x = unit_random(seed);

	switch (x % 8) {
	case 0:
		return U64_MAX - (x >> 60);
	case 1:
		return x >> 60;
	default:
		return (x >> 8) % 4096;
	}
}

static void pick_range(u64 *seed, u64 *start, u64 *last)
{
	u64 a = pick(seed), b = pick(seed);

	if (unit_random(seed) & 1)
		b = a + unit_random(seed) % 16 < a ? U64_MAX : a + unit_random(seed) % 16;
	*start = min_u64(a, b);
	*last = max_u64(a, b);
}

TEST(against_a_model)
{
	u64 seed = unit_seed(), start, last;
	unsigned int step, i;

	begin();
	for (step = 0; step < 6000; step++) {
		i = unit_random(&seed) % (step % 3 ? NODES : 20);
		if (linked[i]) {
			remove_node(i);
		} else {
			pick_range(&seed, &start, &last);
			insert(i, start, last);
		}
		if (step % 8)
			continue;
		pick_range(&seed, &start, &last);
		compare(start, last);
		compare_spans(start, last);
	}
	compare(0, U64_MAX);
	compare_spans(0, U64_MAX);
	for (i = 0; i < NODES; i++)
		if (linked[i])
			remove_node(i);
	EXPECT_TRUE(itree_empty(&tree));
}

static unsigned int depth(const struct itree_node *n)
{
	unsigned int l, r;

	if (!n)
		return 0;
	l = depth(n->left);
	r = depth(n->right);
	return 1 + (l > r ? l : r);
}

/* In whatever order ranges come, the tree stays shallow. */
TEST(depth_is_logarithmic)
{
	const unsigned int n = 65536;
	struct itree_node *many = calloc(n, sizeof(*many));
	int order;
	u64 i;

	ASSERT_TRUE(many);
	for (order = 0; order < 3; order++) {
		begin();
		for (i = 0; i < n; i++) {
			u64 at = order == 0 ? i : order == 1 ? n - 1 - i : i * 40503 % n;

			many[i].start = many[i].last = at * 10;
			itree_insert(&tree, &many[i]);
		}
		/* 16 levels would be perfect; a treap of this size has about 40. */
		EXPECT_TRUE(depth(tree.root) < 70);
		EXPECT_TRUE(itree_first(&tree, 655350, 655359)->start == 655350);
		EXPECT_TRUE(!itree_first(&tree, 655351, 655359));
	}
	free(many);
}
