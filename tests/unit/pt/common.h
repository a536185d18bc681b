/* SPDX-License-Identifier: MIT */
/*
 * The tests of what every format does, for any configuration: conf (tables.h)
 * says what the trees are like. They need two levels at least.
 */
#ifndef PT_TEST_COMMON_H
#define PT_TEST_COMMON_H

#include "tables.h"

/* Where a table of tables ends, or just a table, if there is no higher one. */
static u64 border(void)
{
	return conf.levels > 2 ? ITEM(2) : 4 * ITEM(1);
}

/* --- limits --- */

static int try_config(unsigned int levels, unsigned int va_bits, unsigned int oa_bits, u64 sizes,
		      unsigned int features)
{
	struct pt_config config = {levels, va_bits, oa_bits, sizes, features};
	struct fixture f;
	int err = fixture_try(&f, &config);

	if (!err)
		T_FN(destroy)(&f.pt);
	CHECK(f.alloc.bytes == 0);
	return err;
}

/* Both ends of an address space are where they should be. */
static void first_and_last(unsigned int levels, unsigned int va_bits)
{
	struct fixture f;
	u64 last;

	fixture_init_levels(&f, levels, va_bits, 0);
	last = (U64_MAX >> (64 - va_bits)) - (GRAN - 1);
	CHECK(span(&f) == last + (GRAN - 1));
	CHECK(!map(&f, last, 5 * GRAN, GRAN, RW));
	check_mapped(&f, last, 5 * GRAN, GRAN, RW);
	if (last) {
		CHECK(!map(&f, 0, 0, GRAN, RO));
		check_mapped(&f, 0, 0, GRAN, RO);
	}
	CHECK(map(&f, last, 5 * GRAN, 2 * GRAN, RW) == -EINVAL);
	fixture_destroy(&f);
}

static void limits_of(unsigned int levels)
{
	unsigned int va_lg2 = T_VA_LG2(levels), lg2;
	unsigned int least = T_VA_MIN_LG2(levels), most = T_VA_MAX_LG2(levels);
	struct fixture f;

	fixture_init_levels(&f, levels, 0, 0);
	CHECK(span(&f) == U64_MAX >> (64 - va_lg2));
	CHECK(f.pt.va_first == (conf.features & PT_FEAT_UPPER ? 0 - BIT(va_lg2) : 0));
	CHECK(f.pt.oa_last == U64_MAX >> (64 - T_OA_LG2));
	CHECK(f.pt.pgsize_bitmap == T_SIZES(levels));
	fixture_destroy(&f);
	for (lg2 = least; lg2 <= most; lg2++)
		first_and_last(levels, lg2);
	CHECK(try_config(levels, most + 1, 0, 0, conf.features) == -EINVAL);
	CHECK(try_config(levels, least - 1, 0, 0, conf.features) == -EINVAL);
	CHECK(try_config(levels, 0, T_OA_LG2 + 1, 0, conf.features) == -EINVAL);
	CHECK(try_config(levels, 0, T_GRANULE_LG2 - 1, 0, conf.features) == -EINVAL);
	for (lg2 = 0; lg2 < 64; lg2++)
		CHECK(try_config(levels, 0, 0, BIT(lg2), 0) ==
		      (T_SIZES(levels) >> lg2 & 1 ? 0 : -EINVAL));
}

static void limits(void)
{
	struct base_alloc alloc = {.limit = 1};
	unsigned int levels, bit;
	struct pt pt;

	CHECK(try_config(0, 0, 0, 0, 0) == -EINVAL);
	CHECK(try_config(T_LEVELS_MIN - 1, 0, 0, 0, 0) == -EINVAL);
	CHECK(try_config(T_LEVELS + 1, 0, 0, 0, 0) == -EINVAL);
	for (levels = T_LEVELS_MIN; levels <= T_LEVELS; levels++)
		limits_of(levels);
	for (bit = 0; bit < 32; bit++)
		CHECK(try_config(T_LEVELS, 0, 0, 0, 1u << bit) ==
		      (T_FEATURES >> bit & 1 ? 0 : -EINVAL));
	CHECK(T_FN(init)(&pt, &alloc, &(struct pt_config){.levels = T_LEVELS}) == -ENOMEM);
}

static void refusals(void)
{
	const unsigned int va_bits = (T_VA_MIN_LG2(conf.levels) + T_VA_LG2(conf.levels)) / 2;
	struct pt_config config = {.levels = conf.levels,
				   .va_bits = va_bits,
				   .oa_bits = 40,
				   .features = conf.features};
	struct fixture f;
	u64 end;

	CHECK(!fixture_try(&f, &config));
	end = span(&f) + 1;
	CHECK(end == BIT(va_bits));
	CHECK(map(&f, 0, 0, 0, RW) == -EINVAL);
	CHECK(map(&f, 0, 0, GRAN, 0) == -EINVAL);
	CHECK(map(&f, 0, 0, GRAN, PT_PROT_MMIO | PT_PROT_NOEXEC | PT_PROT_PRIV) == -EINVAL);
	CHECK(map(&f, 0, 0, GRAN, RW | 32) == -EINVAL);
	CHECK(map(&f, 1, 0, GRAN, RW) == -EINVAL);
	CHECK(map(&f, 0, GRAN / 2, GRAN, RW) == -EINVAL);
	CHECK(map(&f, 0, 0, GRAN + 1, RW) == -EINVAL);
	CHECK(map(&f, end, 0, GRAN, RW) == -EINVAL);
	CHECK(map(&f, end - GRAN, 0, 2 * GRAN, RW) == -EINVAL);
	CHECK(map(&f, 0 - GRAN, 0, GRAN, RW) == -EINVAL);
	CHECK(map(&f, 0 - GRAN, 0, 2 * GRAN, RW) == -EINVAL);
	CHECK(map(&f, 0, BIT(40) - GRAN, 2 * GRAN, RW) == -EINVAL);
	CHECK(map(&f, GRAN, 0, 0 - GRAN, RW) == -EINVAL);
	CHECK(map(&f, 0, 0 - GRAN, 2 * GRAN, RW) == -EINVAL);
	check_only_top(&f);
	/* beyond the end is nothing, and saying so is not an error */
	unmap(&f, end, U64_MAX);
	unmap(&f, 0, 0);
	unmap(&f, 0, U64_MAX);
	scan(&f, end, GRAN, true);
	scan(&f, 0 - GRAN, GRAN, true);
	scan(&f, 0, 0, true);
	check_unmapped(&f, end);
	check_unmapped(&f, 0 - GRAN);
	CHECK(!set_dirty(&f, end));
	CHECK(!map(&f, end - GRAN, BIT(40) - GRAN, GRAN, RO | PT_PROT_MMIO));
	check_mapped(&f, end - 1, BIT(40) - 1, GRAN, RO);
	/* a range that begins below and ends above has it all */
	CHECK(!map(&f, 0, 0, GRAN, RO));
	T_FN(unmap)(&f.pt, 0, U64_MAX);
	T_FN(unmap)(&f.pt, U64_MAX, 1);
	check_only_top(&f);
	fixture_destroy(&f);
}

/* --- pages --- */

/* One page, at several places of its table and of its address space. */
static void page_size(struct fixture *f, u64 size)
{
	u64 count = span(f) / size + 1, oa = size < BIT(T_OA_LG2 - 2) ? 3 * size : 0, va, at;
	unsigned int place;

	for (place = 0; place < 6; place++) {
		va = (place < 3 ? place : count - (place - 2)) * size & span(f);
		CHECK(!map(f, va, oa, size, RW));
		check_mapped(f, va, oa, size, RW);
		check_mapped(f, va + size - 1, oa + size - 1, size, RW);
		at = rng_below(size);
		check_mapped(f, va + at, oa + at, size, RW);
		unmap(f, va + at, 1);
		check_unmapped(f, va);
		check_only_top(f);
	}
}

static void every_page_size(void)
{
	unsigned int levels, lg2;

	for (levels = T_LEVELS_MIN; levels <= T_LEVELS; levels++) {
		struct fixture f;

		fixture_init_levels(&f, levels, 0, 0);
		for (lg2 = 0; lg2 < 64; lg2++) {
			if (f.pt.pgsize_bitmap >> lg2 & 1)
				page_size(&f, BIT(lg2));
		}
		fixture_destroy(&f);
	}
}

/* All that a page can be allowed, and in every size the same. */
static void every_permission(void)
{
	struct fixture f;
	unsigned int lg2, prot;

	fixture_init(&f, 0);
	for (lg2 = 0; lg2 < 64; lg2++) {
		u64 size = BIT(lg2);

		if (!(f.pt.pgsize_bitmap & size))
			continue;
		for (prot = 1; prot < 32; prot++) {
			if (!(prot & RW))
				continue;
			CHECK(!map(&f, 0, 0, size, prot));
			check_mapped(&f, size - 1, size - 1, size, prot & ~PT_PROT_MMIO);
			check_fresh(&f, 0, size, prot);
			CHECK(set_dirty(&f, size / 2));
			CHECK(read_at(&f, 0).dirty == T_DIRTY(prot));
			check_mapped(&f, size - 1, size - 1, size, prot & ~PT_PROT_MMIO);
			unmap(&f, 0, size);
		}
	}
	check_only_top(&f);
	fixture_destroy(&f);
}

/* A range, page by page. */
static void alignment(struct fixture *f, u64 va, u64 oa, u64 len)
{
	u64 at, size;

	CHECK(!map(f, va, oa, len, RO));
	for (at = 0; at < len; at += size) {
		size = expect_size(f, va + at, oa + at, len - at);
		check_mapped(f, va + at, oa + at, size, RO);
		check_mapped(f, va + at + size - 1, oa + at + size - 1, size, RO);
	}
	check_unmapped(f, va - 1);
	check_unmapped(f, va + len);
	CHECK(map(f, va + len - GRAN, 0, GRAN, RO) == -EADDRINUSE);
	unmap(f, va, len);
	CHECK(tables(f) == 1);
}

/* Every alignment of VA, of OA and every length that is near a power of two. */
static void every_alignment(void)
{
	unsigned int top = 63 - (unsigned int)__builtin_clzll(T_SIZES(conf.levels)) + 2;
	unsigned int a, b, l;
	struct fixture f;

	fixture_init(&f, 0);
	if (top > T_GRANULE_LG2 + 22)
		top = T_GRANULE_LG2 + 22;
	for (a = T_GRANULE_LG2; a < top; a++) {
		for (b = T_GRANULE_LG2; b < top; b += 1 + (a & 1)) {
			for (l = T_GRANULE_LG2; l < top; l += 3) {
				u64 va = BIT(a) | (span(&f) / 2 + 1), oa = BIT(b) * 5;
				u64 len = BIT(l) + (l & 1 ? GRAN : 0);

				/* many small pages are the other tests' work */
				if (va + len <= span(&f) &&
				    BIT(l) / expect_size(&f, va, oa, BIT(l)) <= 256)
					alignment(&f, va, oa, len);
			}
		}
	}
	check_only_top(&f);
	fixture_destroy(&f);
}

/* --- against a model: one element per unit of a window of addresses --- */

#define UNITS 4096

struct model_unit {
	bool used, dirty; /* dirty: kept in the first unit of the page */
	unsigned int prot;
	unsigned int first, count; /* the page that it belongs to */
	u64 oa;
};

static struct model_unit model[UNITS];
static u64 model_unit, model_base;

static void model_check(struct fixture *f)
{
	unsigned int i;

	for (i = 0; i < UNITS; i++) {
		struct model_unit *m = &model[i];
		u64 va = model_base + i * model_unit;

		if (!m->used) {
			check_unmapped(f, va);
			continue;
		}
		check_mapped(f, va, m->oa, m->count * model_unit, m->prot);
		CHECK(read_at(f, va).dirty == model[m->first].dirty);
	}
}

static void model_map(struct fixture *f, unsigned int first, unsigned int n)
{
	u64 oa = rng_below(1024) * model_unit, va = model_base + first * model_unit;
	unsigned int prot = 1 + (unsigned int)rng_below(3), i, k;
	bool used = false;
	int err;

	/* Half of the time such that large pages are possible. */
	if (rng_below(2))
		oa = first * model_unit;
	err = map(f, va, oa, n * model_unit, prot);
	for (i = first; i < first + n; i++)
		used |= model[i].used;
	CHECK(err == (used ? -EADDRINUSE : 0));
	for (i = 0; !err && i < n; i += k) {
		u64 at = i * model_unit;
		u64 size = expect_size(f, va + at, oa + at, (n - i) * model_unit);
		unsigned int j;

		k = (unsigned int)(size / model_unit);
		for (j = i; j < i + k; j++)
			model[first + j] = (struct model_unit){
				true, T_PRESET(prot), prot, first + i, k, oa + j * model_unit};
	}
}

static void model_unmap(struct fixture *f, unsigned int first, unsigned int n)
{
	unsigned int end = first + n;

	unmap(f, model_base + first * model_unit, n * model_unit);
	/* Pages that are only touched go as a whole. */
	if (model[first].used)
		first = model[first].first;
	if (model[end - 1].used)
		end = model[end - 1].first + model[end - 1].count;
	memset(&model[first], 0, (end - first) * sizeof(model[0]));
}

static void model_scan(struct fixture *f, unsigned int first, unsigned int n, bool clear)
{
	static bool told[UNITS];
	unsigned int i, j;

	memset(told, 0, sizeof(told));
	scan(f, model_base + first * model_unit, n * model_unit, clear);
	for (i = 0; i < f->nreports; i++) {
		u64 at = f->report[i].va - model_base, len = f->report[i].len;

		CHECK(at % model_unit == 0 && len % model_unit == 0);
		CHECK(at / model_unit >= first && (at + len) / model_unit <= first + n);
		for (j = 0; j < len / model_unit && at / model_unit + j < UNITS; j++)
			told[at / model_unit + j] = true;
	}
	for (i = first; i < first + n; i++)
		CHECK(told[i] == (model[i].used && model[model[i].first].dirty));
	for (i = first; clear && i < first + n; i++) {
		if (model[i].used && model[i].first == i && i + model[i].count <= first + n)
			model[i].dirty = false;
	}
}

static void model_dirty(struct fixture *f, unsigned int i)
{
	u64 va = model_base + i * model_unit + rng_below(model_unit);

	CHECK(set_dirty(f, va) == model[i].used);
	if (model[i].used && T_DIRTY(model[i].prot))
		model[model[i].first].dirty = true;
}

static void model_op(struct fixture *f)
{
	unsigned int n = 1 + (unsigned int)(rng() & BIT(rng_below(12))) +
			 (unsigned int)rng_below(1 + BIT(rng_below(9)));
	unsigned int first = (unsigned int)rng_below(UNITS - n);

	if (rng_below(3) == 0) /* often aligned, so that large pages come about */
		first &= ~511u;
	switch (rng_below(8)) {
	case 0:
	case 1:
	case 2:
		model_map(f, first, n);
		break;
	case 3:
		model_unmap(f, first, n);
		break;
	case 4:
		model_scan(f, first, n, rng_below(2));
		break;
	case 5:
		pt_sync(&f->pt);
		break;
	default:
		model_dirty(f, first);
	}
}

/* A window of units of 2^lg2 bytes, across a border of tables that is as high as can be. */
static void random_units(unsigned int lg2, u64 sizes)
{
	struct fixture f;
	unsigned int op;

	model_unit = BIT(lg2);
	fixture_init(&f, sizes);
	model_base = border() * (model_unit / GRAN);
	if (!model_base || model_base > span(&f) / 2 + 1)
		model_base = span(&f) / 2 + 1;
	/* too large for the addresses there are? */
	if (model_base / model_unit < UNITS / 2 || lg2 + 13 > T_OA_LG2) {
		fixture_destroy(&f);
		return;
	}
	model_base -= UNITS / 2 * model_unit;
	memset(model, 0, sizeof(model));
	for (op = 0; op < 6000; op++) {
		model_op(&f);
		if (op % 500 == 499)
			model_check(&f);
	}
	unmap(&f, model_base, UNITS * model_unit);
	check_only_top(&f);
	fixture_destroy(&f);
}

static void random_against_model(void)
{
	u64 sizes = T_SIZES(conf.levels);
	bool few = __builtin_popcountll(sizes) <= 8;
	unsigned int lg2;

	for (lg2 = T_GRANULE_LG2; lg2 < 48; lg2++) {
		unsigned int shift = (lg2 - T_GRANULE_LG2) % 9;

		if (sizes >> lg2 & 1 && (few || shift == 0 || shift == 3))
			random_units(lg2, 0);
	}
	/* only some of the sizes */
	random_units(T_GRANULE_LG2, GRAN);
	random_units(T_GRANULE_LG2, sizes & (GRAN * 0x28d | ITEM(1)));
}

/* --- memory --- */

/* Give the spare tables back, so that the next map has to allocate. */
static void drop_spares(struct fixture *f)
{
	while (f->pt.nspare) {
		void *table = f->pt.spare;

		f->pt.spare = (pt_entry *)(uintptr_t)f->pt.spare[0];
		base_free(&f->alloc, table, TABLE_BYTES);
		f->pt.nspare--;
	}
}

/* A mapping that needs several tables at both of its ends. */
static void allocation_failures(bool neighbour)
{
	const u64 va = ITEM(conf.levels - 1) - 3 * GRAN, len = ITEM(1) + 7 * GRAN;
	struct fixture f;
	size_t before;
	unsigned int n;

	fixture_init(&f, 0);
	/* with tables of others on the way that must stay */
	if (neighbour)
		CHECK(!map(&f, va + len, 0x100 * GRAN, GRAN, RW));
	before = tables(&f);
	for (n = 1;; n++) {
		size_t bytes = f.alloc.bytes;
		int err;

		CHECK(!f.pt.nspare);
		f.allocs = 0;
		f.fail_after = n;
		err = map(&f, va, 0, len, RW);
		f.fail_after = 0;
		if (!err)
			break;
		CHECK(err == -ENOMEM);
		check_unmapped(&f, va);
		check_unmapped(&f, va + len - 1);
		if (neighbour)
			check_mapped(&f, va + len, 0x100 * GRAN, GRAN, RW);
		CHECK(tables(&f) == before);
		drop_spares(&f);
		CHECK(f.alloc.bytes == bytes);
	}
	CHECK(n > conf.levels - 1);
	check_mapped(&f, va + len - 1, len - 1, GRAN, RW);
	fixture_destroy(&f);
}

static void allocation_failure(void)
{
	allocation_failures(false);
	allocation_failures(true);
}

/* The last page of a large range is taken. */
static void in_use_at_the_end(void)
{
	const u64 end = border() + 9 * GRAN;
	const u64 start = border() - (conf.levels > 2 ? ITEM(1) : 0) - GRAN;
	struct fixture f;
	size_t before;
	u64 at;

	fixture_init(&f, GRAN);
	CHECK(!map(&f, end, 0, GRAN, RO));
	before = tables(&f);
	CHECK(map(&f, start, 0, end + GRAN - start, RW) == -EADDRINUSE);
	CHECK(tables(&f) == before);
	for (at = start; at < end; at += GRAN)
		check_unmapped(&f, at);
	check_mapped(&f, end, 0, GRAN, RO);
	fixture_destroy(&f);

	/* a small page where a large one should go, and the other way round */
	fixture_init(&f, 0);
	CHECK(!map(&f, 77 * GRAN, 0, GRAN, RO));
	CHECK(map(&f, 0, 0, ITEM(1), RO) == -EADDRINUSE);
	CHECK(map(&f, 0, 0, 128 * GRAN, RO) == -EADDRINUSE);
	CHECK(!map(&f, ITEM(1), 0, ITEM(1), RO));
	check_mapped(&f, ITEM(1), 0, ITEM(1), RO);
	CHECK(map(&f, ITEM(1) + 5 * GRAN, 0, GRAN, RO) == -EADDRINUSE);
	CHECK(tables(&f) == conf.levels);
	fixture_destroy(&f);
}

static void sparse_map_unmap(void)
{
	struct fixture f;
	unsigned int i;
	size_t most;

	fixture_init(&f, 0);
	most = f.alloc.bytes + (conf.levels - 1) * TABLE_BYTES;
	for (i = 0; i < 20000; i++) {
		u64 va = rng() & span(&f) & ~(GRAN - 1);

		CHECK(!map(&f, va, 0, GRAN, RW));
		unmap(&f, va, GRAN);
		pt_sync(&f.pt);
		CHECK(f.alloc.bytes <= most);
	}
	/* the same page over and over needs no memory at all */
	f.allocs = 0;
	for (i = 0; i < 1000; i++) {
		CHECK(!map(&f, 5 * GRAN, 0, GRAN, RW));
		unmap(&f, 5 * GRAN, GRAN);
		pt_sync(&f.pt);
	}
	CHECK(!f.allocs);
	check_only_top(&f);
	fixture_destroy(&f);
}

/* A table that is unlinked stays what a late walker may read: empty, in place. */
static void dead_tables(void)
{
	const unsigned int n = conf.levels - 1;
	const _Atomic u64 *table[SPEC_LEVELS];
	struct fixture f;
	unsigned int level, i;
	struct spec s;

	fixture_init(&f, 0);
	CHECK(!map(&f, 0, 0, GRAN, RW));
	s = read_at(&f, 0);
	memcpy(table, s.table, sizeof(table));
	unmap(&f, 0, GRAN);
	CHECK(f.pt.dead && f.alloc.blocks == 1 + n);
	/* not one of these bits makes an entry, in any format */
	for (level = 0; level < n; level++)
		for (i = 0; i < TABLE_ITEMS; i++)
			CHECK(!(table[level][i] & 0xfff));
	/* they are not used again before the domain says so */
	CHECK(!map(&f, ITEM(1), 0, GRAN, RW));
	CHECK(f.alloc.blocks == 1 + 2 * n && !(table[0][0] & 0xfff));
	pt_sync(&f.pt);
	CHECK(f.pt.nspare == n && f.alloc.blocks == 1 + 2 * n);
	CHECK(!map(&f, 3 * ITEM(1) + GRAN, 0, GRAN, RW));
	CHECK(f.pt.nspare == n - 1 && f.alloc.blocks == 1 + 2 * n);
	s = read_at(&f, 3 * ITEM(1) + GRAN);
	CHECK(s.present && !s.table[0][0]);
	for (level = 0; level < n && s.table[0] != table[level]; level++)
		;
	CHECK(level < n);
	check_unmapped(&f, 3 * ITEM(1));
	fixture_destroy(&f);
}

#define SINGLES 65536u

static void singles(void)
{
	static u32 order[SINGLES];
	struct fixture f;
	unsigned int i;

	for (i = 0; i < SINGLES; i++)
		order[i] = i;
	for (i = SINGLES - 1; i; i--) {
		u32 j = (u32)rng_below(i + 1), t = order[i];

		order[i] = order[j];
		order[j] = t;
	}
	fixture_init(&f, 0);
	for (i = 0; i < SINGLES; i++)
		CHECK(!map(&f, order[i] * GRAN, (SINGLES + order[i] * 3) * GRAN, GRAN, RW));
	CHECK(tables(&f) <= SINGLES / TABLE_ITEMS + conf.levels - 1);
	for (i = 0; i < SINGLES; i++)
		CHECK(lookup(&f, i * GRAN + i % GRAN, NULL) == (SINGLES + i * 3) * GRAN + i % GRAN);
	for (i = SINGLES; i--;) {
		CHECK(lookup(&f, order[i] * GRAN, NULL) != U64_MAX);
		unmap(&f, order[i] * GRAN, GRAN);
		CHECK(lookup(&f, order[i] * GRAN, NULL) == U64_MAX);
	}
	check_only_top(&f);
	fixture_destroy(&f);
}

#endif
