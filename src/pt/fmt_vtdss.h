/* SPDX-License-Identifier: MIT */
/*
 * The bits of a second-stage page table of Intel's VT-d, as in the "Intel
 * Virtualization Technology for Directed I/O Architecture Specification"
 * (D51397), sections 3.7 "Second-Stage Translation" and 9.8 "Second-Stage Paging
 * Entries".
 *
 * The tables look like x86's, but an entry has no bit that says it is present:
 * it is if it allows reading or writing (or, with an extension that is not used
 * here, execution). Level 0 is their SS-PT, level 4 their SS-PML5.
 */
#ifndef PT_FMT_VTDSS_H
#define PT_FMT_VTDSS_H

#include "pt_impl.h"

/* All of section 9.8. */
#define VTDSS_R	  ((u64)1 << 0)
#define VTDSS_W	  ((u64)1 << 1)
#define VTDSS_PS  ((u64)1 << 7)	 /* above the lowest level: a page, not a table */
#define VTDSS_A	  ((u64)1 << 8)	 /* accessed: by hardware, if the PASID entry's SSADE is set */
#define VTDSS_D	  ((u64)1 << 9)	 /* dirty: in pages; likewise */
#define VTDSS_SNP ((u64)1 << 11) /* in pages: snoop whatever the device says */
/* Address, bits 51:12. The bits below a larger page's size are reserved. */
#define VTDSS_ADDR_MASK ((((u64)1 << 40) - 1) << 12)

enum {
	FMT_GRANULE_LG2 = 12,
	FMT_INDEX_LG2 = 9,
	/* Section 9.6: the PASID entry's AW has codes for 3, 4 and 5 levels. */
	FMT_LEVELS_MIN = 3,
	FMT_LEVELS = 5,
	FMT_VA_LG2 = 57,
	FMT_OA_LG2 = 52,
	FMT_TOP_LG2 = FMT_INDEX_LG2,
	FMT_TOP_MAX_LG2 = FMT_INDEX_LG2,
	FMT_TOP_MIN_LG2 = 0,
	FMT_FEATURES = PT_FEAT_SNOOP,
};

/* Section 3.7: 4 KiB, 2 MiB and 1 GiB. Higher up, PS is reserved. */
static inline u64 fmt_leaf_sizes(unsigned int level, unsigned int item)
{
	return level <= 2 ? (u64)1 << item : 0;
}

static inline u64 fmt_attr(unsigned int features, unsigned int prot)
{
	return (features & PT_FEAT_SNOOP ? VTDSS_SNP : 0) | (prot & PT_PROT_READ ? VTDSS_R : 0) |
	       (prot & PT_PROT_WRITE ? VTDSS_W : 0);
}

static inline u64 fmt_make_leaf(u64 oa, unsigned int item, unsigned int lg2, u64 attr)
{
	(void)lg2;
	return attr | oa | (item == FMT_GRANULE_LG2 ? 0 : VTDSS_PS);
}

static inline u64 fmt_item_step(unsigned int item)
{
	(void)item;
	return 0;
}

/* Section 3.7: what is allowed is what all levels allow, so tables allow everything. */
static inline u64 fmt_make_table(u64 oa, unsigned int child_level)
{
	(void)child_level;
	return VTDSS_R | VTDSS_W | oa;
}

static inline enum fmt_kind fmt_kind(u64 entry, unsigned int level)
{
	if (!(entry & (VTDSS_R | VTDSS_W)))
		return FMT_EMPTY;
	return !level || entry & VTDSS_PS ? FMT_LEAF : FMT_TABLE;
}

static inline u64 fmt_table_oa(u64 entry)
{
	return entry & VTDSS_ADDR_MASK;
}

static inline unsigned int fmt_leaf_lg2(u64 entry, unsigned int item)
{
	(void)entry;
	return item;
}

static inline u64 fmt_leaf_oa(u64 entry, unsigned int item)
{
	(void)item;
	return entry & VTDSS_ADDR_MASK;
}

static inline unsigned int fmt_leaf_prot(u64 entry)
{
	return (entry & VTDSS_R ? PT_PROT_READ : 0) | (entry & VTDSS_W ? PT_PROT_WRITE : 0);
}

static inline bool fmt_leaf_dirty(u64 entry)
{
	return entry & VTDSS_D;
}

/* Section 3.7: a page that is written is accessed, too. */
static inline u64 fmt_make_dirty(u64 entry)
{
	return entry | VTDSS_A | VTDSS_D;
}

static inline u64 fmt_make_clean(u64 entry)
{
	return entry & ~VTDSS_D;
}

#endif
