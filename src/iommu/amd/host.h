/* SPDX-License-Identifier: MIT */
/*
 * Walking host (v1) tables, section 2.2.3 "I/O Page Tables for Host
 * Translations": the only translation, or the one under a guest's tables.
 *
 * An entry's Next Level field names the level of the table that it points at,
 * and levels may be skipped if the bits of the address that they would use are
 * zero. With 0 or 7 it is a page: of one item, or of the size that is encoded in
 * the address. What may be done is what all levels and the device table entry
 * allow.
 *
 * The tables are our own: those of src/pt, in plain memory, which stay while an
 * access runs. Levels are counted from 1 here, as in the specification.
 */
#ifndef AMD_HOST_H
#define AMD_HOST_H

#include "amd.h"

/**
 * enum host_fault - how a walk ends
 * @HOST_OK: at a page
 * @HOST_AGAIN: from host_commit(): the entry has changed, walk again
 * @HOST_NOT_PRESENT: no such page, or beyond what the tables cover
 * @HOST_RZ: a level that cannot be, or reserved bits
 * @HOST_DENIED: not allowed
 */
enum host_fault {
	HOST_OK,
	HOST_AGAIN,
	HOST_NOT_PRESENT,
	HOST_RZ,
	HOST_DENIED,
};

/**
 * struct host_near - the table that a walk ended in, for others of the same access
 * @table: the table; 0 for none
 * @level: its level
 * @region: bits of the addresses that it is for, above its own
 * @all: bits that all entries on the way to it have
 */
struct host_near {
	u64 table;
	unsigned int level;
	u64 region;
	u64 all;
};

/**
 * struct host_walk - a walk
 * @root: the top table
 * @mode: its level; 0 for no tables: addresses are what they are
 * @allowed: HOST_IR and HOST_IW of the device table entry
 * @update: HOST_A and HOST_D, as far as hardware is to set them
 * @depth: for @req->step
 * @req: told each entry
 * @near: where to begin, if that helps, and where it ended; for host_walk_near()
 *
 * What comes out, of the last entry:
 *
 * @hpa: what the address became
 * @lg2: log2 of the page's bytes
 * @item_lg2: log2 of the bytes that each entry of the table is for
 * @all: bits that all entries have, with @allowed
 * @slot: where it was read; NULL with @mode 0
 * @entry: what was read
 */
struct host_walk {
	u64 root;
	unsigned int mode;
	u64 allowed;
	u64 update;
	unsigned int depth;
	const struct dma_request *req;
	struct host_near near;

	hpa_t hpa;
	unsigned int lg2;
	unsigned int item_lg2;
	u64 all;
	_Atomic u64 *slot;
	u64 entry;
};

/* hw.c: tell w->req->step of an entry. */
void host_step(const struct host_walk *w, unsigned int level, enum host_fault fault);

static inline unsigned int host_item_lg2(unsigned int level)
{
	return 3 + 9 * level;
}

static inline u64 host_mask(unsigned int lg2)
{
	return ((u64)1 << lg2) - 1;
}

/*
 * log2 of the bytes of the page that an entry of @level maps, or 0 if there is
 * no such page. Table 14: the size is as many ones as the address has from bit
 * 12 on; it has to be one that this level's items can make up. Table 15: the
 * highest level has no pages.
 */
static inline unsigned int host_page_lg2(u64 entry, unsigned int level)
{
	unsigned int item = host_item_lg2(level), lg2;

	if (level == AMD_MODE_MAX)
		return 0;
	if ((entry >> HOST_NEXT_SHIFT & 7) != HOST_ENCODED)
		return item;
	lg2 = lowest_bit(~(entry >> 12)) + 13;
	return lg2 >= item && lg2 < item + 9 && lg2 <= 51 ? lg2 : 0;
}

/* Set @bits in the last entry. HOST_AGAIN if it is another by now. */
static inline enum host_fault host_update(struct host_walk *w, u64 bits)
{
	u64 expected = w->entry;

	while ((expected & bits) != bits) {
		if (atomic_compare_exchange_weak_explicit(w->slot, &expected, expected | bits,
							  memory_order_acq_rel,
							  memory_order_acquire)) {
			expected |= bits;
			break;
		}
		if ((expected ^ w->entry) & ~(HOST_A | HOST_D))
			return HOST_AGAIN;
	}
	w->entry = expected;
	return HOST_OK;
}

/* The last entry is a page. */
static inline enum host_fault host_leaf(struct host_walk *w, u64 addr, unsigned int level)
{
	w->item_lg2 = host_item_lg2(level);
	w->lg2 = host_page_lg2(w->entry, level);
	if (unlikely(!w->lg2))
		return HOST_RZ;
	w->hpa = (w->entry & HOST_ADDR & ~host_mask(w->lg2)) | (addr & host_mask(w->lg2));
	return HOST_OK;
}

/* May an entry of @level point at a table of level @next? */
static inline enum host_fault host_next(u64 addr, unsigned int level, unsigned int next)
{
	if (likely(next == level - 1))
		return HOST_OK;
	if (next >= level)
		return HOST_RZ;
	/* Addresses that a skipped level would tell apart. */
	addr &= host_mask(host_item_lg2(level)) & ~host_mask(host_item_lg2(next + 1));
	return addr ? HOST_NOT_PRESENT : HOST_OK;
}

static inline enum host_fault host_identity(struct host_walk *w, u64 addr, u64 need)
{
	w->hpa = addr;
	w->lg2 = 30;
	w->all = w->allowed;
	w->slot = NULL;
	return (w->all & need) == need ? HOST_OK : HOST_DENIED;
}

/* From an entry of @table, of @level, on; w->all is what leads there. */
static inline __attribute__((always_inline)) enum host_fault
host_walk_from(struct host_walk *w, u64 addr, u64 need, u64 table, unsigned int level, bool near)
{
	enum host_fault fault;
	unsigned int next;
	bool leaf;
	u64 all;

	for (;;) {
		all = w->all;
		w->slot = (_Atomic u64 *)(uintptr_t)(table +
						     (addr >> host_item_lg2(level) & 511) * 8);
	again:
		w->entry = atomic_load_explicit(w->slot, memory_order_acquire);
		next = (unsigned int)(w->entry >> HOST_NEXT_SHIFT) & 7;
		leaf = !next || next == HOST_ENCODED;
		if (unlikely(!(w->entry & HOST_PR)))
			fault = HOST_NOT_PRESENT;
		else if (unlikely(w->entry & HOST_RESERVED))
			fault = HOST_RZ;
		else
			fault = leaf ? host_leaf(w, addr, level) : host_next(addr, level, next);
		w->all = all & w->entry;
		if (unlikely(w->update && !fault && !leaf && host_update(w, HOST_A)))
			goto again;
		if (unlikely(w->req->step != NULL))
			host_step(w, level, fault);
		if (unlikely(fault))
			return fault;
		if (leaf)
			break;
		table = w->entry & HOST_ADDR;
		level = next;
	}
	if (near)
		w->near = (struct host_near){ table, level, addr >> 3 >> 9 * (level + 1), all };
	return likely((w->all & need) == need) ? HOST_OK : HOST_DENIED;
}

/* Translate @addr, if @need (HOST_IR, HOST_IW) is allowed. */
static inline enum host_fault host_walk(struct host_walk *w, u64 addr, u64 need)
{
	const unsigned int level = w->mode;

	if (unlikely(!level))
		return host_identity(w, addr, need);
	if (unlikely(level < AMD_MODE_MAX && addr >> host_item_lg2(level + 1)))
		return HOST_NOT_PRESENT;
	w->all = w->allowed;
	return host_walk_from(w, addr, need, w->root, level, false);
}

/*
 * The same for one of many addresses of an access: a guest's tables are often
 * near each other, and what led to the last one leads to the next.
 */
static inline enum host_fault host_walk_near(struct host_walk *w, u64 addr, u64 need)
{
	const unsigned int level = w->mode;

	if (likely(w->near.table && addr >> 3 >> 9 * (w->near.level + 1) == w->near.region) &&
	    !w->req->step) {
		w->all = w->near.all;
		return host_walk_from(w, addr, need, w->near.table, w->near.level, true);
	}
	if (unlikely(!level))
		return host_identity(w, addr, need);
	if (unlikely(level < AMD_MODE_MAX && addr >> host_item_lg2(level + 1)))
		return HOST_NOT_PRESENT;
	w->all = w->allowed;
	return host_walk_from(w, addr, need, w->root, level, true);
}

/* Nothing refuses the request any more: mark the page, as written if @write. */
static inline enum host_fault host_commit(struct host_walk *w, bool write)
{
	u64 bits = write ? w->update : w->update & HOST_A;

	if (likely(!bits) || !w->slot)
		return HOST_OK;
	return host_update(w, bits);
}

/* What a translation of the page allows, once it is committed. */
static inline unsigned int host_perms(const struct host_walk *w, bool tracked)
{
	unsigned int perms = w->all & HOST_IR ? SIOMMU_DMA_READ | SIOMMU_DMA_EXEC : 0;

	if (w->all & HOST_IW && !(tracked && w->slot && !(w->entry & HOST_D)))
		perms |= SIOMMU_DMA_WRITE;
	return perms;
}

#endif
