/* SPDX-License-Identifier: MIT */
/*
 * Tests for AMD's tables, whatever the granule. The test that includes this
 * says T_FN (name of a function), T_GRANULE_LG2, T_LEVELS and T_VA_LG2.
 *
 * What the tables hold is read back by spec_read(), a plain walker written from
 * section 2.2.3 of AMD's specification (48882): it shares no line with the
 * engine, counts levels from 1 as the specification does, and insists on what
 * hardware need not look at: reserved bits, and items that should be alike.
 */
#ifndef PT_TEST_AMD_TABLES_H
#define PT_TEST_AMD_TABLES_H

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "check.h"
#include "pt/pt.h"

#define RO PT_PROT_READ
#define WO PT_PROT_WRITE
#define RW (PT_PROT_READ | PT_PROT_WRITE)

#define GRAN	    ((u64)1 << T_GRANULE_LG2)
#define TABLE_BYTES 4096u
#define BIT(n)	    ((u64)1 << (n))
/* Where one item of a table of @level (from 0) ends. */
#define ITEM(level) BIT(T_GRANULE_LG2 + 9 * (level))

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

/* --- one tree and all that goes with it --- */

#define MAX_REPORTS 4096

struct fixture {
	struct base_alloc alloc;
	struct pt pt;
	size_t empty_bytes;
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

static int fixture_try_init(struct fixture *f, unsigned int levels, unsigned int va_bits,
			    unsigned int oa_bits, u64 sizes)
{
	struct pt_config config = {levels, va_bits, oa_bits, sizes};
	int err;

	memset(f, 0, sizeof(*f));
	err = T_FN(init)(&f->pt, &f->alloc, &config);
	f->empty_bytes = f->alloc.bytes;
	f->alloc.should_fail = fixture_should_fail;
	f->alloc.should_fail_arg = f;
	return err;
}

static void fixture_init(struct fixture *f, unsigned int levels, unsigned int va_bits, u64 sizes)
{
	CHECK(!fixture_try_init(f, levels, va_bits, 0, sizes));
	CHECK(f->alloc.bytes == TABLE_BYTES && f->alloc.blocks == 1);
}

static void fixture_destroy(struct fixture *f)
{
	T_FN(destroy)(&f->pt);
	CHECK(f->alloc.bytes == 0 && f->alloc.blocks == 0);
}

static void fixture_report(void *arg, u64 va, u64 len)
{
	struct fixture *f = arg;

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
	T_FN(read_and_clear_dirty)(&f->pt, va, len, clear, fixture_report, f);
}

/* Tables in use: all that are allocated but not spare. */
static size_t tables(struct fixture *f)
{
	pt_sync(&f->pt);
	CHECK(!f->pt.dead && f->pt.nspare <= f->pt.top_level);
	return f->alloc.bytes / TABLE_BYTES - f->pt.nspare;
}

/* --- the tables as the specification has them --- */

static const _Atomic u64 *table_of(const void *p)
{
	return p;
}

static void check_only_top(struct fixture *f)
{
	unsigned int i;

	CHECK(tables(f) == 1);
	for (i = 0; i < 512; i++)
		CHECK(!table_of(f->pt.top)[i]);
}

struct spec {
	bool present;
	bool dirty; /* in any of the items */
	u64 oa;	    /* of the address asked for */
	u64 size;
	u64 first; /* of the page */
	unsigned int prot;
	unsigned int reads; /* tables looked at */
};

#define SPEC_RESERVED 0x0ff000000000019eull /* all but PR, A, D, NL, address, U, FC, IR, IW */

static void spec_items(const _Atomic u64 *table, unsigned int index, u64 entry, unsigned int n,
		       struct spec *s)
{
	unsigned int first = index / n * n, i;

	CHECK(first + n <= 512);
	for (i = first; i < first + n; i++) {
		u64 other = table[i];

		CHECK((other & ~BIT(6)) == (entry & ~BIT(6)));
		s->dirty |= other >> 6 & 1;
	}
}

static struct spec spec_read(const struct pt *pt, u64 va)
{
	struct spec s = {.prot = RW};
	const _Atomic u64 *table = table_of(pt->top);
	unsigned int level, next;

	for (level = pt->top_level + 1u; level; level = next) {
		unsigned int shift = T_GRANULE_LG2 + 9 * (level - 1);
		unsigned int index = (unsigned int)(va >> shift) & 511;
		u64 entry = table[index];
		u64 address = (entry >> 12 & (BIT(40) - 1)) * GRAN;

		s.reads++;
		if (!(entry & 1)) {
			CHECK(!entry);
			return (struct spec){.reads = s.reads};
		}
		CHECK(!(entry & SPEC_RESERVED));
		s.prot &= (entry >> 61 & 1 ? RO : 0) | (entry >> 62 & 1 ? WO : 0);
		next = entry >> 9 & 7;
		if (next && next != 7) {
			CHECK(next == level - 1);
			CHECK(!(entry & BIT(6)) && (entry >> 61 & 3) == 3);
			table = table_of((void *)(uintptr_t)address);
			continue;
		}
		CHECK(entry >> 60 & 1);
		s.present = true;
		s.size = BIT(shift);
		if (next == 7) {
			u64 bits = entry >> 12;

			for (s.size = 2 * GRAN; bits & 1; bits >>= 1)
				s.size *= 2;
			CHECK(s.size > BIT(shift) && s.size < BIT(shift) * 512);
			address = address / s.size * s.size;
		}
		CHECK(address % s.size == 0);
		spec_items(table, index, entry, (unsigned int)(s.size >> shift), &s);
		s.first = va / s.size * s.size;
		s.oa = address + (va - s.first);
		return s;
	}
	CHECK(!"went below level 1");
	return s;
}

/* The entry for @va in a table of @level (from 0). */
static u64 entry_at(const struct pt *pt, u64 va, unsigned int level)
{
	const _Atomic u64 *table = table_of(pt->top);
	unsigned int at = pt->top_level;

	for (;; at--) {
		u64 entry = table[va >> (T_GRANULE_LG2 + 9 * at) & 511];

		if (at == level || !(entry & 1))
			return entry;
		table = table_of((void *)(uintptr_t)((entry >> 12 & (BIT(40) - 1)) * GRAN));
	}
}

/* All ways of reading agree that @va goes to @oa, by a page of @size. */
static void check_mapped(const struct pt *pt, u64 va, u64 oa, u64 size, unsigned int prot)
{
	struct spec s = spec_read(pt, va);
	unsigned int got = 0;
	struct pt_leaf leaf;

	CHECK(s.present && s.oa == oa && s.size == size && s.prot == prot);
	CHECK(T_FN(lookup)(pt, va, &got) == oa && got == prot);
	CHECK(T_FN(walk)(pt, va, &leaf));
	CHECK(leaf.va == s.first && leaf.oa == oa - (va - s.first));
	CHECK(BIT(leaf.lg2) == size && leaf.prot == prot);
}

static void check_unmapped(const struct pt *pt, u64 va)
{
	struct pt_leaf leaf;

	CHECK(!spec_read(pt, va).present);
	CHECK(T_FN(lookup)(pt, va, NULL) == U64_MAX);
	CHECK(!T_FN(walk)(pt, va, &leaf));
}

/* --- entries written out by hand --- */

struct known {
	u64 va, oa, len;
	unsigned int prot, level, index;
	u64 entry;
};

/* Each makes one page; @index is its last item, and the item after it is empty. */
static void check_known(const struct known *k, size_t n)
{
	for (; n--; k++) {
		struct fixture f;
		u64 item = ITEM(k->level);

		fixture_init(&f, 3, 0, 0);
		CHECK(!T_FN(map)(&f.pt, k->va, k->oa, k->len, k->prot));
		CHECK(entry_at(&f.pt, k->va, k->level) == k->entry);
		CHECK(((k->va + k->len - 1) / item) % 512 == k->index);
		CHECK(entry_at(&f.pt, k->va + k->len - 1, k->level) == k->entry);
		CHECK(!(entry_at(&f.pt, k->va + k->len, k->level) & 1));
		CHECK(spec_read(&f.pt, k->va).size == k->len);
		/* the table above, to the bit: IR, IW, address, level, PR */
		if (k->level < 2) {
			u64 above = entry_at(&f.pt, k->va, k->level + 1);

			CHECK((above & 0xfff0000000000fff) ==
			      (BIT(62) | BIT(61) | 1 | (u64)(k->level + 1) << 9));
		}
		fixture_destroy(&f);
	}
}

/* --- tests that all granules share --- */

static void limits(void)
{
	struct fixture f;
	unsigned int levels;

	CHECK(fixture_try_init(&f, 0, 0, 0, 0) == -EINVAL);
	CHECK(fixture_try_init(&f, T_LEVELS + 1, 0, 0, 0) == -EINVAL);
	CHECK(fixture_try_init(&f, 2, T_GRANULE_LG2 + 19, 0, 0) == -EINVAL);
	CHECK(fixture_try_init(&f, 2, T_GRANULE_LG2 - 1, 0, 0) == -EINVAL);
	CHECK(fixture_try_init(&f, T_LEVELS, T_VA_LG2 + 1, 0, 0) == -EINVAL);
	CHECK(fixture_try_init(&f, 2, 0, T_GRANULE_LG2 + 41, 0) == -EINVAL);
	CHECK(fixture_try_init(&f, 2, 0, 0, GRAN / 2) == -EINVAL);
	CHECK(fixture_try_init(&f, 2, 0, 0, ITEM(2)) == -EINVAL);
	CHECK(fixture_try_init(&f, 5, 0, 0, BIT(39)) == -EINVAL);
	CHECK(f.alloc.bytes == 0);
	for (levels = 1; levels <= T_LEVELS; levels++) {
		unsigned int va_lg2 = T_GRANULE_LG2 + 9 * levels;

		fixture_init(&f, levels, 0, 0);
		CHECK(f.pt.va_last == (va_lg2 >= 64 ? U64_MAX : BIT(va_lg2) - 1));
		CHECK(f.pt.pgsize_bitmap & GRAN);
		CHECK(!(f.pt.pgsize_bitmap & BIT(39)));
		fixture_destroy(&f);
	}
	memset(&f, 0, sizeof(f));
	f.alloc.limit = 1;
	CHECK(T_FN(init)(&f.pt, &f.alloc, &(struct pt_config){.levels = 3}) == -ENOMEM);
}

static void refusals(void)
{
	struct fixture f;
	u64 end;

	CHECK(!fixture_try_init(&f, 3, 0, 40, 0));
	end = f.pt.va_last + 1;
	CHECK(T_FN(map)(&f.pt, 0, 0, 0, RW) == -EINVAL);
	CHECK(T_FN(map)(&f.pt, 0, 0, GRAN, 0) == -EINVAL);
	CHECK(T_FN(map)(&f.pt, 0, 0, GRAN, PT_PROT_MMIO) == -EINVAL);
	CHECK(T_FN(map)(&f.pt, 0, 0, GRAN, RW | 8) == -EINVAL);
	CHECK(T_FN(map)(&f.pt, 1, 0, GRAN, RW) == -EINVAL);
	CHECK(T_FN(map)(&f.pt, 0, GRAN / 2, GRAN, RW) == -EINVAL);
	CHECK(T_FN(map)(&f.pt, 0, 0, GRAN + 1, RW) == -EINVAL);
	CHECK(T_FN(map)(&f.pt, end, 0, GRAN, RW) == -EINVAL);
	CHECK(T_FN(map)(&f.pt, end - GRAN, 0, 2 * GRAN, RW) == -EINVAL);
	CHECK(T_FN(map)(&f.pt, 0, BIT(40) - GRAN, 2 * GRAN, RW) == -EINVAL);
	CHECK(T_FN(map)(&f.pt, GRAN, 0, (u64)0 - GRAN, RW) == -EINVAL);
	CHECK(T_FN(map)(&f.pt, 0, (u64)0 - GRAN, 2 * GRAN, RW) == -EINVAL);
	CHECK(T_FN(map)(&f.pt, (u64)0 - GRAN, 0, 2 * GRAN, RW) == -EINVAL);
	check_only_top(&f);
	/* beyond the end is nothing, and saying so is not an error */
	T_FN(unmap)(&f.pt, end, U64_MAX);
	T_FN(unmap)(&f.pt, 0, 0);
	T_FN(unmap)(&f.pt, 0, U64_MAX);
	scan(&f, end, GRAN, true);
	scan(&f, 0, 0, true);
	CHECK(T_FN(lookup)(&f.pt, end, NULL) == U64_MAX);
	CHECK(!T_FN(set_dirty)(&f.pt, end));
	CHECK(!T_FN(map)(&f.pt, end - GRAN, BIT(40) - GRAN, GRAN, RO | PT_PROT_MMIO));
	check_mapped(&f.pt, end - 1, BIT(40) - 1, GRAN, RO);
	fixture_destroy(&f);
}

/* One page of every size, at several places of its table and of its address space. */
static void every_page_size(void)
{
	unsigned int levels, lg2, place;

	for (levels = 1; levels <= T_LEVELS; levels++) {
		for (lg2 = 0; lg2 < 64; lg2++) {
			struct fixture f;
			u64 size = BIT(lg2), count, va, at;

			fixture_init(&f, levels, 0, 0);
			if (!(f.pt.pgsize_bitmap & size)) {
				fixture_destroy(&f);
				continue;
			}
			count = (f.pt.va_last >> lg2) + 1;
			for (place = 0; place < 6; place++) {
				u64 oa = size < BIT(46) ? 3 * size : 0;

				va = (place < 3 ? place : count - (place - 2)) * size &
				     f.pt.va_last;
				CHECK(!T_FN(map)(&f.pt, va, oa, size, RW));
				check_mapped(&f.pt, va, oa, size, RW);
				check_mapped(&f.pt, va + size - 1, oa + size - 1, size, RW);
				at = rng_below(size);
				check_mapped(&f.pt, va + at, oa + at, size, RW);
				T_FN(unmap)(&f.pt, va, size);
				check_unmapped(&f.pt, va);
				check_only_top(&f);
			}
			fixture_destroy(&f);
		}
	}
}

/* The page that @va must be mapped by: the largest that fits, tried one by one. */
static u64 expect_size(const struct pt *pt, u64 va, u64 oa, u64 len)
{
	u64 size = GRAN;
	unsigned int lg2;

	for (lg2 = 0; lg2 < 64; lg2++) {
		if (pt->pgsize_bitmap >> lg2 & 1 && va % BIT(lg2) == 0 && oa % BIT(lg2) == 0 &&
		    len >= BIT(lg2))
			size = BIT(lg2);
	}
	return size;
}

/* Every alignment of VA, of OA and every length that is near a power of two. */
static void every_alignment(void)
{
	unsigned int a, b, l;
	struct fixture f;

	fixture_init(&f, 5, 0, 0);
	for (a = T_GRANULE_LG2; a < T_GRANULE_LG2 + 22; a++) {
		for (b = T_GRANULE_LG2; b < T_GRANULE_LG2 + 22; b += 1 + (a & 1)) {
			for (l = T_GRANULE_LG2; l < T_GRANULE_LG2 + 22; l += 3) {
				u64 va = BIT(a) | BIT(a + 23), oa = BIT(b) * 5;
				u64 len = BIT(l) + (l & 1 ? GRAN : 0), at = 0;

				/* many small pages are the other tests' work */
				if (a + 10 < l || b + 10 < l)
					continue;
				CHECK(!T_FN(map)(&f.pt, va, oa, len, RO));
				while (at < len) {
					u64 size = expect_size(&f.pt, va + at, oa + at, len - at);

					check_mapped(&f.pt, va + at, oa + at, size, RO);
					check_mapped(&f.pt, va + at + size - 1, oa + at + size - 1,
						     size, RO);
					at += size;
				}
				check_unmapped(&f.pt, va - 1);
				check_unmapped(&f.pt, va + len);
				CHECK(T_FN(map)(&f.pt, va + len - GRAN, 0, GRAN, RO) ==
				      -EADDRINUSE);
				T_FN(unmap)(&f.pt, va, len);
				check_only_top(&f);
			}
		}
	}
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
			check_unmapped(&f->pt, va);
			continue;
		}
		check_mapped(&f->pt, va, m->oa, m->count * model_unit, m->prot);
		CHECK(spec_read(&f->pt, va).dirty == model[m->first].dirty);
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
		oa = (oa & ~(1023 * model_unit)) | first * model_unit;
	err = T_FN(map)(&f->pt, va, oa, n * model_unit, prot);
	for (i = first; i < first + n; i++)
		used |= model[i].used;
	CHECK(err == (used ? -EADDRINUSE : 0));
	for (i = 0; !err && i < n; i += k) {
		u64 at = i * model_unit,
		    size = expect_size(&f->pt, va + at, oa + at, (n - i) * model_unit);
		unsigned int j;

		k = (unsigned int)(size / model_unit);
		for (j = i; j < i + k; j++)
			model[first + j] = (struct model_unit){
				true, false, prot, first + i, k, oa + j * model_unit};
	}
}

static void model_unmap(struct fixture *f, unsigned int first, unsigned int n)
{
	unsigned int end = first + n;

	T_FN(unmap)(&f->pt, model_base + first * model_unit, n * model_unit);
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

static void model_op(struct fixture *f)
{
	unsigned int n = 1 + (unsigned int)(rng() & BIT(rng_below(12))) +
			 (unsigned int)rng_below(1 + BIT(rng_below(9)));
	unsigned int first = (unsigned int)rng_below(UNITS - n);
	u64 va = model_base + first * model_unit + rng_below(model_unit);

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
		first = (unsigned int)((va - model_base) / model_unit);
		CHECK(T_FN(set_dirty)(&f->pt, va) == model[first].used);
		if (model[first].used)
			model[model[first].first].dirty = true;
	}
}

static void random_against_model(void)
{
	static const unsigned int units[] = {0, 0, 3, 9, 12, 18};
	unsigned int i, op;

	for (i = 0; i < ARRAY_SIZE(units); i++) {
		struct fixture f;

		/* Across a border of tables, and of tables of tables. */
		model_unit = BIT(T_GRANULE_LG2 + units[i]);
		model_base = BIT(T_GRANULE_LG2 + 18 + units[i]) - UNITS / 2 * model_unit;
		memset(model, 0, sizeof(model));
		fixture_init(&f, 5, 0, i == 1 ? GRAN * 0x28d : 0);
		for (op = 0; op < 6000; op++) {
			model_op(&f);
			if (op % 500 == 499)
				model_check(&f);
		}
		T_FN(unmap)(&f.pt, model_base, UNITS * model_unit);
		check_only_top(&f);
		fixture_destroy(&f);
	}
}

/* --- memory --- */

/* A mapping that needs several tables at both of its ends. */
static void allocation_failure(void)
{
	const u64 va = ITEM(3) - 3 * GRAN, len = ITEM(1) + 7 * GRAN;
	unsigned int n, neighbour;

	for (neighbour = 0; neighbour < 2; neighbour++) {
		struct fixture f;
		size_t before;

		fixture_init(&f, 5, 0, 0);
		/* with tables of others on the way that must stay */
		if (neighbour)
			CHECK(!T_FN(map)(&f.pt, va + len, 0x100 * GRAN, GRAN, RW));
		before = tables(&f);
		for (n = 1;; n++) {
			size_t bytes = f.alloc.bytes;
			int err;

			CHECK(!f.pt.nspare);
			f.allocs = 0;
			f.fail_after = n;
			err = T_FN(map)(&f.pt, va, 0, len, RW);
			f.fail_after = 0;
			if (!err)
				break;
			CHECK(err == -ENOMEM);
			check_unmapped(&f.pt, va);
			check_unmapped(&f.pt, va + len - 1);
			if (neighbour)
				check_mapped(&f.pt, va + len, 0x100 * GRAN, GRAN, RW);
			CHECK(tables(&f) == before);
			/* give the spares back, so that the next round allocates too */
			while (f.pt.nspare) {
				void *table = f.pt.spare;

				f.pt.spare = (pt_entry *)(uintptr_t)f.pt.spare[0];
				base_free(&f.alloc, table, TABLE_BYTES);
				f.pt.nspare--;
			}
			CHECK(f.alloc.bytes == bytes);
		}
		CHECK(n > 4);
		check_mapped(&f.pt, va + len - 1, len - 1, GRAN, RW);
		fixture_destroy(&f);
	}
}

/* The last page of a large range is taken. */
static void in_use_at_the_end(void)
{
	struct fixture f;
	size_t before;
	u64 at;

	fixture_init(&f, 4, 0, GRAN);
	CHECK(!T_FN(map)(&f.pt, ITEM(2) + 9 * GRAN, 0, GRAN, RO));
	before = tables(&f);
	CHECK(T_FN(map)(&f.pt, ITEM(2) - ITEM(1) - GRAN, 0, ITEM(1) + 11 * GRAN, RW) ==
	      -EADDRINUSE);
	CHECK(tables(&f) == before);
	for (at = ITEM(2) - ITEM(1) - GRAN; at < ITEM(2) + 9 * GRAN; at += GRAN)
		check_unmapped(&f.pt, at);
	check_mapped(&f.pt, ITEM(2) + 9 * GRAN, 0, GRAN, RO);
	fixture_destroy(&f);

	/* a small page where a large one should go, and the other way round */
	fixture_init(&f, 4, 0, 0);
	CHECK(!T_FN(map)(&f.pt, 77 * GRAN, 0, GRAN, RO));
	CHECK(T_FN(map)(&f.pt, 0, 0, ITEM(2), RO) == -EADDRINUSE);
	CHECK(T_FN(map)(&f.pt, 0, 0, 128 * GRAN, RO) == -EADDRINUSE);
	CHECK(!T_FN(map)(&f.pt, ITEM(2), 0, ITEM(2), RO));
	CHECK(T_FN(map)(&f.pt, ITEM(2) + 5 * GRAN, 0, GRAN, RO) == -EADDRINUSE);
	CHECK(tables(&f) == 4);
	fixture_destroy(&f);
}

static void sparse_map_unmap(void)
{
	struct fixture f;
	unsigned int i;

	fixture_init(&f, 4, 0, 0);
	for (i = 0; i < 20000; i++) {
		u64 va = rng() & f.pt.va_last & ~(GRAN - 1);

		CHECK(!T_FN(map)(&f.pt, va, 0, GRAN, RW));
		T_FN(unmap)(&f.pt, va, GRAN);
		pt_sync(&f.pt);
		CHECK(f.alloc.bytes <= 4 * TABLE_BYTES);
	}
	/* the same page over and over needs no memory at all */
	f.allocs = 0;
	for (i = 0; i < 1000; i++) {
		CHECK(!T_FN(map)(&f.pt, 5 * GRAN, 0, GRAN, RW));
		T_FN(unmap)(&f.pt, 5 * GRAN, GRAN);
		pt_sync(&f.pt);
	}
	CHECK(!f.allocs);
	check_only_top(&f);
	fixture_destroy(&f);
}

/* A table that is unlinked stays what a late walker may read: empty, in place. */
static void dead_tables(void)
{
	struct fixture f;
	const _Atomic u64 *table;
	unsigned int i;

	fixture_init(&f, 2, 0, 0);
	CHECK(!T_FN(map)(&f.pt, 0, 0, 2 * GRAN, RW));
	table = table_of((void *)(uintptr_t)((entry_at(&f.pt, 0, 1) >> 12 & (BIT(40) - 1)) * GRAN));
	T_FN(unmap)(&f.pt, 0, 2 * GRAN);
	CHECK(f.pt.dead && f.alloc.blocks == 2);
	for (i = 0; i < 512; i++)
		CHECK(!(table[i] & 1));
	/* it is not used again before the domain says so */
	CHECK(!T_FN(map)(&f.pt, ITEM(1), 0, GRAN, RW));
	CHECK(f.alloc.blocks == 3 && !(table[0] & 1));
	pt_sync(&f.pt);
	CHECK(f.pt.nspare == 1 && f.alloc.blocks == 3);
	CHECK(!T_FN(map)(&f.pt, 3 * ITEM(1) + GRAN, 0, GRAN, RW));
	CHECK(!f.pt.nspare && f.alloc.blocks == 3 && !table[0] && table[1] & 1);
	check_unmapped(&f.pt, 3 * ITEM(1));
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
	fixture_init(&f, 4, 0, 0);
	for (i = 0; i < SINGLES; i++)
		CHECK(!T_FN(map)(&f.pt, order[i] * GRAN, (SINGLES + order[i] * 3) * GRAN, GRAN,
				 RW));
	CHECK(f.alloc.bytes < 9 * SINGLES);
	for (i = 0; i < SINGLES; i++)
		CHECK(T_FN(lookup)(&f.pt, i * GRAN + i % GRAN, NULL) ==
		      (SINGLES + i * 3) * GRAN + i % GRAN);
	for (i = SINGLES; i--;) {
		CHECK(T_FN(lookup)(&f.pt, order[i] * GRAN, NULL) != U64_MAX);
		T_FN(unmap)(&f.pt, order[i] * GRAN, GRAN);
		CHECK(T_FN(lookup)(&f.pt, order[i] * GRAN, NULL) == U64_MAX);
	}
	check_only_top(&f);
	fixture_destroy(&f);
}

/* --- dirty --- */

static void dirty_in_any_item(void)
{
	struct fixture f;
	unsigned int i, lg2;

	fixture_init(&f, 3, 0, 0);
	for (lg2 = T_GRANULE_LG2; lg2 < T_GRANULE_LG2 + 18; lg2++) {
		u64 size = BIT(lg2), va = 2 * size, item = lg2 < T_GRANULE_LG2 + 9 ? GRAN : ITEM(1);

		CHECK(!T_FN(map)(&f.pt, va, 0, size, RW));
		for (i = 0; i < size / item; i++) {
			CHECK(T_FN(set_dirty)(&f.pt, va + i * item + i % item));
			CHECK(spec_read(&f.pt, va).dirty);
			scan(&f, 0, f.pt.va_last + 1, false);
			CHECK(f.nreports == 1 && f.report[0].va == va && f.report[0].len == size);
			scan(&f, va, size, true);
			CHECK(f.nreports == 1 && f.report[0].va == va && f.report[0].len == size);
			scan(&f, va, size, true);
			CHECK(!f.nreports && !spec_read(&f.pt, va).dirty);
		}
		/* all at once is still one leaf */
		for (i = 0; i < size / item; i++)
			CHECK(T_FN(set_dirty)(&f.pt, va + i * item));
		T_FN(read_and_clear_dirty)(&f.pt, va, size, true, NULL, NULL);
		CHECK(!spec_read(&f.pt, va).dirty);
		CHECK(!T_FN(set_dirty)(&f.pt, va + size) && !T_FN(set_dirty)(&f.pt, va - 1));
		T_FN(unmap)(&f.pt, va, size);
	}
	fixture_destroy(&f);
}

static void dirty_clip(void)
{
	const u64 size = 16 * GRAN, va = 3 * size;
	struct fixture f;

	fixture_init(&f, 3, 0, 0);
	CHECK(!T_FN(map)(&f.pt, va, 0, 3 * size, RW));
	CHECK(spec_read(&f.pt, va).size == size);
	/* the first item is dirty, the range begins after it */
	CHECK(T_FN(set_dirty)(&f.pt, va));
	scan(&f, va + 5 * GRAN, 2 * GRAN, true);
	CHECK(f.nreports == 1 && f.report[0].va == va + 5 * GRAN && f.report[0].len == 2 * GRAN);
	/* nobody was told about the rest: still dirty */
	scan(&f, va, size, true);
	CHECK(f.nreports == 1 && f.report[0].va == va && f.report[0].len == size);
	/* the last item is dirty, the range ends before it */
	CHECK(T_FN(set_dirty)(&f.pt, va + size - 1));
	scan(&f, va, GRAN, true);
	CHECK(f.nreports == 1 && f.report[0].va == va && f.report[0].len == GRAN);
	scan(&f, 0, va + GRAN / 2, true);
	CHECK(f.nreports == 1 && f.report[0].len == GRAN / 2);
	/* whole leaves beside a cut one, in one report */
	CHECK(T_FN(set_dirty)(&f.pt, va + size) && T_FN(set_dirty)(&f.pt, va + 2 * size));
	scan(&f, va + GRAN, 2 * size, true);
	CHECK(f.nreports == 1 && f.report[0].va == va + GRAN && f.report[0].len == 2 * size);
	CHECK(spec_read(&f.pt, va).dirty && spec_read(&f.pt, va + 2 * size).dirty);
	CHECK(!spec_read(&f.pt, va + size).dirty);
	/* a hole and a clean leaf keep reports apart */
	T_FN(unmap)(&f.pt, va + size, size);
	scan(&f, 0, ITEM(2), true);
	CHECK(f.nreports == 2 && f.report[1].va == va + 2 * size);
	fixture_destroy(&f);
}

/* Reports merge across tables and levels. */
static void dirty_merge(void)
{
	struct fixture f;
	u64 va;

	fixture_init(&f, 4, 0, 0);
	CHECK(!T_FN(map)(&f.pt, ITEM(2) - 4 * GRAN, ITEM(2) - 4 * GRAN, ITEM(2) + 9 * GRAN, RW));
	for (va = ITEM(2) - 4 * GRAN; va < 2 * ITEM(2) + 5 * GRAN; va += spec_read(&f.pt, va).size)
		CHECK(T_FN(set_dirty)(&f.pt, va));
	scan(&f, 0, f.pt.va_last + 1, true);
	CHECK(f.nreports == 1 && f.report[0].va == ITEM(2) - 4 * GRAN);
	CHECK(f.report[0].len == ITEM(2) + 9 * GRAN);
	scan(&f, 0, f.pt.va_last + 1, true);
	CHECK(!f.nreports);
	fixture_destroy(&f);
}

/* --- device threads --- */

struct walker {
	struct pt *pt;
	_Atomic bool *stop;
	u64 seed;
	unsigned long bad;
};

/* VA and OA of these tests differ by a constant: a wrong answer shows. */
#define WALK_OFFSET (ITEM(2) * 3)
#define WALK_UNITS  2048u

static void *walker(void *arg)
{
	struct walker *w = arg;
	u64 x = w->seed;

	while (!atomic_load_explicit(w->stop, memory_order_relaxed)) {
		u64 va, oa;

		x = x * 6364136223846793005 + 1442695040888963407;
		va = (x >> 33) % (WALK_UNITS * GRAN);
		oa = T_FN(lookup)(w->pt, va, NULL);
		if (oa != U64_MAX && oa != va + WALK_OFFSET)
			w->bad++;
		if (x >> 63)
			T_FN(set_dirty)(w->pt, va);
	}
	return NULL;
}

static void walkers_beside_map(void)
{
	enum { N = 2 };
	_Atomic bool stop;
	struct walker w[N];
	pthread_t thread[N];
	struct fixture f;
	unsigned int round, i;

	fixture_init(&f, 4, 0, 0);
	for (round = 0; round < 30; round++) {
		atomic_store(&stop, false);
		for (i = 0; i < N; i++) {
			w[i] = (struct walker){&f.pt, &stop, rng(), 0};
			CHECK(!pthread_create(&thread[i], NULL, walker, &w[i]));
		}
		for (i = 0; i < 500; i++) {
			u64 n = 1 + rng_below(BIT(rng_below(10))),
			    first = rng_below(WALK_UNITS - n);
			int err = T_FN(map)(&f.pt, first * GRAN, first * GRAN + WALK_OFFSET,
					    n * GRAN, RW);

			CHECK(!err || err == -EADDRINUSE);
			f.nreports = 0;
			T_FN(read_and_clear_dirty)(&f.pt, 0, ITEM(2), true, NULL, NULL);
			if (rng_below(2))
				T_FN(unmap)(&f.pt, rng_below(WALK_UNITS) * GRAN, n * GRAN);
		}
		/* What a domain does before it frees: wait until nobody walks. */
		atomic_store(&stop, true);
		for (i = 0; i < N; i++) {
			pthread_join(thread[i], NULL);
			CHECK(!w[i].bad);
		}
		pt_sync(&f.pt);
	}
	T_FN(unmap)(&f.pt, 0, ITEM(3));
	check_only_top(&f);
	fixture_destroy(&f);
}

static void common_tests(int argc, char **argv)
{
	rng_state = argc > 1 ? strtoull(argv[1], NULL, 0) : (u64)time(NULL);
	printf("# seed %llu (pass it to repeat)\n", (unsigned long long)rng_state);
	TEST(limits);
	TEST(refusals);
	TEST(every_page_size);
	TEST(every_alignment);
	TEST(random_against_model);
	TEST(allocation_failure);
	TEST(in_use_at_the_end);
	TEST(sparse_map_unmap);
	TEST(dead_tables);
	TEST(singles);
	TEST(dirty_in_any_item);
	TEST(dirty_clip);
	TEST(dirty_merge);
	TEST(walkers_beside_map);
}

#endif
