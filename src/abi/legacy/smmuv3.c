// SPDX-License-Identifier: MIT
/*
 * SMMUv3's driver: a guest's table of PASIDs becomes a vIOMMU and a nested HWPT.
 *
 * The guest's table of CDs is what its STE would point to, so that STE is built here. Of
 * what it says beyond the table the API has no word: how the SMMU reads CDs (write-back, as
 * every driver sets it), and whether devices may send translated requests (they may if they
 * can). Devices are known to the vIOMMU by the numbers that they have on the bus, so
 * commands can name them.
 *
 * Invalidation: commands of the architecture, as the guest's driver would have sent them.
 * An address with no ASID goes to all ASIDs. A range becomes one command where there are
 * such commands, or else a few, or else everything of the ASID; devices' caches are told a
 * power of two of pages. What the guest asked for is always in what is told.
 *
 * What the driver of that time refused is refused: an address space by PASID in the TLB,
 * where tags are ASIDs; by ASID in the CD cache and in devices, where they are PASIDs.
 */
#include "legacy.h"

#define FIELD(word, hi, lo) (((word) >> (lo)) & ((1u << ((hi) - (lo) + 1)) - 1))

/* Section 6.3.1 to 6.3.4, SMMU_IDR0, 1, 3. */
#define IDR0_ASID16	   (1u << 12)
#define IDR0_CD2L	   (1u << 19)
#define IDR0_STALL(idr0)   FIELD(idr0, 25, 24)
#define IDR0_STALL_NEVER   1
#define IDR1_SSIDSIZE(idr) FIELD(idr, 10, 6)
#define IDR3_RIL	   (1u << 10)

/* Section 5.2, STE. */
#define STE0_V		 ((u64)1 << 0)
#define STE0_CFG_ABORT	 ((u64)0 << 1)
#define STE0_CFG_BYPASS	 ((u64)4 << 1)
#define STE0_CFG_S1	 ((u64)5 << 1)
#define STE0_S1FMT_LOW	 4
#define STE0_S1CTX	 (((u64)1 << 52) - ((u64)1 << 6))
#define STE0_S1CDMAX_LOW 59
#define STE1_S1CIR_WBRA	 ((u64)1 << 2)
#define STE1_S1COR_WBRA	 ((u64)1 << 4)
#define STE1_S1CSH_ISH	 ((u64)3 << 6)
#define STE1_EATS_TRANS	 ((u64)1 << 28)

#define S1FMT_LINEAR 0
#define S1FMT_LAST   2
#define S1DSS_LAST   2

/* Section 4, commands. */
#define CMD_CFGI_CD	 0x05
#define CMD_CFGI_CD_ALL	 0x06
#define CMD_TLBI_NH_ALL	 0x10
#define CMD_TLBI_NH_ASID 0x11
#define CMD_TLBI_NH_VA	 0x12
#define CMD_TLBI_NH_VAA	 0x13
#define CMD_ATC_INV	 0x40

#define CMD0_G		 ((u64)1 << 9)
#define CMD0_SSV	 ((u64)1 << 11)
#define CMD0_SSID(pasid) ((u64)(pasid) << 12)
#define CMD0_NUM_LOW	 12
#define CMD0_SCALE_LOW	 20
#define CMD0_SID(sid)	 ((u64)(sid) << 32)
#define CMD0_ASID(asid)	 ((u64)(asid) << 48)
#define CMD1_LEAF	 ((u64)1 << 0)
#define CMD1_TG_LOW	 10
#define CMD1_ADDR	 (~(u64)0 << 12)

/* Of a range: (NUM + 1) << SCALE granules. */
#define NUM_BITS   5
#define SCALE_LAST 31

/* Section 4.5.1: ATC_INV of all there is. */
#define ATC_SIZE_ALL 52

/* Without commands for ranges: more of them than this is not worth it. */
#define MAX_COMMANDS 32

/**
 * struct batch - commands on their way
 * @domain: whose
 * @n: how many there are
 * @cmds: they
 */
struct batch {
	struct legacy_domain *domain;
	u32 n;
	struct iommu_viommu_arm_smmuv3_invalidate cmds[MAX_COMMANDS];
};

/* [first, last], from the beginning of a page on. */
struct span {
	u64 first;
	u64 last;
};

static const struct iommu_hw_info_arm_smmuv3 *hw(const struct legacy_domain *domain)
{
	return domain->hw_info;
}

static u32 ssid_bits(const struct legacy_domain *domain)
{
	return IDR1_SSIDSIZE(hw(domain)->idr[1]);
}

/* Devices wait where the SMMU lets them; whether they do, the guest's CD says. */
static bool asks_pages(const struct legacy_domain *domain, const struct iommu_device *dev)
{
	(void)dev;
	return IDR0_STALL(hw(domain)->idr[0]) != IDR0_STALL_NEVER;
}

static void fill_info(const struct legacy_domain *domain, struct iommu_nesting_info *info)
{
	(void)domain;
	info->format = IOMMU_PASID_FORMAT_SMMUV3;
	info->features |= IOMMU_NESTING_FEAT_BIND_PASID_TABLE | IOMMU_NESTING_FEAT_CACHE_INVLD;
}

/* A table that the SMMU would call illegal is refused now: the guest is not told later. */
static int check_table(const struct legacy_domain *domain,
		       const struct iommu_pasid_table_config *config)
{
	const struct iommu_pasid_smmuv3 *s = &config->vendor_data.smmuv3;

	if (config->format != IOMMU_PASID_FORMAT_SMMUV3 ||
	    s->version != PASID_TABLE_SMMUV3_CFG_VERSION_1)
		return -EINVAL;
	if (config->config != IOMMU_PASID_CONFIG_TRANSLATE)
		return 0;
	if (config->base_ptr & ~STE0_S1CTX || config->pasid_bits > ssid_bits(domain))
		return -EINVAL;
	if (s->s1fmt > S1FMT_LAST || s->s1dss > S1DSS_LAST)
		return -EINVAL;
	if (s->s1fmt != S1FMT_LINEAR && !(hw(domain)->idr[0] & IDR0_CD2L))
		return -EINVAL;
	return 0;
}

static bool all_have_ats(const struct legacy_domain *domain)
{
	struct legacy_dev *d;

	LIST_FOREACH(d, &domain->devs, link)
		if (!iommu_capable(d->dev->dev, IOMMU_CAP_PCI_ATS))
			return false;
	return true;
}

static struct iommu_hwpt_arm_smmuv3 make_ste(const struct legacy_domain *domain,
					     const struct iommu_pasid_table_config *config)
{
	const struct iommu_pasid_smmuv3 *s = &config->vendor_data.smmuv3;
	struct iommu_hwpt_arm_smmuv3 ste = { { STE0_V } };

	switch (config->config) {
	case IOMMU_PASID_CONFIG_BYPASS:
		ste.ste[0] |= STE0_CFG_BYPASS;
		break;
	case IOMMU_PASID_CONFIG_ABORT:
		ste.ste[0] |= STE0_CFG_ABORT;
		break;
	default:
		ste.ste[0] |= STE0_CFG_S1 | (u64)s->s1fmt << STE0_S1FMT_LOW | config->base_ptr |
			      (u64)config->pasid_bits << STE0_S1CDMAX_LOW;
		ste.ste[1] = s->s1dss | STE1_S1CIR_WBRA | STE1_S1COR_WBRA | STE1_S1CSH_ISH;
		if (all_have_ats(domain))
			ste.ste[1] |= STE1_EATS_TRANS;
	}
	return ste;
}

static int get_viommu(struct legacy_domain *domain)
{
	const struct iommu_user_data data =
		legacy_data(domain, IOMMU_VIOMMU_TYPE_ARM_SMMUV3, NULL, 0);
	struct core_viommu *viommu;
	int rc;

	if (domain->viommu)
		return 0;
	rc = core_viommu_alloc(domain->ctx, LIST_FIRST(&domain->devs)->dev, domain->parent, &data,
			       &viommu);
	if (rc)
		return rc;
	core_object_publish(domain->ctx, &viommu->obj);
	core_object_get(&viommu->obj);
	domain->viommu = viommu;
	return 0;
}

/* Devices may have come since the last table. */
static int get_vdevs(struct legacy_domain *domain)
{
	struct core_vdevice *vdev;
	struct legacy_dev *d;
	int rc;

	LIST_FOREACH(d, &domain->devs, link) {
		if (d->vdev)
			continue;
		rc = core_vdevice_alloc(domain->ctx, domain->viommu, d->dev, d->dev->dev->requester,
					&vdev);
		if (rc)
			return rc;
		core_object_publish(domain->ctx, &vdev->obj);
		core_object_get(&vdev->obj);
		d->vdev = vdev;
	}
	return 0;
}

static int make_hwpt(struct legacy_domain *domain, const struct iommu_pasid_table_config *config,
		     struct core_hwpt **out)
{
	const struct iommu_hwpt_arm_smmuv3 ste = make_ste(domain, config);
	const struct iommu_user_data data =
		legacy_data(domain, IOMMU_HWPT_DATA_ARM_SMMUV3, &ste, sizeof(ste));
	int rc;

	rc = core_hwpt_viommu_alloc(domain->ctx, domain->viommu, 0, &data, out);
	if (rc)
		return rc;
	if (domain->fault)
		core_hwpt_set_fault(*out, domain->fault);
	core_object_publish(domain->ctx, &(*out)->obj);
	core_object_get(&(*out)->obj);
	return 0;
}

static int attach_table(struct legacy_domain *domain, const struct iommu_pasid_table_config *config)
{
	struct core_hwpt *hwpt;
	int rc;

	rc = get_viommu(domain);
	if (!rc)
		rc = get_vdevs(domain);
	if (!rc)
		rc = make_hwpt(domain, config, &hwpt);
	if (rc)
		return rc;
	rc = legacy_replace_rid(domain, hwpt);
	if (rc)
		legacy_let_go(domain->ctx, &hwpt->obj);
	return rc;
}

static int set_table(struct legacy_domain *domain, const struct iommu_pasid_table_config *config)
{
	int rc;

	rc = check_table(domain, config);
	if (rc)
		return rc;
	rc = attach_table(domain, config);
	if (rc && domain->rid == &domain->parent->common)
		legacy_drop_table(domain);
	/* A device of the group that is not in the domain has no number. */
	return rc == -ENOENT ? -EINVAL : rc;
}

static int send(struct batch *b)
{
	struct iommu_viommu *viommu = b->domain->viommu->hw;
	struct iommu_user_array array = {
		.task = &b->domain->task,
		.type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
		.entry_len = sizeof(b->cmds[0]),
		.num = b->n,
		.uptr = (uintptr_t)b->cmds,
	};
	int rc;

	if (!b->n)
		return 0;
	b->n = 0;
	rc = viommu->ops->cache_invalidate(viommu, &array);
	/* Whatever else the reason: the caller is to know that it was not done. */
	return rc && rc != -ENOMEM ? -EIO : rc;
}

static int add(struct batch *b, u64 cmd0, u64 cmd1)
{
	int rc = b->n == MAX_COMMANDS ? send(b) : 0;

	if (!rc)
		b->cmds[b->n++] = (struct iommu_viommu_arm_smmuv3_invalidate){ { cmd0, cmd1 } };
	return rc;
}

/* Rounded outward; everything if it has no end. */
static struct span to_span(const struct iommu_inv_addr_info *a)
{
	struct span s = { .first = align_down(a->addr, PAGE_BYTES) };
	u64 bytes;

	if (__builtin_mul_overflow(a->granule_size, a->nb_granules, &bytes) ||
	    __builtin_add_overflow(a->addr, bytes ? bytes - 1 : 0, &s.last))
		return (struct span){ .last = U64_MAX };
	return s;
}

static u64 asid_of(const struct iommu_inv_addr_info *a)
{
	return a->flags & IOMMU_INV_ADDR_FLAGS_ARCHID ? CMD0_ASID(a->archid) : 0;
}

static int tlb_all(struct batch *b, const struct iommu_inv_addr_info *a)
{
	if (a->flags & IOMMU_INV_ADDR_FLAGS_ARCHID)
		return add(b, CMD_TLBI_NH_ASID | asid_of(a), 0);
	return add(b, CMD_TLBI_NH_ALL, 0);
}

/* In one command: (num + 1) << scale granules of 1 << shift bytes, two at least. */
static int tlb_range(struct batch *b, const struct iommu_inv_addr_info *a, const struct span *s,
		     unsigned int shift, u64 cmd0, u64 cmd1)
{
	const u64 first = align_down(s->first, (u64)1 << shift);
	const u64 last = max_u64((s->last - first) >> shift, 1);
	const unsigned int bits = highest_bit(last) + 1;
	const unsigned int scale = bits > NUM_BITS ? bits - NUM_BITS : 0;
	const u64 tg = (shift - 10) / 2;

	if (scale > SCALE_LAST)
		return tlb_all(b, a);
	return add(b, cmd0 | (last >> scale) << CMD0_NUM_LOW | (u64)scale << CMD0_SCALE_LOW,
		   cmd1 | tg << CMD1_TG_LOW | (first & CMD1_ADDR));
}

/*
 * A range is about tables of one granule. What the caller counts in may be that of its
 * tables, or just a size; pages of 4 KiB have to go in any case.
 */
static int tlb_ranges(struct batch *b, const struct iommu_inv_addr_info *a, const struct span *s,
		      u64 cmd0, u64 cmd1)
{
	int rc = tlb_range(b, a, s, 12, cmd0, cmd1);

	if (!rc && a->granule_size == 1u << 14)
		rc = tlb_range(b, a, s, 14, cmd0, cmd1);
	if (!rc && a->granule_size == 1u << 16)
		rc = tlb_range(b, a, s, 16, cmd0, cmd1);
	return rc;
}

static int tlb_addr(struct batch *b, const struct iommu_inv_addr_info *a)
{
	const bool by_asid = a->flags & IOMMU_INV_ADDR_FLAGS_ARCHID;
	const u64 cmd0 = (by_asid ? CMD_TLBI_NH_VA : CMD_TLBI_NH_VAA) | asid_of(a);
	const u64 cmd1 = a->flags & IOMMU_INV_ADDR_FLAGS_LEAF ? CMD1_LEAF : 0;
	const struct span s = to_span(a);
	const u64 pages = ((s.last - s.first) >> PAGE_LG2) + 1;
	u64 i;
	int rc = 0;

	if (pages > 1 && hw(b->domain)->idr[3] & IDR3_RIL)
		return tlb_ranges(b, a, &s, cmd0, cmd1);
	if (pages > MAX_COMMANDS)
		return tlb_all(b, a);
	for (i = 0; i < pages && !rc; i++)
		rc = add(b, cmd0, cmd1 | (s.first + (i << PAGE_LG2)));
	return rc;
}

static int tlb(struct batch *b, const struct iommu_cache_invalidate_info *info)
{
	switch (info->granularity) {
	case IOMMU_INV_GRANU_PASID:
		return add(b, CMD_TLBI_NH_ASID | CMD0_ASID(info->granu.pasid_info.archid), 0);
	case IOMMU_INV_GRANU_ADDR:
		return tlb_addr(b, &info->granu.addr_info);
	default:
		return add(b, CMD_TLBI_NH_ALL, 0);
	}
}

/* The smallest block that has all of it: address and size of an ATC_INV. */
static u64 atc_block(const struct iommu_cache_invalidate_info *info)
{
	u64 differ, size;
	struct span s;

	if (info->granularity != IOMMU_INV_GRANU_ADDR)
		return ATC_SIZE_ALL;
	s = to_span(&info->granu.addr_info);
	differ = (s.first ^ s.last) >> PAGE_LG2;
	size = differ ? highest_bit(differ) + 1 : 0;
	if (size >= ATC_SIZE_ALL)
		return ATC_SIZE_ALL;
	return align_down(s.first, (u64)1 << (size + PAGE_LG2)) | size;
}

/* Which PASID is named. */
static bool by_pasid(const struct iommu_cache_invalidate_info *info, u64 *pasid)
{
	const struct iommu_inv_pasid_info *p = &info->granu.pasid_info;
	const struct iommu_inv_addr_info *a = &info->granu.addr_info;

	switch (info->granularity) {
	case IOMMU_INV_GRANU_PASID:
		*pasid = p->pasid;
		return p->flags & IOMMU_INV_PASID_FLAGS_PASID;
	case IOMMU_INV_GRANU_ADDR:
		*pasid = a->pasid;
		return a->flags & IOMMU_INV_ADDR_FLAGS_PASID;
	default:
		return false;
	}
}

/* Without a PASID: what devices keep for requests without one, and for all PASIDs. */
static int atc_one(struct batch *b, const struct legacy_dev *d,
		   const struct iommu_cache_invalidate_info *info)
{
	const u64 cmd0 = CMD_ATC_INV | CMD0_SID(d->vdev->hw.node.start);
	const u64 block = atc_block(info);
	u64 pasid;
	int rc;

	/* Without SubstreamIDs there is no command that names one, and PASID 0 is none. */
	if (!ssid_bits(b->domain))
		return add(b, cmd0, block);
	if (by_pasid(info, &pasid))
		return add(b, cmd0 | CMD0_SSV | CMD0_SSID(pasid), block);
	rc = add(b, cmd0, block);
	return rc ? rc : add(b, cmd0 | CMD0_SSV | CMD0_G, block);
}

static int atc(struct batch *b, const struct iommu_cache_invalidate_info *info)
{
	struct legacy_dev *d;
	int rc;

	LIST_FOREACH(d, &b->domain->devs, link) {
		if (!d->vdev || !iommu_capable(d->dev->dev, IOMMU_CAP_PCI_ATS))
			continue;
		rc = atc_one(b, d, info);
		if (rc)
			return rc;
	}
	return 0;
}

static int cds(struct batch *b, const struct iommu_cache_invalidate_info *info)
{
	struct legacy_dev *d;
	u64 pasid, cmd0;
	int rc;

	LIST_FOREACH(d, &b->domain->devs, link) {
		if (!d->vdev)
			continue;
		cmd0 = CMD0_SID(d->vdev->hw.node.start);
		if (by_pasid(info, &pasid))
			rc = add(b, CMD_CFGI_CD | cmd0 | CMD0_SSID(pasid), CMD1_LEAF);
		else
			rc = add(b, CMD_CFGI_CD_ALL | cmd0, 0);
		if (rc)
			return rc;
	}
	return 0;
}

/* Tags have to be as wide as the SMMU's, and those that the caches have. */
static int check_tags(const struct legacy_domain *domain,
		      const struct iommu_cache_invalidate_info *info)
{
	const u32 last_asid = hw(domain)->idr[0] & IDR0_ASID16 ? 0xffff : 0xff;
	const struct iommu_inv_pasid_info *p = &info->granu.pasid_info;
	const struct iommu_inv_addr_info *a = &info->granu.addr_info;
	u64 pasid;

	if (by_pasid(info, &pasid) && pasid >> ssid_bits(domain))
		return -EINVAL;
	if (info->granularity == IOMMU_INV_GRANU_ADDR)
		return a->flags & IOMMU_INV_ADDR_FLAGS_ARCHID && a->archid > last_asid ? -EINVAL
										       : 0;
	if (info->granularity != IOMMU_INV_GRANU_PASID)
		return 0;
	if (p->flags & IOMMU_INV_PASID_FLAGS_ARCHID && p->archid > last_asid)
		return -EINVAL;
	if (info->cache & IOMMU_CACHE_INV_TYPE_IOTLB && !(p->flags & IOMMU_INV_PASID_FLAGS_ARCHID))
		return -EINVAL;
	if (info->cache & (IOMMU_CACHE_INV_TYPE_DEV_IOTLB | IOMMU_CACHE_INV_TYPE_PASID) &&
	    !(p->flags & IOMMU_INV_PASID_FLAGS_PASID))
		return -EINVAL;
	return 0;
}

/* In the order in which a driver goes about it: what leads to tables, tables, copies. */
static int invalidate(struct legacy_domain *domain, const struct iommu_cache_invalidate_info *info)
{
	struct batch b = { .domain = domain };
	int rc;

	rc = check_tags(domain, info);
	if (rc || !domain->viommu)
		return rc;
	if (info->cache & IOMMU_CACHE_INV_TYPE_PASID)
		rc = cds(&b, info);
	if (!rc && info->cache & IOMMU_CACHE_INV_TYPE_IOTLB)
		rc = tlb(&b, info);
	if (!rc && info->cache & IOMMU_CACHE_INV_TYPE_DEV_IOTLB)
		rc = atc(&b, info);
	return rc ? rc : send(&b);
}

const struct legacy_vendor legacy_smmuv3 = {
	.hw_info = IOMMU_HW_INFO_TYPE_ARM_SMMUV3,
	.series = LEGACY_ARM,
	.parent_flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
	.viommu_type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
	.asks_pages = asks_pages,
	.fill_info = fill_info,
	.set_table = set_table,
	.invalidate = invalidate,
};
