/* SPDX-License-Identifier: MIT */
/*
 * AMD's host tables, from the "AMD I/O Virtualization Technology (IOMMU)
 * Specification" (48882), section 2.2.3. Levels count from 1. The test that
 * includes this says T_GRANULE_LG2.
 */
#ifndef PT_TEST_SPEC_AMD_H
#define PT_TEST_SPEC_AMD_H

#include "spec.h"

#define SPEC_RESERVED 0x0ff000000000019eull /* all but PR, A, D, NL, address, U, FC, IR, IW */

/* All items of the page are alike but for D. */
static void spec_items(const _Atomic u64 *table, unsigned int index, u64 entry, unsigned int n,
		       struct spec *s)
{
	unsigned int first = index / n * n, i;

	CHECK(first + n <= 512);
	for (i = first; i < first + n; i++) {
		u64 other = table[i];

		CHECK((other & ~BIT(6)) == (entry & ~BIT(6)));
		s->dirty |= other >> 6 & 1;
	}
}

static struct spec spec_read(const struct pt *pt, u64 va)
{
	const _Atomic u64 *table = spec_table((uintptr_t)pt->top);
	struct spec s = {.prot = RW};
	unsigned int level, next;

	for (level = pt->top_level + 1u; level; level = next) {
		unsigned int shift = T_GRANULE_LG2 + 9 * (level - 1);
		unsigned int index = (unsigned int)(va >> shift) & 511;
		u64 entry = spec_entry(&s, table, index, level - 1);
		u64 address = (entry >> 12 & (BIT(40) - 1)) * BIT(T_GRANULE_LG2);
		u64 size = BIT(shift);

		if (!(entry & 1)) {
			CHECK(!entry);
			return s;
		}
		CHECK(!(entry & SPEC_RESERVED));
		s.prot &= (entry >> 61 & 1 ? RO : 0) | (entry >> 62 & 1 ? WO : 0);
		next = entry >> 9 & 7;
		if (next && next != 7) {
			CHECK(next == level - 1);
			CHECK(!(entry & BIT(6)) && (entry >> 61 & 3) == 3);
			table = spec_table(address);
			continue;
		}
		CHECK(entry >> 60 & 1);
		if (next == 7) {
			u64 bits = entry >> 12;

			for (size = BIT(T_GRANULE_LG2 + 1); bits & 1; bits >>= 1)
				size *= 2;
			CHECK(size > BIT(shift) && size < BIT(shift) * 512);
			address = address / size * size;
		}
		spec_page(&s, va, address, size);
		spec_items(table, index, entry, (unsigned int)(size >> shift), &s);
		return s;
	}
	CHECK(!"went below level 1");
	return s;
}

#endif
