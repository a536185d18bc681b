// SPDX-License-Identifier: MIT
/*
 * Paging domains, and the blocked one.
 *
 * A domain has host (v1) tables, which can be a nest parent's and track what is
 * written, or guest (v2) tables, behind a GCR3 table in which PASID 0 stands for
 * all requests without a PASID (GIOV). Which, flags decide as in Linux; a PASID
 * itself can be attached to neither.
 *
 * Attaching writes the device's table entry. Tracking is a bit there (HAD), not
 * in the tables: switching it rewrites the entry of every device that
 * translates through the domain, or through one that is nested on it.
 */
#include "amd.h"

/* Largest host page, section 2.2.3, table 14. */
#define HOST_LEAF_LG2_MAX 51

bool amd_compatible(const struct amd_domain *domain, const struct amd_unit *unit)
{
	unsigned int levels = domain->pt.top_level + 1u;

	if (domain->guest)
		return unit->efr & EFR_GT && levels <= amd_guest_levels(unit);
	return levels <= amd_host_levels(unit) && (!domain->domain.dirty_ops || unit->efr & EFR_HD);
}

void amd_block(struct amd_device *dev)
{
	const u64 q[4] = { DTE0_V };

	amd_dte_write(&dev->dte, q);
}

void amd_host_dte(const struct amd_domain *host, u64 q[4])
{
	q[0] |= DTE0_V | DTE0_TV | DTE0_IR | DTE0_IW | (u64)(uintptr_t)host->pt.top |
		(u64)(host->pt.top_level + 1) << DTE0_MODE_SHIFT;
	if (host->tracking)
		q[0] |= DTE0_HAD_A | DTE0_HAD_D;
}

static void guest_dte(const struct amd_domain *guest, u64 q[4])
{
	u64 gcr3 = (u64)(uintptr_t)guest->gcr3;

	q[0] |= DTE0_V | DTE0_TV | DTE0_IR | DTE0_IW | DTE0_GV | DTE0_GIOV |
		(gcr3 >> 12 & 7) << DTE0_GCR3_SHIFT;
	q[1] |= (gcr3 >> 15 & 0xffff) << DTE1_GCR3_SHIFT | (gcr3 >> 31) << DTE1_GCR3H_SHIFT;
	q[2] |= (u64)(guest->pt.top_level + 1 - 4) << DTE2_GPM_SHIFT;
}

static int paging_attach(struct iommu_domain *domain, struct iommu_device *common,
			 struct iommu_domain *old)
{
	struct amd_domain *amd = to_amd_domain(domain);
	struct amd_device *dev = to_amd_device(common);
	u64 q[4] = { 0 };

	(void)old;
	if (!amd_compatible(amd, to_amd_unit(common->unit)))
		return -EINVAL;
	if (amd->guest)
		guest_dte(amd, q);
	else
		amd_host_dte(amd, q);
	if (amd->guest && common->page_requests)
		q[0] |= DTE0_PPR;
	q[1] |= amd->id | (dev->ats ? DTE1_I : 0);
	amd_dte_write(&dev->dte, q);
	return 0;
}

static int host_map(struct iommu_domain *domain, u64 iova, hpa_t hpa, u64 len, unsigned int prot)
{
	return pt_amdv1_map(&to_amd_domain(domain)->pt, iova, hpa, len, prot);
}

static void host_unmap(struct iommu_domain *domain, u64 iova, u64 len)
{
	pt_amdv1_unmap(&to_amd_domain(domain)->pt, iova, len);
}

static hpa_t host_iova_to_hpa(struct iommu_domain *domain, u64 iova)
{
	return pt_amdv1_lookup(&to_amd_domain(domain)->pt, iova, NULL);
}

static int guest_map(struct iommu_domain *domain, u64 iova, hpa_t hpa, u64 len, unsigned int prot)
{
	return pt_x86_64_map(&to_amd_domain(domain)->pt, iova, hpa, len, prot);
}

static void guest_unmap(struct iommu_domain *domain, u64 iova, u64 len)
{
	pt_x86_64_unmap(&to_amd_domain(domain)->pt, iova, len);
}

static hpa_t guest_iova_to_hpa(struct iommu_domain *domain, u64 iova)
{
	return pt_x86_64_lookup(&to_amd_domain(domain)->pt, iova, NULL);
}

static void paging_sync(struct iommu_domain *domain)
{
	pt_sync(&to_amd_domain(domain)->pt);
}

static void domain_free(struct amd_domain *amd)
{
	base_free(amd->alloc, (void *)amd->gcr3, PAGE_BYTES);
	amd_domain_id_put(amd->unit, amd->id);
	base_free(amd->alloc, amd, sizeof(*amd));
}

static void paging_free(struct iommu_domain *domain)
{
	struct amd_domain *amd = to_amd_domain(domain);

	if (amd->guest)
		pt_x86_64_destroy(&amd->pt);
	else
		pt_amdv1_destroy(&amd->pt);
	domain_free(amd);
}

static const struct iommu_domain_ops host_ops = {
	.attach_dev = paging_attach,
	.free = paging_free,
	.map = host_map,
	.unmap = host_unmap,
	.sync = paging_sync,
	.iova_to_hpa = host_iova_to_hpa,
};

static const struct iommu_domain_ops guest_ops = {
	.attach_dev = paging_attach,
	.free = paging_free,
	.map = guest_map,
	.unmap = guest_unmap,
	.sync = paging_sync,
	.iova_to_hpa = guest_iova_to_hpa,
};

static int blocked_attach(struct iommu_domain *domain, struct iommu_device *dev,
			  struct iommu_domain *old)
{
	(void)domain;
	(void)old;
	amd_block(to_amd_device(dev));
	return 0;
}

static void blocked_free(struct iommu_domain *domain)
{
	(void)domain;
}

static const struct iommu_domain_ops blocked_ops = {
	.attach_dev = blocked_attach,
	.free = blocked_free,
};

struct iommu_domain amd_blocked = {
	.ops = &blocked_ops,
	.type = IOMMU_DOMAIN_BLOCKED,
};

/* Context: group->attach_lock. */
static void set_had(struct iommu_device *common, u32 pasid, void *on)
{
	struct amd_device *dev = to_amd_device(common);
	u64 q[4];

	(void)pasid;
	amd_dte_read(&dev->dte, q);
	q[0] &= ~(DTE0_HAD_A | DTE0_HAD_D);
	if (*(bool *)on)
		q[0] |= DTE0_HAD_A | DTE0_HAD_D;
	amd_dte_write(&dev->dte, q);
}

/* The caller flushes what ports have cached of the entries. */
static int set_tracking(struct iommu_domain *domain, bool enable)
{
	struct amd_domain *amd = to_amd_domain(domain);

	if (amd->tracking == enable)
		return 0;
	amd->tracking = enable;
	iommu_for_each_attached(domain, set_had, &enable);
	return 0;
}

static int read_and_clear(struct iommu_domain *domain, u64 iova, u64 len, unsigned int flags,
			  struct iommu_dirty_sink *sink)
{
	pt_amdv1_read_and_clear_dirty(&to_amd_domain(domain)->pt, iova, len,
				      !(flags & IOMMU_DIRTY_NO_CLEAR),
				      sink ? iommu_report_dirty : NULL, sink);
	return 0;
}

static const struct iommu_dirty_ops dirty_ops = {
	.set_tracking = set_tracking,
	.read_and_clear = read_and_clear,
};

/* Linux uses pages of less than half of what a table covers, and never of 512 GiB. */
static int init_host(struct amd_domain *amd)
{
	struct pt_config config = { .levels = amd_host_levels(amd->unit) };
	unsigned int va_bits = config.levels == 6 ? 64 : 12 + 9 * config.levels;
	unsigned int max = va_bits - 2 < HOST_LEAF_LG2_MAX ? va_bits - 2 : HOST_LEAF_LG2_MAX;

	config.pgsize_bitmap = ((((u64)2 << max) - 1) & ~(PAGE_BYTES - 1)) & ~((u64)1 << 39);
	amd->domain.ops = &host_ops;
	return pt_amdv1_init(&amd->pt, amd->alloc, &config);
}

static int init_guest(struct amd_domain *amd)
{
	struct pt_config config = { .levels = amd_guest_levels(amd->unit) };
	int rc;

	amd->guest = true;
	amd->domain.ops = &guest_ops;
	amd->gcr3 = base_zalloc_table(amd->alloc, PAGE_BYTES);
	if (!amd->gcr3)
		return -ENOMEM;
	rc = pt_x86_64_init(&amd->pt, amd->alloc, &config);
	if (!rc)
		atomic_store_explicit(&amd->gcr3[0], (u64)(uintptr_t)amd->pt.top | GCR3_V,
				      memory_order_relaxed);
	return rc;
}

static int domain_new(struct iommu_device *dev, struct base_alloc *alloc, bool guest, bool dirty,
		      struct iommu_domain **out)
{
	struct amd_domain *amd = base_zalloc(alloc, sizeof(*amd));
	int rc;

	if (!amd)
		return -ENOMEM;
	amd->alloc = alloc;
	amd->unit = to_amd_unit(dev->unit);
	amd->id = amd_domain_id_get(amd->unit);
	if (!amd->id) {
		base_free(alloc, amd, sizeof(*amd));
		return -ENOMEM;
	}
	rc = guest ? init_guest(amd) : init_host(amd);
	if (rc) {
		domain_free(amd);
		return rc;
	}
	amd->domain.owner = dev->unit->ops;
	amd->domain.type = IOMMU_DOMAIN_PAGING;
	amd->domain.pgsize_bitmap = amd->pt.pgsize_bitmap;
	amd->domain.aperture_last = amd->pt.va_last;
	amd->domain.cache_coherent = true;
	if (dirty)
		amd->domain.dirty_ops = &dirty_ops;
	*out = &amd->domain;
	return 0;
}

/* Can guests' GCR3 tables be where host tables say? */
static bool nesting_supported(const struct amd_unit *unit)
{
	return unit->efr & EFR_GT && unit->efr & EFR_GIO && unit->efr2 & EFR2_GCR3TRP;
}

static bool pasid_supported(const struct amd_unit *unit)
{
	const u64 need = EFR_GT | EFR_GIO | EFR_PPR | EFR_EPH;

	return (unit->efr & need) == need;
}

int amd_alloc_paging(struct iommu_device *dev, struct base_alloc *alloc, u32 flags,
		     const struct iommu_user_data *data, struct iommu_domain **out)
{
	const struct amd_unit *unit = to_amd_unit(dev->unit);
	bool dirty = flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING;

	if (data)
		return -EOPNOTSUPP;
	switch (flags) {
	case 0:
		return domain_new(dev, alloc, unit->guest_default, false, out);
	case IOMMU_HWPT_ALLOC_PASID:
		if (!pasid_supported(unit))
			return -EOPNOTSUPP;
		return domain_new(dev, alloc, true, false, out);
	case IOMMU_HWPT_ALLOC_DIRTY_TRACKING:
	case IOMMU_HWPT_ALLOC_NEST_PARENT:
	case IOMMU_HWPT_ALLOC_DIRTY_TRACKING | IOMMU_HWPT_ALLOC_NEST_PARENT:
		if (!amd_host_levels(unit) || (dirty && !(unit->efr & EFR_HD)))
			return -EOPNOTSUPP;
		if (flags & IOMMU_HWPT_ALLOC_NEST_PARENT && !nesting_supported(unit))
			return -EOPNOTSUPP;
		return domain_new(dev, alloc, false, dirty, out);
	default:
		return -EOPNOTSUPP;
	}
}
