// SPDX-License-Identifier: MIT
/* The tests of VT-d's second-stage tables, and entries written out by hand. */
#define T_FN(name)    pt_vtdss_##name
#define T_GRANULE_LG2 12
#define T_INDEX_LG2   9
#define T_LEVELS_MIN  3
#define T_LEVELS      5
#define T_OA_LG2      52
#define T_FEATURES    PT_FEAT_SNOOP

#define T_VA_LG2(levels)     (12 + 9 * (levels))
#define T_VA_MIN_LG2(levels) T_GRANULE_LG2
#define T_VA_MAX_LG2(levels) T_VA_LG2(levels)
#define T_SIZES(levels)	     ((void)(levels), (u64)0x40201000) /* 4 KiB, 2 MiB, 1 GiB */
#define T_PROT(prot)	     (RW & (prot))
#define T_DIRTY(prot)	     ((prot) != 0)
#define T_PRESET(prot)	     ((prot) == 0)
#define T_STEP(level)	     0
#define T_TABLE(level)	     3 /* R, W */
#define T_ADDR_MASK	     0x000ffffffffff000

#include "spec_vtd.h"

#include "dirty.h"

static void entries_by_hand(void)
{
	static const struct known known[] = {
		/* va, oa, len, prot, level, index, entry */
		{0x0, 0x12345000, 0x1000, RW, 0, 0, 0x12345003},
		{0x1ff000, 0x7fffffff000, 0x1000, RO, 0, 511, 0x7fffffff001},
		{0x3000, 0xabc000, 0x1000, WO, 0, 3, 0xabc002},
		{0x5000, 0xffffffffff000, 0x1000, RW, 0, 5, 0x000ffffffffff003},
		{0x200000, 0x40000000, 0x200000, RW, 1, 1, 0x40000083},
		{0x3fe00000, 0xffffffe00000, 0x200000, RO, 1, 511, 0xffffffe00081},
		{0x40000000, 0x80000000, 0x40000000, WO, 2, 1, 0x80000082},
		/* what it has no bits for */
		{0x0, 0x1000, 0x1000, RW | PT_PROT_MMIO | PT_PROT_NOEXEC | PT_PROT_PRIV, 0, 0,
		 0x1003},
	};
	static const struct known snooped[] = {
		{0x0, 0x12345000, 0x1000, RW, 0, 0, 0x12345803},
		{0x200000, 0x40000000, 0x200000, RO, 1, 1, 0x40000881},
		{0x40000000, 0x80000000, 0x40000000, RW, 2, 1, 0x80000883},
	};

	check_known(known, ARRAY_SIZE(known));
	conf.features = PT_FEAT_SNOOP;
	check_known(snooped, ARRAY_SIZE(snooped));
	conf.features = 0;
}

/* A domain may begin to enforce coherency; what is mapped later snoops. */
static void snoop_later(void)
{
	struct fixture f;

	fixture_init(&f, 0);
	CHECK(!map(&f, 0, 0, 0x1000, RW));
	f.pt.features |= PT_FEAT_SNOOP;
	CHECK(!map(&f, 0x1000, 0x1000, 0x1000, RW));
	CHECK(entry_at(&f, 0x1000, 0) == 0x1803);
	f.pt.features = 0;
	CHECK(entry_at(&f, 0, 0) == 3);
	fixture_destroy(&f);
}

/* A write makes a page accessed and dirty; only dirty is taken back. */
static void dirty_by_hand(void)
{
	struct fixture f;

	fixture_init(&f, 0);
	CHECK(!map(&f, 0x200000, 0x600000, 0x200000, RW));
	CHECK(set_dirty(&f, 0x234567));
	CHECK(entry_at(&f, 0x200000, 1) == 0x600383);
	scan(&f, 0x200000, 0x200000, true);
	CHECK(reported(&f, 0x200000, 0x200000));
	CHECK(entry_at(&f, 0x200000, 1) == 0x600183);
	fixture_destroy(&f);
}

/* Hardware sets A in tables, too, and nobody takes it back. */
static void accessed_tables(void)
{
	unsigned int level;
	struct fixture f;
	struct spec s;

	fixture_init(&f, 0);
	CHECK(!map(&f, 0x7000, 0x9000, 0x1000, RW));
	s = read_at(&f, 0x7000);
	for (level = 1; level < T_LEVELS; level++)
		((pt_entry *)s.table[level])[0] |= BIT(8);
	check_mapped(&f, 0x7000, 0x9000, 0x1000, RW);
	scan(&f, 0, span(&f), true);
	CHECK(!f.nreports);
	CHECK(set_dirty(&f, 0x7fff));
	scan(&f, 0, span(&f), true);
	CHECK(reported(&f, 0x7000, 0x1000));
	CHECK(!map(&f, 0x8000, 0x9000, 0x1000, RW));
	unmap(&f, 0, 0x9000);
	check_only_top(&f);
	fixture_destroy(&f);
}

int main(int argc, char **argv)
{
	common_init(argc, argv);
	common_tests("3 levels: ", 3, 0, 0);
	common_tests("4 levels: ", 4, 0, PT_FEAT_SNOOP);
	common_tests("5 levels: ", 5, 0, 0);
	TEST(entries_by_hand);
	TEST(snoop_later);
	TEST(dirty_by_hand);
	TEST(accessed_tables);
	return check_done();
}
