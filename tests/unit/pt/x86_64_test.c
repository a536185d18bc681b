// SPDX-License-Identifier: MIT
/* The tests of x86-64 tables, and entries written out by hand. */
#define T_FN(name)    pt_x86_64_##name
#define T_GRANULE_LG2 12
#define T_INDEX_LG2   9
#define T_LEVELS_MIN  4
#define T_LEVELS      5
#define T_OA_LG2      52
#define T_FEATURES    0

/* the lower half: 47 and 56 bits */
#define T_VA_LG2(levels)     (11 + 9 * (levels))
#define T_VA_MIN_LG2(levels) T_GRANULE_LG2
#define T_VA_MAX_LG2(levels) T_VA_LG2(levels)
#define T_SIZES(levels)	     ((void)(levels), (u64)0x40201000) /* 4 KiB, 2 MiB, 1 GiB */
#define T_PROT(prot)	     (((prot) & ~PT_PROT_MMIO) | RO)
#define T_DIRTY(prot)	     ((prot) != 0)
#define T_PRESET(prot)	     (WO & (prot))
#define T_STEP(level)	     0
#define T_TABLE(level)	     0x27 /* A, US, RW, P */
#define T_ADDR_MASK	     0x000ffffffffff000

#include "spec_x86.h"

#include "dirty.h"

static void entries_by_hand(void)
{
	static const struct known known[] = {
		/* va, oa, len, prot, level, index, entry */
		{0x0, 0x12345000, 0x1000, RW, 0, 0, 0x12345067},
		{0x1ff000, 0x7fffffff000, 0x1000, RO, 0, 511, 0x7fffffff025},
		{0x3000, 0xabc000, 0x1000, WO, 0, 3, 0xabc067},
		{0x5000, 0xffffffffff000, 0x1000, RO, 0, 5, 0x000ffffffffff025},
		{0x5000, 0x1000, 0x1000, RW | PT_PROT_NOEXEC, 0, 5, 0x8000000000001067},
		{0x5000, 0x1000, 0x1000, RW | PT_PROT_PRIV, 0, 5, 0x1063},
		{0x5000, 0x1000, 0x1000, RO | PT_PROT_MMIO, 0, 5, 0x1025},
		{0x200000, 0x40000000, 0x200000, RW, 1, 1, 0x400000e7},
		{0x3fe00000, 0xffffffe00000, 0x200000, RO, 1, 511, 0xffffffe000a5},
		{0x40000000, 0x80000000, 0x40000000, RW, 2, 1, 0x800000e7},
		{0x40000000, 0x80000000, 0x40000000, RO | PT_PROT_NOEXEC | PT_PROT_PRIV, 2, 1,
		 0x80000000800000a1},
	};

	check_known(known, ARRAY_SIZE(known));
}

/* The upper half of the top table stays empty, and what it is for is refused. */
static void lower_half(void)
{
	const u64 last = 0x00007ffffffff000, beyond = 0x0000800000000000;
	struct fixture f;

	fixture_init_levels(&f, 4, 0, 0);
	CHECK(f.pt.va_last == 0x00007fffffffffff);
	CHECK(!map(&f, last, 0x1000, 0x1000, RW));
	CHECK(f.pt.top[255] && !f.pt.top[256]);
	CHECK(map(&f, beyond, 0x1000, 0x1000, RW) == -EINVAL);
	CHECK(map(&f, 0xffff800000000000, 0x1000, 0x1000, RW) == -EINVAL);
	check_unmapped(&f, beyond);
	check_unmapped(&f, 0xffff800000000000);
	check_unmapped(&f, last | 0xffff800000000000);
	fixture_destroy(&f);
	fixture_init_levels(&f, 5, 0, 0);
	CHECK(f.pt.va_last == 0x00ffffffffffffff);
	fixture_destroy(&f);
}

/* A page is dirty from the start, and what is read back leaves it clean. */
static void dirty_by_hand(void)
{
	struct fixture f;

	fixture_init(&f, 0);
	CHECK(!map(&f, 0x200000, 0x600000, 0x200000, RW));
	scan(&f, 0x200000, 0x200000, true);
	CHECK(reported(&f, 0x200000, 0x200000));
	CHECK(entry_at(&f, 0x200000, 1) == 0x6000a7);
	CHECK(set_dirty(&f, 0x234567));
	CHECK(entry_at(&f, 0x200000, 1) == 0x6000e7);
	fixture_destroy(&f);
}

int main(int argc, char **argv)
{
	common_init(argc, argv);
	common_tests("4 levels: ", 4, 0, 0);
	common_tests("5 levels: ", 5, 0, 0);
	TEST(entries_by_hand);
	TEST(lower_half);
	TEST(dirty_by_hand);
	return check_done();
}
