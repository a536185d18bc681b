// SPDX-License-Identifier: MIT
/* The tests of the mock IOMMU's 2 KiB tables, and entries written out by hand. */
#define T_FN(name)    pt_mock_##name
#define T_GRANULE_LG2 11
#define T_LEVELS      5
#define T_VA_MOST     56

#include "amd_tables.h"

static void entries_by_hand(void)
{
	/* An address of hardware's is the mock's twice over: it counts in half pages. */
	static const struct known known[] = {
		/* va, oa, len, prot, level, index, entry */
		{0x0, 0x12345800, 0x800, RW, 0, 0, 0x700000002468b001},
		{0xff800, 0x3fffffff800, 0x800, RO, 0, 511, 0x300007fffffff001},
		{0x1000, 0x12345000, 0x1000, RW, 0, 3, 0x700000002468ae01},
		{0x2000, 0x12346000, 0x2000, RW, 0, 7, 0x700000002468de01},
		/* 1 MiB, the huge page of the kernel's tests: one item of level 1 */
		{0x100000, 0x40000000, 0x100000, RW, 1, 1, 0x7000000080000001},
		{0x200000, 0x40000000, 0x200000, RW, 1, 3, 0x70000000801ffe01},
		{0x20000000, 0x40000000, 0x20000000, RW, 2, 1, 0x7000000080000001},
	};

	check_known(known, ARRAY_SIZE(known));
}

/* The kernel's tests: a domain with 1 MiB and 4 KiB pages only. */
static void huge_domain(void)
{
	const u64 mib = 1 << 20;
	struct fixture f;
	struct pt_leaf leaf;

	fixture_init(&f, mib | 4096);
	CHECK(pt_mock_map(&f.pt, 0, 0, 2048, RW) == -EINVAL);
	CHECK(pt_mock_map(&f.pt, 2048, 0, 4096, RW) == -EINVAL);
	CHECK(!pt_mock_map(&f.pt, 0, 0, 4 * mib, RW));
	CHECK(pt_mock_walk(&f.pt, 2 * mib + 5, &leaf));
	CHECK(leaf.va == 2 * mib && leaf.lg2 == 20);
	CHECK(!pt_mock_map(&f.pt, 4 * mib, 8 * mib + 4096, mib, RW));
	CHECK(pt_mock_walk(&f.pt, 4 * mib, &leaf) && leaf.lg2 == 12);
	CHECK(pt_mock_set_dirty(&f.pt, 3 * mib - 1));
	scan(&f, 0, 5 * mib, true);
	CHECK(f.nreports == 1 && f.report[0].va == 2 * mib && f.report[0].len == mib);
	fixture_destroy(&f);
}

int main(int argc, char **argv)
{
	common_init(argc, argv);
	common_tests("", 5, 0, 0);
	TEST(entries_by_hand);
	TEST(huge_domain);
	return check_done();
}
