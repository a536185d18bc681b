// SPDX-License-Identifier: MIT
/*
 * The format is AMD's v1 because it has the most page sizes, so that large areas
 * take the fewest entries.
 */
#include "iommu/none.h"
#include "pt/pt.h"

struct none_domain {
	struct iommu_domain domain;
	struct base_alloc *alloc;
	struct pt pt;
};

static struct none_domain *to_none(struct iommu_domain *domain)
{
	return container_of(domain, struct none_domain, domain);
}

static int none_map(struct iommu_domain *domain, u64 iova, hpa_t hpa, u64 len, unsigned int prot)
{
	int rc = pt_amdv1_map(&to_none(domain)->pt, iova, hpa, len, prot);

	/* No hardware walks these tables, so nothing needs to be waited for. */
	if (rc)
		pt_sync(&to_none(domain)->pt);
	return rc;
}

static void none_unmap(struct iommu_domain *domain, u64 iova, u64 len)
{
	pt_amdv1_unmap(&to_none(domain)->pt, iova, len);
	pt_sync(&to_none(domain)->pt);
}

static hpa_t none_iova_to_hpa(struct iommu_domain *domain, u64 iova)
{
	return pt_amdv1_lookup(&to_none(domain)->pt, iova, NULL);
}

static void none_free(struct iommu_domain *domain)
{
	struct none_domain *none = to_none(domain);

	pt_amdv1_destroy(&none->pt);
	base_free(none->alloc, none, sizeof(*none));
}

static const struct iommu_domain_ops none_domain_ops = {
	.free = none_free,
	.map = none_map,
	.unmap = none_unmap,
	.iova_to_hpa = none_iova_to_hpa,
};

static const struct iommu_ops none_ops;

static int none_alloc_paging(struct iommu_device *dev, struct base_alloc *alloc, u32 flags,
			     const struct iommu_user_data *data, struct iommu_domain **out)
{
	static const struct pt_config config = { .levels = 6 };
	struct none_domain *none;
	int rc;

	(void)dev;
	if (flags || data)
		return -EOPNOTSUPP;
	none = base_zalloc(alloc, sizeof(*none));
	if (!none)
		return -ENOMEM;
	rc = pt_amdv1_init(&none->pt, alloc, &config);
	if (rc) {
		base_free(alloc, none, sizeof(*none));
		return rc;
	}
	none->alloc = alloc;
	none->domain.ops = &none_domain_ops;
	none->domain.owner = &none_ops;
	none->domain.type = IOMMU_DOMAIN_PAGING;
	none->domain.pgsize_bitmap = none->pt.pgsize_bitmap;
	none->domain.aperture_last = none->pt.va_last;
	*out = &none->domain;
	return 0;
}

static void none_device_destroy(struct iommu_device *dev)
{
	struct base_alloc *alloc = dev->unit->alloc;

	iommu_device_destroy(dev);
	base_free(alloc, dev, sizeof(*dev));
}

static const struct iommu_ops none_ops = {
	.name = "no IOMMU",
	.untranslated = true,
	.domain_alloc_paging = none_alloc_paging,
	.device_destroy = none_device_destroy,
};

int none_unit_create(struct mem_host *host, struct iommu_unit **out)
{
	struct iommu_unit *unit = base_zalloc(host->alloc, sizeof(*unit));

	if (!unit)
		return -ENOMEM;
	unit->ops = &none_ops;
	unit->alloc = host->alloc;
	unit->host = host;
	*out = unit;
	return 0;
}

void none_unit_destroy(struct iommu_unit *unit)
{
	if (unit)
		base_free(unit->alloc, unit, sizeof(*unit));
}

int none_device_create(struct iommu_unit *unit, struct iommu_group *group, const char *name,
		       struct iommu_device **out)
{
	struct iommu_device *dev = base_zalloc(unit->alloc, sizeof(*dev));
	int rc;

	if (!dev)
		return -ENOMEM;
	rc = iommu_device_init(dev, unit, group, name);
	if (rc) {
		base_free(unit->alloc, dev, sizeof(*dev));
		return rc;
	}
	*out = dev;
	return 0;
}
