/* SPDX-License-Identifier: MIT */
/*
 * The engine: map, unmap, walk and dirty tracking for any radix table of 8-byte
 * entries. Included once per format, after the format's header (pt_impl.h says
 * what that defines) and with PT_FN(name) set to name the functions.
 *
 * All operations on ranges are loops over a cursor, a place in the tree with
 * the tables on the way to it. The cursor moves to an address by going up only
 * as far as the old and the new address differ and down from there, so that
 * neighbours cost nothing and no function recurses. Within a table, the loops
 * run over its items without looking at other levels.
 *
 * Map works in two passes. The first finds or makes the tables and checks that
 * all items are empty; it may fail, and then what it made is taken away again,
 * before hardware could have seen any of the new leaves. The second writes the
 * leaves and cannot fail. For a range in one table the cursor makes the second
 * pass free of walking.
 *
 * No table but the top one is ever left empty. Whether one has become so is
 * found by looking at the items around the cleared ones, nearest first, up to
 * the first that is in use: in tables that are in use, soon. That costs nothing
 * to keep up to date, unlike a count, and needs no room.
 *
 * Inside, VAs are counted from the tree's first one, so that it makes no
 * difference at which end of the address space it lies.
 */
#ifndef PT_ENGINE_H
#define PT_ENGINE_H

#include "pt_impl.h"

#define TABLE_ITEMS (1u << FMT_INDEX_LG2)

/* log2 of the bytes of VA that one item of a table of @level is for. */
static inline unsigned int item_lg2(unsigned int level)
{
	return FMT_GRANULE_LG2 + level * FMT_INDEX_LG2;
}

static inline u64 entry_load(const pt_entry *slot)
{
	return atomic_load_explicit(slot, memory_order_acquire);
}

/* For who wants to know no more than whether there is an entry. */
static inline u64 entry_peek(const pt_entry *slot)
{
	return atomic_load_explicit(slot, memory_order_relaxed);
}

/* Who reads the entry also sees what was written before: the table, the memory. */
static inline void entry_publish(pt_entry *slot, u64 entry)
{
	atomic_store_explicit(slot, entry, memory_order_release);
}

static inline void entry_clear(pt_entry *slot)
{
	atomic_store_explicit(slot, 0, memory_order_relaxed);
}

static inline pt_entry *entry_table(u64 entry)
{
	return (pt_entry *)(uintptr_t)fmt_table_oa(entry);
}

/* Items that a leaf of a table of @level fills. */
static inline unsigned int leaf_items(u64 entry, unsigned int level)
{
	return 1u << (fmt_leaf_lg2(entry, item_lg2(level)) - item_lg2(level));
}

/* Where the tree's VAs begin: at 0, unless the format knows better. */
static inline u64 tree_first(const struct pt *pt)
{
	return FMT_FEATURES & PT_FEAT_UPPER ? pt->va_first : 0;
}

/**
 * struct cursor - a place in the tree
 * @pt: the tree
 * @va: the address; all below the place's level is of no account
 * @level: level of the place's table
 * @table: the tables on the way, from @level up to the top
 */
struct cursor {
	struct pt *pt;
	u64 va;
	unsigned int level;
	pt_entry *table[FMT_LEVELS];
};

static inline void cursor_init(struct cursor *c, struct pt *pt, u64 va)
{
	c->pt = pt;
	c->va = va;
	c->level = pt->top_level;
	c->table[c->level] = pt->top;
}

/* The top table may have more items than others. */
static inline unsigned int cursor_index(const struct cursor *c, u64 va)
{
	u64 index = va >> item_lg2(c->level);

	return (unsigned int)(c->level == c->pt->top_level ? index : index & (TABLE_ITEMS - 1));
}

static inline pt_entry *cursor_slot(const struct cursor *c)
{
	return &c->table[c->level][cursor_index(c, c->va)];
}

/* First VA of item @index of the cursor's table. */
static inline u64 cursor_item_va(const struct cursor *c, unsigned int index)
{
	u64 va = (u64)index << item_lg2(c->level);

	if (c->level < c->pt->top_level)
		va += align_down(c->va, (u64)1 << item_lg2(c->level + 1));
	return va;
}

/* Index of the item with @last, or of the table's last item if that comes first. */
static inline unsigned int cursor_stop(const struct cursor *c, u64 last)
{
	if (c->level < c->pt->top_level && (c->va ^ last) >> item_lg2(c->level + 1))
		return TABLE_ITEMS - 1;
	return cursor_index(c, last);
}

/*
 * Go to @va, in the lowest table at hand that has it. A larger leaf than the
 * one before begins where a table ends, so that this goes up as far as it needs.
 */
static inline void cursor_seek(struct cursor *c, u64 va)
{
	u64 differs = c->va ^ va;

	while (c->level < c->pt->top_level && differs >> item_lg2(c->level + 1))
		c->level++;
	c->va = va;
}

/* Go down to the lowest table there is. */
static inline void cursor_descend(struct cursor *c)
{
	for (;;) {
		u64 entry = entry_load(cursor_slot(c));

		if (fmt_kind(entry, c->level) != FMT_TABLE)
			return;
		c->table[--c->level] = entry_table(entry);
	}
}

/*
 * Go down to a table of @level, making what tables are missing. On failure the
 * cursor stays where it could not go on.
 */
static inline int cursor_grow(struct cursor *c, unsigned int level)
{
	while (c->level > level) {
		pt_entry *slot = cursor_slot(c);
		u64 entry = entry_load(slot);
		enum fmt_kind kind = fmt_kind(entry, c->level);
		pt_entry *table;

		if (kind == FMT_LEAF)
			return -EADDRINUSE;
		if (likely(kind == FMT_TABLE)) {
			table = entry_table(entry);
		} else {
			table = pt_table_get(c->pt);
			if (!table)
				return -ENOMEM;
			entry_publish(slot, fmt_make_table((u64)(uintptr_t)table, c->level - 1));
		}
		c->table[--c->level] = table;
	}
	return 0;
}

/* Are @n items empty? In tables of ours an empty entry is zero. */
static inline bool items_empty(const pt_entry *slot, unsigned int n)
{
	u64 any = 0;

	/* Whole cache lines first, with one branch each. */
	for (; n >= 8; n -= 8, slot += 8) {
		any = entry_peek(&slot[0]) | entry_peek(&slot[1]) | entry_peek(&slot[2]) |
		      entry_peek(&slot[3]) | entry_peek(&slot[4]) | entry_peek(&slot[5]) |
		      entry_peek(&slot[6]) | entry_peek(&slot[7]);
		if (any)
			return false;
	}
	while (n--)
		any |= entry_peek(slot++);
	return !any;
}

/* Has the table no entry? Those in [first, end) are known to be empty. */
static bool table_empty(const pt_entry *table, unsigned int first, unsigned int end)
{
	while (first || end < TABLE_ITEMS) {
		unsigned int before = first < 8 ? first : 8;
		unsigned int after = TABLE_ITEMS - end < 8 ? TABLE_ITEMS - end : 8;

		if (!items_empty(&table[end], after))
			return false;
		first -= before;
		if (!items_empty(&table[first], before))
			return false;
		end += after;
	}
	return true;
}

/*
 * Items [first, end) of the cursor's table have become empty: if all of it has,
 * unlink it, and then perhaps the one above. Leaves the cursor in a table that
 * stays.
 */
static void cursor_reclaim(struct cursor *c, unsigned int first, unsigned int end)
{
	while (c->level < c->pt->top_level) {
		pt_entry *table = c->table[c->level];

		if (!table_empty(table, first, end))
			return;
		c->level++;
		entry_clear(cursor_slot(c));
		pt_table_put(c->pt, table);
		first = cursor_index(c, c->va);
		end = first + 1;
	}
}

/*
 * Empty the items from @first to @stop, or up to the first one that holds a
 * table. Return: index of the first one that was not dealt with.
 */
static inline unsigned int clear_items(struct cursor *c, unsigned int first, unsigned int stop)
{
	pt_entry *table = c->table[c->level];
	unsigned int i = first;

	while (i <= stop) {
		u64 entry = entry_load(&table[i]);
		enum fmt_kind kind = fmt_kind(entry, c->level);
		unsigned int n;

		if (kind == FMT_TABLE)
			break;
		if (kind == FMT_EMPTY) {
			i++;
			continue;
		}
		n = leaf_items(entry, c->level);
		/* A branch, so that the next item need not wait for this one. */
		if (likely(n == 1)) {
			entry_clear(&table[i++]);
			continue;
		}
		for (i &= ~(n - 1); n; n--)
			entry_clear(&table[i++]);
	}
	return i;
}

/* Unmap, and unlink all tables in the range that are empty. */
static void clear_range(struct pt *pt, u64 va, u64 last)
{
	struct cursor c;

	cursor_init(&c, pt, va);
	for (;;) {
		unsigned int first, end;
		u64 done;

		cursor_descend(&c);
		first = cursor_index(&c, c.va);
		end = clear_items(&c, first, cursor_stop(&c, last));
		done = cursor_item_va(&c, end) - 1;
		cursor_reclaim(&c, first, end);
		if (done >= last)
			return;
		cursor_seek(&c, done + 1);
	}
}

/**
 * struct run - what is left of a mapping to be made
 * @va: where it begins
 * @oa: where that goes
 * @last: last VA
 * @max_lg2: log2 of the largest leaf that VA and OA can ever have together
 * @lg2: log2 of the bytes of the leaf at @va
 * @count: as many leaves of that size follow one another in one table
 */
struct run {
	u64 va;
	u64 oa;
	u64 last;
	unsigned int max_lg2;
	unsigned int lg2;
	unsigned int count;
};

/* log2 of the largest leaf that is no larger than 2^lg2. */
static inline unsigned int run_size(const struct pt *pt, unsigned int lg2)
{
	return highest_bit(pt->pgsize_bitmap & (((u64)2 << lg2) - 1));
}

static inline void run_init(struct run *r, const struct pt *pt, u64 va, u64 oa, u64 last)
{
	r->va = va;
	r->oa = oa;
	r->last = last;
	r->max_lg2 = run_size(pt, va == oa ? 63 : lowest_bit(va ^ oa));
}

/* Choose the leaves at the run's start; return the level they go to. */
static inline unsigned int run_leaves(struct run *r, const struct pt *pt)
{
	u64 rest = r->last - r->va + 1; /* does not wrap: a length is below 2^64 */
	unsigned int fits = highest_bit(rest);
	unsigned int level;

	if ((r->va | r->oa) && lowest_bit(r->va | r->oa) < fits)
		fits = lowest_bit(r->va | r->oa);
	r->lg2 = run_size(pt, fits);
	r->count = 1;
	level = (r->lg2 - FMT_GRANULE_LG2) / FMT_INDEX_LG2;
	/* A smaller leaf may end where a larger one can begin; the largest cannot. */
	if (r->lg2 == r->max_lg2) {
		u64 table = (u64)1 << item_lg2(level + 1);
		u64 left = table - (r->va & (table - 1));

		r->count = (unsigned int)(min_u64(rest, left) >> r->lg2);
	}
	return level;
}

/* Go past the leaves; false if they were the last. */
static inline bool run_next(struct run *r)
{
	u64 bytes = (u64)r->count << r->lg2;

	if (r->last - r->va < bytes)
		return false;
	r->va += bytes;
	r->oa += bytes;
	return true;
}

/* Items that the leaves fill, in a table of @level. */
static inline unsigned int run_items(const struct run *r, unsigned int level)
{
	return r->count << (r->lg2 - item_lg2(level));
}

/* First pass of map: see to it that there is a place for every leaf. */
static int make_room(struct cursor *c, struct run r)
{
	const u64 start = r.va;
	unsigned int index;
	int err;

	do {
		unsigned int level = run_leaves(&r, c->pt);

		cursor_seek(c, r.va);
		err = cursor_grow(c, level);
		if (!err && !items_empty(cursor_slot(c), run_items(&r, level)))
			err = -EADDRINUSE;
		if (unlikely(err))
			goto undo;
	} while (run_next(&r));
	return 0;

undo:
	/*
	 * Up to here the range has no leaf, only tables. The empty ones among
	 * them are new: no other operation leaves any.
	 */
	index = cursor_index(c, r.va);
	cursor_reclaim(c, index, index);
	if (r.va != start)
		clear_range(c->pt, start, r.va - 1);
	return err;
}

/* Second pass: write the leaves. */
static void write_leaves(struct cursor *c, struct run r, u64 attr)
{
	do {
		unsigned int level = run_leaves(&r, c->pt);
		unsigned int item = item_lg2(level);
		unsigned int n = 1u << (r.lg2 - item);
		u64 oa = r.oa;
		pt_entry *slot, *end;

		cursor_seek(c, r.va);
		while (c->level > level) {
			pt_entry *table = entry_table(entry_load(cursor_slot(c)));

			c->table[--c->level] = table;
		}
		slot = cursor_slot(c);
		for (end = slot + run_items(&r, level); slot < end; oa += (u64)1 << r.lg2) {
			u64 entry = fmt_make_leaf(oa, item, r.lg2, attr);
			unsigned int i;

			for (i = 0; i < n; i++, entry += fmt_item_step(item))
				entry_publish(slot++, entry);
		}
	} while (run_next(&r));
}

#define PROT_ALL (PT_PROT_READ | PT_PROT_WRITE | PT_PROT_MMIO | PT_PROT_NOEXEC | PT_PROT_PRIV)

int PT_FN(map)(struct pt *pt, u64 va, u64 oa, u64 len, unsigned int prot)
{
	u64 last, oa_last;
	struct cursor c;
	struct run run;
	int err;

	if (range_last(va, len, &last) || range_last(oa, len, &oa_last))
		return -EINVAL;
	if (va < tree_first(pt) || last > pt->va_last || oa_last > pt->oa_last)
		return -EINVAL;
	if (!is_aligned(va | oa | len, (u64)1 << lowest_bit(pt->pgsize_bitmap)))
		return -EINVAL;
	/* Not every format could tell a leaf that allows nothing from none. */
	if (!(prot & (PT_PROT_READ | PT_PROT_WRITE)) || prot & ~PROT_ALL)
		return -EINVAL;

	run_init(&run, pt, va - tree_first(pt), oa, last - tree_first(pt));
	cursor_init(&c, pt, run.va);
	err = make_room(&c, run);
	if (err)
		return err;
	write_leaves(&c, run, fmt_attr(pt->features, prot));
	return 0;
}

/* The part of a range that the tree can have mapped; false if there is none. */
static inline bool clamp_range(const struct pt *pt, u64 *va, u64 len, u64 *last)
{
	if (range_last(*va, len, last))
		*last = len ? U64_MAX : 0;
	*last = min_u64(*last, pt->va_last);
	*va = max_u64(*va, tree_first(pt));
	if (!len || *va > *last)
		return false;
	*va -= tree_first(pt);
	*last -= tree_first(pt);
	return true;
}

void PT_FN(unmap)(struct pt *pt, u64 va, u64 len)
{
	u64 last;

	if (clamp_range(pt, &va, len, &last))
		clear_range(pt, va, last);
}

/*
 * The item that maps @va, or NULL. This is what a device's DMA waits for, so it
 * keeps nothing but the table and its level.
 */
static inline pt_entry *find_leaf(const struct pt *pt, u64 va, unsigned int *level, u64 *entry)
{
	pt_entry *table = pt->top;
	u64 index;

	va -= tree_first(pt);
	if (unlikely(va > pt->va_last - tree_first(pt)))
		return NULL;
	*level = pt->top_level;
	index = va >> item_lg2(*level);
	for (;;) {
		enum fmt_kind kind;

		*entry = entry_load(&table[index]);
		kind = fmt_kind(*entry, *level);
		if (kind == FMT_LEAF)
			return &table[index];
		if (kind == FMT_EMPTY)
			return NULL;
		table = entry_table(*entry);
		--*level;
		index = va >> item_lg2(*level) & (TABLE_ITEMS - 1);
	}
}

bool PT_FN(walk)(const struct pt *pt, u64 va, struct pt_leaf *leaf)
{
	unsigned int level, item;
	u64 entry;

	if (!find_leaf(pt, va, &level, &entry))
		return false;
	item = item_lg2(level);
	leaf->lg2 = fmt_leaf_lg2(entry, item);
	leaf->va = align_down(va, (u64)1 << leaf->lg2);
	leaf->oa = fmt_leaf_oa(entry, item);
	leaf->prot = fmt_leaf_prot(entry);
	return true;
}

u64 PT_FN(lookup)(const struct pt *pt, u64 va, unsigned int *prot)
{
	unsigned int level;
	u64 entry, offset;

	if (!find_leaf(pt, va, &level, &entry))
		return U64_MAX;
	if (prot)
		*prot = fmt_leaf_prot(entry);
	offset = va & (((u64)1 << fmt_leaf_lg2(entry, item_lg2(level))) - 1);
	return fmt_leaf_oa(entry, item_lg2(level)) | offset;
}

bool PT_FN(set_dirty)(struct pt *pt, u64 va)
{
	unsigned int level;
	u64 entry, dirty;
	pt_entry *slot;

	/* Look again whenever somebody changed the entry: it may have gone. */
	do {
		slot = find_leaf(pt, va, &level, &entry);
		if (!slot)
			return false;
		dirty = fmt_make_dirty(entry);
		if (dirty == entry)
			return true;
	} while (!atomic_compare_exchange_weak_explicit(slot, &entry, dirty, memory_order_acq_rel,
							memory_order_relaxed));
	return true;
}

/**
 * struct dirty_scan - one read_and_clear_dirty
 * @first: first VA asked for
 * @last: last one
 * @clear: forget what is found
 * @va_first: where the tree's VAs begin
 * @report: told what is found; may be NULL
 * @arg: its first argument
 * @found: @found_first and @found_last wait to be reported
 * @found_first: first VA of the dirty leaves found last
 * @found_last: their last VA, not clipped
 */
struct dirty_scan {
	u64 first;
	u64 last;
	bool clear;
	u64 va_first;
	pt_dirty_fn report;
	void *arg;
	bool found;
	u64 found_first;
	u64 found_last;
};

static void scan_report(struct dirty_scan *s)
{
	u64 first = max_u64(s->found_first, s->first);
	u64 last = min_u64(s->found_last, s->last);

	if (s->found && s->report)
		s->report(s->arg, s->va_first + first, last - first + 1);
	s->found = false;
}

static void clean_items(pt_entry *slot, unsigned int n)
{
	for (; n; n--, slot++) {
		u64 entry = entry_load(slot);

		while (fmt_leaf_dirty(entry) && !atomic_compare_exchange_weak_explicit(
							slot, &entry, fmt_make_clean(entry),
							memory_order_acq_rel, memory_order_acquire))
			;
	}
}

/* Item @i is a dirty one of a leaf. Return: index of the item after the leaf. */
static unsigned int scan_leaf(struct cursor *c, struct dirty_scan *s, unsigned int i, u64 entry)
{
	unsigned int n = leaf_items(entry, c->level);
	u64 first, last;

	i &= ~(n - 1);
	first = cursor_item_va(c, i);
	last = first + (((u64)n << item_lg2(c->level)) - 1);
	if (s->clear && first >= s->first && last <= s->last)
		clean_items(&c->table[c->level][i], n);
	if (s->found && s->found_last + 1 == first) {
		s->found_last = last;
	} else {
		scan_report(s);
		s->found = true;
		s->found_first = first;
		s->found_last = last;
	}
	return i + n;
}

/*
 * As clear_items(), for dirty leaves. A leaf is as dirty as any of its items:
 * it is enough to look for dirty items, and at the first and the last leaf also
 * at those that are outside the range.
 */
static inline unsigned int scan_items(struct cursor *c, struct dirty_scan *s, unsigned int i,
				      unsigned int stop)
{
	const pt_entry *table = c->table[c->level];
	u64 entry = entry_load(&table[i]);

	if (fmt_kind(entry, c->level) == FMT_LEAF)
		i &= ~(leaf_items(entry, c->level) - 1);
	entry = entry_load(&table[stop]);
	if (fmt_kind(entry, c->level) == FMT_LEAF)
		stop |= leaf_items(entry, c->level) - 1;

	while (i <= stop) {
		entry = entry_load(&table[i]);
		if (unlikely(fmt_leaf_dirty(entry)))
			i = scan_leaf(c, s, i, entry);
		else if (c->level && fmt_kind(entry, c->level) == FMT_TABLE)
			break;
		else
			i++;
	}
	return i;
}

void PT_FN(read_and_clear_dirty)(struct pt *pt, u64 va, u64 len, bool clear, pt_dirty_fn report,
				 void *arg)
{
	struct dirty_scan scan = {
		.clear = clear, .va_first = tree_first(pt), .report = report, .arg = arg};
	struct cursor c;

	if (!clamp_range(pt, &va, len, &scan.last))
		return;
	scan.first = va;
	cursor_init(&c, pt, va);
	for (;;) {
		unsigned int end;
		u64 done;

		cursor_descend(&c);
		end = scan_items(&c, &scan, cursor_index(&c, va), cursor_stop(&c, scan.last));
		done = cursor_item_va(&c, end) - 1;
		if (done >= scan.last)
			break;
		va = done + 1;
		cursor_seek(&c, va);
	}
	scan_report(&scan);
}

int PT_FN(init)(struct pt *pt, struct base_alloc *alloc, const struct pt_config *config)
{
	struct pt_format format = {
		.granule_lg2 = FMT_GRANULE_LG2,
		.index_lg2 = FMT_INDEX_LG2,
		.levels_min = FMT_LEVELS_MIN,
		.levels = FMT_LEVELS,
		.va_lg2 = FMT_VA_LG2,
		.oa_lg2 = FMT_OA_LG2,
		.top_lg2 = FMT_TOP_LG2,
		.top_max_lg2 = FMT_TOP_MAX_LG2,
		.top_min_lg2 = FMT_TOP_MIN_LG2,
		.features = FMT_FEATURES,
	};
	unsigned int level;

	for (level = 0; level < config->levels && level < FMT_LEVELS; level++)
		format.leaf_sizes |= fmt_leaf_sizes(level, item_lg2(level));
	return pt_setup(pt, alloc, config, &format);
}

void PT_FN(destroy)(struct pt *pt)
{
	clear_range(pt, 0, pt->va_last - tree_first(pt));
	pt_teardown(pt);
}

#endif
