/* SPDX-License-Identifier: MIT */
/*
 * What the tests of all formats have in common: one tree and all that goes with
 * it. The test that includes this has included its format's oracle (spec.h) and
 * says, by hand-written numbers from the format's specification,
 *
 *	T_FN(name)                name of a function
 *	T_GRANULE_LG2, T_INDEX_LG2, T_LEVELS_MIN, T_LEVELS, T_OA_LG2
 *	T_FEATURES                PT_FEAT_* that the format knows
 *	T_VA_LG2(levels)          VAs that so many levels cover
 *	T_VA_MIN_LG2(levels)      the fewest that they can
 *	T_VA_MAX_LG2(levels)      and the most
 *	T_SIZES(levels)           sizes of pages, bit n for 2^n
 *	T_PROT(prot)              what can be read back of permissions
 *	T_DIRTY(prot)             a page with such permissions can be dirty
 *	T_PRESET(prot)            and is from the start
 *	T_STEP(level)             what a page's second item has more than its first
 *	T_TABLE(level)            the entry of a table of @level (from 0), but for
 *	T_ADDR_MASK               the address
 *
 * The tests see VAs that begin at 0; map(), unmap() and so on put them where the
 * tree's begin.
 */
#ifndef PT_TEST_TABLES_H
#define PT_TEST_TABLES_H

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "check.h"
#include "pt/pt.h"
#include "spec.h"

#define GRAN	    BIT(T_GRANULE_LG2)
#define TABLE_ITEMS (1u << T_INDEX_LG2)
#define TABLE_BYTES (8u << T_INDEX_LG2)
/* Bytes of an item of a table of @level, from 0. */
#define ITEM(level) BIT(T_GRANULE_LG2 + T_INDEX_LG2 * (level))

/* Small, good enough, and the same everywhere. */
static u64 rng_state;

static u64 rng(void)
{
	u64 z = (rng_state += 0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static u64 rng_below(u64 n)
{
	return rng() % n;
}

/* --- one tree --- */

/* What the tests' trees are like, unless they say so themselves. */
static struct {
	unsigned int levels;
	unsigned int va_bits;
	unsigned int features;
} conf = {.levels = T_LEVELS};

#define MAX_REPORTS 4096

struct fixture {
	struct base_alloc alloc;
	struct pt pt;
	unsigned int fail_after; /* allocations that succeed; 0 counts as never fail */
	unsigned int allocs;
	struct {
		u64 va;
		u64 len;
	} report[MAX_REPORTS];
	unsigned int nreports;
};

static bool fixture_should_fail(void *arg)
{
	struct fixture *f = arg;

	f->allocs++;
	return f->fail_after && f->allocs >= f->fail_after;
}

static int fixture_try(struct fixture *f, const struct pt_config *config)
{
	int err;

	memset(f, 0, sizeof(*f));
	err = T_FN(init)(&f->pt, &f->alloc, config);
	f->alloc.should_fail = fixture_should_fail;
	f->alloc.should_fail_arg = f;
	return err;
}

/* A top table is as large as others, or as it takes. */
static size_t top_bytes(unsigned int levels, unsigned int va_bits)
{
	unsigned int lg2 = T_VA_LG2(levels) > va_bits ? T_VA_LG2(levels) : va_bits;
	unsigned int below = T_GRANULE_LG2 + T_INDEX_LG2 * (levels - 1);

	lg2 = lg2 - below < T_INDEX_LG2 ? T_INDEX_LG2 : lg2 - below;
	return (size_t)8 << lg2;
}

static void fixture_init_levels(struct fixture *f, unsigned int levels, unsigned int va_bits,
				u64 sizes)
{
	struct pt_config config = {.levels = levels,
				   .va_bits = va_bits,
				   .pgsize_bitmap = sizes,
				   .features = conf.features};

	CHECK(!fixture_try(f, &config));
	CHECK(f->alloc.bytes == top_bytes(levels, va_bits) && f->alloc.blocks == 1);
	CHECK((uintptr_t)f->pt.top % f->alloc.bytes == 0);
}

static void fixture_init(struct fixture *f, u64 sizes)
{
	fixture_init_levels(f, conf.levels, conf.va_bits, sizes);
}

static void fixture_destroy(struct fixture *f)
{
	T_FN(destroy)(&f->pt);
	CHECK(f->alloc.bytes == 0 && f->alloc.blocks == 0);
}

/* --- its functions --- */

static u64 span(const struct fixture *f)
{
	return f->pt.va_last - f->pt.va_first;
}

static int map(struct fixture *f, u64 va, u64 oa, u64 len, unsigned int prot)
{
	return T_FN(map)(&f->pt, va + f->pt.va_first, oa, len, prot);
}

static void unmap(struct fixture *f, u64 va, u64 len)
{
	T_FN(unmap)(&f->pt, va + f->pt.va_first, len);
}

static u64 lookup(const struct fixture *f, u64 va, unsigned int *prot)
{
	return T_FN(lookup)(&f->pt, va + f->pt.va_first, prot);
}

static bool walk(const struct fixture *f, u64 va, struct pt_leaf *leaf)
{
	bool found = T_FN(walk)(&f->pt, va + f->pt.va_first, leaf);

	leaf->va -= f->pt.va_first;
	return found;
}

static bool set_dirty(struct fixture *f, u64 va)
{
	return T_FN(set_dirty)(&f->pt, va + f->pt.va_first);
}

static void fixture_report(void *arg, u64 va, u64 len)
{
	struct fixture *f = arg;

	va -= f->pt.va_first;
	CHECK(len);
	if (f->nreports == MAX_REPORTS)
		return;
	/* ascending, and adjacent ones are merged */
	if (f->nreports)
		CHECK(va > f->report[f->nreports - 1].va + f->report[f->nreports - 1].len);
	f->report[f->nreports].va = va;
	f->report[f->nreports++].len = len;
}

static void scan(struct fixture *f, u64 va, u64 len, bool clear)
{
	f->nreports = 0;
	T_FN(read_and_clear_dirty)(&f->pt, va + f->pt.va_first, len, clear, fixture_report, f);
}

/* Without being told. */
static void clean(struct fixture *f, u64 va, u64 len)
{
	T_FN(read_and_clear_dirty)(&f->pt, va + f->pt.va_first, len, true, NULL, NULL);
}

/* The last scan found just this. */
static bool reported(const struct fixture *f, u64 va, u64 len)
{
	return f->nreports == 1 && f->report[0].va == va && f->report[0].len == len;
}

/* --- what it looks like --- */

static struct spec read_at(const struct fixture *f, u64 va)
{
	struct spec s = spec_read(&f->pt, va + f->pt.va_first);

	s.first -= f->pt.va_first;
	return s;
}

/* The entry for @va in a table of @level, from 0; 0 if there is no such table. */
static u64 entry_at(const struct fixture *f, u64 va, unsigned int level)
{
	return read_at(f, va).entry[level];
}

/* Tables in use: all that are allocated but not spare. */
static size_t tables(struct fixture *f)
{
	size_t top = (size_t)1 << f->pt.top_lg2;

	pt_sync(&f->pt);
	CHECK(!f->pt.dead && f->pt.nspare <= f->pt.top_level);
	return (f->alloc.bytes - top) / TABLE_BYTES + 1 - f->pt.nspare;
}

static void check_only_top(struct fixture *f)
{
	size_t i;

	CHECK(tables(f) == 1);
	for (i = 0; i < (size_t)1 << f->pt.top_lg2 >> 3; i++)
		CHECK(!f->pt.top[i]);
}

/* All ways of reading agree that @va goes to @oa, by a page of @size. */
static void check_mapped(const struct fixture *f, u64 va, u64 oa, u64 size, unsigned int prot)
{
	struct spec s = read_at(f, va);
	unsigned int got = 0;
	struct pt_leaf leaf;

	prot = T_PROT(prot);
	CHECK(s.present && s.oa == oa && s.size == size && s.prot == prot);
	CHECK(lookup(f, va, &got) == oa && got == prot);
	CHECK(walk(f, va, &leaf));
	CHECK(leaf.va == s.first && leaf.oa == oa - (va - s.first));
	CHECK(BIT(leaf.lg2) == size && leaf.prot == prot);
}

static void check_unmapped(const struct fixture *f, u64 va)
{
	struct pt_leaf leaf = {0};

	CHECK(!read_at(f, va).present);
	CHECK(lookup(f, va, NULL) == U64_MAX);
	CHECK(!walk(f, va, &leaf));
}

/* What was just mapped is as dirty as it should be; make it clean. */
static void check_fresh(struct fixture *f, u64 va, u64 len, unsigned int prot)
{
	scan(f, va, len, true);
	if (T_PRESET(prot))
		CHECK(reported(f, va, len));
	else
		CHECK(!f->nreports);
	scan(f, va, len, true);
	CHECK(!f->nreports);
}

/* The page that @va must be mapped by: the largest that fits, tried one by one. */
static u64 expect_size(const struct fixture *f, u64 va, u64 oa, u64 len)
{
	unsigned int lg2;
	u64 size = GRAN;

	for (lg2 = 0; lg2 < 64; lg2++) {
		if (f->pt.pgsize_bitmap >> lg2 & 1 && va % BIT(lg2) == 0 && oa % BIT(lg2) == 0 &&
		    len >= BIT(lg2))
			size = BIT(lg2);
	}
	return size;
}

/* --- entries written out by hand --- */

/**
 * struct known - a page, and its entry
 * @level: of the tables that it is in
 * @index: of its last item
 * @entry: of its first item
 */
struct known {
	u64 va, oa, len;
	unsigned int prot, level, index;
	u64 entry;
};

/* The item after the page is empty. */
static void check_known(const struct known *k, size_t n)
{
	for (; n--; k++) {
		u64 item = ITEM(k->level), last = k->va + k->len - 1;
		struct fixture f;

		fixture_init(&f, 0);
		CHECK(!map(&f, k->va, k->oa, k->len, k->prot));
		CHECK(entry_at(&f, k->va, k->level) == k->entry);
		CHECK((last / item) % TABLE_ITEMS == k->index);
		CHECK(entry_at(&f, last, k->level) ==
		      k->entry + (k->len / item - 1) * T_STEP(k->level));
		CHECK(!entry_at(&f, last + 1, k->level));
		CHECK(read_at(&f, k->va).size == k->len);
		/* the table above, to the bit */
		if (k->level < f.pt.top_level) {
			u64 above = entry_at(&f, k->va, k->level + 1);

			CHECK((above & ~T_ADDR_MASK) == T_TABLE(k->level));
		}
		fixture_destroy(&f);
	}
}

#endif
