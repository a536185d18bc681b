/* SPDX-License-Identifier: MIT */
/*
 * x86-64 tables, from the "Intel Virtualization Technology for Directed I/O
 * Architecture Specification" (D51397), sections 3.6 and 9.7. Levels count from
 * 1, the FS-PT.
 */
#ifndef PT_TEST_SPEC_X86_H
#define PT_TEST_SPEC_X86_H

#include "spec.h"

/* Nothing but P, RW, US, A, D (pages), PS (larger pages), the address, XD (pages). */
static void spec_reserved(u64 entry, unsigned int level, bool page)
{
	u64 known = 0x000ffffffffff027;

	if (page)
		known |= BIT(6) | BIT(63) | (level > 1 ? BIT(7) : 0);
	CHECK(!(entry & ~known));
}

static struct spec spec_read(const struct pt *pt, u64 va)
{
	const _Atomic u64 *table = spec_table((uintptr_t)pt->top);
	unsigned int level = pt->top_level + 1u, top_bit = 11 + 9 * level;
	struct spec s = {.prot = RW};
	bool user = true;

	/* Canonical: all bits from the highest one that is translated on are alike. */
	if (va >> top_bit && va >> top_bit != U64_MAX >> top_bit)
		return s;
	for (; level; level--) {
		unsigned int shift = 12 + 9 * (level - 1);
		u64 entry = spec_entry(&s, table, (unsigned int)(va >> shift) & 511, level - 1);
		u64 address = entry & 0x000ffffffffff000;
		bool page = level == 1 || entry >> 7 & 1;

		if (!(entry & 1)) {
			CHECK(!entry);
			return s;
		}
		spec_reserved(entry, level, page);
		if (!(entry >> 1 & 1))
			s.prot &= ~WO;
		user &= entry >> 2 & 1;
		CHECK(entry >> 5 & 1);
		if (!page) {
			CHECK((entry & 7) == 7);
			table = spec_table(address);
			continue;
		}
		CHECK(level <= 3);
		s.dirty = entry >> 6 & 1;
		s.prot |= (user ? 0 : PT_PROT_PRIV) | (entry >> 63 ? PT_PROT_NOEXEC : 0);
		spec_page(&s, va, address, BIT(shift));
		return s;
	}
	CHECK(!"went below level 1");
	return s;
}

#endif
