/* SPDX-License-Identifier: MIT */
/*
 * Walking x86-64 page tables as an IOMMU does: VT-d's first stage, AMD's guest
 * tables.
 *
 * The tables may be a guest's: every entry is read once, and what was read is
 * what is used; an entry may change at any time, so it is updated only by
 * compare-exchange from what was read. A walk ends after as many reads as there
 * are levels, whatever the tables contain.
 *
 * The walk goes down to the leaf and sets accessed bits on the way. The leaf's
 * own bits are left to x86_walk_commit(), which the caller calls when nothing
 * can refuse the request any more, such as a second stage: a page is dirty only
 * if it was going to be written.
 *
 * Where tables are is the caller's business: a function that turns the address
 * of an entry into an hpa. It is always a constant, and so inlined.
 *
 * Level 0 is the PT, level 4 the PML5.
 */
#ifndef X86_WALK_H
#define X86_WALK_H

#include "dma/dma.h"

/* "Intel 64 and IA-32 Architectures Software Developer's Manual", volume 3, section 4.5. */
#define X86_PTE_P    ((u64)1 << 0)
#define X86_PTE_RW   ((u64)1 << 1)
#define X86_PTE_US   ((u64)1 << 2)
#define X86_PTE_A    ((u64)1 << 5)
#define X86_PTE_D    ((u64)1 << 6)
#define X86_PTE_PS   ((u64)1 << 7)
#define X86_PTE_EA   ((u64)1 << 10) /* VT-d's extended accessed */
#define X86_PTE_ADDR ((((u64)1 << 40) - 1) << 12)
#define X86_PTE_XD   ((u64)1 << 63)

/**
 * enum x86_walk_flags - what the tables' owner has set
 * @X86_WALK_CANONICAL: bits above the highest that is translated equal it
 * @X86_WALK_PAGES_1G: a PDPTE may map 1 GiB
 * @X86_WALK_WP: read-only pages are so for privileged requests, too (CR0.WP)
 * @X86_WALK_NX: XD is honoured; otherwise it is ignored, if not @reserved
 * @X86_WALK_SMEP: privileged software runs no code of users' pages
 * @X86_WALK_AD: accessed and dirty bits are set
 * @X86_WALK_EA: and extended accessed bits
 * @X86_WALK_GUEST: entries are in a guest's memory, not in ours
 */
enum x86_walk_flags {
	X86_WALK_CANONICAL = 1 << 0,
	X86_WALK_PAGES_1G = 1 << 1,
	X86_WALK_WP = 1 << 2,
	X86_WALK_NX = 1 << 3,
	X86_WALK_SMEP = 1 << 4,
	X86_WALK_AD = 1 << 5,
	X86_WALK_EA = 1 << 6,
	X86_WALK_GUEST = 1 << 7,
};

/**
 * enum x86_fault - how a walk ends
 * @X86_OK: at a leaf
 * @X86_AGAIN: from x86_walk_commit(): the leaf is another by now, walk again
 * @X86_NONCANONICAL: the address is none; nothing was read
 * @X86_TABLE: an entry's address cannot be read: @why is what the caller said
 * @X86_TABLE_WRITE: or cannot be written, for an accessed or dirty bit
 * @X86_ABORT: the memory that an entry was in is gone
 * @X86_NOT_PRESENT: P is clear
 * @X86_USER: U/S is clear, and the request is a user's
 * @X86_WRITE: R/W is clear
 * @X86_EXEC: XD is set, or SMEP
 * @X86_RESERVED: reserved bits
 * @X86_UPDATE: somebody keeps changing an entry that is to be updated
 *
 * If one entry is wrong in several ways, the first one here counts.
 */
enum x86_fault {
	X86_OK,
	X86_AGAIN,
	X86_NONCANONICAL,
	X86_TABLE,
	X86_TABLE_WRITE,
	X86_ABORT,
	X86_NOT_PRESENT,
	X86_USER,
	X86_WRITE,
	X86_EXEC,
	X86_RESERVED,
	X86_UPDATE,
};

/* Times that an update may lose against somebody else's. */
#define X86_WALK_RETRIES 64

/**
 * struct x86_walk - a walk
 * @port: whose
 * @req: what for; @req->step is told each entry, @req->peek changes none
 * @names: of entries, by level, for @req->step
 * @root: address of the top table
 * @reserved: bits that must be clear in every entry
 * @flags: enum x86_walk_flags
 * @levels: 4 or 5
 * @access: what must be allowed: enum siommu_dma_access. For a translation
 *	request (ATS) that may not be refused, only SIOMMU_DMA_PRIV counts
 * @dirty: if the page may be written it will be: set the dirty bit
 * @retries: left; starts as X86_WALK_RETRIES
 *
 * What comes out:
 *
 * @level: of the last entry, also on failure
 * @why: see enum x86_fault
 * @address: of the last entry, as the tables say it
 * @hpa: of the last entry
 * @entry: the last entry
 * @output: what req->iova became
 * @lg2: log2 of the page's bytes
 * @perms: what is allowed, dma_perms(). Without write if that must set the dirty
 *	bit first; x86_walk_commit() puts it in if it has
 * @all_set: bits that are set in all entries
 * @any_set: bits that are set in any
 */
struct x86_walk {
	struct dma_port *port;
	const struct dma_request *req;
	const char *const *names;
	u64 root;
	u64 reserved;
	unsigned int flags;
	unsigned int levels;
	unsigned int access;
	bool dirty;
	unsigned int retries;

	unsigned int level;
	int why;
	u64 address;
	hpa_t hpa;
	u64 entry;
	u64 output;
	unsigned int lg2;
	u32 perms;
	u64 all_set;
	u64 any_set;
};

/*
 * Where an entry is that is at @address in the tables' own addresses, to be
 * read, or written too. Return: 0; otherwise x86_walk's @why.
 */
typedef int (*x86_where_fn)(void *arg, u64 address, bool write, hpa_t *hpa);

#define X86_INLINE static inline __attribute__((always_inline))

/* walk.c: tell req->step about w->entry; a reason if the walk ends here. */
void x86_walk_step(const struct x86_walk *w, enum x86_fault fault);

/* walk.c: what is wrong with an entry, of which something is. */
enum x86_fault x86_walk_wrong(const struct x86_walk *w);

/* walk.c: w->perms, at a leaf. */
u32 x86_walk_perms(const struct x86_walk *w);

X86_INLINE int x86_load(const struct x86_walk *w, hpa_t hpa, u64 *entry)
{
	if (unlikely(w->flags & X86_WALK_GUEST && dma_is_remote(w->port, hpa))) {
		/* Of its own, so that @entry can stay in a register. */
		u64 remote = 0;
		int rc = dma_load64(w->port, hpa, &remote);

		*entry = remote;
		return rc;
	}
	*entry = __atomic_load_n((const u64 *)(uintptr_t)hpa, __ATOMIC_ACQUIRE);
	return 0;
}

X86_INLINE int x86_cas(const struct x86_walk *w, hpa_t hpa, u64 *expected, u64 entry)
{
	if (w->flags & X86_WALK_GUEST)
		return dma_cas64(w->port, hpa, expected, entry);
	return __atomic_compare_exchange_n((u64 *)(uintptr_t)hpa, expected, entry, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)
		       ? 0
		       : -EAGAIN;
}

/* Bits that every entry must have: all that is needed is needed at each level. */
X86_INLINE u64 x86_needed(const struct x86_walk *w)
{
	u64 need = X86_PTE_P;

	if (!(w->access & SIOMMU_DMA_PRIV))
		need |= X86_PTE_US;
	if (w->access & SIOMMU_DMA_WRITE &&
	    (!(w->access & SIOMMU_DMA_PRIV) || w->flags & X86_WALK_WP))
		need |= X86_PTE_RW;
	return need;
}

/* Bits that an entry of this level must not have. */
X86_INLINE u64 x86_forbidden(const struct x86_walk *w, unsigned int level, u64 entry)
{
	u64 bits = w->reserved;

	if (w->access & SIOMMU_DMA_EXEC && w->flags & X86_WALK_NX)
		bits |= X86_PTE_XD;
	if (!level)
		return bits;
	if (level > 2 || (level == 2 && !(w->flags & X86_WALK_PAGES_1G)))
		return bits | X86_PTE_PS;
	if (entry & X86_PTE_PS)
		bits |= (((u64)1 << (12 + 9 * level)) - 1) & ~(((u64)1 << 13) - 1);
	return bits;
}

X86_INLINE bool x86_is_leaf(unsigned int level, u64 entry)
{
	return !level || entry & X86_PTE_PS;
}

/* What a table's entry that is used has to have set. */
X86_INLINE u64 x86_accessed(const struct x86_walk *w)
{
	if (!(w->flags & X86_WALK_AD) || w->req->peek)
		return 0;
	return X86_PTE_A | (w->flags & X86_WALK_EA ? X86_PTE_EA : 0);
}

/* Set @bits in w->entry. X86_AGAIN: it is another now, and is in w->entry. */
X86_INLINE enum x86_fault x86_update(struct x86_walk *w, u64 bits, x86_where_fn where, void *arg)
{
	u64 expected = w->entry;
	int rc;

	w->why = where(arg, w->address, true, &w->hpa);
	if (w->why)
		return X86_TABLE_WRITE;
	rc = x86_cas(w, w->hpa, &expected, w->entry | bits);
	if (!rc) {
		w->entry |= bits;
		return X86_OK;
	}
	if (rc != -EAGAIN)
		return X86_ABORT;
	w->entry = expected;
	return w->retries-- ? X86_AGAIN : X86_UPDATE;
}

/* Check w->entry, and set it accessed if it leads to a table. */
X86_INLINE enum x86_fault x86_use(struct x86_walk *w, u64 need, u64 accessed, x86_where_fn where,
				  void *arg)
{
	enum x86_fault fault;

	do {
		u64 entry = w->entry;

		if (unlikely((entry & need) != need || entry & x86_forbidden(w, w->level, entry)))
			return x86_walk_wrong(w);
		if (likely((entry & accessed) == accessed) || x86_is_leaf(w->level, entry))
			return X86_OK;
		fault = x86_update(w, accessed, where, arg);
	} while (fault == X86_AGAIN);
	return fault;
}

X86_INLINE enum x86_fault x86_leaf(struct x86_walk *w)
{
	const u64 mask = ((u64)1 << (12 + 9 * w->level)) - 1;

	w->lg2 = 12 + 9 * w->level;
	w->output = (w->entry & X86_PTE_ADDR & ~mask) | (w->req->iova & mask);
	w->perms = x86_walk_perms(w);
	/* Whose page it is takes all levels to know. */
	if (unlikely(w->access & SIOMMU_DMA_EXEC && w->flags & X86_WALK_SMEP &&
		     w->access & SIOMMU_DMA_PRIV && w->all_set & X86_PTE_US))
		return X86_EXEC;
	return X86_OK;
}

X86_INLINE bool x86_canonical(u64 va, unsigned int levels)
{
	const unsigned int unused = 64 - (12 + 9 * levels);

	return (u64)((s64)(va << unused) >> unused) == va;
}

/*
 * Walk. Addresses beyond what the levels translate are for the caller to refuse
 * if X86_WALK_CANONICAL is not set.
 */
X86_INLINE enum x86_fault x86_walk(struct x86_walk *w, x86_where_fn where, void *arg)
{
	const u64 va = w->req->iova, need = x86_needed(w), accessed = x86_accessed(w);
	/* Bits that a table's entry has, and has not, if there is nothing to do about it. */
	const u64 plain = need | accessed;
	const u64 never = x86_forbidden(w, 0, 0) | X86_PTE_PS;
	u64 table = w->root, all = ~(u64)0, any = 0, address, entry;
	unsigned int level = w->levels;
	enum x86_fault fault;
	hpa_t hpa;

	w->level = level;
	if (unlikely(w->flags & X86_WALK_CANONICAL && !x86_canonical(va, level)))
		return X86_NONCANONICAL;
	for (;;) {
		w->level = --level;
		w->address = address = table | (va >> (12 + 9 * level) & 511) * 8;
		w->why = where(arg, address, false, &hpa);
		if (unlikely(w->why))
			return X86_TABLE;
		if (unlikely(x86_load(w, hpa, &entry)))
			return X86_ABORT;
		if (likely(level && (entry & plain) == plain && !(entry & never) &&
			   !w->req->step)) {
			all &= entry;
			any |= entry;
			table = entry & X86_PTE_ADDR;
			continue;
		}
		w->hpa = hpa;
		w->entry = entry;
		fault = x86_use(w, need, accessed, where, arg);
		w->all_set = all &= w->entry;
		w->any_set = any |= w->entry;
		if (likely(!fault) && x86_is_leaf(level, w->entry))
			fault = x86_leaf(w);
		else if (!fault)
			table = w->entry & X86_PTE_ADDR;
		if (unlikely(w->req->step != NULL))
			x86_walk_step(w, fault);
		if (unlikely(fault) || x86_is_leaf(level, w->entry))
			return fault;
	}
}

/* At a leaf: may the one who asks write to the page? */
X86_INLINE bool x86_writable(const struct x86_walk *w)
{
	return w->all_set & X86_PTE_RW ||
	       (w->access & SIOMMU_DMA_PRIV && !(w->flags & X86_WALK_WP));
}

/*
 * Set the leaf's accessed bit, and the dirty one if it is going to be written.
 * Return: X86_OK; X86_AGAIN: walk again; X86_TABLE_WRITE, X86_ABORT, X86_UPDATE.
 */
X86_INLINE enum x86_fault x86_walk_commit(struct x86_walk *w, x86_where_fn where, void *arg)
{
	const u64 own = X86_PTE_A | X86_PTE_D | X86_PTE_EA;
	u64 bits = x86_accessed(w);
	u64 before = w->entry;
	enum x86_fault fault;

	if (!bits)
		return X86_OK;
	if (w->dirty && x86_writable(w))
		bits |= X86_PTE_D;
	while (unlikely((w->entry & bits) != bits)) {
		fault = x86_update(w, bits, where, arg);
		if (fault == X86_AGAIN && !((w->entry ^ before) & ~own))
			continue;
		if (fault)
			return fault;
		w->perms = x86_walk_perms(w);
	}
	return X86_OK;
}

#endif
