/* SPDX-License-Identifier: MIT */
/*
 * Arm's tables of both stages and all granules. The test that includes this says
 * T_FN, T_STAGE and T_GRANULE_LG2.
 */
#ifndef PT_TEST_ARM64_TABLES_H
#define PT_TEST_ARM64_TABLES_H

#define T_INDEX_LG2  (T_GRANULE_LG2 - 3)
#define T_LEVELS_MIN (T_GRANULE_LG2 == 12 ? 2 : 1)
#define T_LEVELS     (T_GRANULE_LG2 == 16 ? 3 : 4)
#define T_OA_LG2     48
#define T_FEATURES   (PT_FEAT_DIRTY | (T_STAGE == 1 ? PT_FEAT_UPPER : PT_FEAT_S2_FWB))

#define T_48(lg2)	     ((lg2) > 48 ? 48 : (lg2))
#define T_VA_LG2(levels)     T_48(T_GRANULE_LG2 + T_INDEX_LG2 * (levels))
#define T_VA_MIN_LG2(levels) (T_GRANULE_LG2 + T_INDEX_LG2 * (levels)-T_INDEX_LG2 + 1)
#define T_VA_MAX_LG2(levels) T_48(T_GRANULE_LG2 + T_INDEX_LG2 * (levels) + (T_STAGE == 2 ? 4 : 0))

/* Of one level, and contiguous; D8.2 and D8.7.1. */
static inline unsigned long long arm64_sizes(unsigned int levels)
{
	const unsigned long long kib = 1024, mib = 1024 * kib, gib = 1024 * mib;

	switch (T_GRANULE_LG2) {
	case 12:
		return (4 * kib | 64 * kib) | (2 * mib | 32 * mib) |
		       (levels > 2 ? gib | 16 * gib : 0);
	case 14:
		return (16 * kib | 2 * mib) | (levels > 1 ? 32 * mib | gib : 0);
	default:
		return (64 * kib | 2 * mib) | (levels > 1 ? 512 * mib | 16 * gib : 0);
	}
}

#define T_SIZES(levels) arm64_sizes(levels)
#define T_PROT(prot)                                                                               \
	(T_STAGE == 1 ? ((prot) & ~PT_PROT_MMIO) | RO : (prot) & ~(PT_PROT_MMIO | PT_PROT_PRIV))
#define T_DIRTY(prot)  (conf.features & PT_FEAT_DIRTY && WO & (prot))
#define T_PRESET(prot) T_DIRTY(prot)
#define T_STEP(level)  ITEM(level)
#define T_TABLE(level) 3 /* valid, table */
#define T_ADDR_MASK    (0x0000fffffffff000 & ~(BIT(T_GRANULE_LG2) - 1))

#include "spec_arm.h"

#include "dirty.h"

/* The attributes of a page at 0x10000, in whichever granule. */
struct attributes {
	unsigned int features, prot;
	u64 entry;
};

static void check_attributes(const struct attributes *a, size_t n)
{
	for (; n--; a++) {
		struct fixture f;

		conf.features = a->features;
		fixture_init(&f, GRAN);
		CHECK(!map(&f, 0, 0x10000, GRAN, a->prot));
		CHECK(entry_at(&f, 0, 0) == (0x10000 | a->entry));
		fixture_destroy(&f);
	}
	conf.features = 0;
}

static void attributes_by_hand(void)
{
	static const struct attributes stage1[] = {
		/* nG, AF, inner shareable, AP = 01, AttrIndx = 1, page */
		{0, RW, 0xf47},
		{0, WO, 0xf47},
		{0, RO, 0xfc7},				      /* AP = 11 */
		{0, RW | PT_PROT_PRIV, 0xf07},		      /* AP = 00 */
		{0, RO | PT_PROT_PRIV, 0xf87},		      /* AP = 10 */
		{0, RW | PT_PROT_MMIO, 0xe4b},		      /* outer shareable, AttrIndx = 2 */
		{0, RW | PT_PROT_NOEXEC, 0x0060000000000f47}, /* UXN, PXN */
		{PT_FEAT_DIRTY, RW, 0x0008000000000f47},      /* DBM */
		{PT_FEAT_DIRTY, WO, 0x0008000000000f47},
		{PT_FEAT_DIRTY, RO, 0xfc7},
		{PT_FEAT_DIRTY, RW | PT_PROT_MMIO | PT_PROT_NOEXEC, 0x0068000000000e4b},
	};
	static const struct attributes stage2[] = {
		/* AF, inner shareable, S2AP = 11, MemAttr = 1111, page */
		{0, RW, 0x7ff},
		{0, WO, 0x7bf}, /* S2AP = 10 */
		{0, RO, 0x77f}, /* S2AP = 01 */
		{0, RW | PT_PROT_PRIV, 0x7ff},
		{0, RW | PT_PROT_MMIO, 0x6c7},		      /* outer shareable, MemAttr = 0001 */
		{0, RO | PT_PROT_NOEXEC, 0x004000000000077f}, /* XN = 10 */
		{PT_FEAT_S2_FWB, RW, 0x7db},		      /* MemAttr = 0110 */
		{PT_FEAT_S2_FWB, RW | PT_PROT_MMIO, 0x6c7},
		{PT_FEAT_DIRTY, RW, 0x00080000000007ff}, /* DBM */
		{PT_FEAT_DIRTY | PT_FEAT_S2_FWB, WO, 0x000800000000079b},
		{PT_FEAT_DIRTY, RO, 0x77f},
	};

	if (T_STAGE == 1)
		check_attributes(stage1, ARRAY_SIZE(stage1));
	else
		check_attributes(stage2, ARRAY_SIZE(stage2));
}

/* Clean is AP[2] set, or S2AP[1] clear; hardware changes that, where DBM lets it. */
static void dirty_by_hand(void)
{
	const u64 dirty = T_STAGE == 1 ? 0x0008000000010f47 : 0x00080000000107ff;
	const u64 clean = T_STAGE == 1 ? 0x0008000000010fc7 : 0x000800000001077f;
	const u64 readonly = T_STAGE == 1 ? 0x10fc7 : 0x1077f;
	struct fixture f;

	conf.features = PT_FEAT_DIRTY;
	fixture_init(&f, GRAN);
	CHECK(!map(&f, 0, 0x10000, GRAN, RW));
	CHECK(!map(&f, GRAN, 0x10000, GRAN, RO));
	CHECK(entry_at(&f, 0, 0) == dirty && entry_at(&f, GRAN, 0) == readonly);
	scan(&f, 0, 2 * GRAN, false);
	CHECK(reported(&f, 0, GRAN) && entry_at(&f, 0, 0) == dirty);
	scan(&f, 0, 2 * GRAN, true);
	CHECK(reported(&f, 0, GRAN) && entry_at(&f, 0, 0) == clean);
	/* who asks is told that it may be written */
	check_mapped(&f, 0, 0x10000, GRAN, RW);
	CHECK(set_dirty(&f, 0) && entry_at(&f, 0, 0) == dirty);
	CHECK(set_dirty(&f, GRAN) && entry_at(&f, GRAN, 0) == readonly);
	fixture_destroy(&f);
	/* without DBM there is no telling */
	conf.features = 0;
	fixture_init(&f, GRAN);
	CHECK(!map(&f, 0, 0x10000, GRAN, RW));
	CHECK(set_dirty(&f, 0) && entry_at(&f, 0, 0) == (dirty & ~BIT(51)));
	scan(&f, 0, 2 * GRAN, true);
	CHECK(!f.nreports && entry_at(&f, 0, 0) == (dirty & ~BIT(51)));
	fixture_destroy(&f);
}

/* Each item of a contiguous group has an address, and a dirty state, of its own. */
static void contiguous_dirty(void)
{
	const u64 sizes = T_SIZES(conf.levels) & ~GRAN, size = sizes & (0 - sizes);
	struct fixture f;
	u64 va;

	conf.features = PT_FEAT_DIRTY;
	fixture_init(&f, 0);
	CHECK(!map(&f, size, 4 * size, size, RW));
	scan(&f, size, size, true);
	CHECK(set_dirty(&f, size + 5 * GRAN));
	for (va = size; va < 2 * size; va += GRAN) {
		u64 entry = entry_at(&f, va, 0);

		CHECK((entry & T_ADDR_MASK) == va + 3 * size);
		CHECK(entry >> 51 & 1 && entry >> 52 & 1);
		CHECK((entry >> 7 & 1) == ((va == size + 5 * GRAN) ^ (T_STAGE == 1)));
	}
	scan(&f, size, size, false);
	CHECK(reported(&f, size, size));
	fixture_destroy(&f);
	conf.features = 0;
}

/* Tables side by side at the start: each is found at its place. */
static void concatenated(void)
{
	unsigned int levels, extra, i;

	for (levels = T_LEVELS_MIN; levels <= T_LEVELS; levels++) {
		unsigned int va_bits = T_GRANULE_LG2 + T_INDEX_LG2 * levels;

		for (extra = 0; extra <= 4 && va_bits + extra <= 48; extra++) {
			struct fixture f;

			fixture_init_levels(&f, levels, va_bits + extra, 0);
			CHECK(f.alloc.bytes == GRAN << extra);
			for (i = 0; i < 1u << extra; i++) {
				u64 va = ((u64)i << va_bits) + 7 * GRAN;

				CHECK(!map(&f, va, i * GRAN, GRAN, RW));
				check_mapped(&f, va, i * GRAN, GRAN, RW);
				CHECK(f.pt.top[(i << T_INDEX_LG2) + (levels == 1 ? 7 : 0)]);
			}
			fixture_destroy(&f);
		}
	}
}

/* TTBR1's addresses are the last ones, and its first item is for the first of them. */
static void upper_half(void)
{
	const u64 first = 0xffff000000000000;
	struct fixture f;

	conf.features = PT_FEAT_UPPER;
	fixture_init(&f, GRAN);
	CHECK(f.pt.va_first == first && f.pt.va_last == U64_MAX);
	CHECK(!T_FN(map)(&f.pt, first, 0x10000, GRAN, RW));
	CHECK(!T_FN(map)(&f.pt, 0 - GRAN, 0x20000, GRAN, RW));
	CHECK(f.pt.top[0] &&
	      f.pt.top[(1u << (48 - f.pt.top_level * T_INDEX_LG2 - T_GRANULE_LG2)) - 1]);
	CHECK(T_FN(lookup)(&f.pt, first + 5, NULL) == 0x10005);
	CHECK(T_FN(lookup)(&f.pt, U64_MAX, NULL) == 0x20000 + GRAN - 1);
	CHECK(T_FN(lookup)(&f.pt, 5, NULL) == U64_MAX);
	CHECK(T_FN(map)(&f.pt, 0, 0x10000, GRAN, RW) == -EINVAL);
	CHECK(T_FN(map)(&f.pt, first - GRAN, 0x10000, GRAN, RW) == -EINVAL);
	CHECK(T_FN(map)(&f.pt, 0 - GRAN, 0x10000, 2 * GRAN, RW) == -EINVAL);
	fixture_destroy(&f);
	conf.features = 0;
}

static void arm64_tests(void)
{
	TEST(attributes_by_hand);
	TEST(dirty_by_hand);
	TEST(contiguous_dirty);
	if (T_STAGE == 1)
		TEST(upper_half);
	else
		TEST(concatenated);
}

#endif
