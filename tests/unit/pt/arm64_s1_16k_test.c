// SPDX-License-Identifier: MIT
/* The tests of Arm's tables of stage 1 with 16 KiB, and entries written out by hand. */
#define T_FN(name)    pt_arm64_s1_16k_##name
#define T_STAGE	      1
#define T_GRANULE_LG2 14

#include "arm64_tables.h"

static void entries_by_hand(void)
{
	static const struct known known[] = {
		/* va, oa, len, prot, level, index, entry */
		{0x0, 0x12344000, 0x4000, RW, 0, 0, 0x12344f47},
		{0x1ffc000, 0xffffffffc000, 0x4000, RO, 0, 2047, 0xffffffffcfc7},
		{0x200000, 0x12200000, 0x200000, RW, 0, 255, 0x0010000012200f47},
		{0x2000000, 0x40000000, 0x2000000, RW, 1, 1, 0x40000f45},
		{0x40000000, 0x80000000, 0x40000000, RO, 1, 63, 0x0010000080000fc5},
	};

	check_known(known, ARRAY_SIZE(known));
}

int main(int argc, char **argv)
{
	common_init(argc, argv);
	common_tests("48 bits, dirty: ", 4, 0, PT_FEAT_DIRTY);
	common_tests("upper 47 bits, dirty: ", 3, 47, PT_FEAT_DIRTY | PT_FEAT_UPPER);
	common_tests("36 bits: ", 2, 36, 0);
	arm64_tests();
	TEST(entries_by_hand);
	return check_done();
}
