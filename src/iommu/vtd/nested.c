// SPDX-License-Identifier: MIT
/*
 * Nested domains: a guest's first-stage table over a parent's second stage.
 *
 * Linux looks at the guest's configuration when it is attached, not when it is
 * made: a table's address is checked by hardware, access by access.
 */
#include "vtd.h"

static int check_config(const struct iommu_hwpt_vtd_s1 *s1, const struct vtd_unit *unit)
{
	if (s1->addr_width != 48 && (s1->addr_width != 57 || !(unit->cap & CAP_FS5LP)))
		return -EINVAL;
	if (s1->flags & IOMMU_VTD_S1_SRE && !(unit->ecap & ECAP_SRS))
		return -EINVAL;
	return s1->flags & IOMMU_VTD_S1_EAFE && !(unit->ecap & ECAP_EAFS) ? -EINVAL : 0;
}

static int nested_attach(struct iommu_domain *domain, struct iommu_device *dev, u32 pasid,
			 struct iommu_domain *old)
{
	struct vtd_nested *nested = to_vtd_nested(domain);
	int rc = vtd_paging_check(nested->parent, dev);

	if (!rc)
		rc = vtd_check_faults(domain, dev);
	if (!rc)
		rc = check_config(&nested->s1, to_vtd_unit(dev->unit));
	return rc ? rc : vtd_set_entry(dev, pasid, domain, old);
}

static int nested_attach_dev(struct iommu_domain *domain, struct iommu_device *dev,
			     struct iommu_domain *old)
{
	return nested_attach(domain, dev, IOMMU_NO_PASID, old);
}

static int nested_set_dev_pasid(struct iommu_domain *domain, struct iommu_device *dev, u32 pasid,
				struct iommu_domain *old)
{
	return nested_attach(domain, dev, pasid, old);
}

static void nested_free(struct iommu_domain *domain)
{
	struct vtd_nested *nested = to_vtd_nested(domain);

	vtd_tags_free(&nested->tags, nested->alloc);
	base_free(nested->alloc, nested, sizeof(*nested));
}

/*
 * A descriptor of the invalidation queue has a power of two of pages, aligned to
 * that: what is asked for is widened to the smallest that has all of it. No pages
 * make a range that ends before it begins, with what that gives, as in Linux.
 */
static void gather(struct iommu_domain *domain, u64 addr, u64 npages)
{
	u64 differ, last;

	if (npages > U64_MAX >> PAGE_LG2) {
		iommu_gather(domain, 0, U64_MAX);
		return;
	}
	last = addr + npages * PAGE_BYTES - 1;
	differ = (addr ^ last) | (PAGE_BYTES - 1);
	differ = U64_MAX >> (63 - highest_bit(differ));
	iommu_gather(domain, addr & ~differ, addr | differ);
}

static int invalidate_one(struct iommu_domain *domain,
			  const struct iommu_hwpt_vtd_s1_invalidate *inv)
{
	if (inv->flags & ~(u32)IOMMU_VTD_INV_FLAGS_LEAF || inv->__reserved)
		return -EOPNOTSUPP;
	if (!is_aligned(inv->addr, PAGE_BYTES) || (inv->npages == U64_MAX && inv->addr))
		return -EINVAL;
	gather(domain, inv->addr, inv->npages);
	return 0;
}

/*
 * Nothing of the levels above a page is cached, so leaves are all there is. The
 * devices' own translations (ATS) go with the rest.
 */
static int nested_invalidate(struct iommu_domain *domain, struct iommu_user_array *array)
{
	struct iommu_hwpt_vtd_s1_invalidate inv;
	u32 want = array->num, done = 0;
	int rc = 0;

	if (array->type != IOMMU_HWPT_INVALIDATE_DATA_VTD_S1)
		rc = -EINVAL;
	while (!rc && done < want) {
		rc = iommu_copy_user_entry(&inv, sizeof(inv),
					   offsetofend(struct iommu_hwpt_vtd_s1_invalidate,
						       __reserved),
					   IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, array, done);
		if (!rc)
			rc = invalidate_one(domain, &inv);
		done += !rc;
	}
	array->num = done;
	iommu_sync(domain);
	return rc;
}

static const struct iommu_domain_ops nested_ops = {
	.attach_dev = nested_attach_dev,
	.set_dev_pasid = nested_set_dev_pasid,
	.free = nested_free,
	.cache_invalidate_user = nested_invalidate,
};

int vtd_alloc_nested(struct iommu_device *dev, struct base_alloc *alloc,
		     struct iommu_domain *parent, u32 flags, const struct iommu_user_data *data,
		     struct iommu_domain **out)
{
	struct vtd_nested *nested;
	int rc;

	if (!vtd_ecap(to_vtd_unit(dev->unit), VTD_ECAP_NEST) ||
	    flags & ~(u32)IOMMU_HWPT_ALLOC_PASID || data->type != IOMMU_HWPT_DATA_VTD_S1)
		return -EOPNOTSUPP;
	nested = base_zalloc(alloc, sizeof(*nested));
	if (!nested)
		return -ENOMEM;
	rc = iommu_copy_user_data(&nested->s1, sizeof(nested->s1),
				  offsetofend(struct iommu_hwpt_vtd_s1, __reserved),
				  IOMMU_HWPT_DATA_VTD_S1, data);
	if (rc) {
		base_free(alloc, nested, sizeof(*nested));
		return rc;
	}
	nested->alloc = alloc;
	nested->parent = to_vtd_paging(parent);
	nested->domain.ops = &nested_ops;
	nested->domain.owner = &vtd_ops;
	nested->domain.type = IOMMU_DOMAIN_NESTED;
	*out = &nested->domain;
	return 0;
}
