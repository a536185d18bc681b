// SPDX-License-Identifier: MIT
/* The counted allocator: its count, its limit, failures on demand, alignment; log lines. */
#include <pthread.h>

#include "base/alloc.h"
#include "base/log.h"
#include "unit.h"

static bool is_zero(const void *p, size_t n)
{
	const u8 *b = p;

	while (n--)
		if (*b++)
			return false;
	return true;
}

TEST(counts_bytes_and_blocks)
{
	struct base_alloc a = { 0 };
	void *p = base_zalloc(&a, 100), *q = base_zalloc_array(&a, 7, 12);

	ASSERT_TRUE(p && q);
	EXPECT_TRUE(is_zero(p, 100) && is_zero(q, 84));
	EXPECT_EQ(184, a.bytes);
	EXPECT_EQ(2, a.blocks);
	base_free(&a, p, 100);
	EXPECT_EQ(84, a.bytes);
	EXPECT_EQ(1, a.blocks);
	base_free(&a, q, 84);
	base_free(&a, NULL, 1000);
	EXPECT_EQ(0, a.bytes);
	EXPECT_EQ(0, a.blocks);
}

TEST(memory_is_zero_again)
{
	struct base_alloc a = { 0 };
	void *p;
	int i;

	for (i = 0; i < 100; i++) {
		p = i & 1 ? base_zalloc_table(&a, 2048) : base_zalloc(&a, 2048);
		ASSERT_TRUE(p);
		EXPECT_TRUE(is_zero(p, 2048));
		memset(p, 0xff, 2048);
		base_free(&a, p, 2048);
	}
}

TEST(sparse_blocks_are_counted_as_others)
{
	struct base_alloc a = { .limit = 1 << 20 };
	u8 *p = base_zalloc_sparse(&a, 1 << 20);

	ASSERT_TRUE(p != NULL);
	EXPECT_TRUE(is_zero(p, 1 << 20));
	EXPECT_EQ(1 << 20, a.bytes);
	EXPECT_TRUE(!base_zalloc_sparse(&a, 1));
	memset(p, 0xff, 1 << 20);
	base_free_sparse(&a, p, 1 << 20);
	base_free_sparse(&a, NULL, 1000);
	EXPECT_EQ(0, a.bytes);
	EXPECT_EQ(0, a.blocks);
	/* What the system cannot give is not charged. */
	a.limit = 0;
	EXPECT_TRUE(!base_zalloc_sparse(&a, SIZE_MAX / 2));
	EXPECT_EQ(0, a.bytes);
}

TEST(array_that_overflows)
{
	struct base_alloc a = { 0 };

	EXPECT_TRUE(!base_zalloc_array(&a, SIZE_MAX / 2, 3));
	EXPECT_TRUE(!base_zalloc_array(&a, 3, SIZE_MAX / 2));
	EXPECT_EQ(0, a.bytes);
}

TEST(what_the_system_lacks_is_not_charged)
{
	struct base_alloc a = { 0 };

	EXPECT_TRUE(!base_zalloc(&a, SIZE_MAX / 4));
	EXPECT_EQ(0, a.bytes);
	EXPECT_EQ(0, a.blocks);
}

TEST(tables_are_aligned_to_their_size)
{
	struct base_alloc a = { 0 };
	size_t size;

	for (size = 64; size <= 1 << 20; size <<= 1) {
		void *p = base_zalloc_table(&a, size);

		ASSERT_TRUE(p);
		EXPECT_EQ(0, (uintptr_t)p & (size - 1));
		EXPECT_TRUE(is_zero(p, size));
		EXPECT_EQ(size, a.bytes);
		base_free(&a, p, size);
	}
}

TEST(limit_is_exact)
{
	struct base_alloc a = { .limit = 1000 };
	void *p = base_zalloc(&a, 600), *q;

	ASSERT_TRUE(p);
	EXPECT_TRUE(!base_zalloc(&a, 401));
	EXPECT_TRUE(!base_zalloc_table(&a, 512));
	EXPECT_EQ(600, a.bytes);
	EXPECT_EQ(1, a.blocks);
	q = base_zalloc(&a, 400);
	EXPECT_TRUE(q);
	EXPECT_TRUE(!base_zalloc(&a, 1));
	EXPECT_TRUE(!base_zalloc(&a, SIZE_MAX));
	base_free(&a, q, 400);
	base_free(&a, p, 600);
	EXPECT_EQ(0, a.bytes);
}

static bool every_third(void *arg)
{
	unsigned int *n = arg;

	return ++*n % 3 == 0;
}

TEST(failure_on_demand)
{
	unsigned int asked = 0, failed = 0, i;
	struct base_alloc a = { .should_fail = every_third, .should_fail_arg = &asked };

	for (i = 0; i < 30; i++) {
		void *p = i % 2 ? base_zalloc(&a, 8) : base_zalloc_table(&a, 64);

		failed += !p;
		base_free(&a, p, i % 2 ? 8 : 64);
	}
	EXPECT_EQ(30, asked);
	EXPECT_EQ(10, failed);
	EXPECT_EQ(0, a.bytes);
	EXPECT_EQ(0, a.blocks);
}

static void *churn(void *arg)
{
	struct base_alloc *a = arg;
	void *held[16] = { 0 };
	unsigned int i;

	for (i = 0; i < 20000; i++) {
		unsigned int slot = i % 16;

		base_free(a, held[slot], 100);
		held[slot] = base_zalloc(a, 100);
		if (atomic_load(&a->bytes) > a->limit + 200)
			unit_fail(__FILE__, __LINE__, "%zu bytes over the limit",
				  atomic_load(&a->bytes));
	}
	for (i = 0; i < 16; i++)
		base_free(a, held[i], 100);
	return NULL;
}

/* A charge that is refused is only visible for a moment, so the peak is bounded. */
TEST(two_threads_share_an_account)
{
	struct base_alloc a = { .limit = 2500 };
	pthread_t threads[2];
	int i;

	for (i = 0; i < 2; i++)
		ASSERT_OK(-pthread_create(&threads[i], NULL, churn, &a));
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	EXPECT_EQ(0, a.bytes);
	EXPECT_EQ(0, a.blocks);
}

struct heard {
	unsigned int lines;
	int level;
	char text[1024];
};

static void hear(void *arg, int level, const char *line)
{
	struct heard *h = arg;

	h->lines++;
	h->level = level;
	snprintf(h->text, sizeof(h->text), "%s", line);
}

TEST(log_drops_what_is_less_urgent)
{
	struct heard h = { 0 };
	struct base_log log = { .fn = hear, .arg = &h, .level = 4 };
	struct base_log silent = { .level = 7 };

	base_log(&log, 5, "not this");
	base_log(&silent, 3, "nor this");
	EXPECT_EQ(0, h.lines);
	base_log(&log, 4, "%s %d", "but this", 42);
	EXPECT_EQ(1, h.lines);
	EXPECT_EQ(4, h.level);
	EXPECT_STR("but this 42", h.text);
}

TEST(log_cuts_long_lines)
{
	struct heard h = { 0 };
	struct base_log log = { .fn = hear, .arg = &h, .level = 7 };
	char text[1000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	base_log(&log, 7, "%s", text);
	EXPECT_EQ(1, h.lines);
	EXPECT_TRUE(strlen(h.text) > 100 && strlen(h.text) < sizeof(text) - 1);
}
