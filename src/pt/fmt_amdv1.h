/* SPDX-License-Identifier: MIT */
/*
 * The bits of an AMD I/O page table for host translations, as in the "AMD I/O
 * Virtualization Technology (IOMMU) Specification" (48882), section 2.2.3.
 *
 * The specification counts levels from 1; here they count from 0. An entry's
 * Next Level field says what it points at: a table of that (their) level, or,
 * with 0, a page of the size of one item, or, with 7, a page whose size is in
 * the low bits of the address: as many ones as it takes and then a zero. Such a
 * page fills as many items as it has bytes for, all alike.
 *
 * Whoever includes this says AMDV1_GRANULE_LG2: 12, as in hardware, or 11 for
 * the mock IOMMU, which counts addresses in 2 KiB where hardware does in 4 KiB.
 */
#ifndef PT_FMT_AMDV1_H
#define PT_FMT_AMDV1_H

#include "pt_impl.h"

#define AMDV1_PR	   ((u64)1 << 0) /* present */
#define AMDV1_D		   ((u64)1 << 6) /* dirty: set by hardware if DTE.HAD says so */
#define AMDV1_NEXT_SHIFT   9		 /* Next Level, bits 11:9 */
#define AMDV1_NEXT_DEFAULT 0
#define AMDV1_NEXT_ENCODED 7
#define AMDV1_ADDR_SHIFT   12 /* address, bits 51:12 */
#define AMDV1_ADDR_LG2	   40
#define AMDV1_ADDR_MASK	   ((((u64)1 << AMDV1_ADDR_LG2) - 1) << AMDV1_ADDR_SHIFT)
#define AMDV1_FC	   ((u64)1 << 60) /* force coherent: snoop whatever the device says */
#define AMDV1_IR	   ((u64)1 << 61) /* may be read */
#define AMDV1_IW	   ((u64)1 << 62) /* may be written */

enum {
	FMT_GRANULE_LG2 = AMDV1_GRANULE_LG2,
	FMT_INDEX_LG2 = 9,
	FMT_LEVELS_MIN = 1,
	/* Table 15: six levels reach 64 bits. The mock has no sixth one. */
	FMT_LEVELS = AMDV1_GRANULE_LG2 == 12 ? 6 : 5,
	/* The sixth level has only 7 bits left to index with: 63:57. */
	FMT_VA_LG2 = AMDV1_GRANULE_LG2 == 12 ? 64 : 56,
	FMT_OA_LG2 = AMDV1_GRANULE_LG2 + AMDV1_ADDR_LG2,
	FMT_TOP_LG2 = FMT_INDEX_LG2,
	FMT_TOP_MAX_LG2 = FMT_INDEX_LG2,
	FMT_TOP_MIN_LG2 = 0,
	FMT_FEATURES = 0,
};

/*
 * Table 14: every power of two can be encoded, as long as its items are in one
 * table. Table 15: the highest level of all has no leaves. Pages of 512 GiB are
 * legal, yet left out: Linux avoids them because hardware gets them wrong, and
 * tables made here are to look like those that Linux makes. A page has a
 * smaller size than the whole of what addresses can express, because Table 14's
 * terminating zero needs a bit.
 */
static inline u64 fmt_leaf_sizes(unsigned int level, unsigned int item)
{
	u64 sizes = (((u64)1 << FMT_INDEX_LG2) - 1) << item;

	if (level == FMT_LEVELS - 1)
		return 0;
	return sizes & (((u64)1 << FMT_OA_LG2) - 1) & ~((u64)1 << 39);
}

static inline u64 fmt_attr(unsigned int features, unsigned int prot)
{
	(void)features;
	return AMDV1_FC | (prot & PT_PROT_READ ? AMDV1_IR : 0) |
	       (prot & PT_PROT_WRITE ? AMDV1_IW : 0);
}

/* An aligned address, in units of the granule, where the entry has it. */
static inline u64 amdv1_addr(u64 oa)
{
	return oa >> FMT_GRANULE_LG2 << AMDV1_ADDR_SHIFT;
}

static inline u64 fmt_make_leaf(u64 oa, unsigned int item, unsigned int lg2, u64 attr)
{
	u64 entry = AMDV1_PR | attr | amdv1_addr(oa);

	if (lg2 == item)
		return entry; /* AMDV1_NEXT_DEFAULT */
	/* Two granules are no ones and a zero, four are a one and a zero. */
	entry |= (((u64)1 << (lg2 - FMT_GRANULE_LG2 - 1)) - 1) << AMDV1_ADDR_SHIFT;
	return entry | (u64)AMDV1_NEXT_ENCODED << AMDV1_NEXT_SHIFT;
}

/* Table 14: a page's items are all alike. */
static inline u64 fmt_item_step(unsigned int item)
{
	(void)item;
	return 0;
}

/*
 * Section 2.2.3: permissions are those that all levels on the way allow. Only
 * the leaf's are meant to count, so tables allow everything.
 */
static inline u64 fmt_make_table(u64 oa, unsigned int child_level)
{
	return AMDV1_PR | AMDV1_IR | AMDV1_IW | amdv1_addr(oa) |
	       (u64)(child_level + 1) << AMDV1_NEXT_SHIFT;
}

static inline unsigned int amdv1_next(u64 entry)
{
	return (unsigned int)(entry >> AMDV1_NEXT_SHIFT) & 7;
}

static inline enum fmt_kind fmt_kind(u64 entry, unsigned int level)
{
	unsigned int next = amdv1_next(entry);

	if (!(entry & AMDV1_PR))
		return FMT_EMPTY;
	if (!level || next == AMDV1_NEXT_DEFAULT || next == AMDV1_NEXT_ENCODED)
		return FMT_LEAF;
	return FMT_TABLE;
}

static inline u64 fmt_table_oa(u64 entry)
{
	return (entry & AMDV1_ADDR_MASK) >> AMDV1_ADDR_SHIFT << FMT_GRANULE_LG2;
}

static inline unsigned int fmt_leaf_lg2(u64 entry, unsigned int item)
{
	if (amdv1_next(entry) != AMDV1_NEXT_ENCODED)
		return item;
	return FMT_GRANULE_LG2 + lowest_bit(~entry >> AMDV1_ADDR_SHIFT) + 1;
}

/* The size that may be in the low bits of the address lies below its alignment. */
static inline u64 fmt_leaf_oa(u64 entry, unsigned int item)
{
	return align_down(fmt_table_oa(entry), (u64)1 << fmt_leaf_lg2(entry, item));
}

static inline unsigned int fmt_leaf_prot(u64 entry)
{
	return (entry & AMDV1_IR ? PT_PROT_READ : 0) | (entry & AMDV1_IW ? PT_PROT_WRITE : 0);
}

/* Hardware sets D in pages only. */
static inline bool fmt_leaf_dirty(u64 entry)
{
	return entry & AMDV1_D;
}

static inline u64 fmt_make_dirty(u64 entry)
{
	return entry | AMDV1_D;
}

static inline u64 fmt_make_clean(u64 entry)
{
	return entry & ~AMDV1_D;
}

#endif
