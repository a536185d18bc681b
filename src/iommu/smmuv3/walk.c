// SPDX-License-Identifier: MIT
/*
 * Table walks: VMSAv8-64 (DDI 0487, chapter D8), stage 1 and stage 2.
 *
 * The host's tables are memory of ours. A guest's stage 1 is read where stage 2
 * says that it is; each entry once, so that what was checked is what is used. An
 * entry is changed by compare-and-swap from what was read; if that fails the
 * whole translation begins again.
 *
 * The walks are made once for each granule, so that shifts and masks are
 * constants; stage 1 once with and once without stage 2 below it. They count
 * levels as the specification does: level 3 has the smallest pages.
 */
#include "smmuv3.h"

/* D8.3 "Translation table descriptor formats". */
#define DESC_VALID   ((u64)1 << 0)
#define DESC_AF	     ((u64)1 << 10)
#define DESC_DBM     ((u64)1 << 51)
#define S1_AP1	     ((u64)1 << 6) /* for users too */
#define S1_AP2	     ((u64)1 << 7) /* read only */
#define S1_PXN	     ((u64)1 << 53)
#define S1_UXN	     ((u64)1 << 54)
#define S1_PXN_TABLE ((u64)1 << 59)
#define S1_UXN_TABLE ((u64)1 << 60)
#define S1_AP_TABLE0 ((u64)1 << 61) /* not for users */
#define S1_AP_TABLE1 ((u64)1 << 62) /* read only */
#define S2_AP0	     ((u64)1 << 6)  /* may be read */
#define S2_AP1	     ((u64)1 << 7)  /* may be written */

#define R SIOMMU_DMA_READ
#define W SIOMMU_DMA_WRITE
#define X SIOMMU_DMA_EXEC

#define INLINE	 static inline __attribute__((always_inline))
#define NOINLINE static __attribute__((noinline))

/* The address in an entry, bits 47 down to the granule's. */
INLINE u64 desc_address(u64 desc, unsigned int granule)
{
	return desc & ((((u64)1 << 48) - 1) & ~(((u64)1 << granule) - 1));
}

/* The bits of it in an entry for 2^shift bytes that may be set: no more than @out. */
INLINE u64 leaf_address(unsigned int granule, unsigned int shift, unsigned int out)
{
	return desc_address(((u64)1 << out) - 1, granule) & ~(((u64)1 << shift) - 1);
}

INLINE unsigned int level_shift(unsigned int granule, unsigned int level)
{
	return granule + (granule - 3) * (3 - level);
}

enum desc_kind { DESC_BAD, DESC_NEXT, DESC_LEAF };

/* Blocks are at level 2, and with 4 KiB at level 1. */
INLINE enum desc_kind desc_kind(u64 desc, unsigned int granule, unsigned int level)
{
	if (likely((desc & 3) == 3))
		return level == 3 ? DESC_LEAF : DESC_NEXT;
	if (!(desc & DESC_VALID) || level == 3 || level < (granule == 12 ? 1 : 2))
		return DESC_BAD;
	return DESC_LEAF;
}

/* For people: an entry was read. @leaf: what it maps, or NULL. */
NOINLINE void show_step(const struct smmuv3_walk *w, unsigned int stage, unsigned int level,
			u64 address, u64 value, const struct smmuv3_leaf *leaf, const char *note)
{
	static const char *const names[2][4] = {
		{ "S1 L0", "S1 L1", "S1 L2", "S1 L3" },
		{ "S2 L0", "S2 L1", "S2 L2", "S2 L3" },
	};
	struct siommu_walk_step step = {
		.what = names[stage - 1][level],
		.stage = stage,
		.depth = w->depth,
		.level = 3 - level,
		.address = address,
		.value = value,
		.note = note,
	};

	if (leaf) {
		step.leaf = true;
		step.output = leaf->out;
		step.bytes = (u64)1 << leaf->lg2;
		step.access = leaf->perms;
		if (w->req->access & SIOMMU_DMA_PRIV)
			step.access >>= DMA_PERM_PRIV_SHIFT;
		step.access &= R | W | X;
	}
	w->req->step(w->req->step_arg, &step);
}

INLINE void show(const struct smmuv3_walk *w, unsigned int stage, unsigned int level, u64 address,
		 u64 value, const struct smmuv3_leaf *leaf, const char *note)
{
	if (unlikely(w->req->step))
		show_step(w, stage, level, address, value, leaf, note);
}

/* A write that is an interrupt message where nothing is mapped. */
static bool is_message(const struct smmuv3_walk *w, u64 address)
{
	return (w->req->access & (R | W | X)) == W && !w->req->ats &&
	       address - MSI_BASE < MSI_BYTES;
}

static int message(struct smmuv3_walk *w, u64 address)
{
	w->reply->hpa = address;
	return SMMUV3_INTERRUPT;
}

/* What of @access @perms do not allow. What is fetched to be executed need not be readable. */
INLINE unsigned int lacking(unsigned int access, u32 perms)
{
	const unsigned int have = access & SIOMMU_DMA_PRIV ? perms >> DMA_PERM_PRIV_SHIFT : perms;
	unsigned int need = access & (R | W | X);

	if (unlikely(need & X) && !(need & W))
		need &= ~(unsigned int)R;
	return need & ~have;
}

/*
 * Take @lack from what is asked for, if that is for ATS, which grants what it
 * can. Return: false if nothing is left.
 */
static bool give_up(const struct smmuv3_walk *w, unsigned int *access, unsigned int lack)
{
	*access &= ~lack;
	return w->req->ats && *access & (R | W | X);
}

NOINLINE int s2_fault(struct smmuv3_walk *w, unsigned int event, enum event_class class, u64 ipa,
		      bool write)
{
	if (event == EVT_TRANSLATION && class == CLASS_IN && is_message(w, ipa))
		return message(w, ipa);
	return smmuv3_fault_s2(w, event, class, ipa, write);
}

/* Bits 54:53. Return: X, for users and for privileged software. */
INLINE u32 s2_exec(const struct smmuv3_walk *w, u64 desc)
{
	const u64 xn = field(desc, 54, 53);

	if (likely(!w->cfg->xnx))
		return xn & 2 ? 0 : dma_perms(X, X);
	return dma_perms(xn < 2 ? X : 0, xn == 0 || xn == 3 ? X : 0);
}

/* D8.6.5, D8.6.6: MemAttr, bits 5:2. */
static bool s2_is_device(const struct smmuv3_walk *w, u64 desc)
{
	return w->cfg->fwb ? !field(desc, 4, 4) : !field(desc, 5, 4);
}

/* Not CLASS_IN: stage 1 itself reads or writes, so there is nothing to grant. */
INLINE bool s2_refuses(struct smmuv3_walk *w, u64 desc, unsigned int *access,
		       enum event_class class, unsigned int lack)
{
	if (class == CLASS_IN)
		return unlikely(lack) && !give_up(w, access, lack);
	return unlikely(lack) || (w->cfg->ptw && s2_is_device(w, desc));
}

INLINE int s2_leaf(struct smmuv3_walk *w, u64 at, u64 desc, unsigned int level, u64 ipa,
		   unsigned int *access, enum event_class class, struct smmuv3_leaf *leaf)
{
	const struct smmuv3_stage *s = &w->cfg->stage2;
	const bool dbm = s->hd && desc & DESC_DBM, write = *access & W;
	u64 new = desc;
	unsigned int lack;

	leaf->perms = s2_exec(w, desc);
	if (desc & S2_AP0)
		leaf->perms |= dma_perms(R, R);
	if (desc & S2_AP1 || dbm)
		leaf->perms |= dma_perms(W, W);
	if (unlikely(!(desc & DESC_AF))) {
		if (s->ha) {
			new |= DESC_AF;
		} else if (!s->affd) {
			show(w, 2, level, at, desc, leaf, "access flag");
			return s2_fault(w, EVT_ACCESS, class, ipa, write);
		}
	}
	lack = lacking(*access, leaf->perms);
	show(w, 2, level, at, desc, leaf, lack ? "permission" : NULL);
	if (s2_refuses(w, desc, access, class, lack))
		return s2_fault(w, EVT_PERMISSION, class, ipa, write);
	if (dbm && *access & W)
		new |= S2_AP1;
	if (unlikely(new != desc) && !w->req->peek &&
	    !__atomic_compare_exchange_n((u64 *)(uintptr_t)at, &desc, new, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_RELAXED))
		return -EAGAIN;
	leaf->entry = new;
	/* A write must still be seen. */
	if (dbm && !(new &S2_AP1))
		leaf->perms &= ~dma_perms(W, W);
	return 0;
}

INLINE int s2_walk(struct smmuv3_walk *w, u64 ipa, unsigned int *access, enum event_class class,
		   struct smmuv3_leaf *leaf, const unsigned int granule)
{
	const struct smmuv3_regime *r = &w->cfg->s2tt;
	const u64 mask = ((u64)1 << (granule - 3)) - 1;
	unsigned int level = r->start, shift = level_shift(granule, level);
	u64 table = r->ttb, index = ipa >> shift, at, desc;
	enum desc_kind kind;

	if (unlikely(ipa >> r->bits))
		return s2_fault(w, EVT_TRANSLATION, class, ipa, *access & W);
	for (;;) {
		at = table + index * 8;
		desc = __atomic_load_n((const u64 *)(uintptr_t)at, __ATOMIC_ACQUIRE);
		kind = desc_kind(desc, granule, level);
		if (unlikely(kind == DESC_BAD)) {
			show(w, 2, level, at, desc, NULL, "not valid");
			return s2_fault(w, EVT_TRANSLATION, class, ipa, *access & W);
		}
		table = desc_address(desc, granule);
		if (kind == DESC_LEAF)
			table = align_down(table, (u64)1 << shift);
		if (unlikely(table >> w->cfg->stage2.out)) {
			show(w, 2, level, at, desc, NULL, "address size");
			return s2_fault(w, EVT_ADDR_SIZE, class, ipa, *access & W);
		}
		if (kind == DESC_LEAF)
			break;
		show(w, 2, level, at, desc, NULL, NULL);
		level++;
		shift -= granule - 3;
		index = ipa >> shift & mask;
	}
	leaf->out = table | (ipa & (((u64)1 << shift) - 1));
	leaf->lg2 = shift;
	leaf->at = at;
	leaf->address = leaf_address(granule, shift, w->cfg->stage2.out);
	return s2_leaf(w, at, desc, level, ipa, access, class, leaf);
}

#define S2_WALK(name, granule)                                                                     \
	NOINLINE int name(struct smmuv3_walk *w, u64 ipa, unsigned int *access,                    \
			  enum event_class class, struct smmuv3_leaf *leaf)                        \
	{                                                                                          \
		return s2_walk(w, ipa, access, class, leaf, granule);                              \
	}

S2_WALK(s2_walk_4k, 12)
S2_WALK(s2_walk_16k, 14)
S2_WALK(s2_walk_64k, 16)

int smmuv3_stage2(struct smmuv3_walk *w, u64 ipa, unsigned int *access, enum event_class class,
		  struct smmuv3_leaf *leaf)
{
	switch (w->cfg->s2tt.granule) {
	case 12:
		return s2_walk_4k(w, ipa, access, class, leaf);
	case 14:
		return s2_walk_16k(w, ipa, access, class, leaf);
	default:
		return s2_walk_64k(w, ipa, access, class, leaf);
	}
}

/* An entry of a guest's table, and where that is. */
INLINE int s1_load_nested(struct smmuv3_walk *w, u64 at, u64 *desc, hpa_t *hpa)
{
	unsigned int access = R;
	struct smmuv3_leaf leaf;
	int rc;

	w->depth = 1;
	if (likely(w->cfg->s2tt.granule == 12))
		rc = s2_walk_4k(w, at, &access, CLASS_TT, &leaf);
	else
		rc = smmuv3_stage2(w, at, &access, CLASS_TT, &leaf);
	w->depth = 0;
	if (unlikely(rc))
		return rc;
	if (unlikely(dma_load64(w->port, leaf.out, desc)))
		return smmuv3_fault_fetch(w, CLASS_TT, at);
	*hpa = leaf.out;
	return 0;
}

/* The same, to change it: stage 2 must allow a write. */
static int s1_update_nested(struct smmuv3_walk *w, u64 at, u64 desc, u64 new)
{
	unsigned int access = W;
	struct smmuv3_leaf leaf;
	int rc;

	w->depth = 1;
	rc = smmuv3_stage2(w, at, &access, CLASS_TT, &leaf);
	w->depth = 0;
	if (rc)
		return rc;
	rc = dma_cas64(w->port, leaf.out, &desc, new);
	return rc == -EFAULT ? smmuv3_fault_fetch(w, CLASS_TT, at) : rc;
}

NOINLINE int s1_update(struct smmuv3_walk *w, u64 at, u64 desc, u64 new)
{
	if (w->cfg->s2)
		return s1_update_nested(w, at, desc, new);
	if (__atomic_compare_exchange_n((u64 *)(uintptr_t)at, &desc, new, false, __ATOMIC_ACQ_REL,
					__ATOMIC_RELAXED))
		return 0;
	return -EAGAIN;
}

NOINLINE int s1_fault(struct smmuv3_walk *w, unsigned int event, u64 va)
{
	/* The host maps where interrupts go for requests without a PASID. */
	if (event == EVT_TRANSLATION && !w->cfg->s2 && !w->ssv && is_message(w, va))
		return message(w, va);
	return smmuv3_fault_s1(w, event, CLASS_IN);
}

/* D8.4.1; @tables has what the tables above it take away, @desc the effective AP[2]. */
INLINE u32 s1_perms(const struct smmuv3_walk *w, u64 desc, u64 tables)
{
	const bool user = desc & S1_AP1 && !(tables & S1_AP_TABLE0);
	const bool write = !(desc & S1_AP2) && !(tables & S1_AP_TABLE1);
	const unsigned int rw = write ? R | W : R;
	unsigned int u = user ? rw : 0, p = rw;

	if (!(desc & S1_UXN) && !(tables & S1_UXN_TABLE) && !(w->cfg->wxn && u & W))
		u |= X;
	/* What users may write is not for privileged software to execute. */
	if (!(desc & S1_PXN) && !(tables & S1_PXN_TABLE) && !(u & W) && !(w->cfg->wxn && write))
		p |= X;
	if (unlikely(w->cfg->pan) && user)
		p &= ~(unsigned int)(R | W);
	return dma_perms(u, p);
}

INLINE int s1_leaf(struct smmuv3_walk *w, u64 at, u64 desc, u64 tables, unsigned int level, u64 va,
		   unsigned int *access, struct smmuv3_leaf *leaf)
{
	const struct smmuv3_stage *s = &w->cfg->stage1;
	const bool dbm = s->hd && desc & DESC_DBM;
	u64 new = desc;
	unsigned int lack;
	int rc;

	leaf->perms = s1_perms(w, dbm ? desc & ~S1_AP2 : desc, tables);
	if (unlikely(!(desc & DESC_AF))) {
		if (s->ha) {
			new |= DESC_AF;
		} else if (!s->affd) {
			show(w, 1, level, at, desc, leaf, "access flag");
			return s1_fault(w, EVT_ACCESS, va);
		}
	}
	lack = lacking(*access, leaf->perms);
	show(w, 1, level, at, desc, leaf, lack ? "permission" : NULL);
	if (unlikely(lack) && !give_up(w, access, lack))
		return s1_fault(w, EVT_PERMISSION, va);
	if (dbm && *access & W)
		new &= ~S1_AP2;
	if (unlikely(new != desc) && !w->req->peek) {
		rc = s1_update(w, at, desc, new);
		if (rc)
			return rc;
	}
	leaf->entry = new;
	/* A write must still be seen. */
	if (dbm && new &S1_AP2)
		leaf->perms &= ~dma_perms(W, W);
	return 0;
}

INLINE int s1_walk(struct smmuv3_walk *w, u64 va, const struct smmuv3_regime *r,
		   unsigned int *access, struct smmuv3_leaf *leaf, const unsigned int granule,
		   const bool nested)
{
	const u64 mask = ((u64)1 << (granule - 3)) - 1;
	unsigned int level = r->start, shift = level_shift(granule, level);
	u64 index = va >> shift & (((u64)1 << (r->bits - shift)) - 1);
	u64 table = r->ttb, tables = 0, at, desc;
	enum desc_kind kind;
	hpa_t hpa = 0;
	int rc;

	for (;;) {
		at = table + index * 8;
		if (nested) {
			rc = s1_load_nested(w, at, &desc, &hpa);
			if (unlikely(rc))
				return rc;
		} else {
			hpa = at;
			desc = __atomic_load_n((const u64 *)(uintptr_t)at, __ATOMIC_ACQUIRE);
		}
		kind = desc_kind(desc, granule, level);
		if (unlikely(kind == DESC_BAD)) {
			show(w, 1, level, at, desc, NULL, "not valid");
			return s1_fault(w, EVT_TRANSLATION, va);
		}
		table = desc_address(desc, granule);
		if (kind == DESC_LEAF)
			table = align_down(table, (u64)1 << shift);
		if (unlikely(table >> w->cfg->stage1.out)) {
			show(w, 1, level, at, desc, NULL, "address size");
			return s1_fault(w, EVT_ADDR_SIZE, va);
		}
		if (kind == DESC_LEAF)
			break;
		show(w, 1, level, at, desc, NULL, NULL);
		tables |= desc;
		level++;
		shift -= granule - 3;
		index = va >> shift & mask;
	}
	leaf->out = table | (va & (((u64)1 << shift) - 1));
	leaf->lg2 = shift;
	leaf->at = hpa;
	leaf->address = leaf_address(granule, shift, w->cfg->stage1.out);
	return s1_leaf(w, at, desc, r->had ? 0 : tables, level, va, access, leaf);
}

#define S1_WALK(name, granule, nested)                                                             \
	NOINLINE int name(struct smmuv3_walk *w, u64 va, const struct smmuv3_regime *r,            \
			  unsigned int *access, struct smmuv3_leaf *leaf)                          \
	{                                                                                          \
		return s1_walk(w, va, r, access, leaf, granule, nested);                           \
	}

S1_WALK(s1_walk_4k, 12, false)
S1_WALK(s1_walk_16k, 14, false)
S1_WALK(s1_walk_64k, 16, false)
S1_WALK(s1_walk_4k_nested, 12, true)
S1_WALK(s1_walk_16k_nested, 14, true)
S1_WALK(s1_walk_64k_nested, 16, true)

int smmuv3_stage1(struct smmuv3_walk *w, u64 va, unsigned int *access, struct smmuv3_leaf *leaf)
{
	const bool upper = va >> 55 & 1;
	const struct smmuv3_regime *r = &w->cfg->ttbr[upper];
	/* D8.2: bits above the input's size are all as bit 55. */
	u64 above = upper ? ~va : va;

	if (r->tbi)
		above &= ((u64)1 << 56) - 1;
	if (unlikely(!r->granule || above >> r->bits))
		return s1_fault(w, EVT_TRANSLATION, va);
	switch (r->granule) {
	case 12:
		return w->cfg->s2 ? s1_walk_4k_nested(w, va, r, access, leaf)
				  : s1_walk_4k(w, va, r, access, leaf);
	case 14:
		return w->cfg->s2 ? s1_walk_16k_nested(w, va, r, access, leaf)
				  : s1_walk_16k(w, va, r, access, leaf);
	default:
		return w->cfg->s2 ? s1_walk_64k_nested(w, va, r, access, leaf)
				  : s1_walk_64k(w, va, r, access, leaf);
	}
}
