/* SPDX-License-Identifier: MIT */
/*
 * Page tables, as an IOMMU reads them.
 *
 * The words:
 *
 * VA, OA    What goes into a table, and what comes out. Which address that is
 *           (iova, gpa, hpa) depends on the stage; the tables do not care.
 * table     A block of items. An item holds nothing, a table or a leaf.
 * item      One 8-byte entry of a table, and the VAs that it is for.
 * level     Level 0 holds the smallest leaves; its tables have no tables below.
 *           The top table's level is the number of levels minus one.
 * leaf      A mapping of 2^lg2 bytes of VA to as many of OA, both aligned to
 *           that. If the format has leaves of several items, each of those
 *           items holds the same entry, or (Arm) the entry of its part of the
 *           leaf, and any one may be the dirty one.
 * granule   Bytes of the smallest leaf: one item of level 0.
 * last, end The last byte of a range (inclusive), and the first one past it.
 *
 * Every format has the same functions, pt_<format>_<function>, declared at the
 * end of this file. A table's own address is what the tables point at: a
 * physical address, to the modelled hardware, is an address in this process.
 *
 * Who may do what at once: map, unmap, sync and destroy of one struct pt need
 * the caller's exclusion, against each other and against the rest. walk,
 * lookup, set_dirty and read_and_clear_dirty may run beside one another.
 * Besides, device threads, being hardware, may walk and set dirty at any time,
 * also during map and unmap: what they need is that the struct pt lives, that
 * nobody calls pt_sync() before they have left the tables that unmap took
 * away, and that they change an entry only by compare-exchange from what they
 * read, so that an entry that has gone is not brought back.
 */
#ifndef PT_PT_H
#define PT_PT_H

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/types.h"

/* Permissions, with the values of IOMMU_PROT_*. */
#define PT_PROT_READ  (1u << 0)
#define PT_PROT_WRITE (1u << 1)
#define PT_PROT_MMIO  (1u << 2) /* not memory; formats without memory types ignore it */

/* For whom the leaf is; formats that cannot say so ignore it. */
#define PT_PROT_NOEXEC (1u << 3) /* no code is fetched from it */
#define PT_PROT_PRIV   (1u << 4) /* for privileged accesses only */

/* What a tree may be besides; init refuses what the format does not know. */
#define PT_FEAT_UPPER  (1u << 0) /* VAs are the last 2^va_bits there are, not the first */
#define PT_FEAT_DIRTY  (1u << 1) /* hardware marks written leaves, if the format gives a choice */
#define PT_FEAT_SNOOP  (1u << 2) /* VT-d: snoop caches whatever the device says */
#define PT_FEAT_S2_FWB (1u << 3) /* Arm: memory types of stage 2 mean what FEAT_S2FWB says */

typedef _Atomic u64 pt_entry;

/**
 * struct pt_config - what a table shall be like
 * @levels: levels of tables, at least 1; for Arm, as many as @va_bits needs
 * @va_bits: VAs are below 2^va_bits; 0 for all that the levels cover. Where the
 *	top table may be made of several (Arm's stage 2), more bits than the
 *	levels cover ask for that.
 * @oa_bits: OAs are below 2^oa_bits; 0 for all that the format can hold
 * @pgsize_bitmap: leaf sizes to use, bit n for 2^n bytes; 0 for all there are,
 *	with those that are hints or extensions (Arm's contiguous bit, Svnapot)
 * @features: PT_FEAT_*
 */
struct pt_config {
	unsigned int levels;
	unsigned int va_bits;
	unsigned int oa_bits;
	u64 pgsize_bitmap;
	unsigned int features;
};

/**
 * struct pt - one tree of tables
 * @alloc: account that pays for the tables
 * @top: the top table, the same until destroy
 * @pgsize_bitmap: leaf sizes that map may use; the smallest is the alignment
 *	that map asks for
 * @va_first: first VA that can be mapped
 * @va_last: last VA that can be mapped
 * @oa_last: last OA that can be mapped to
 * @spare: tables without an entry, for map to use before it allocates
 * @dead: tables that were unlinked, in which walkers may still be
 * @top_level: level of @top
 * @top_lg2: log2 of the bytes of @top
 * @table_lg2: log2 of the bytes of any other table
 * @nspare: tables in @spare
 * @features: PT_FEAT_*; PT_FEAT_SNOOP may be added at any time between two
 *	calls, for the leaves that are made from then on
 */
struct pt {
	struct base_alloc *alloc;
	pt_entry *top;
	u64 pgsize_bitmap;
	u64 va_first;
	u64 va_last;
	u64 oa_last;
	pt_entry *spare;
	pt_entry *dead;
	u8 top_level;
	u8 top_lg2;
	u8 table_lg2;
	u8 nspare;
	unsigned int features;
};

/**
 * struct pt_leaf - what maps an address
 * @va: first VA of the leaf
 * @oa: first OA of the leaf
 * @lg2: log2 of its bytes
 * @prot: PT_PROT_*, without PT_PROT_MMIO; a leaf that hardware makes writable
 *	when it is written to is writable
 */
struct pt_leaf {
	u64 va;
	u64 oa;
	unsigned int lg2;
	unsigned int prot;
};

/* The @len bytes from @va on were written. */
typedef void (*pt_dirty_fn)(void *arg, u64 va, u64 len);

/*
 * No walker is in an unlinked table any more: free them, but for the few that
 * keep map and unmap of the same page from the allocator. To be called after
 * unmap, and after a map that failed, once every walk that began before has
 * ended. Until then the tables count as allocated.
 */
void pt_sync(struct pt *pt);

/*
 * The functions of a format:
 *
 * init       Make an empty tree. Return: 0; -EINVAL if the format cannot do
 *            what @config asks; -ENOMEM.
 * destroy    Free everything, mapped or not. Nobody walks any more.
 * map        Map @len bytes from @va on to @oa on, with the largest leaves
 *            that fit. @prot has PT_PROT_READ, PT_PROT_WRITE or both; in many
 *            formats what may be written may also be read. Return: 0; -EINVAL
 *            for misaligned, empty or out of range; -EADDRINUSE if any of it is
 *            mapped; -ENOMEM. On failure nothing is mapped that was not, not
 *            even for a moment. Where Linux makes writable leaves dirty from
 *            the start (all but AMD v1 and VT-d's second stage), so does this.
 * unmap      Take away every leaf in a range, which may have holes. It is made
 *            of whole leaves: one that it only touches goes as a whole. Needs
 *            no memory and cannot fail. Tables left empty are unlinked, and
 *            wait for pt_sync().
 * walk       Find the leaf that maps @va. Return: false if there is none.
 * lookup     The OA that @va is mapped to, or U64_MAX. @prot may be NULL.
 * set_dirty  Do what hardware does when it writes to @va, which the caller knows
 *            to be allowed. Return: false if nothing is mapped there.
 * read_and_clear_dirty
 *            Report what was written in a range, in ascending order, adjacent
 *            leaves in one report. A leaf is dirty as a whole; what is reported
 *            of it is clipped to the range. @report may be NULL. If @clear,
 *            forget it; but a leaf that the range does not cover stays dirty,
 *            since nobody has been told about the rest of it.
 */
#define PT_DECLARE_FORMAT(fmt)                                                                     \
	int pt_##fmt##_init(struct pt *pt, struct base_alloc *alloc,                               \
			    const struct pt_config *config) __must_check;                          \
	void pt_##fmt##_destroy(struct pt *pt);                                                    \
	int pt_##fmt##_map(struct pt *pt, u64 va, u64 oa, u64 len, unsigned int prot)              \
		__must_check;                                                                      \
	void pt_##fmt##_unmap(struct pt *pt, u64 va, u64 len);                                     \
	bool pt_##fmt##_walk(const struct pt *pt, u64 va, struct pt_leaf *leaf);                   \
	u64 pt_##fmt##_lookup(const struct pt *pt, u64 va, unsigned int *prot);                    \
	bool pt_##fmt##_set_dirty(struct pt *pt, u64 va);                                          \
	void pt_##fmt##_read_and_clear_dirty(struct pt *pt, u64 va, u64 len, bool clear,           \
					     pt_dirty_fn report, void *arg)

/* AMD host tables: up to 6 levels of 4 KiB granule, 64 bits of VA, 52 of OA. */
PT_DECLARE_FORMAT(amdv1);

/*
 * AMD host tables on a 2 KiB granule, which no hardware has: the tables of the
 * kernel's test driver, made to be different from the CPU's pages. Up to 5
 * levels, 56 bits of VA, 51 of OA.
 */
PT_DECLARE_FORMAT(mock);

/* VT-d's second stage: 3 to 5 levels; PT_FEAT_SNOOP. */
PT_DECLARE_FORMAT(vtdss);

/*
 * x86-64, for VT-d's first stage and AMD's guest (v2) tables: 4 or 5 levels, and
 * the lower half of the addresses that they cover, 47 or 56 bits.
 */
PT_DECLARE_FORMAT(x86_64);

/*
 * Arm's VMSAv8-64 by stage and granule: up to 4 levels (3 with 64 KiB), 48 bits
 * of VA and of OA; PT_FEAT_DIRTY. Stage 1 with PT_FEAT_UPPER is what TTBR1 leads
 * to. Stage 2 has PT_FEAT_S2_FWB, and may begin with up to 16 tables side by
 * side.
 */
PT_DECLARE_FORMAT(arm64_s1_4k);
PT_DECLARE_FORMAT(arm64_s1_16k);
PT_DECLARE_FORMAT(arm64_s1_64k);
PT_DECLARE_FORMAT(arm64_s2_4k);
PT_DECLARE_FORMAT(arm64_s2_16k);
PT_DECLARE_FORMAT(arm64_s2_64k);

/*
 * RISC-V's first stage: Sv39, Sv48 and Sv57 by 3 to 5 levels, and the lower half
 * of the addresses that they cover; and its second stage, Sv39x4 and so on, with
 * a top table of 16 KiB and two bits more.
 */
PT_DECLARE_FORMAT(riscv);
PT_DECLARE_FORMAT(riscv_x4);

#endif
