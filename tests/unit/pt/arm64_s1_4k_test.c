// SPDX-License-Identifier: MIT
/* The tests of Arm's tables of stage 1 with 4 KiB, and entries written out by hand. */
#define T_FN(name)    pt_arm64_s1_4k_##name
#define T_STAGE	      1
#define T_GRANULE_LG2 12

#include "arm64_tables.h"

static void entries_by_hand(void)
{
	static const struct known known[] = {
		/* va, oa, len, prot, level, index, entry */
		{0x0, 0x12345000, 0x1000, RW, 0, 0, 0x12345f47},
		{0x1ff000, 0xfffffffff000, 0x1000, RO, 0, 511, 0xffffffffffc7},
		{0x10000, 0x12340000, 0x10000, RW, 0, 31, 0x0010000012340f47},
		{0x200000, 0x40000000, 0x200000, RW, 1, 1, 0x40000f45},
		{0x2000000, 0x40000000, 0x2000000, RO, 1, 31, 0x0010000040000fc5},
		{0x40000000, 0x80000000, 0x40000000, RW, 2, 1, 0x80000f45},
		{0x400000000, 0x800000000, 0x400000000, RW, 2, 31, 0x0010000800000f45},
	};

	check_known(known, ARRAY_SIZE(known));
}

int main(int argc, char **argv)
{
	common_init(argc, argv);
	common_tests("48 bits: ", 4, 0, 0);
	common_tests("48 bits, dirty: ", 4, 0, PT_FEAT_DIRTY);
	common_tests("upper 48 bits, dirty: ", 4, 0, PT_FEAT_DIRTY | PT_FEAT_UPPER);
	common_tests("upper 40 bits: ", 4, 40, PT_FEAT_UPPER);
	common_tests("39 bits, dirty: ", 3, 39, PT_FEAT_DIRTY);
	common_tests("30 bits: ", 2, 30, 0);
	arm64_tests();
	TEST(entries_by_hand);
	return check_done();
}
