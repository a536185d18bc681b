// SPDX-License-Identifier: MIT
/*
 * What the stream table and the context descriptors say about a port's requests
 * (IHI 0070, section 5), and whether they may say so. A port keeps the result, so
 * that a miss of its TLB is only the walk.
 *
 * The stream table is the host's. CDs are the guest's if stage 2 translates too:
 * then they are read through it, each word once.
 */
#include "smmuv3.h"

/* Read words that the driver half may be writing: all old, or all new. */
static void read_entry(struct smmuv3_device *dev, const _Atomic u64 *from, u64 *to, unsigned int n)
{
	unsigned int i;
	u32 before;

	do {
		do
			before = atomic_load_explicit(&dev->changes, memory_order_acquire);
		while (before & 1);
		for (i = 0; i < n; i++)
			to[i] = atomic_load_explicit(&from[i], memory_order_acquire);
	} while (atomic_load_explicit(&dev->changes, memory_order_relaxed) != before);
}

static void show_config(const struct smmuv3_walk *w, const char *what, u64 address, u64 value)
{
	const struct siommu_walk_step step = {
		.what = what,
		.address = address,
		.value = value,
	};

	if (w->req->step)
		w->req->step(w->req->step_arg, &step);
}

static void read_ste(struct smmuv3_walk *w, u64 ste[STE_WORDS])
{
	const struct smmuv3_unit *smmu = to_smmuv3(w->dev);
	const u32 sid = w->dev->requester;
	const u64 *l1 = &smmu->l1[sid >> L1STD_SPLIT];
	const u64 l1std = __atomic_load_n(l1, __ATOMIC_ACQUIRE);
	const u64 at = (l1std & L1STD_PTR) + (sid & ((1u << L1STD_SPLIT) - 1)) * STE_WORDS * 8;

	read_entry(to_smmuv3_device(w->dev), (const _Atomic u64 *)(uintptr_t)at, ste, STE_WORDS);
	show_config(w, "L1STD", (uintptr_t)l1, l1std);
	show_config(w, "STE", at, ste[0]);
}

/* Words of a CD table; the address is an IPA if stage 2 translates. */
static int read_cd_words(struct smmuv3_walk *w, u64 address, u64 *words, unsigned int n)
{
	unsigned int access = SIOMMU_DMA_READ;
	struct smmuv3_leaf leaf;
	int rc;

	if (!w->cfg->s2) {
		read_entry(to_smmuv3_device(w->dev), (const _Atomic u64 *)(uintptr_t)address, words,
			   n);
		return 0;
	}
	w->depth = 1;
	rc = smmuv3_stage2(w, address, &access, CLASS_CD, &leaf);
	w->depth = 0;
	if (rc)
		return rc;
	if (dma_load(w->port, leaf.out, words, n))
		return smmuv3_fault_fetch(w, CLASS_CD, address);
	return 0;
}

/* IPS and S2PS; the reserved one is as large as can be. */
static unsigned int decode_bits(u64 value, unsigned int limit)
{
	static const u8 bits[] = { 32, 36, 40, 42, 44, 48, 52, 52 };

	return bits[value] < limit ? bits[value] : limit;
}

static bool has_granule(const struct smmuv3_unit *smmu, unsigned int granule)
{
	switch (granule) {
	case 12:
		return smmu->idr[5] & IDR5_GRAN4K;
	case 14:
		return smmu->idr[5] & IDR5_GRAN16K;
	case 16:
		return smmu->idr[5] & IDR5_GRAN64K;
	default:
		return false;
	}
}

/* Bits of the input that are for the start level. */
static int start_bits(const struct smmuv3_regime *r)
{
	return r->bits - r->granule - (r->granule - 3) * (3 - r->start);
}

/* The start table is aligned to its size, which is that of its entries, or 64 bytes. */
static u64 align_table(u64 ttb, int index_bits)
{
	return align_down(ttb, (u64)8 << (index_bits > 3 ? index_bits : 3));
}

/* Addresses of start tables: bits 51:4. */
static u64 table_address(u64 word)
{
	return field(word, 51, 4) << 4;
}

/* DDI 0487, D8.2: stage 1 begins at the level that the size of the input needs. */
static bool decode_s1_tables(const struct smmuv3_unit *smmu, unsigned int granule, u64 tsz, u64 ttb,
			     unsigned int out, struct smmuv3_regime *r)
{
	const unsigned int stride = granule - 3;

	if (!has_granule(smmu, granule) || tsz < 16 || tsz > 39 || ttb >> out)
		return false;
	r->granule = (u8)granule;
	r->bits = (u8)(64 - tsz);
	r->start = (u8)(4 - (r->bits - granule + stride - 1) / stride);
	r->ttb = align_table(ttb, start_bits(r));
	return true;
}

/*
 * D8.2.2: stage 2 begins where SL0 says, with up to 16 tables side by side. The
 * highest levels are only for large addresses.
 */
static bool decode_s2_start(const struct smmuv3_unit *smmu, u64 sl0, struct smmuv3_regime *r)
{
	const unsigned int lowest = r->granule == 12 ? 2 : 3;
	const unsigned int top = r->granule == 12 ? 0 : 1;
	const unsigned int oas_for_top = r->granule == 14 ? 42 : 44;
	int bits;

	if (sl0 == 3)
		return false;
	r->start = (u8)(lowest - sl0);
	bits = start_bits(r);
	if (r->start == top && smmu->oas < oas_for_top)
		return false;
	return bits >= 1 && bits <= r->granule - 3 + 4;
}

static bool decode_s2_tables(const struct smmuv3_unit *smmu, const u64 ste[STE_WORDS],
			     struct smmuv3_regime *r)
{
	static const u8 granules[] = { 12, 16, 14, 0 };
	const u64 t0sz = field(ste[2], 37, 32), ttb = table_address(ste[3]);

	r->granule = granules[field(ste[2], 47, 46)];
	r->bits = (u8)(64 - t0sz);
	if (!has_granule(smmu, r->granule) || t0sz < 16 || t0sz > 39 || r->bits > smmu->oas ||
	    ttb >> PA_BITS || !decode_s2_start(smmu, field(ste[2], 39, 38), r))
		return false;
	r->ttb = align_table(ttb, start_bits(r));
	return true;
}

/* Section 5.2: what stage 2 needs of the STE. */
static bool decode_s2(const struct smmuv3_unit *smmu, const u64 ste[STE_WORDS],
		      struct smmuv3_config *cfg)
{
	const u64 httu = field(smmu->idr[0], 7, 6);

	if (!(ste[2] & STE2_S2AA64) || ste[2] & STE2_S2ENDI)
		return false;
	if (ste[2] & STE2_S2S && field(smmu->idr[0], 25, 24) == STALL_NEVER)
		return false;
	if ((ste[2] & STE2_S2HA && httu < 1) || (ste[2] & STE2_S2HD && httu < 2))
		return false;
	if (!decode_s2_tables(smmu, ste, &cfg->s2tt))
		return false;
	cfg->ptw = ste[2] & STE2_S2PTW;
	cfg->fwb = ste[1] & STE1_S2FWB && smmu->idr[3] & IDR3_FWB;
	cfg->xnx = smmu->idr[3] & IDR3_XNX;
	cfg->stage2 = (struct smmuv3_stage){
		.out = (u8)decode_bits(field(ste[2], 50, 48), PA_BITS),
		.affd = ste[2] & STE2_S2AFFD,
		.ha = ste[2] & STE2_S2HA,
		.hd = ste[2] & STE2_S2HD && ste[2] & STE2_S2HA,
		.record = ste[2] & STE2_S2R,
	};
	cfg->s2 = true;
	return true;
}

/* Section 5.2: what stage 1 needs of it. */
static bool valid_s1(const struct smmuv3_unit *smmu, const u64 ste[STE_WORDS], bool s2)
{
	const u64 cdmax = ste[0] >> STE0_S1CDMAX_LOW, fmt = field(ste[0], 5, 4);

	/* STRW: there is only NS-EL1. */
	if (!(smmu->idr[0] & IDR0_S1P) || field(ste[1], 31, 30) || cdmax > smmu->ssid_bits)
		return false;
	if (!s2 && (ste[0] & STE0_S1CTX_MASK) >> PA_BITS)
		return false;
	if (!cdmax)
		return true;
	if (fmt == 3 || (fmt && !(smmu->idr[0] & IDR0_CD2L)))
		return false;
	return field(ste[1], 1, 0) != 3;
}

/* Where the CD is; whoever asks knows that S1CDMax makes room for it. */
static int find_cd(struct smmuv3_walk *w, const u64 ste[STE_WORDS], u32 ssid, u64 *address)
{
	const u64 table = ste[0] & STE0_S1CTX_MASK;
	const u64 fmt = ste[0] >> STE0_S1CDMAX_LOW ? field(ste[0], 5, 4) : 0;
	const unsigned int leaf_lg2 = fmt == 1 ? 6 : L1CD_LG2;
	u64 at, l1;
	int rc;

	if (!fmt) {
		*address = table + (u64)ssid * CD_WORDS * 8;
		return 0;
	}
	at = table + (u64)(ssid >> leaf_lg2) * 8;
	rc = read_cd_words(w, at, &l1, 1);
	if (rc)
		return rc;
	show_config(w, "L1CD", at, l1);
	if (!(l1 & L1CD_V))
		return smmuv3_fault_config(w, EVT_BAD_SUBSTREAMID);
	*address = (l1 & L1CD_PTR) + (u64)(ssid & ((1u << leaf_lg2) - 1)) * CD_WORDS * 8;
	return 0;
}

/* Section 5.4.1: what a CD may not ask of this SMMU, or under this STE. */
static bool valid_cd(const struct smmuv3_unit *smmu, u64 cd0, bool stalld)
{
	const u64 httu = field(smmu->idr[0], 7, 6), stall = field(smmu->idr[0], 25, 24);

	if (!(cd0 & CD0_V) || !(cd0 & CD0_AA64) || cd0 & CD0_ENDI)
		return false;
	if ((cd0 & CD0_HA && httu < 1) || (cd0 & CD0_HD && httu < 2))
		return false;
	if (cd0 & CD0_S && (stall == STALL_NEVER || stalld))
		return false;
	if (!(cd0 & CD0_S) && stall == STALL_FORCED)
		return false;
	if (!(cd0 & CD0_A) && smmu->idr[0] & IDR0_TERM_MODEL)
		return false;
	return smmu->idr[0] & IDR0_ASID16 || !(cd0 >> 56);
}

static bool decode_cd(const struct smmuv3_unit *smmu, const u64 cd[CD_READ], bool stalld,
		      struct smmuv3_config *cfg)
{
	static const u8 granules0[] = { 12, 16, 14, 0 }, granules1[] = { 0, 14, 12, 16 };
	const bool had = smmu->idr[3] & IDR3_HAD;
	const unsigned int out = decode_bits(field(cd[0], 34, 32), cfg->s2 ? smmu->oas : PA_BITS);

	if (!valid_cd(smmu, cd[0], stalld))
		return false;
	if (!(cd[0] & CD0_EPD0) &&
	    !decode_s1_tables(smmu, granules0[field(cd[0], 7, 6)], field(cd[0], 5, 0),
			      table_address(cd[1]), out, &cfg->ttbr[0]))
		return false;
	if (!(cd[0] & CD0_EPD1) &&
	    !decode_s1_tables(smmu, granules1[field(cd[0], 23, 22)], field(cd[0], 21, 16),
			      table_address(cd[2]), out, &cfg->ttbr[1]))
		return false;
	cfg->ttbr[0].tbi = cd[0] & CD0_TBI0;
	cfg->ttbr[1].tbi = cd[0] & CD0_TBI1;
	cfg->ttbr[0].had = cd[1] & CD_HAD && had;
	cfg->ttbr[1].had = cd[2] & CD_HAD && had;
	cfg->wxn = cd[0] & CD0_WXN;
	cfg->pan = cd[0] & CD0_PAN;
	cfg->stall = cd[0] & CD0_S;
	cfg->stage1 = (struct smmuv3_stage){
		.out = (u8)out,
		.affd = cd[0] & CD0_AFFD,
		.ha = cd[0] & CD0_HA,
		.hd = cd[0] & CD0_HD && cd[0] & CD0_HA,
		.record = cd[0] & CD0_R,
	};
	cfg->s1 = true;
	return true;
}

static int read_cd(struct smmuv3_walk *w, const u64 ste[STE_WORDS], u32 ssid,
		   struct smmuv3_config *cfg)
{
	struct smmuv3_unit *smmu = to_smmuv3(w->dev);
	u64 address = 0, cd[CD_READ];
	int rc;

	rc = find_cd(w, ste, ssid, &address);
	if (rc)
		return rc;
	rc = read_cd_words(w, address, cd, CD_READ);
	if (rc)
		return rc;
	show_config(w, "CD", address, cd[0]);
	if (!decode_cd(smmu, cd, ste[1] & STE1_S1STALLD, cfg))
		return smmuv3_fault_config(w, EVT_BAD_CD);
	/* See invalidate_va(). */
	if (cfg->s2 && cd[0] & (CD0_TBI0 | CD0_TBI1))
		atomic_fetch_or(&smmu->tbi, 1);
	return 0;
}

/* Section 3.3.2: which CD a request gets, if any. */
static int choose_cd(struct smmuv3_walk *w, const u64 ste[STE_WORDS], struct smmuv3_config *cfg)
{
	const u64 cdmax = ste[0] >> STE0_S1CDMAX_LOW, s1dss = field(ste[1], 1, 0);
	const u32 ssid = w->port->pasid;

	if (w->ssv) {
		if (!cdmax || (u64)ssid >> cdmax)
			return smmuv3_fault_config(w, EVT_BAD_SUBSTREAMID);
		/* CD 0 is for requests without one. */
		if (!ssid && s1dss == 2)
			return smmuv3_fault_config(w, EVT_STREAM_DISABLED);
		return read_cd(w, ste, ssid, cfg);
	}
	if (cdmax && s1dss == 0)
		return smmuv3_fault_config(w, EVT_STREAM_DISABLED);
	if (cdmax && s1dss == 1)
		return 0;
	return read_cd(w, ste, 0, cfg);
}

static int read_config(struct smmuv3_walk *w, struct smmuv3_config *cfg)
{
	const struct smmuv3_unit *smmu = to_smmuv3(w->dev);
	u64 ste[STE_WORDS], config, eats;

	*cfg = (struct smmuv3_config){ 0 };
	w->cfg = cfg;
	read_ste(w, ste);
	if (!(ste[0] & STE0_V))
		return smmuv3_fault_config(w, EVT_BAD_STE);
	config = field(ste[0], 3, 1);
	if (!(config & 4))
		return smmuv3_fault_abort(w);
	eats = smmu->idr[0] & IDR0_ATS ? field(ste[1], 29, 28) : 0;
	/* Split-stage ATS is not modelled. */
	if (eats > 1)
		return smmuv3_fault_config(w, EVT_BAD_STE);
	cfg->ats = eats;
	if (config & 2 && (!(smmu->idr[0] & IDR0_S2P) || !decode_s2(smmu, ste, cfg)))
		return smmuv3_fault_config(w, EVT_BAD_STE);
	if (config & 1 && !valid_s1(smmu, ste, cfg->s2))
		return smmuv3_fault_config(w, EVT_BAD_STE);
	if (config & 1)
		return choose_cd(w, ste, cfg);
	return w->ssv ? smmuv3_fault_config(w, EVT_BAD_SUBSTREAMID) : 0;
}

/* An STE and a CD that were not there at the same time say nothing. */
int smmuv3_read_config(struct smmuv3_walk *w, struct smmuv3_config *cfg)
{
	_Atomic u32 *changes = &to_smmuv3_device(w->dev)->changes;
	u32 before;
	int rc;

	do {
		before = atomic_load_explicit(changes, memory_order_acquire);
		rc = read_config(w, cfg);
	} while (atomic_load_explicit(changes, memory_order_acquire) != before);
	return rc;
}
