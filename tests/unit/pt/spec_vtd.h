/* SPDX-License-Identifier: MIT */
/*
 * VT-d's second stage, from the "Intel Virtualization Technology for Directed I/O
 * Architecture Specification" (D51397), sections 3.7 and 9.8. Levels count from
 * 1, the SS-PT.
 */
#ifndef PT_TEST_SPEC_VTD_H
#define PT_TEST_SPEC_VTD_H

#include "spec.h"

static struct spec spec_read(const struct pt *pt, u64 va)
{
	const _Atomic u64 *table = spec_table((uintptr_t)pt->top);
	struct spec s = {.prot = RW};
	unsigned int level;

	for (level = pt->top_level + 1u; level; level--) {
		unsigned int shift = 12 + 9 * (level - 1);
		u64 entry = spec_entry(&s, table, (unsigned int)(va >> shift) & 511, level - 1);
		u64 address = entry & 0x000ffffffffff000;
		bool page = level == 1;

		/* Present if it allows anything. */
		if (!(entry & 3)) {
			CHECK(!entry);
			return s;
		}
		s.prot &= (entry & 1 ? RO : 0) | (entry & 2 ? WO : 0);
		/* Page Size is reserved in the PML4 and PML5. */
		if (level > 1 && entry >> 7 & 1) {
			CHECK(level <= 3);
			page = true;
		}
		if (!page) {
			/* nothing but R, W, A and the address */
			CHECK(!(entry & 0xfff0000000000efc));
			CHECK((entry & 3) == 3);
			table = spec_table(address);
			continue;
		}
		/* nothing but R, W, PS (not in the SS-PT), A, D, SNP and the address */
		CHECK(!(entry & (level > 1 ? 0xfff000000000047c : 0xfff00000000004fc)));
		CHECK((entry >> 11 & 1) == !!(pt->features & PT_FEAT_SNOOP));
		s.dirty = entry >> 9 & 1;
		spec_page(&s, va, address, BIT(shift));
		return s;
	}
	CHECK(!"went below level 1");
	return s;
}

#endif
