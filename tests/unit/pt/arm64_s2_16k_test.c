// SPDX-License-Identifier: MIT
/* The tests of Arm's tables of stage 2 with 16 KiB, and entries written out by hand. */
#define T_FN(name)    pt_arm64_s2_16k_##name
#define T_STAGE	      2
#define T_GRANULE_LG2 14

#include "arm64_tables.h"

static void entries_by_hand(void)
{
	static const struct known known[] = {
		/* va, oa, len, prot, level, index, entry */
		{0x0, 0x12344000, 0x4000, RW, 0, 0, 0x123447ff},
		{0x1ffc000, 0xffffffffc000, 0x4000, RO, 0, 2047, 0xffffffffc77f},
		{0x200000, 0x12200000, 0x200000, RW, 0, 255, 0x00100000122007ff},
		{0x2000000, 0x40000000, 0x2000000, WO, 1, 1, 0x400007bd},
		{0x40000000, 0x80000000, 0x40000000, RO, 1, 63, 0x001000008000077d},
	};

	check_known(known, ARRAY_SIZE(known));
}

int main(int argc, char **argv)
{
	common_init(argc, argv);
	common_tests("48 bits: ", 4, 0, 0);
	common_tests("48 bits, 2 tables, dirty: ", 3, 48, PT_FEAT_DIRTY);
	common_tests("40 bits, 16 tables: ", 2, 40, PT_FEAT_S2_FWB);
	arm64_tests();
	TEST(entries_by_hand);
	return check_done();
}
