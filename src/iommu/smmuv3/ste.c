// SPDX-License-Identifier: MIT
/*
 * The driver half's pen: the stream table, a device's STE and its CDs.
 *
 * The hardware reads an entry of several words while the driver changes it, and
 * must see all of it as it was before, or as it is after. A real SMMU caches
 * entries until it is told, and the driver orders its stores by that; here the
 * reader looks whether a change was under way, and reads again. What an entry
 * leads to is freed only when no access that began before runs any more.
 */
#include "smmuv3.h"

/* Replace @n words that ports may be reading. */
static void write_entry(struct smmuv3_device *dev, _Atomic u64 *to, const u64 *from, unsigned int n)
{
	unsigned int i;

	atomic_fetch_add_explicit(&dev->changes, 1, memory_order_acq_rel);
	for (i = 0; i < n; i++)
		atomic_store_explicit(&to[i], from[i], memory_order_relaxed);
	atomic_fetch_add_explicit(&dev->changes, 1, memory_order_release);
}

static void write_ste(struct smmuv3_device *dev, const u64 ste[STE_WORDS], bool cds)
{
	write_entry(dev, dev->ste, ste, STE_WORDS);
	dev->cd_in_ste = cds;
}

void smmuv3_ste_abort(struct smmuv3_device *dev)
{
	const u64 ste[STE_WORDS] = { STE0_V | STE0_CFG_ABORT };

	write_ste(dev, ste, false);
}

static bool two_levels(const struct smmuv3_device *dev)
{
	return dev->dev.pasid_bits > L1CD_LG2 && to_smmuv3(&dev->dev)->idr[0] & IDR0_CD2L;
}

void smmuv3_ste_cds(struct smmuv3_device *dev, u64 s1dss)
{
	const struct smmuv3_unit *smmu = to_smmuv3(&dev->dev);
	u64 ste[STE_WORDS] = {
		STE0_V | STE0_CFG_S1 | (uintptr_t)dev->cds |
			(u64)dev->dev.pasid_bits << STE0_S1CDMAX_LOW,
		s1dss | STE1_S1CIR_WBRA | STE1_S1COR_WBRA | STE1_S1CSH_ISH,
	};

	if (two_levels(dev))
		ste[0] |= STE0_S1FMT_64K;
	if (field(smmu->idr[0], 25, 24) == STALL_OPTIONAL && !dev->stall)
		ste[1] |= STE1_S1STALLD;
	if (dev->ats)
		ste[1] |= STE1_EATS_TRANS;
	write_ste(dev, ste, true);
}

/* 4 KiB granule, inner shareable, both cacheabilities WBRWA: as in a CD and in VTCR. */
static u64 walk_attributes(void)
{
	return (u64)1 << 8 | (u64)1 << 10 | (u64)3 << 12;
}

static unsigned int input_bits(const struct smmuv3_domain *domain)
{
	return highest_bit(domain->pt.va_last) + 1;
}

static void fill_s2(u64 ste[STE_WORDS], const struct smmuv3_domain *domain)
{
	/* SL0 counts from level 2 up; the top level of @pt counts from level 3 up. */
	const u64 sl0 = domain->pt.top_level - 1u;
	const u64 vtcr =
		(64 - input_bits(domain)) | sl0 << 6 | walk_attributes() | (u64)PS_48_BITS << 16;

	if (domain->pt.features & PT_FEAT_S2_FWB)
		ste[1] |= STE1_S2FWB;
	ste[2] = domain->tag | vtcr << STE2_VTCR_LOW | STE2_S2AA64 | STE2_S2PTW | STE2_S2R;
	ste[3] = (uintptr_t)domain->pt.top;
}

void smmuv3_ste_s2(struct smmuv3_device *dev, struct smmuv3_domain *domain, bool ats)
{
	u64 ste[STE_WORDS] = { STE0_V | STE0_CFG_S2, ats ? STE1_EATS_TRANS : 0 };

	fill_s2(ste, domain);
	write_ste(dev, ste, false);
}

void smmuv3_ste_nested(struct smmuv3_device *dev, struct smmuv3_domain *parent, const u64 guest[2])
{
	u64 ste[STE_WORDS] = {
		STE0_V | STE0_CFG_NESTED | (guest[0] & ~STE0_CFG_MASK),
		guest[1] | STE1_MEV,
	};

	fill_s2(ste, parent);
	write_ste(dev, ste, false);
}

static int cds_alloc(struct smmuv3_device *dev)
{
	const unsigned int bits = dev->dev.pasid_bits;
	size_t bytes = (size_t)(CD_WORDS * 8) << bits;

	if (two_levels(dev))
		bytes = (size_t)8 << (bits - L1CD_LG2);
	dev->cds = base_zalloc_aligned(dev->dev.unit->alloc, bytes, 64);
	if (!dev->cds)
		return -ENOMEM;
	dev->cds_bytes = bytes;
	return 0;
}

static const size_t cd_leaf_bytes = (size_t)(CD_WORDS * 8) << L1CD_LG2;

/* A table of CDs behind a level 1 CD; NULL if it is not there. */
static _Atomic u64 *cd_leaf(const struct smmuv3_device *dev, u32 ssid)
{
	u64 l1 = atomic_load_explicit(&dev->cds[ssid >> L1CD_LG2], memory_order_relaxed);

	return l1 & L1CD_V ? (_Atomic u64 *)(uintptr_t)(l1 & L1CD_PTR) : NULL;
}

static _Atomic u64 *cd_leaf_alloc(struct smmuv3_device *dev, u32 ssid)
{
	void *leaf = base_zalloc_aligned(dev->dev.unit->alloc, cd_leaf_bytes, PAGE_BYTES);

	if (leaf)
		atomic_store_explicit(&dev->cds[ssid >> L1CD_LG2], (uintptr_t)leaf | L1CD_V,
				      memory_order_release);
	return leaf;
}

/* The CD of @ssid, or NULL if there is no table that it would be in. */
static _Atomic u64 *cd_find(const struct smmuv3_device *dev, u32 ssid)
{
	_Atomic u64 *leaf = dev->cds;

	if (leaf && two_levels(dev)) {
		leaf = cd_leaf(dev, ssid);
		ssid &= (1u << L1CD_LG2) - 1;
	}
	return leaf ? leaf + (size_t)ssid * CD_WORDS : NULL;
}

_Atomic u64 *smmuv3_cd_get(struct smmuv3_device *dev, u32 ssid)
{
	if (!dev->cds && cds_alloc(dev))
		return NULL;
	if (two_levels(dev) && !cd_leaf(dev, ssid) && !cd_leaf_alloc(dev, ssid))
		return NULL;
	return cd_find(dev, ssid);
}

/* TTBR0 only, and the memory types that Linux has in MAIR. */
void smmuv3_cd_s1(struct smmuv3_device *dev, _Atomic u64 *cd, struct smmuv3_domain *domain)
{
	u64 words[CD_WORDS] = {
		(64 - input_bits(domain)) | walk_attributes() | CD0_EPD1 | CD0_V |
			(u64)PS_48_BITS << 32 | CD0_AA64 | CD0_R | CD0_A | CD0_ASET |
			(u64)domain->tag << 48,
		(uintptr_t)domain->pt.top,
		0,
		0xf404ff44,
	};

	if (domain->pt.features & PT_FEAT_DIRTY)
		words[0] |= CD0_HA | CD0_HD;
	if (dev->stall)
		words[0] |= CD0_S;
	write_entry(dev, cd, words, CD_WORDS);
}

bool smmuv3_cd_clear(struct smmuv3_device *dev, u32 ssid)
{
	static const u64 zero[CD_WORDS];
	_Atomic u64 *cd = cd_find(dev, ssid);

	if (!cd || !(cd[0] & CD0_V))
		return false;
	write_entry(dev, cd, zero, CD_WORDS);
	return true;
}

void smmuv3_cds_free(struct smmuv3_device *dev)
{
	struct base_alloc *alloc = dev->dev.unit->alloc;
	size_t i;

	if (dev->cds && two_levels(dev))
		for (i = 0; i < dev->cds_bytes / 8; i++)
			base_free(alloc, cd_leaf(dev, (u32)(i << L1CD_LG2)), cd_leaf_bytes);
	base_free(alloc, dev->cds, dev->cds_bytes);
	dev->cds = NULL;
}

/* The STEs behind a level 1 descriptor; NULL if there are none. */
static u64 *stes(const struct smmuv3_unit *smmu, u32 sid)
{
	u64 l1 = __atomic_load_n(&smmu->l1[sid >> L1STD_SPLIT], __ATOMIC_RELAXED);

	return (u64 *)(uintptr_t)(l1 & L1STD_PTR);
}

/* Context: smmu->lock. */
static int take_stream(struct smmuv3_unit *smmu, struct smmuv3_device *dev)
{
	const u32 sid = dev->dev.requester;
	u64 *table = stes(smmu, sid), *ste;

	if (!table) {
		table = base_zalloc_aligned(smmu->unit.alloc, STES_BYTES, STES_BYTES);
		if (!table)
			return -ENOMEM;
		__atomic_store_n(&smmu->l1[sid >> L1STD_SPLIT], (uintptr_t)table | L1STD_SPAN,
				 __ATOMIC_RELEASE);
	}
	ste = table + (sid & ((1u << L1STD_SPLIT) - 1)) * STE_WORDS;
	if (__atomic_load_n(ste, __ATOMIC_RELAXED) & STE0_V)
		return -EINVAL;
	dev->ste = (_Atomic u64 *)ste;
	smmuv3_ste_abort(dev);
	return 0;
}

int smmuv3_stream_add(struct smmuv3_device *dev)
{
	struct smmuv3_unit *smmu = to_smmuv3(&dev->dev);
	int rc;

	pthread_mutex_lock(&smmu->lock);
	rc = take_stream(smmu, dev);
	pthread_mutex_unlock(&smmu->lock);
	return rc;
}

void smmuv3_stream_remove(struct smmuv3_device *dev)
{
	static const u64 zero[STE_WORDS];
	struct smmuv3_unit *smmu = to_smmuv3(&dev->dev);
	const u32 sid = dev->dev.requester;
	u64 *table = stes(smmu, sid);
	u64 used = 0;
	size_t i;

	pthread_mutex_lock(&smmu->lock);
	write_entry(dev, dev->ste, zero, STE_WORDS);
	/* A port reads only its own device's STE; with no device left, nobody does. */
	for (i = 0; i < STES_BYTES / 8; i += STE_WORDS)
		used |= __atomic_load_n(&table[i], __ATOMIC_RELAXED);
	if (!used) {
		smmu->l1[sid >> L1STD_SPLIT] = 0;
		base_free(smmu->unit.alloc, table, STES_BYTES);
	}
	pthread_mutex_unlock(&smmu->lock);
}
