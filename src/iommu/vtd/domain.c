// SPDX-License-Identifier: MIT
/*
 * Paging domains: which stage they are, what they can map, and which units can
 * use them. The choice is Linux's: first stage where there is one, but second
 * stage for what only that can do, which is dirty tracking and being a parent.
 */
#include "vtd.h"

/* Width of second-stage addresses: the largest that is there and makes sense. */
static unsigned int second_stage_bits(const struct vtd_unit *unit)
{
	unsigned int mgaw = vtd_mgaw(unit);

	if (mgaw > 48 && unit->cap & CAP_SAGAW_57)
		return (unsigned int)min_u64(57, mgaw);
	if (mgaw > 39 && unit->cap & CAP_SAGAW_48)
		return (unsigned int)min_u64(48, mgaw);
	return unit->cap & CAP_SAGAW_39 ? (unsigned int)min_u64(39, mgaw) : 0;
}

static u64 second_stage_sizes(const struct vtd_unit *unit)
{
	return PAGE_BYTES | (unit->cap & CAP_SSLPS_2M ? BIT(21) : 0) |
	       (unit->cap & CAP_SSLPS_1G ? BIT(30) : 0);
}

static u64 first_stage_sizes(const struct vtd_unit *unit)
{
	return PAGE_BYTES | BIT(21) | (unit->cap & CAP_FS1GP ? BIT(30) : 0);
}

static int first_stage_map(struct iommu_domain *domain, u64 iova, hpa_t hpa, u64 len,
			   unsigned int prot)
{
	return pt_x86_64_map(&to_vtd_paging(domain)->pt, iova, hpa, len, prot);
}

static void first_stage_unmap(struct iommu_domain *domain, u64 iova, u64 len)
{
	pt_x86_64_unmap(&to_vtd_paging(domain)->pt, iova, len);
}

static hpa_t first_stage_iova_to_hpa(struct iommu_domain *domain, u64 iova)
{
	return pt_x86_64_lookup(&to_vtd_paging(domain)->pt, iova, NULL);
}

static void first_stage_free(struct iommu_domain *domain)
{
	struct vtd_paging *paging = to_vtd_paging(domain);

	pt_x86_64_destroy(&paging->pt);
	base_free(paging->alloc, paging, sizeof(*paging));
}

static int second_stage_map(struct iommu_domain *domain, u64 iova, hpa_t hpa, u64 len,
			    unsigned int prot)
{
	struct vtd_paging *paging = to_vtd_paging(domain);

	if (paging->writable_only && !(prot & IOMMU_PROT_WRITE))
		return -EINVAL;
	return pt_vtdss_map(&paging->pt, iova, hpa, len, prot);
}

static void second_stage_unmap(struct iommu_domain *domain, u64 iova, u64 len)
{
	pt_vtdss_unmap(&to_vtd_paging(domain)->pt, iova, len);
}

static hpa_t second_stage_iova_to_hpa(struct iommu_domain *domain, u64 iova)
{
	return pt_vtdss_lookup(&to_vtd_paging(domain)->pt, iova, NULL);
}

static void second_stage_free(struct iommu_domain *domain)
{
	struct vtd_paging *paging = to_vtd_paging(domain);

	pt_vtdss_destroy(&paging->pt);
	vtd_tags_free(&paging->tags, paging->alloc);
	base_free(paging->alloc, paging, sizeof(*paging));
}

static void paging_sync(struct iommu_domain *domain)
{
	pt_sync(&to_vtd_paging(domain)->pt);
}

int vtd_check_faults(const struct iommu_domain *domain, struct iommu_device *dev)
{
	return domain->fault_handler && !to_vtd_device(dev)->pri ? -ENODEV : 0;
}

static int first_stage_check(const struct vtd_paging *paging, const struct vtd_unit *unit)
{
	if (!vtd_ecap(unit, ECAP_SMTS | ECAP_FSTS))
		return -EINVAL;
	if (paging->pt.top_level == 4 && !(unit->cap & CAP_FS5LP))
		return -EINVAL;
	return paging->pt.pgsize_bitmap & ~first_stage_sizes(unit) ? -EINVAL : 0;
}

static int second_stage_check(const struct vtd_paging *paging, const struct vtd_unit *unit)
{
	/* AW 1 to 3 is bit 1 to 3 of SAGAW. */
	const u64 sagaw = BIT(paging->pt.top_level - 1u);

	if (vtd_scalable(unit) && !(unit->ecap & ECAP_SSTS))
		return -EINVAL;
	if (paging->domain.aperture_last >> (vtd_mgaw(unit) - 1) >> 1 ||
	    !(GET(unit->cap, CAP_SAGAW) & sagaw))
		return -EINVAL;
	if (paging->pt.pgsize_bitmap & ~second_stage_sizes(unit))
		return -EINVAL;
	if (paging->domain.dirty_ops && !vtd_ecap(unit, VTD_ECAP_DIRTY))
		return -EINVAL;
	return paging->nest_parent && !vtd_ecap(unit, VTD_ECAP_NEST) ? -EINVAL : 0;
}

int vtd_paging_check(const struct vtd_paging *paging, struct iommu_device *dev)
{
	const struct vtd_unit *unit = to_vtd_unit(dev->unit);

	if (paging->domain.cache_coherent && !(unit->ecap & ECAP_SC))
		return -EINVAL;
	if (paging->coherent && !vtd_coherent(unit))
		return -EINVAL;
	return paging->first_stage ? first_stage_check(paging, unit)
				   : second_stage_check(paging, unit);
}

static int paging_attach(struct iommu_domain *domain, struct iommu_device *dev, u32 pasid,
			 struct iommu_domain *old)
{
	int rc = vtd_paging_check(to_vtd_paging(domain), dev);

	if (!rc)
		rc = vtd_check_faults(domain, dev);
	return rc ? rc : vtd_set_entry(dev, pasid, domain, old);
}

static int paging_attach_dev(struct iommu_domain *domain, struct iommu_device *dev,
			     struct iommu_domain *old)
{
	return paging_attach(domain, dev, IOMMU_NO_PASID, old);
}

static int paging_set_dev_pasid(struct iommu_domain *domain, struct iommu_device *dev, u32 pasid,
				struct iommu_domain *old)
{
	return paging_attach(domain, dev, pasid, old);
}

static const struct iommu_domain_ops first_stage_ops = {
	.attach_dev = paging_attach_dev,
	.set_dev_pasid = paging_set_dev_pasid,
	.free = first_stage_free,
	.map = first_stage_map,
	.unmap = first_stage_unmap,
	.sync = paging_sync,
	.iova_to_hpa = first_stage_iova_to_hpa,
};

static const struct iommu_domain_ops second_stage_ops = {
	.attach_dev = paging_attach_dev,
	.set_dev_pasid = paging_set_dev_pasid,
	.free = second_stage_free,
	.map = second_stage_map,
	.unmap = second_stage_unmap,
	.sync = paging_sync,
	.iova_to_hpa = second_stage_iova_to_hpa,
};

static int blocked_attach_dev(struct iommu_domain *domain, struct iommu_device *dev,
			      struct iommu_domain *old)
{
	return vtd_set_entry(dev, IOMMU_NO_PASID, domain, old);
}

static int blocked_set_dev_pasid(struct iommu_domain *domain, struct iommu_device *dev, u32 pasid,
				 struct iommu_domain *old)
{
	return vtd_set_entry(dev, pasid, domain, old);
}

static void blocked_free(struct iommu_domain *domain)
{
	(void)domain;
}

static const struct iommu_domain_ops blocked_ops = {
	.attach_dev = blocked_attach_dev,
	.set_dev_pasid = blocked_set_dev_pasid,
	.free = blocked_free,
};

/* No entry is present. */
struct iommu_domain vtd_blocked = {
	.ops = &blocked_ops,
	.owner = &vtd_ops,
	.type = IOMMU_DOMAIN_BLOCKED,
};

static void switch_entry(struct iommu_device *dev, u32 pasid, void *enable)
{
	vtd_set_ssade(dev, pasid, *(bool *)enable);
}

static int set_tracking(struct iommu_domain *domain, bool enable)
{
	struct vtd_paging *paging = to_vtd_paging(domain);

	if (paging->tracking == enable)
		return 0;
	paging->tracking = enable;
	iommu_for_each_attached(domain, switch_entry, &enable);
	return 0;
}

static int read_and_clear(struct iommu_domain *domain, u64 iova, u64 len, unsigned int flags,
			  struct iommu_dirty_sink *sink)
{
	pt_vtdss_read_and_clear_dirty(&to_vtd_paging(domain)->pt, iova, len,
				      !(flags & IOMMU_DIRTY_NO_CLEAR),
				      sink ? iommu_report_dirty : NULL, sink);
	return 0;
}

static const struct iommu_dirty_ops dirty_ops = {
	.set_tracking = set_tracking,
	.read_and_clear = read_and_clear,
};

static int init_first_stage(struct vtd_paging *paging, const struct vtd_unit *unit)
{
	bool large = vtd_mgaw(unit) > 48 && unit->cap & CAP_FS5LP;
	struct pt_config config = {
		.levels = large ? 5 : 4,
		.pgsize_bitmap = first_stage_sizes(unit),
	};

	paging->first_stage = true;
	paging->domain.ops = &first_stage_ops;
	return pt_x86_64_init(&paging->pt, paging->alloc, &config);
}

static int init_second_stage(struct vtd_paging *paging, const struct vtd_unit *unit, u32 flags)
{
	unsigned int bits = second_stage_bits(unit);
	struct pt_config config = {
		.levels = bits > 48   ? 5
			  : bits > 39 ? 4
				      : 3,
		.va_bits = bits,
		.pgsize_bitmap = second_stage_sizes(unit),
		.features = paging->domain.cache_coherent ? PT_FEAT_SNOOP : 0,
	};

	paging->domain.ops = &second_stage_ops;
	paging->nest_parent = flags & IOMMU_HWPT_ALLOC_NEST_PARENT;
	paging->writable_only = paging->nest_parent && unit->spr17;
	if (flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING)
		paging->domain.dirty_ops = &dirty_ops;
	return pt_vtdss_init(&paging->pt, paging->alloc, &config);
}

static int check_alloc(const struct vtd_unit *unit, u32 flags)
{
	const u32 known = IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING |
			  IOMMU_HWPT_ALLOC_PASID;

	if (flags & ~known)
		return -EOPNOTSUPP;
	if (flags & IOMMU_HWPT_ALLOC_NEST_PARENT && !vtd_ecap(unit, VTD_ECAP_NEST))
		return -EOPNOTSUPP;
	if (flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING && !vtd_ecap(unit, VTD_ECAP_DIRTY))
		return -EOPNOTSUPP;
	return 0;
}

int vtd_alloc_paging(struct iommu_device *dev, struct base_alloc *alloc, u32 flags,
		     const struct iommu_user_data *data, struct iommu_domain **out)
{
	const u32 second = IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	const struct vtd_unit *unit = to_vtd_unit(dev->unit);
	bool first = !(flags & second) && vtd_ecap(unit, ECAP_SMTS | ECAP_FSTS);
	struct vtd_paging *paging;
	int rc;

	rc = data ? -EOPNOTSUPP : check_alloc(unit, flags);
	if (rc)
		return rc;
	if (!first && vtd_scalable(unit) && !(unit->ecap & ECAP_SSTS))
		return -EOPNOTSUPP;
	paging = base_zalloc(alloc, sizeof(*paging));
	if (!paging)
		return -ENOMEM;
	paging->alloc = alloc;
	paging->domain.owner = &vtd_ops;
	paging->domain.type = IOMMU_DOMAIN_PAGING;
	paging->domain.cache_coherent = unit->ecap & ECAP_SC;
	paging->coherent = vtd_coherent(unit);
	rc = first ? init_first_stage(paging, unit) : init_second_stage(paging, unit, flags);
	if (rc) {
		base_free(alloc, paging, sizeof(*paging));
		return rc;
	}
	paging->domain.pgsize_bitmap = paging->pt.pgsize_bitmap;
	paging->domain.aperture_last = paging->pt.va_last;
	*out = &paging->domain;
	return 0;
}
