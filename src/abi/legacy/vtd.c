// SPDX-License-Identifier: MIT
/*
 * VT-d's driver: a guest's page table for a PASID becomes a nested HWPT.
 *
 * What is refused, and in which order, is what Intel's driver of that time refused. Today's
 * nested HWPT has no memory types, so there are none here; what a unit lacks (5 levels,
 * requests of supervisors, the extended accessed flag) its model refuses when the table is
 * attached.
 *
 * Invalidation: a unit has one cache with tags for PASIDs, and flushing it takes the
 * devices' own (ATS) along. A request about devices' caches alone is more than carried
 * out by the same. The PASID table is the host's, which keeps its cache right: there is
 * nothing to do. Where the driver knew no such request and said nothing (a whole domain),
 * all of the domain's tables are flushed, since "done" must not mean less than it says.
 */
#include "legacy.h"

/* Of the capability register: pages of 1 GiB, and 5 levels, in the first stage. */
#define NESTING_CAP ((u64)1 << 56 | (u64)1 << 60)

/* Of the extended one: PRS, ERS, SRS, EAFS, PASID. */
#define NESTING_ECAP ((u64)1 << 29 | (u64)1 << 30 | (u64)1 << 31 | (u64)1 << 34 | (u64)1 << 40)

/* The driver has no use for less. */
#define PASID_BITS 20

/* What has no PASID goes to the parent, which asks nobody. */
static bool asks_pages(const struct legacy_domain *domain, const struct iommu_device *dev)
{
	(void)domain;
	return dev->page_requests && dev->pasid_bits == PASID_BITS;
}

static void fill_info(const struct legacy_domain *domain, struct iommu_nesting_info *info)
{
	const struct iommu_hw_info_vtd *hw = domain->hw_info;

	info->format = IOMMU_PASID_FORMAT_INTEL_VTD;
	if (info->pasid_bits == PASID_BITS)
		info->features |= IOMMU_NESTING_FEAT_BIND_PGTBL | IOMMU_NESTING_FEAT_CACHE_INVLD;
	info->vendor.vtd.cap_reg = hw->cap_reg & NESTING_CAP;
	info->vendor.vtd.ecap_reg = hw->ecap_reg & NESTING_ECAP;
}

static int check_bind(const struct legacy_dev *dev, const struct legacy_bind *bind)
{
	const struct iommu_gpasid_bind_data *data = &bind->data;
	const struct iommu_gpasid_bind_data_vtd *vtd = &data->vendor.vtd;

	if (data->format != IOMMU_PASID_FORMAT_INTEL_VTD)
		return -EINVAL;
	if (data->argsz < offsetofend(struct iommu_gpasid_bind_data, vendor.vtd))
		return -EINVAL;
	if (vtd->flags & ~(u64)(IOMMU_SVA_VTD_GPASID_LAST - 1))
		return -EINVAL;
	if (dev->dev->dev->pasid_bits != PASID_BITS)
		return -EINVAL;
	/* Without one of these flags @pat and @emt mean nothing. */
	return vtd->flags & IOMMU_SVA_VTD_GPASID_MTS_MASK ? -EINVAL : 0;
}

static u64 s1_flags(u64 flags)
{
	return (flags & IOMMU_SVA_VTD_GPASID_SRE ? IOMMU_VTD_S1_SRE : 0) |
	       (flags & IOMMU_SVA_VTD_GPASID_EAFE ? IOMMU_VTD_S1_EAFE : 0) |
	       (flags & IOMMU_SVA_VTD_GPASID_WPE ? IOMMU_VTD_S1_WPE : 0);
}

static int bind_table(struct legacy_domain *domain, struct legacy_dev *dev,
		      const struct legacy_bind *bind, struct core_hwpt **out)
{
	const struct iommu_hwpt_vtd_s1 s1 = {
		.flags = s1_flags(bind->data.vendor.vtd.flags),
		.pgtbl_addr = bind->data.gpgd,
		.addr_width = bind->data.addr_width,
	};
	const struct iommu_user_data data =
		legacy_data(domain, IOMMU_HWPT_DATA_VTD_S1, &s1, sizeof(s1));
	struct core_hwpt *hwpt;
	int rc;

	rc = core_hwpt_nested_alloc(domain->ctx, domain->parent, dev->dev, IOMMU_HWPT_ALLOC_PASID,
				    &data, &hwpt);
	if (rc)
		return rc;
	if (domain->fault)
		core_hwpt_set_fault(hwpt, domain->fault);
	core_object_publish(domain->ctx, &hwpt->obj);
	*out = hwpt;
	return 0;
}

/* Pages that cover what @info names; all there are if it has no end, or names none. */
static struct iommu_hwpt_vtd_s1_invalidate to_pages(const struct iommu_cache_invalidate_info *info)
{
	const struct iommu_inv_addr_info *a = &info->granu.addr_info;
	const struct iommu_hwpt_vtd_s1_invalidate all = { .npages = U64_MAX };
	struct iommu_hwpt_vtd_s1_invalidate inv = { 0 };
	u64 bytes, last;

	if (info->granularity != IOMMU_INV_GRANU_ADDR)
		return all;
	if (__builtin_mul_overflow(a->granule_size, a->nb_granules, &bytes))
		return all;
	/* A count of none was one page to the driver. */
	if (__builtin_add_overflow(a->addr, bytes ? bytes - 1 : 0, &last))
		return all;
	inv.addr = align_down(a->addr, PAGE_BYTES);
	inv.npages = ((last - inv.addr) >> PAGE_LG2) + 1;
	if (a->flags & IOMMU_INV_ADDR_FLAGS_LEAF)
		inv.flags = IOMMU_VTD_INV_FLAGS_LEAF;
	return inv;
}

static int flush(struct legacy_domain *domain, struct core_hwpt *hwpt,
		 struct iommu_hwpt_vtd_s1_invalidate *inv)
{
	struct iommu_user_array array = {
		.task = &domain->task,
		.type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
		.entry_len = sizeof(*inv),
		.num = 1,
		.uptr = (uintptr_t)inv,
	};

	/* Whatever the reason: the caller is to know that it was not done. */
	return hwpt->domain->ops->cache_invalidate_user(hwpt->domain, &array) ? -EIO : 0;
}

/* Which PASID is named: it has to be the caller's. IOMMU_NO_PASID: all that are bound. */
static int named_pasid(const struct legacy_domain *domain,
		       const struct iommu_cache_invalidate_info *info, u32 *pasid)
{
	const struct iommu_inv_pasid_info *p = &info->granu.pasid_info;
	const struct iommu_inv_addr_info *a = &info->granu.addr_info;
	u64 named = 0;

	*pasid = IOMMU_NO_PASID;
	if (info->granularity == IOMMU_INV_GRANU_DOMAIN)
		return 0;
	if (info->granularity == IOMMU_INV_GRANU_PASID) {
		/* Other tags than PASIDs there are not. */
		if (!(p->flags & IOMMU_INV_PASID_FLAGS_PASID))
			return -EINVAL;
		named = p->pasid;
	} else {
		if (!(a->flags & IOMMU_INV_ADDR_FLAGS_PASID))
			return 0;
		named = a->pasid;
	}
	if (!core_pasid_owned(domain->pasids, named))
		return -EINVAL;
	*pasid = (u32)named;
	return 0;
}

static int invalidate(struct legacy_domain *domain, const struct iommu_cache_invalidate_info *info)
{
	struct iommu_hwpt_vtd_s1_invalidate inv = to_pages(info);
	struct legacy_binding *b;
	struct legacy_dev *d;
	u32 pasid;
	int rc;

	rc = named_pasid(domain, info, &pasid);
	if (rc || !(info->cache & (IOMMU_CACHE_INV_TYPE_IOTLB | IOMMU_CACHE_INV_TYPE_DEV_IOTLB)))
		return rc;
	LIST_FOREACH(d, &domain->devs, link) {
		LIST_FOREACH(b, &d->bindings, link) {
			if (pasid != IOMMU_NO_PASID && b->hpasid != pasid)
				continue;
			rc = flush(domain, b->hwpt, &inv);
			if (rc)
				return rc;
		}
	}
	return 0;
}

const struct legacy_vendor legacy_vtd = {
	.hw_info = IOMMU_HW_INFO_TYPE_INTEL_VTD,
	.series = LEGACY_INTEL,
	.parent_flags = IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID,
	.asks_pages = asks_pages,
	.fill_info = fill_info,
	.check_bind = check_bind,
	.bind = bind_table,
	.invalidate = invalidate,
};
