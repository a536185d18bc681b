// SPDX-License-Identifier: MIT
/* The tests of Arm's tables of stage 2 with 4 KiB, and entries written out by hand. */
#define T_FN(name)    pt_arm64_s2_4k_##name
#define T_STAGE	      2
#define T_GRANULE_LG2 12

#include "arm64_tables.h"

static void entries_by_hand(void)
{
	static const struct known known[] = {
		/* va, oa, len, prot, level, index, entry */
		{0x0, 0x12345000, 0x1000, RW, 0, 0, 0x123457ff},
		{0x1ff000, 0xfffffffff000, 0x1000, RO, 0, 511, 0xfffffffff77f},
		{0x10000, 0x12340000, 0x10000, RW, 0, 31, 0x00100000123407ff},
		{0x200000, 0x40000000, 0x200000, WO, 1, 1, 0x400007bd},
		{0x2000000, 0x40000000, 0x2000000, RO, 1, 31, 0x001000004000077d},
		{0x40000000, 0x80000000, 0x40000000, RW, 2, 1, 0x800007fd},
		{0x400000000, 0x800000000, 0x400000000, RW, 2, 31, 0x00100008000007fd},
	};

	check_known(known, ARRAY_SIZE(known));
}

int main(int argc, char **argv)
{
	common_init(argc, argv);
	common_tests("48 bits: ", 4, 0, 0);
	common_tests("48 bits, dirty: ", 4, 0, PT_FEAT_DIRTY);
	common_tests("40 bits, 2 tables, dirty: ", 3, 40, PT_FEAT_DIRTY | PT_FEAT_S2_FWB);
	common_tests("43 bits, 16 tables: ", 3, 43, PT_FEAT_S2_FWB);
	common_tests("34 bits, 16 tables: ", 2, 34, 0);
	arm64_tests();
	TEST(entries_by_hand);
	return check_done();
}
