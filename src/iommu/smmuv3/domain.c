// SPDX-License-Identifier: MIT
/*
 * Paging domains, on stage 1 or stage 2, and the blocked one.
 *
 * A domain on stage 1 is reached through a CD, so a device can have one for each
 * SubstreamID; on stage 2 the STE itself leads to the tables, for all requests of
 * the device. What is refused, and with which errno, is what Linux's driver
 * refuses.
 *
 * Dirty tracking: with HTTU, leaves of stage 1 have DBM, and what may be written
 * is made writable by the hardware when it is written. That is always so, and
 * there is nothing to switch.
 */
#include "smmuv3.h"

/* Context: group->lock. */
static void count_fault_domains(struct smmuv3_device *dev, const struct iommu_domain *domain,
				const struct iommu_domain *old)
{
	if (domain->fault_handler)
		dev->dev.faults_on++;
	if (old && old->fault_handler)
		dev->dev.faults_on--;
}

void smmuv3_attached(struct smmuv3_device *dev, struct iommu_domain *domain,
		     struct iommu_domain *old, struct iommu_viommu *viommu, u64 vsid)
{
	dev->blocked = domain->type == IOMMU_DOMAIN_BLOCKED;
	dev->nested = domain->type == IOMMU_DOMAIN_NESTED ? domain : NULL;
	/* Events are reported by other threads. */
	pthread_mutex_lock(&dev->dev.group->lock);
	dev->viommu = viommu;
	dev->vsid = vsid;
	count_fault_domains(dev, domain, old);
	pthread_mutex_unlock(&dev->dev.group->lock);
}

static void pasid_attached(struct smmuv3_device *dev, struct iommu_domain *domain,
			   struct iommu_domain *old)
{
	pthread_mutex_lock(&dev->dev.group->lock);
	count_fault_domains(dev, domain, old);
	pthread_mutex_unlock(&dev->dev.group->lock);
}

static int paging_attach(struct iommu_domain *domain, struct iommu_device *common,
			 struct iommu_domain *old)
{
	struct smmuv3_domain *paging = to_smmuv3_domain(domain);
	struct smmuv3_device *dev = to_smmuv3_device(common);
	_Atomic u64 *cd;

	if (paging->unit != to_smmuv3(common))
		return -EINVAL;
	if (paging->stage == 1) {
		cd = smmuv3_cd_get(dev, IOMMU_NO_PASID);
		if (!cd)
			return -ENOMEM;
		smmuv3_cd_s1(dev, cd, paging);
		smmuv3_ste_cds(dev, STE1_S1DSS_SSID0);
	} else {
		if (dev->ssids)
			return -EBUSY;
		smmuv3_ste_s2(dev, paging, dev->ats);
		smmuv3_cd_clear(dev, IOMMU_NO_PASID);
	}
	smmuv3_attached(dev, domain, old, NULL, 0);
	return 0;
}

static int paging_set_pasid(struct iommu_domain *domain, struct iommu_device *common, u32 pasid,
			    struct iommu_domain *old)
{
	struct smmuv3_domain *paging = to_smmuv3_domain(domain);
	struct smmuv3_device *dev = to_smmuv3_device(common);
	_Atomic u64 *cd;

	if (paging->unit != to_smmuv3(common) || paging->stage != 1)
		return -EINVAL;
	/* CDs are only there if the STE leads to them, or can be made to. */
	if (!dev->cd_in_ste && !dev->blocked)
		return -EINVAL;
	cd = smmuv3_cd_get(dev, pasid);
	if (!cd)
		return -ENOMEM;
	dev->ssids += !(cd[0] & CD0_V);
	smmuv3_cd_s1(dev, cd, paging);
	if (!dev->cd_in_ste)
		smmuv3_ste_cds(dev, STE1_S1DSS_TERMINATE);
	pasid_attached(dev, domain, old);
	return 0;
}

static int blocked_attach(struct iommu_domain *domain, struct iommu_device *common,
			  struct iommu_domain *old)
{
	struct smmuv3_device *dev = to_smmuv3_device(common);

	if (dev->ssids)
		smmuv3_ste_cds(dev, STE1_S1DSS_TERMINATE);
	else
		smmuv3_ste_abort(dev);
	smmuv3_cd_clear(dev, IOMMU_NO_PASID);
	smmuv3_attached(dev, domain, old, NULL, 0);
	return 0;
}

static int blocked_set_pasid(struct iommu_domain *domain, struct iommu_device *common, u32 pasid,
			     struct iommu_domain *old)
{
	struct smmuv3_device *dev = to_smmuv3_device(common);

	dev->ssids -= smmuv3_cd_clear(dev, pasid);
	if (!dev->ssids && dev->blocked)
		smmuv3_ste_abort(dev);
	pasid_attached(dev, domain, old);
	return 0;
}

static void blocked_free(struct iommu_domain *domain)
{
	(void)domain;
}

static const struct iommu_domain_ops blocked_ops = {
	.attach_dev = blocked_attach,
	.set_dev_pasid = blocked_set_pasid,
	.free = blocked_free,
};

struct iommu_domain smmuv3_blocked = {
	.ops = &blocked_ops,
	.owner = &smmuv3_ops,
	.type = IOMMU_DOMAIN_BLOCKED,
};

static struct pt *domain_pt(struct iommu_domain *domain)
{
	return &to_smmuv3_domain(domain)->pt;
}

/* Tables that a map which failed has unlinked are freed by the next sync. */
static int s1_map(struct iommu_domain *domain, u64 iova, hpa_t hpa, u64 len, unsigned int prot)
{
	return pt_arm64_s1_4k_map(domain_pt(domain), iova, hpa, len, prot);
}

static void s1_unmap(struct iommu_domain *domain, u64 iova, u64 len)
{
	pt_arm64_s1_4k_unmap(domain_pt(domain), iova, len);
}

static hpa_t s1_iova_to_hpa(struct iommu_domain *domain, u64 iova)
{
	return pt_arm64_s1_4k_lookup(domain_pt(domain), iova, NULL);
}

static int s2_map(struct iommu_domain *domain, u64 iova, hpa_t hpa, u64 len, unsigned int prot)
{
	return pt_arm64_s2_4k_map(domain_pt(domain), iova, hpa, len, prot);
}

static void s2_unmap(struct iommu_domain *domain, u64 iova, u64 len)
{
	pt_arm64_s2_4k_unmap(domain_pt(domain), iova, len);
}

static hpa_t s2_iova_to_hpa(struct iommu_domain *domain, u64 iova)
{
	return pt_arm64_s2_4k_lookup(domain_pt(domain), iova, NULL);
}

static void paging_sync(struct iommu_domain *domain)
{
	pt_sync(domain_pt(domain));
}

static void paging_free(struct iommu_domain *domain)
{
	struct smmuv3_domain *paging = to_smmuv3_domain(domain);

	if (paging->stage == 1)
		pt_arm64_s1_4k_destroy(&paging->pt);
	else
		pt_arm64_s2_4k_destroy(&paging->pt);
	base_free(paging->alloc, paging, sizeof(*paging));
}

static const struct iommu_domain_ops s1_ops = {
	.attach_dev = paging_attach,
	.set_dev_pasid = paging_set_pasid,
	.free = paging_free,
	.map = s1_map,
	.unmap = s1_unmap,
	.sync = paging_sync,
	.iova_to_hpa = s1_iova_to_hpa,
};

static const struct iommu_domain_ops s2_ops = {
	.attach_dev = paging_attach,
	.set_dev_pasid = paging_set_pasid,
	.free = paging_free,
	.map = s2_map,
	.unmap = s2_unmap,
	.sync = paging_sync,
	.iova_to_hpa = s2_iova_to_hpa,
};

static int set_tracking(struct iommu_domain *domain, bool enable)
{
	(void)domain;
	(void)enable;
	return 0;
}

static int read_and_clear(struct iommu_domain *domain, u64 iova, u64 len, unsigned int flags,
			  struct iommu_dirty_sink *sink)
{
	pt_arm64_s1_4k_read_and_clear_dirty(domain_pt(domain), iova, len,
					    !(flags & IOMMU_DIRTY_NO_CLEAR),
					    sink ? iommu_report_dirty : NULL, sink);
	return 0;
}

static const struct iommu_dirty_ops dirty_ops = {
	.set_tracking = set_tracking,
	.read_and_clear = read_and_clear,
};

/* Which stage Linux's driver chooses. Return: 1, 2, or -EOPNOTSUPP. */
static int choose_stage(const struct smmuv3_unit *smmu, u32 flags)
{
	const bool s1 = smmu->idr[0] & IDR0_S1P;

	switch (flags) {
	case 0:
		return s1 ? 1 : 2;
	case IOMMU_HWPT_ALLOC_NEST_PARENT:
		return has_nesting(smmu) ? 2 : -EOPNOTSUPP;
	case IOMMU_HWPT_ALLOC_DIRTY_TRACKING:
	case IOMMU_HWPT_ALLOC_PASID:
	case IOMMU_HWPT_ALLOC_DIRTY_TRACKING | IOMMU_HWPT_ALLOC_PASID:
		return s1 ? 1 : -EOPNOTSUPP;
	default:
		return -EOPNOTSUPP;
	}
}

/* Levels of 9 bits above 12; stage 2 rather begins with 16 tables than a level higher. */
static unsigned int s2_levels(unsigned int bits)
{
	unsigned int levels = (bits - 12 + 8) / 9;

	return levels == 4 && bits <= 39 + 4 ? 3 : levels;
}

static int init_pt(struct smmuv3_domain *paging, u32 flags)
{
	const struct smmuv3_unit *smmu = paging->unit;
	struct pt_config config = {
		.levels = 4,
		.va_bits = PA_BITS,
		.oa_bits = PA_BITS,
		.pgsize_bitmap = (u64)1 << 12 | (u64)1 << 21 | (u64)1 << 30,
	};

	if (paging->stage == 1) {
		if (flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING)
			config.features = PT_FEAT_DIRTY;
		return pt_arm64_s1_4k_init(&paging->pt, paging->alloc, &config);
	}
	config.va_bits = smmu->oas;
	config.levels = s2_levels(smmu->oas);
	if (flags & IOMMU_HWPT_ALLOC_NEST_PARENT && smmu->idr[3] & IDR3_FWB)
		config.features = PT_FEAT_S2_FWB;
	return pt_arm64_s2_4k_init(&paging->pt, paging->alloc, &config);
}

/* ASIDs and VMIDs only tell TLB entries apart; each port has a TLB of its own. */
static u32 next_tag(struct smmuv3_unit *smmu, unsigned int stage)
{
	const u32 wide = stage == 1 ? IDR0_ASID16 : IDR0_VMID16;
	const u32 last = smmu->idr[0] & wide ? 0xffff : 0xff;

	return atomic_fetch_add(&smmu->tag, 1) % last + 1;
}

int smmuv3_alloc_paging(struct iommu_device *dev, struct base_alloc *alloc, u32 flags,
			const struct iommu_user_data *data, struct iommu_domain **out)
{
	struct smmuv3_unit *smmu = to_smmuv3(dev);
	int stage = choose_stage(smmu, flags);
	struct smmuv3_domain *paging;
	int rc;

	if (data)
		return -EOPNOTSUPP;
	if (stage < 0)
		return stage;
	paging = base_zalloc(alloc, sizeof(*paging));
	if (!paging)
		return -ENOMEM;
	paging->alloc = alloc;
	paging->unit = smmu;
	paging->stage = (unsigned int)stage;
	paging->tag = next_tag(smmu, paging->stage);
	rc = init_pt(paging, flags);
	if (rc) {
		base_free(alloc, paging, sizeof(*paging));
		return rc;
	}
	paging->domain.ops = stage == 1 ? &s1_ops : &s2_ops;
	paging->domain.owner = &smmuv3_ops;
	paging->domain.type = IOMMU_DOMAIN_PAGING;
	paging->domain.pgsize_bitmap = paging->pt.pgsize_bitmap;
	paging->domain.aperture_last = paging->pt.va_last;
	paging->domain.cache_coherent = smmu->canwbs;
	if (flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING)
		paging->domain.dirty_ops = &dirty_ops;
	*out = &paging->domain;
	return 0;
}
