/* SPDX-License-Identifier: MIT */
/*
 * Arm's VMSAv8-64, from the "Arm Architecture Reference Manual for A-profile
 * architecture" (DDI 0487), D8.2 (levels and addresses), D8.3 (descriptors), D8.4
 * (permissions), D8.5 (dirty state), D8.7.1 (the contiguous bit). Levels count
 * from the top; the lowest one is 3. The test that includes this says T_STAGE and
 * T_GRANULE_LG2.
 */
#ifndef PT_TEST_SPEC_ARM_H
#define PT_TEST_SPEC_ARM_H

#include "spec.h"

#define SPEC_BITS (T_GRANULE_LG2 - 3) /* of the address, per level */

/* Leaves of a contiguous group, by level. */
static unsigned int spec_group(unsigned int level)
{
	switch (T_GRANULE_LG2) {
	case 12:
		return level >= 1 ? 16 : 0;
	case 14:
		return level == 3 ? 128 : level == 2 ? 32 : 0;
	default:
		return level >= 2 ? 32 : 0;
	}
}

static bool spec_dirty(u64 entry)
{
	bool dbm = entry >> 51 & 1, bit7 = entry >> 7 & 1;

	/* AP[2] forbids writing, S2AP[1] allows it. */
	return T_STAGE == 1 ? dbm && !bit7 : dbm && bit7;
}

static unsigned int spec_prot(const struct pt *pt, u64 entry)
{
	bool dbm = entry >> 51 & 1, bit7 = entry >> 7 & 1, mmio;
	unsigned int prot = 0;

	CHECK(entry >> 10 & 1); /* AF */
	if (T_STAGE == 1) {
		prot |= RO | (dbm || !bit7 ? WO : 0);
		prot |= entry >> 6 & 1 ? 0 : PT_PROT_PRIV;
		CHECK((entry >> 53 & 3) == 0 || (entry >> 53 & 3) == 3); /* UXN, PXN */
		prot |= entry >> 54 & 1 ? PT_PROT_NOEXEC : 0;
		CHECK(entry >> 11 & 1);	  /* nG */
		CHECK(!(entry >> 5 & 1)); /* NS */
		mmio = (entry >> 2 & 7) == 2;
		CHECK(mmio || (entry >> 2 & 7) == 1); /* AttrIndx */
	} else {
		prot |= (entry >> 6 & 1 ? RO : 0) | (dbm || bit7 ? WO : 0);
		CHECK((entry >> 53 & 3) == 0 || (entry >> 53 & 3) == 2); /* XN[1:0] */
		prot |= entry >> 54 & 1 ? PT_PROT_NOEXEC : 0;
		CHECK(!(entry >> 11 & 1)); /* FnXS */
		mmio = (entry >> 2 & 15) == 1;
		CHECK(mmio || (entry >> 2 & 15) == (pt->features & PT_FEAT_S2_FWB ? 6 : 15));
	}
	CHECK((entry >> 8 & 3) == (mmio ? 2 : 3)); /* SH: outer, inner */
	if (dbm)
		CHECK(pt->features & PT_FEAT_DIRTY);
	return prot;
}

/* Neighbours have the next addresses, and differ in nothing else but the dirty state. */
static void spec_contiguous(const _Atomic u64 *table, unsigned int index, u64 entry, u64 block,
			    unsigned int n, struct spec *s)
{
	unsigned int first = index / n * n, i;
	u64 zero = entry - (index - first) * block;

	for (i = 0; i < n; i++) {
		u64 other = table[first + i];

		CHECK((other & ~BIT(7)) == ((zero & ~BIT(7)) + i * block));
		s->dirty |= spec_dirty(other);
	}
}

static void spec_leaf(const struct pt *pt, struct spec *s, u64 va, unsigned int index,
		      unsigned int level)
{
	unsigned int shift = T_GRANULE_LG2 + SPEC_BITS * (3 - level);
	u64 entry = s->entry[3 - level], size = BIT(shift);
	u64 address = entry & 0x0000fffffffff000;

	CHECK(address % size == 0);	      /* also: bits below the address are RES0 */
	CHECK(!(entry & 0xff87000000000000)); /* ignored, software's, GP, and above 48 bits */
	s->prot = spec_prot(pt, entry);
	s->dirty = spec_dirty(entry);
	if (entry >> 52 & 1) {
		unsigned int n = spec_group(level);

		spec_contiguous(s->table[3 - level], index, entry, size, n, s);
		address -= index % n * size;
		size *= n;
	}
	spec_page(s, va, address, size);
}

static struct spec spec_read(const struct pt *pt, u64 va)
{
	unsigned int size = 64 - (unsigned int)__builtin_clzll(pt->va_first ^ pt->va_last);
	const _Atomic u64 *table = spec_table((uintptr_t)pt->top);
	unsigned int start = 3u - pt->top_level, level;
	bool upper = pt->features & PT_FEAT_UPPER;
	struct spec s = {0};

	/* Bits above the size are all zero for TTBR0, all one for TTBR1. */
	if (va >> size != (upper ? U64_MAX >> size : 0))
		return s;
	for (level = start; level <= 3; level++) {
		unsigned int shift = T_GRANULE_LG2 + SPEC_BITS * (3 - level);
		/* At the start there may be fewer items, or several tables side by side. */
		unsigned int bits = level == start ? size - shift : SPEC_BITS;
		unsigned int index = (unsigned int)(va >> shift & (BIT(bits) - 1));
		u64 entry = spec_entry(&s, table, index, 3 - level);

		if (!(entry & 1)) {
			CHECK(!entry);
			return s;
		}
		if (level == 3) {
			CHECK(entry >> 1 & 1);
			spec_leaf(pt, &s, va, index, level);
			return s;
		}
		if (!(entry >> 1 & 1)) {
			CHECK(spec_group(level)); /* or there are no blocks */
			spec_leaf(pt, &s, va, index, level);
			return s;
		}
		/* a table: nothing but its address */
		CHECK(!(entry & 0xffff000000000ffc));
		CHECK((entry & 0x0000fffffffff000) % BIT(T_GRANULE_LG2) == 0);
		table = spec_table(entry & 0x0000fffffffff000);
	}
	CHECK(!"went below level 3");
	return s;
}

#endif
