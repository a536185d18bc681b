/* SPDX-License-Identifier: MIT */
/*
 * The tests of dirty tracking that all formats share, those with device threads,
 * and the list of all that are shared.
 */
#ifndef PT_TEST_DIRTY_H
#define PT_TEST_DIRTY_H

#include "common.h"

static void dirty_of_size(struct fixture *f, u64 size)
{
	unsigned int level = 0, i, n;
	u64 va = 2 * size, item;

	while (ITEM(level + 1) <= size)
		level++;
	item = ITEM(level);
	n = (unsigned int)(size / item);
	CHECK(!map(f, va, 0, size, RW));
	check_fresh(f, va, size, RW);
	for (i = 0; i < n; i++) {
		CHECK(set_dirty(f, va + i * item + i % item));
		CHECK(read_at(f, va).dirty);
		scan(f, 0, span(f), false);
		CHECK(reported(f, va, size));
		scan(f, va, size, true);
		CHECK(reported(f, va, size));
		scan(f, va, size, true);
		CHECK(!f->nreports && !read_at(f, va).dirty);
	}
	/* all at once is still one leaf */
	for (i = 0; i < n; i++)
		CHECK(set_dirty(f, va + i * item));
	clean(f, va, size);
	CHECK(!read_at(f, va).dirty);
	CHECK(!set_dirty(f, va + size) && !set_dirty(f, va - 1));
	unmap(f, va, size);
}

static void dirty_in_any_item(void)
{
	unsigned int lg2;
	struct fixture f;

	fixture_init(&f, 0);
	for (lg2 = T_GRANULE_LG2; lg2 < T_GRANULE_LG2 + 2 * T_INDEX_LG2; lg2++) {
		if (T_SIZES(conf.levels) >> lg2 & 1 && BIT(lg2) <= span(&f) / 4)
			dirty_of_size(&f, BIT(lg2));
	}
	check_only_top(&f);
	fixture_destroy(&f);
}

static void dirty_clip(void)
{
	const u64 sizes = T_SIZES(conf.levels) & ~GRAN;
	/* the next larger size, with several items if the format has such; AMD has too many */
	const u64 size = __builtin_popcountll(sizes) > 8 ? 16 * GRAN : sizes & (0 - sizes);
	const u64 va = 3 * size;
	struct fixture f;

	fixture_init(&f, GRAN | size);
	CHECK(!map(&f, va, 0, 3 * size, RW));
	CHECK(read_at(&f, va).size == size);
	check_fresh(&f, va, 3 * size, RW);
	/* the first item is dirty, the range begins after it */
	CHECK(set_dirty(&f, va));
	scan(&f, va + 5 * GRAN, 2 * GRAN, true);
	CHECK(reported(&f, va + 5 * GRAN, 2 * GRAN));
	/* nobody was told about the rest: still dirty */
	scan(&f, va, size, true);
	CHECK(reported(&f, va, size));
	/* the last item is dirty, the range ends before it */
	CHECK(set_dirty(&f, va + size - 1));
	scan(&f, va, GRAN, true);
	CHECK(reported(&f, va, GRAN));
	scan(&f, 0, va + GRAN / 2, true);
	CHECK(reported(&f, va, GRAN / 2));
	/* whole leaves beside a cut one, in one report */
	CHECK(set_dirty(&f, va + size) && set_dirty(&f, va + 2 * size));
	scan(&f, va + GRAN, 2 * size, true);
	CHECK(reported(&f, va + GRAN, 2 * size));
	CHECK(read_at(&f, va).dirty && read_at(&f, va + 2 * size).dirty);
	CHECK(!read_at(&f, va + size).dirty);
	/* a hole and a clean leaf keep reports apart */
	unmap(&f, va + size, size);
	scan(&f, 0, span(&f), true);
	CHECK(f.nreports == 2 && f.report[1].va == va + 2 * size);
	fixture_destroy(&f);
}

/* Reports merge across tables and levels. */
static void dirty_merge(void)
{
	const u64 va = border() - 4 * GRAN, len = border() + 9 * GRAN;
	struct fixture f;
	u64 at;

	fixture_init(&f, 0);
	CHECK(!map(&f, va, va, len, RW));
	check_fresh(&f, va, len, RW);
	for (at = va; at < va + len; at += expect_size(&f, at, at, va + len - at))
		CHECK(set_dirty(&f, at));
	scan(&f, 0, span(&f), true);
	CHECK(reported(&f, va, len));
	scan(&f, 0, span(&f), true);
	CHECK(!f.nreports);
	fixture_destroy(&f);
}

/* --- device threads --- */

struct walker {
	struct fixture *f;
	_Atomic bool *stop;
	u64 seed;
	unsigned long bad;
};

/* VA and OA of these tests differ by a constant: a wrong answer shows. */
#define WALK_OFFSET (border() * 3)
#define WALK_UNITS  2048u
/* The window lies across a border of tables. */
#define WALK_BASE (border() - WALK_UNITS / 2 * GRAN)

static void *walker(void *arg)
{
	struct walker *w = arg;
	u64 x = w->seed;

	while (!atomic_load_explicit(w->stop, memory_order_relaxed)) {
		u64 va, oa;

		x = x * 6364136223846793005 + 1442695040888963407;
		va = WALK_BASE + (x >> 33) % (WALK_UNITS * GRAN);
		oa = lookup(w->f, va, NULL);
		if (oa != U64_MAX && oa != va + WALK_OFFSET)
			w->bad++;
		if (x >> 63)
			set_dirty(w->f, va);
	}
	return NULL;
}

static void change_while_walked(struct fixture *f)
{
	unsigned int i;

	for (i = 0; i < 500; i++) {
		u64 n = 1 + rng_below(BIT(rng_below(10)));
		u64 va = WALK_BASE + rng_below(WALK_UNITS - n) * GRAN;
		int err = map(f, va, va + WALK_OFFSET, n * GRAN, RW);

		CHECK(!err || err == -EADDRINUSE);
		clean(f, WALK_BASE, WALK_UNITS * GRAN);
		if (rng_below(2))
			unmap(f, WALK_BASE + rng_below(WALK_UNITS) * GRAN, n * GRAN);
	}
}

static void walkers_beside_map(void)
{
	enum { N = 2 };
	_Atomic bool stop;
	struct walker w[N];
	pthread_t thread[N];
	struct fixture f;
	unsigned int round, i;

	fixture_init(&f, 0);
	for (round = 0; round < 10; round++) {
		atomic_store(&stop, false);
		for (i = 0; i < N; i++) {
			w[i] = (struct walker){&f, &stop, rng(), 0};
			CHECK(!pthread_create(&thread[i], NULL, walker, &w[i]));
		}
		change_while_walked(&f);
		/* What a domain does before it frees: wait until nobody walks. */
		atomic_store(&stop, true);
		for (i = 0; i < N; i++) {
			pthread_join(thread[i], NULL);
			CHECK(!w[i].bad);
		}
		pt_sync(&f.pt);
	}
	unmap(&f, 0, span(&f));
	check_only_top(&f);
	fixture_destroy(&f);
}

/* --- all of them --- */

static void common_init(int argc, char **argv)
{
	rng_state = argc > 1 ? strtoull(argv[1], NULL, 0) : (u64)time(NULL);
	printf("# seed %llu (pass it to repeat)\n", (unsigned long long)rng_state);
}

/* @where: what is tested, for the names. Takes conf.levels, va_bits and features. */
static void common_tests(const char *where, unsigned int levels, unsigned int va_bits,
			 unsigned int features)
{
	check_where = where;
	conf.levels = levels;
	conf.va_bits = va_bits;
	conf.features = features;
	TEST(limits);
	TEST(refusals);
	TEST(every_page_size);
	TEST(every_permission);
	TEST(every_alignment);
	TEST(random_against_model);
	TEST(allocation_failure);
	TEST(in_use_at_the_end);
	TEST(sparse_map_unmap);
	TEST(dead_tables);
	TEST(singles);
	if (T_DIRTY(RW)) {
		TEST(dirty_in_any_item);
		TEST(dirty_clip);
		TEST(dirty_merge);
	}
	TEST(walkers_beside_map);
	check_where = "";
	conf.levels = T_LEVELS;
	conf.va_bits = 0;
	conf.features = 0;
}

#endif
