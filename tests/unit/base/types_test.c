// SPDX-License-Identifier: MIT
/* Rounding, bits and ranges at their edges. */
#include "base/types.h"
#include "unit.h"

TEST(range_last_at_the_edges)
{
	u64 last = 7;

	EXPECT_RC(-EINVAL, range_last(5, 0, &last));
	EXPECT_RC(-EINVAL, range_last(U64_MAX, 0, &last));
	EXPECT_OK(range_last(0, U64_MAX, &last));
	EXPECT_EQ(U64_MAX - 1, last);
	EXPECT_OK(range_last(1, U64_MAX, &last));
	EXPECT_EQ(U64_MAX, last);
	EXPECT_RC(-EOVERFLOW, range_last(2, U64_MAX, &last));
	EXPECT_OK(range_last(U64_MAX, 1, &last));
	EXPECT_EQ(U64_MAX, last);
	EXPECT_RC(-EOVERFLOW, range_last(U64_MAX, 2, &last));
}

TEST(rounding)
{
	EXPECT_EQ(0x1000, align_down(0x1fff, 0x1000));
	EXPECT_EQ(0x2000, align_up(0x1001, 0x1000));
	EXPECT_EQ(0x1000, align_up(0x1000, 0x1000));
	EXPECT_TRUE(is_aligned(0, 8) && is_aligned(0x800, 0x800) && !is_aligned(0x801, 2));
	EXPECT_TRUE(is_pow2(1) && is_pow2((u64)1 << 63) && !is_pow2(0) && !is_pow2(3));
	EXPECT_EQ(1, roundup_pow2(1));
	EXPECT_EQ(2, roundup_pow2(2));
	EXPECT_EQ(4, roundup_pow2(3));
	EXPECT_EQ((u64)1 << 63, roundup_pow2(((u64)1 << 62) + 1));
	EXPECT_EQ((u64)1 << 63, roundup_pow2((u64)1 << 63));
}

TEST(bits)
{
	unsigned int i;

	for (i = 0; i < 64; i++) {
		EXPECT_EQ(i, lowest_bit(U64_MAX << i));
		EXPECT_EQ(i, highest_bit(U64_MAX >> (63 - i)));
	}
	EXPECT_EQ(3, min_u64(3, U64_MAX));
	EXPECT_EQ(U64_MAX, max_u64(3, U64_MAX));
}
