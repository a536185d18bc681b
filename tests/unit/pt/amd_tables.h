/* SPDX-License-Identifier: MIT */
/* AMD's tables, whatever the granule: what the specification's numbers are. */
#ifndef PT_TEST_AMD_TABLES_H
#define PT_TEST_AMD_TABLES_H

#include "spec_amd.h"

#define T_INDEX_LG2  9
#define T_LEVELS_MIN 1
#define T_OA_LG2     (T_GRANULE_LG2 + 40)
#define T_FEATURES   0

#define T_VA_ALL(levels)     (T_GRANULE_LG2 + 9 * (levels))
#define T_VA_LG2(levels)     (T_VA_ALL(levels) > T_VA_MOST ? T_VA_MOST : T_VA_ALL(levels))
#define T_VA_MIN_LG2(levels) T_GRANULE_LG2
#define T_VA_MAX_LG2(levels) T_VA_LG2(levels)

/* Every power of two but for 2^39; not in tables of the highest level. */
static inline u64 amd_sizes(unsigned int levels)
{
	unsigned int lg2 = T_VA_ALL(levels < T_LEVELS ? levels : T_LEVELS - 1);

	if (lg2 > T_OA_LG2)
		lg2 = T_OA_LG2;
	return (BIT(lg2) - BIT(T_GRANULE_LG2)) & ~BIT(39);
}

#define T_SIZES(levels) amd_sizes(levels)
#define T_PROT(prot)	(RW & (prot))
#define T_DIRTY(prot)	((prot) != 0)
#define T_PRESET(prot)	((prot) == 0)
#define T_STEP(level)	0
/* IR, IW, Next Level, PR */
#define T_TABLE(level) (BIT(62) | BIT(61) | ((level) + 1) << 9 | 1)
#define T_ADDR_MASK    0x000ffffffffff000

#include "dirty.h"

#endif
