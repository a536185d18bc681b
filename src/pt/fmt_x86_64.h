/* SPDX-License-Identifier: MIT */
/*
 * The bits of an x86-64 page table: of VT-d's first stage, as in the "Intel
 * Virtualization Technology for Directed I/O Architecture Specification"
 * (D51397), sections 3.6 "First-Stage Translation" and 9.7 "First-Stage Paging
 * Entries", and of AMD's guest tables, as in the "AMD I/O Virtualization
 * Technology (IOMMU) Specification" (48882), section 2.2.6.
 *
 * Addresses are sign-extended: the lower half of the top table is for those from
 * 0 on and the upper half for those up to 2^64. Only the lower half is used
 * here, as by Linux for its own mappings, and so nothing is signed.
 *
 * Level 0 is their PT, level 4 their PML5.
 */
#ifndef PT_FMT_X86_64_H
#define PT_FMT_X86_64_H

#include "pt_impl.h"

/* VT-d, section 9.7; the same in AMD's Programmer's Manual (24593), section 5.3. */
#define X86_64_P  ((u64)1 << 0) /* present */
#define X86_64_RW ((u64)1 << 1) /* may be written, too */
#define X86_64_US ((u64)1 << 2) /* for requests that are not privileged, too */
#define X86_64_A  ((u64)1 << 5) /* accessed: set by hardware */
#define X86_64_D  ((u64)1 << 6) /* dirty: in pages; likewise */
#define X86_64_PS ((u64)1 << 7) /* above the lowest level: a page, not a table */
/* Address, bits 51:12. In larger pages, bit 12 is PAT and the rest reserved. */
#define X86_64_ADDR_MASK ((((u64)1 << 40) - 1) << 12)
#define X86_64_XD	 ((u64)1 << 63) /* no execution; reserved if not enabled */

enum {
	FMT_GRANULE_LG2 = 12,
	FMT_INDEX_LG2 = 9,
	/* VT-d, section 9.6, FSPM; AMD, the DTE's GuestPagingMode: 4 and 5. */
	FMT_LEVELS_MIN = 4,
	FMT_LEVELS = 5,
	FMT_VA_LG2 = 56,
	FMT_OA_LG2 = 52,
	/* VT-d, section 3.6: the top bit is the sign. */
	FMT_TOP_LG2 = FMT_INDEX_LG2 - 1,
	FMT_TOP_MAX_LG2 = FMT_INDEX_LG2 - 1,
	FMT_TOP_MIN_LG2 = 0,
	FMT_FEATURES = 0,
};

/* VT-d, section 3.6: 4 KiB, 2 MiB and 1 GiB. Higher up, PS is reserved. */
static inline u64 fmt_leaf_sizes(unsigned int level, unsigned int item)
{
	return level <= 2 ? (u64)1 << item : 0;
}

/* What is present may be read. A and D are set as Linux does, to spare hardware the writes. */
static inline u64 fmt_attr(unsigned int features, unsigned int prot)
{
	(void)features;
	return X86_64_P | X86_64_A | (prot & PT_PROT_WRITE ? X86_64_RW | X86_64_D : 0) |
	       (prot & PT_PROT_PRIV ? 0 : X86_64_US) | (prot & PT_PROT_NOEXEC ? X86_64_XD : 0);
}

static inline u64 fmt_make_leaf(u64 oa, unsigned int item, unsigned int lg2, u64 attr)
{
	(void)lg2;
	return attr | oa | (item == FMT_GRANULE_LG2 ? 0 : X86_64_PS);
}

static inline u64 fmt_item_step(unsigned int item)
{
	(void)item;
	return 0;
}

/* VT-d, section 3.6: what is allowed is what all levels allow, so tables allow everything. */
static inline u64 fmt_make_table(u64 oa, unsigned int child_level)
{
	(void)child_level;
	return X86_64_P | X86_64_RW | X86_64_US | X86_64_A | oa;
}

static inline enum fmt_kind fmt_kind(u64 entry, unsigned int level)
{
	if (!(entry & X86_64_P))
		return FMT_EMPTY;
	return !level || entry & X86_64_PS ? FMT_LEAF : FMT_TABLE;
}

static inline u64 fmt_table_oa(u64 entry)
{
	return entry & X86_64_ADDR_MASK;
}

static inline unsigned int fmt_leaf_lg2(u64 entry, unsigned int item)
{
	(void)entry;
	return item;
}

static inline u64 fmt_leaf_oa(u64 entry, unsigned int item)
{
	(void)item;
	return entry & X86_64_ADDR_MASK;
}

static inline unsigned int fmt_leaf_prot(u64 entry)
{
	return PT_PROT_READ | (entry & X86_64_RW ? PT_PROT_WRITE : 0) |
	       (entry & X86_64_US ? 0 : PT_PROT_PRIV) | (entry & X86_64_XD ? PT_PROT_NOEXEC : 0);
}

static inline bool fmt_leaf_dirty(u64 entry)
{
	return entry & X86_64_D;
}

static inline u64 fmt_make_dirty(u64 entry)
{
	return entry | X86_64_A | X86_64_D;
}

static inline u64 fmt_make_clean(u64 entry)
{
	return entry & ~X86_64_D;
}

#endif
