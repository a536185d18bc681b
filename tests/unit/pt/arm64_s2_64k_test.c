// SPDX-License-Identifier: MIT
/* The tests of Arm's tables of stage 2 with 64 KiB, and entries written out by hand. */
#define T_FN(name)    pt_arm64_s2_64k_##name
#define T_STAGE	      2
#define T_GRANULE_LG2 16

#include "arm64_tables.h"

static void entries_by_hand(void)
{
	static const struct known known[] = {
		/* va, oa, len, prot, level, index, entry */
		{0x0, 0x12340000, 0x10000, RW, 0, 0, 0x123407ff},
		{0x1fff0000, 0xffffffff0000, 0x10000, RO, 0, 8191, 0xffffffff077f},
		{0x200000, 0x12200000, 0x200000, RW, 0, 63, 0x00100000122007ff},
		{0x20000000, 0x40000000, 0x20000000, WO, 1, 1, 0x400007bd},
		{0x400000000, 0x800000000, 0x400000000, RO, 1, 63, 0x001000080000077d},
	};

	check_known(known, ARRAY_SIZE(known));
}

int main(int argc, char **argv)
{
	common_init(argc, argv);
	common_tests("48 bits, dirty: ", 3, 0, PT_FEAT_DIRTY);
	common_tests("46 bits, 16 tables: ", 2, 46, PT_FEAT_S2_FWB);
	common_tests("42 bits, dirty: ", 2, 42, PT_FEAT_DIRTY | PT_FEAT_S2_FWB);
	arm64_tests();
	TEST(entries_by_hand);
	return check_done();
}
