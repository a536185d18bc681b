// SPDX-License-Identifier: MIT
/* The tests of AMD's tables on hardware's granule, and entries written out by hand. */
#define T_FN(name)    pt_amdv1_##name
#define T_GRANULE_LG2 12
#define T_LEVELS      6
#define T_VA_MOST     64

#include "amd_tables.h"

static void entries_by_hand(void)
{
	static const struct known known[] = {
		/* va, oa, len, prot, level, index, entry */
		{0x0, 0x12345000, 0x1000, RW, 0, 0, 0x7000000012345001},
		{0x1ff000, 0x7fffffff000, 0x1000, RO, 0, 511, 0x300007fffffff001},
		{0x3000, 0xabc000, 0x1000, WO, 0, 3, 0x5000000000abc001},
		/* 8 KiB: address bit 12 is 0; 16 KiB: 1, then 0; Next Level is 7 */
		{0x2000, 0x12346000, 0x2000, RW, 0, 3, 0x7000000012346e01},
		{0x4000, 0x12348000, 0x4000, RW, 0, 7, 0x7000000012349e01},
		{0x8000, 0x12348000, 0x8000, RW, 0, 15, 0x700000001234be01},
		{0x100000, 0x500000, 0x100000, RW, 0, 511, 0x700000000057fe01},
		/* one item of level 1 (theirs: 2), then two and 256 of them */
		{0x200000, 0x40000000, 0x200000, RW, 1, 1, 0x7000000040000001},
		{0x400000, 0x40000000, 0x400000, RW, 1, 3, 0x70000000401ffe01},
		{0x20000000, 0x60000000, 0x20000000, RW, 1, 511, 0x700000006ffffe01},
		/* 1 GiB and 4 GiB */
		{0x40000000, 0x80000000, 0x40000000, RW, 2, 1, 0x7000000080000001},
		{0x100000000, 0x300000000, 0x100000000, RW, 2, 7, 0x700000037ffffe01},
	};

	check_known(known, ARRAY_SIZE(known));
}

/* The sixth level has 128 items, and its last one ends where 64 bits do. */
static void end_of_64_bits(void)
{
	struct fixture f;
	u64 page = U64_MAX - 0xfff;
	u64 entry;

	fixture_init_levels(&f, 6, 0, 0);
	CHECK(f.pt.va_last == U64_MAX);
	CHECK(!pt_amdv1_map(&f.pt, page, 0x1000, 0x1000, RW));
	CHECK(pt_amdv1_map(&f.pt, page, 0x1000, 0x2000, RW) == -EINVAL);
	entry = entry_at(&f, page, 5);
	CHECK(f.pt.top[127] == entry && (entry >> 9 & 7) == 5);
	CHECK(pt_amdv1_lookup(&f.pt, U64_MAX, NULL) == 0x1fff);
	CHECK(!pt_amdv1_map(&f.pt, 0x1000, 0x7000, 0x1000, RW));
	CHECK(pt_amdv1_set_dirty(&f.pt, U64_MAX));
	scan(&f, 0x1000, (u64)0 - 0x1000, true);
	CHECK(f.nreports == 1 && f.report[0].va == page && f.report[0].len == 0x1000);
	pt_amdv1_unmap(&f.pt, 0x1000, (u64)0 - 0x1000);
	CHECK(pt_amdv1_lookup(&f.pt, U64_MAX, NULL) == U64_MAX);
	CHECK(pt_amdv1_lookup(&f.pt, 0x1000, NULL) == U64_MAX);
	check_only_top(&f);
	/* half of all there is, in the largest pages */
	CHECK(!pt_amdv1_map(&f.pt, 0, 0, (u64)1 << 52, RW));
	CHECK(read_at(&f, 0).size == (u64)1 << 51);
	fixture_destroy(&f);
}

int main(int argc, char **argv)
{
	common_init(argc, argv);
	common_tests("", 5, 0, 0);
	common_tests("4 levels: ", 4, 0, 0);
	common_tests("2 levels: ", 2, 0, 0);
	TEST(entries_by_hand);
	TEST(end_of_64_bits);
	return check_done();
}
