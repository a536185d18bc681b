/* SPDX-License-Identifier: MIT */
/*
 * The bits of a RISC-V page table, as in "The RISC-V Instruction Set Manual,
 * Volume II: Privileged Architecture", sections "Sv39: Page-Based 39-bit
 * Virtual-Memory System", the same for Sv48 and Sv57, and chapter "Svnapot". The
 * "RISC-V IOMMU Architecture Specification", section "Process to translate an
 * IOVA", refers to it.
 *
 * A leaf may be at any level: it is one if it may be read, written or executed.
 * 16 leaves of level 0 may be one of 64 KiB; they are all alike, with the size in
 * the low bits of the address.
 *
 * Of the first stage's sign-extended addresses, only the lower half is used here,
 * as by Linux. The second stage's addresses are not signed, and have two bits
 * more: its top table has four times the items.
 *
 * Whoever includes this says RISCV_X4: 0, or 1 for the second stage.
 */
#ifndef PT_FMT_RISCV_H
#define PT_FMT_RISCV_H

#include "pt_impl.h"

/* "Sv39", "Addressing and Memory Protection" (bits 7:0 as in Sv32). */
#define RISCV_V ((u64)1 << 0) /* valid */
#define RISCV_R ((u64)1 << 1) /* may be read */
#define RISCV_W ((u64)1 << 2) /* may be written; reserved without R */
#define RISCV_X ((u64)1 << 3) /* may be executed */
#define RISCV_U ((u64)1 << 4) /* for user mode; the second stage needs it always */
#define RISCV_A ((u64)1 << 6) /* accessed; in a table, reserved, as U and D are */
#define RISCV_D ((u64)1 << 7) /* dirty */
/* The address without its 12 low bits: PPN, bits 53:10. */
#define RISCV_PPN_SHIFT 10
#define RISCV_PPN_LG2	44
#define RISCV_PPN_MASK	((((u64)1 << RISCV_PPN_LG2) - 1) << RISCV_PPN_SHIFT)
/* "Svnapot": larger than its item; how much so is in the low bits of PPN: 64 KiB. */
#define RISCV_N		((u64)1 << 63)
#define RISCV_NAPOT_64K ((u64)8 << RISCV_PPN_SHIFT)
#define RISCV_NAPOT_LG2 16

enum {
	FMT_GRANULE_LG2 = 12,
	FMT_INDEX_LG2 = 9,
	FMT_LEVELS_MIN = 3, /* Sv39 */
	FMT_LEVELS = 5,	    /* Sv57 */
	FMT_VA_LG2 = RISCV_X4 ? 59 : 56,
	FMT_OA_LG2 = RISCV_PPN_LG2 + 12,
	/* "Guest Physical Address Translation": the root has 16 KiB, whatever is used of it. */
	FMT_TOP_LG2 = FMT_INDEX_LG2 + (RISCV_X4 ? 2 : -1),
	FMT_TOP_MAX_LG2 = FMT_TOP_LG2,
	FMT_TOP_MIN_LG2 = 0,
	FMT_FEATURES = 0,
};

static inline u64 fmt_leaf_sizes(unsigned int level, unsigned int item)
{
	return (u64)1 << item | (level ? 0 : (u64)1 << RISCV_NAPOT_LG2);
}

/* A and D are set as Linux does, since hardware need not be able to. */
static inline u64 fmt_attr(unsigned int features, unsigned int prot)
{
	(void)features;
	return RISCV_V | RISCV_R | RISCV_A | (prot & PT_PROT_WRITE ? RISCV_W | RISCV_D : 0) |
	       (prot & PT_PROT_PRIV && !RISCV_X4 ? 0 : RISCV_U) |
	       (prot & PT_PROT_NOEXEC ? 0 : RISCV_X);
}

static inline u64 riscv_ppn(u64 oa)
{
	return oa >> 12 << RISCV_PPN_SHIFT;
}

static inline u64 fmt_make_leaf(u64 oa, unsigned int item, unsigned int lg2, u64 attr)
{
	return attr | riscv_ppn(oa) | (lg2 == item ? 0 : RISCV_N | RISCV_NAPOT_64K);
}

/* "Svnapot": the items are all alike. */
static inline u64 fmt_item_step(unsigned int item)
{
	(void)item;
	return 0;
}

static inline u64 fmt_make_table(u64 oa, unsigned int child_level)
{
	(void)child_level;
	return RISCV_V | riscv_ppn(oa);
}

static inline enum fmt_kind fmt_kind(u64 entry, unsigned int level)
{
	if (!(entry & RISCV_V))
		return FMT_EMPTY;
	return !level || entry & (RISCV_R | RISCV_W | RISCV_X) ? FMT_LEAF : FMT_TABLE;
}

static inline u64 fmt_table_oa(u64 entry)
{
	return (entry & RISCV_PPN_MASK) >> RISCV_PPN_SHIFT << 12;
}

static inline unsigned int fmt_leaf_lg2(u64 entry, unsigned int item)
{
	return entry & RISCV_N ? RISCV_NAPOT_LG2 : item;
}

/* The size that may be in the low bits of the address lies below its alignment. */
static inline u64 fmt_leaf_oa(u64 entry, unsigned int item)
{
	return align_down(fmt_table_oa(entry), (u64)1 << fmt_leaf_lg2(entry, item));
}

static inline unsigned int fmt_leaf_prot(u64 entry)
{
	return PT_PROT_READ | (entry & RISCV_W ? PT_PROT_WRITE : 0) |
	       (entry & RISCV_U ? 0 : PT_PROT_PRIV) | (entry & RISCV_X ? 0 : PT_PROT_NOEXEC);
}

/* Tables have no D. */
static inline bool fmt_leaf_dirty(u64 entry)
{
	return entry & RISCV_D;
}

static inline u64 fmt_make_dirty(u64 entry)
{
	return entry | RISCV_A | RISCV_D;
}

static inline u64 fmt_make_clean(u64 entry)
{
	return entry & ~RISCV_D;
}

#endif
