/* SPDX-License-Identifier: MIT */
/*
 * The bits of an Arm VMSAv8-64 page table, as in the "Arm Architecture Reference
 * Manual for A-profile architecture" (DDI 0487), chapter D8 "The AArch64 Virtual
 * Memory System Architecture", which the SMMUv3 specification (IHI 0070), section
 * 3.4 refers to.
 *
 * A table has as many bytes as the smallest page, the granule. The manual counts
 * levels from the top: its level 3 is level 0 here. At a higher level a leaf is
 * called a block. A number of adjacent leaves that is fixed by granule and level
 * may be marked as contiguous, so that hardware can cache them as one. Here, such
 * a group is one leaf of as many items; unlike in other formats each item has an
 * address of its own, that of its own part.
 *
 * A leaf's dirty state is in what it allows: where DBM is set, hardware may make
 * it writable when it is written to. So a leaf with DBM may always be written,
 * and is dirty if that shows.
 *
 * Output addresses of 52 bits are left out: no memory of a process lies that high.
 *
 * Whoever includes this says ARM64_STAGE, 1 or 2, and ARM64_GRANULE_LG2: 12, 14
 * or 16.
 */
#ifndef PT_FMT_ARM64_H
#define PT_FMT_ARM64_H

#include "pt_impl.h"

/* D8.3 "Translation table descriptor formats". */
#define ARM64_VALID ((u64)1 << 0)
#define ARM64_TABLE ((u64)1 << 1) /* a table; at the lowest level, a page */
/* Address, bits 47 to the granule's. */
#define ARM64_ADDR_MASK ((((u64)1 << 48) - 1) & ~(((u64)1 << ARM64_GRANULE_LG2) - 1))

/* D8.3, attribute fields of block and page descriptors; both stages. */
#define ARM64_SH_OUTER ((u64)2 << 8)  /* SH, bits 9:8: outer shareable */
#define ARM64_SH_INNER ((u64)3 << 8)  /* inner shareable */
#define ARM64_AF       ((u64)1 << 10) /* accessed */
#define ARM64_DBM      ((u64)1 << 51) /* hardware may make it writable */
#define ARM64_CONT     ((u64)1 << 52) /* one of a group with contiguous addresses */

/* Stage 1. AttrIndx, bits 4:2, are an index into MAIR, which Linux fills like this. */
#define ARM64_S1_ATTR_CACHE  ((u64)1 << 2)
#define ARM64_S1_ATTR_DEVICE ((u64)2 << 2)
#define ARM64_S1_AP1	     ((u64)1 << 6)  /* for unprivileged accesses, too */
#define ARM64_S1_AP2	     ((u64)1 << 7)  /* may not be written */
#define ARM64_S1_NG	     ((u64)1 << 11) /* not global: of one ASID */
#define ARM64_S1_PXN	     ((u64)1 << 53) /* no privileged execution */
#define ARM64_S1_UXN	     ((u64)1 << 54) /* no unprivileged execution */

/* Stage 2. MemAttr, bits 5:2: D8.6.5 without FEAT_S2FWB, D8.6.6 with it. */
#define ARM64_S2_MEM_DEVICE ((u64)0x1 << 2) /* Device-nGnRE, with and without FEAT_S2FWB */
#define ARM64_S2_MEM_WB	    ((u64)0xf << 2) /* write-back */
#define ARM64_S2_MEM_FWB    ((u64)0x6 << 2) /* with FEAT_S2FWB: write-back whatever stage 1 says */
#define ARM64_S2_AP0	    ((u64)1 << 6)   /* may be read */
#define ARM64_S2_AP1	    ((u64)1 << 7)   /* may be written */
#define ARM64_S2_XN	    ((u64)2 << 53)  /* XN, bits 54:53: no execution at all */

enum {
	FMT_GRANULE_LG2 = ARM64_GRANULE_LG2,
	FMT_INDEX_LG2 = ARM64_GRANULE_LG2 - 3,
	/* D8.2: with 4 KiB, tables do not begin at the lowest level. */
	FMT_LEVELS_MIN = ARM64_GRANULE_LG2 == 12 ? 2 : 1,
	FMT_LEVELS = ARM64_GRANULE_LG2 == 16 ? 3 : 4,
	FMT_VA_LG2 = 48,
	FMT_OA_LG2 = 48,
	FMT_TOP_LG2 = FMT_INDEX_LG2,
	/* D8.2 "Concatenated translation tables": up to 16, of stage 2. */
	FMT_TOP_MAX_LG2 = FMT_INDEX_LG2 + (ARM64_STAGE == 2 ? 4 : 0),
	/* D8.2: addresses that are too small for a level begin at the next. */
	FMT_TOP_MIN_LG2 = 1,
	FMT_FEATURES = PT_FEAT_DIRTY | (ARM64_STAGE == 1 ? PT_FEAT_UPPER : PT_FEAT_S2_FWB),
};

/* D8.7.1 "The Contiguous bit": log2 of the leaves of a group. */
static inline unsigned int arm64_group_lg2(unsigned int item)
{
	if (ARM64_GRANULE_LG2 == 12)
		return 4;
	if (ARM64_GRANULE_LG2 == 14 && item == FMT_GRANULE_LG2)
		return 7;
	return 5;
}

/* D8.2: blocks of 2 MiB and 1 GiB, of 32 MiB, or of 512 MiB. */
static inline u64 fmt_leaf_sizes(unsigned int level, unsigned int item)
{
	if (level > (ARM64_GRANULE_LG2 == 12 ? 2 : 1))
		return 0;
	return (u64)1 << item | (u64)1 << (item + arm64_group_lg2(item));
}

/*
 * Stage 1 cannot forbid reading. Memory is cacheable and snooped, which is what
 * iommufd asks for; AF is set since hardware need not be able to.
 */
static inline u64 arm64_s1_attr(unsigned int prot, u64 dbm)
{
	u64 attr = ARM64_AF | ARM64_S1_NG | (prot & PT_PROT_WRITE ? dbm : ARM64_S1_AP2);

	if (!(prot & PT_PROT_PRIV))
		attr |= ARM64_S1_AP1;
	if (prot & PT_PROT_NOEXEC)
		attr |= ARM64_S1_PXN | ARM64_S1_UXN;
	if (prot & PT_PROT_MMIO)
		return attr | ARM64_S1_ATTR_DEVICE | ARM64_SH_OUTER;
	return attr | ARM64_S1_ATTR_CACHE | ARM64_SH_INNER;
}

static inline u64 arm64_s2_attr(unsigned int prot, u64 dbm, bool fwb)
{
	u64 attr = ARM64_AF | (prot & PT_PROT_READ ? ARM64_S2_AP0 : 0) |
		   (prot & PT_PROT_WRITE ? ARM64_S2_AP1 | dbm : 0) |
		   (prot & PT_PROT_NOEXEC ? ARM64_S2_XN : 0);

	if (prot & PT_PROT_MMIO)
		return attr | ARM64_S2_MEM_DEVICE | ARM64_SH_OUTER;
	return attr | (fwb ? ARM64_S2_MEM_FWB : ARM64_S2_MEM_WB) | ARM64_SH_INNER;
}

static inline u64 fmt_attr(unsigned int features, unsigned int prot)
{
	u64 dbm = features & PT_FEAT_DIRTY ? ARM64_DBM : 0;

	if (ARM64_STAGE == 1)
		return arm64_s1_attr(prot, dbm);
	return arm64_s2_attr(prot, dbm, features & PT_FEAT_S2_FWB);
}

static inline u64 fmt_make_leaf(u64 oa, unsigned int item, unsigned int lg2, u64 attr)
{
	return ARM64_VALID | attr | oa | (item == FMT_GRANULE_LG2 ? ARM64_TABLE : 0) |
	       (lg2 == item ? 0 : ARM64_CONT);
}

/* The address is where it belongs, bit for bit, and so are its parts. */
static inline u64 fmt_item_step(unsigned int item)
{
	return (u64)1 << item;
}

/* Stage 1's APTable, UXNTable and PXNTable could only take away: all zero. */
static inline u64 fmt_make_table(u64 oa, unsigned int child_level)
{
	(void)child_level;
	return ARM64_VALID | ARM64_TABLE | oa;
}

static inline enum fmt_kind fmt_kind(u64 entry, unsigned int level)
{
	if (!(entry & ARM64_VALID))
		return FMT_EMPTY;
	return !level || !(entry & ARM64_TABLE) ? FMT_LEAF : FMT_TABLE;
}

static inline u64 fmt_table_oa(u64 entry)
{
	return entry & ARM64_ADDR_MASK;
}

static inline unsigned int fmt_leaf_lg2(u64 entry, unsigned int item)
{
	return item + (entry & ARM64_CONT ? arm64_group_lg2(item) : 0);
}

/* A group's first address is aligned to the size of the group. */
static inline u64 fmt_leaf_oa(u64 entry, unsigned int item)
{
	return align_down(entry & ARM64_ADDR_MASK, (u64)1 << fmt_leaf_lg2(entry, item));
}

static inline unsigned int fmt_leaf_prot(u64 entry)
{
	u64 writable;

	if (ARM64_STAGE == 1) {
		writable = (entry & ARM64_DBM) | (~entry & ARM64_S1_AP2);
		return PT_PROT_READ | (writable ? PT_PROT_WRITE : 0) |
		       (entry & ARM64_S1_AP1 ? 0 : PT_PROT_PRIV) |
		       (entry & ARM64_S1_UXN ? PT_PROT_NOEXEC : 0);
	}
	writable = entry & (ARM64_DBM | ARM64_S2_AP1);
	return (entry & ARM64_S2_AP0 ? PT_PROT_READ : 0) | (writable ? PT_PROT_WRITE : 0) |
	       (entry & ARM64_S2_XN ? PT_PROT_NOEXEC : 0);
}

/*
 * D8.5.2.1 "Hardware management of the dirty state": with DBM, AP[2] of stage 1 says
 * clean, and S2AP[1] of stage 2 says dirty. Tables do not have DBM.
 */
static inline bool fmt_leaf_dirty(u64 entry)
{
	if (ARM64_STAGE == 1)
		return (entry & (ARM64_DBM | ARM64_S1_AP2)) == ARM64_DBM;
	return (entry & (ARM64_DBM | ARM64_S2_AP1)) == (ARM64_DBM | ARM64_S2_AP1);
}

static inline u64 fmt_make_dirty(u64 entry)
{
	if (!(entry & ARM64_DBM))
		return entry;
	return ARM64_STAGE == 1 ? entry & ~ARM64_S1_AP2 : entry | ARM64_S2_AP1;
}

static inline u64 fmt_make_clean(u64 entry)
{
	return ARM64_STAGE == 1 ? entry | ARM64_S1_AP2 : entry & ~ARM64_S2_AP1;
}

#endif
