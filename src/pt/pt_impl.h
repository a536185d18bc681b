/* SPDX-License-Identifier: MIT */
/*
 * What the engine, the formats and pt.c share. A format is a header of inline
 * functions about the bits of one entry, and the engine is included after it,
 * once per format: the compiler sees both and the hot loops call nothing.
 *
 * A format header defines
 *
 *	enum {
 *		FMT_GRANULE_LG2,   log2 of a level 0 item's bytes
 *		FMT_INDEX_LG2,     log2 of the items of a table
 *		FMT_LEVELS_MIN,    fewest levels there can be
 *		FMT_LEVELS,        most
 *		FMT_VA_LG2,        VAs are below 2^this
 *		FMT_OA_LG2,        OAs are below 2^this
 *		FMT_TOP_LG2,       log2 of the items of the top table that VAs reach,
 *				   unless the VA's size is given: FMT_INDEX_LG2, or
 *				   less (sign-extended VAs), or more (RISC-V's x4)
 *		FMT_TOP_MAX_LG2,   the same, if a larger VA is asked for (Arm's
 *				   concatenated tables)
 *		FMT_TOP_MIN_LG2,   the same, if a smaller VA is asked for: above 0 if
 *				   hardware takes the number of levels from that
 *		FMT_FEATURES,      PT_FEAT_* that are known
 *	};
 *
 * and these, where item is the log2 of the bytes of one of the level's items:
 *
 *	u64 fmt_leaf_sizes(unsigned int level, unsigned int item);
 *		sizes of leaves that begin in a table of @level, bit n for 2^n
 *	u64 fmt_attr(unsigned int features, unsigned int prot);
 *		what of a leaf depends on its permissions
 *	u64 fmt_make_leaf(u64 oa, unsigned int item, unsigned int lg2, u64 attr);
 *		the first of the leaf's items
 *	u64 fmt_item_step(unsigned int item);
 *		what the next item of the same leaf has more than this one; 0 if
 *		they are all alike
 *	u64 fmt_make_table(u64 oa, unsigned int child_level);
 *	enum fmt_kind fmt_kind(u64 entry, unsigned int level);
 *	u64 fmt_table_oa(u64 entry);
 *	unsigned int fmt_leaf_lg2(u64 entry, unsigned int item);
 *	u64 fmt_leaf_oa(u64 entry, unsigned int item);
 *	unsigned int fmt_leaf_prot(u64 entry);
 *	bool fmt_leaf_dirty(u64 entry);
 *		false for anything that is not a leaf
 *	u64 fmt_make_dirty(u64 entry);
 *		the same if the leaf is dirty already or cannot be
 *	u64 fmt_make_clean(u64 entry);
 *		of a dirty leaf
 *
 * An entry of zero is empty in every format, and so is one that holds nothing
 * but the address of a table: unlinked tables are chained by their first entry
 * while hardware may still read it.
 */
#ifndef PT_IMPL_H
#define PT_IMPL_H

#include "pt/pt.h"

enum fmt_kind {
	FMT_EMPTY,
	FMT_LEAF,
	FMT_TABLE,
};

/**
 * struct pt_format - a format's limits, for what need not be fast
 * @granule_lg2: as FMT_GRANULE_LG2, and so on
 * @leaf_sizes: fmt_leaf_sizes() of all levels that the table will have
 */
struct pt_format {
	unsigned int granule_lg2;
	unsigned int index_lg2;
	unsigned int levels_min;
	unsigned int levels;
	unsigned int va_lg2;
	unsigned int oa_lg2;
	unsigned int top_lg2;
	unsigned int top_max_lg2;
	unsigned int top_min_lg2;
	unsigned int features;
	u64 leaf_sizes;
};

/* Check @config, fill in @pt and allocate its top table. */
int pt_setup(struct pt *pt, struct base_alloc *alloc, const struct pt_config *config,
	     const struct pt_format *format) __must_check;

/* Free the top table and all that are spare or dead. */
void pt_teardown(struct pt *pt);

/* A table without an entry, or NULL. */
pt_entry *pt_table_get(struct pt *pt) __must_check;

/* @table has no entry, and no entry points at it any more. */
void pt_table_put(struct pt *pt, pt_entry *table);

#endif
