// SPDX-License-Identifier: MIT
/*
 * Domains of the mock: paging ones on real tables, nested ones that are four
 * cache slots, and the blocked one.
 *
 * The kernel's mock has one trick that its tests need: the second attachment of
 * PASID 1024 fails, so that replacing it can be seen to be undone.
 */
#include "mock.h"

static struct mock_domain *to_paging(struct iommu_domain *domain)
{
	return container_of(domain, struct mock_domain, domain);
}

static struct mock_nested *to_nested(struct iommu_domain *domain)
{
	return container_of(domain, struct mock_nested, domain);
}

/* Page requests are on while any domain that handles them is attached. */
static void count_fault_domains(struct iommu_device *dev, struct iommu_domain *domain,
				struct iommu_domain *old)
{
	if (domain->fault_handler)
		dev->faults_on++;
	if (old && old->fault_handler)
		dev->faults_on--;
}

static int mock_attach(struct iommu_domain *domain, struct iommu_device *dev,
		       struct iommu_domain *old)
{
	struct mock_device *mock = to_mock_device(dev);
	struct mock_viommu *viommu = NULL;
	u64 virt_id = 0;
	int rc;

	if (domain->dirty_ops && mock->no_dirty)
		return -EINVAL;
	if (domain->type == IOMMU_DOMAIN_NESTED)
		viommu = to_nested(domain)->viommu;
	if (viommu) {
		rc = mock_viommu_find(viommu, dev, &virt_id);
		if (rc)
			return rc;
	}
	/* Events are reported by other threads. */
	pthread_mutex_lock(&dev->group->lock);
	mock->viommu = viommu;
	mock->virt_id = virt_id;
	count_fault_domains(dev, domain, old);
	pthread_mutex_unlock(&dev->group->lock);
	return 0;
}

static int mock_set_dev_pasid(struct iommu_domain *domain, struct iommu_device *dev, u32 pasid,
			      struct iommu_domain *old)
{
	struct mock_device *mock = to_mock_device(dev);

	if (pasid == IOMMU_TEST_PASID_RESERVED) {
		bool fail = mock->pasid_fault && domain->type != IOMMU_DOMAIN_BLOCKED;

		mock->pasid_fault = !mock->pasid_fault && domain->type != IOMMU_DOMAIN_BLOCKED;
		if (fail)
			return -ENOMEM;
	}
	pthread_mutex_lock(&dev->group->lock);
	count_fault_domains(dev, domain, old);
	pthread_mutex_unlock(&dev->group->lock);
	return 0;
}

static void blocked_free(struct iommu_domain *domain)
{
	(void)domain;
}

static const struct iommu_domain_ops blocked_ops = {
	.attach_dev = mock_attach,
	.set_dev_pasid = mock_set_dev_pasid,
	.free = blocked_free,
};

struct iommu_domain mock_blocked = {
	.ops = &blocked_ops,
	.owner = &mock_ops,
	.type = IOMMU_DOMAIN_BLOCKED,
};

static int paging_map(struct iommu_domain *domain, u64 iova, hpa_t hpa, u64 len, unsigned int prot)
{
	struct pt *pt = &to_paging(domain)->pt;
	int rc = pt_mock_map(pt, iova, hpa, len, prot);

	/* The mock has no device that walks: what is unlinked is free at once. */
	if (rc)
		pt_sync(pt);
	return rc;
}

static void paging_unmap(struct iommu_domain *domain, u64 iova, u64 len)
{
	struct pt *pt = &to_paging(domain)->pt;

	pt_mock_unmap(pt, iova, len);
	pt_sync(pt);
}

static hpa_t paging_iova_to_hpa(struct iommu_domain *domain, u64 iova)
{
	return pt_mock_lookup(&to_paging(domain)->pt, iova, NULL);
}

static void paging_free(struct iommu_domain *domain)
{
	struct mock_domain *mock = to_paging(domain);

	pt_mock_destroy(&mock->pt);
	base_free(mock->alloc, mock, sizeof(*mock));
}

static const struct iommu_domain_ops paging_ops = {
	.attach_dev = mock_attach,
	.set_dev_pasid = mock_set_dev_pasid,
	.free = paging_free,
	.map = paging_map,
	.unmap = paging_unmap,
	.iova_to_hpa = paging_iova_to_hpa,
};

static int set_tracking(struct iommu_domain *domain, bool enable)
{
	to_paging(domain)->tracking = enable;
	return 0;
}

static int read_and_clear(struct iommu_domain *domain, u64 iova, u64 len, unsigned int flags,
			  struct iommu_dirty_sink *sink)
{
	pt_mock_read_and_clear_dirty(&to_paging(domain)->pt, iova, len,
				     !(flags & IOMMU_DIRTY_NO_CLEAR),
				     sink ? iommu_report_dirty : NULL, sink);
	return 0;
}

static const struct iommu_dirty_ops dirty_ops = {
	.set_tracking = set_tracking,
	.read_and_clear = read_and_clear,
};

/*
 * Two flavours: the default one, with an aperture smaller than the tables could
 * cover, and one that only has huge pages (and one size that fits the CPU's
 * page, without which the core refuses a domain).
 */
static int init_table(struct mock_domain *mock, u32 type)
{
	struct pt_config config = { .levels = 5, .va_bits = 56, .oa_bits = 51 };
	int rc;

	if (type != MOCK_IOMMUPT_DEFAULT && type != MOCK_IOMMUPT_HUGE)
		return -EOPNOTSUPP;
	if (type == MOCK_IOMMUPT_HUGE)
		config.pgsize_bitmap = MOCK_HUGE_PAGE_SIZE | PAGE_BYTES;
	rc = pt_mock_init(&mock->pt, mock->alloc, &config);
	if (rc)
		return rc;
	mock->domain.pgsize_bitmap = mock->pt.pgsize_bitmap;
	mock->domain.aperture_last = mock->pt.va_last;
	if (type == MOCK_IOMMUPT_DEFAULT) {
		mock->domain.aperture_start = MOCK_APERTURE_START;
		mock->domain.aperture_last = MOCK_APERTURE_LAST;
	}
	return 0;
}

int mock_alloc_paging(struct iommu_device *dev, struct base_alloc *alloc, u32 flags,
		      const struct iommu_user_data *data, struct iommu_domain **out)
{
	const u32 known = IOMMU_HWPT_ALLOC_DIRTY_TRACKING | IOMMU_HWPT_ALLOC_NEST_PARENT |
			  IOMMU_HWPT_ALLOC_PASID;
	struct iommu_hwpt_selftest config = { 0 };
	bool dirty = flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	struct mock_domain *mock;
	int rc;

	if ((flags & ~known) || (dirty && to_mock_device(dev)->no_dirty))
		return -EOPNOTSUPP;
	if (data && data->type != IOMMU_HWPT_DATA_SELFTEST)
		return -EOPNOTSUPP;
	if (data) {
		rc = iommu_copy_user_data(&config, sizeof(config),
					  offsetofend(struct iommu_hwpt_selftest, iotlb),
					  IOMMU_HWPT_DATA_SELFTEST, data);
		if (rc)
			return rc;
	}
	mock = base_zalloc(alloc, sizeof(*mock));
	if (!mock)
		return -ENOMEM;
	mock->alloc = alloc;
	rc = init_table(mock, config.pagetable_type);
	if (rc) {
		base_free(alloc, mock, sizeof(*mock));
		return rc;
	}
	mock->domain.ops = &paging_ops;
	mock->domain.owner = &mock_ops;
	mock->domain.type = IOMMU_DOMAIN_PAGING;
	if (dirty)
		mock->domain.dirty_ops = &dirty_ops;
	*out = &mock->domain;
	return 0;
}

static void nested_free(struct iommu_domain *domain)
{
	struct mock_nested *nested = to_nested(domain);

	base_free(nested->alloc, nested, sizeof(*nested));
}

static int invalidate_one(struct mock_nested *nested,
			  const struct iommu_hwpt_invalidate_selftest *inv)
{
	unsigned int i;

	if (inv->flags & ~(u32)IOMMU_TEST_INVALIDATE_FLAG_ALL)
		return -EOPNOTSUPP;
	if (inv->iotlb_id > MOCK_NESTED_DOMAIN_IOTLB_ID_MAX)
		return -EINVAL;
	if (!(inv->flags & IOMMU_TEST_INVALIDATE_FLAG_ALL)) {
		nested->iotlb[inv->iotlb_id] = 0;
		return 0;
	}
	for (i = 0; i < MOCK_NESTED_DOMAIN_IOTLB_NUM; i++)
		nested->iotlb[i] = 0;
	return 0;
}

static int nested_invalidate(struct iommu_domain *domain, struct iommu_user_array *array)
{
	u32 want = array->num, done = 0;
	struct iommu_hwpt_invalidate_selftest inv;
	int rc = 0;

	if (array->type != IOMMU_HWPT_INVALIDATE_DATA_SELFTEST)
		rc = -EINVAL;
	while (!rc && done < want) {
		rc = iommu_copy_user_entry(&inv, sizeof(inv),
					   offsetofend(struct iommu_hwpt_invalidate_selftest,
						       iotlb_id),
					   IOMMU_HWPT_INVALIDATE_DATA_SELFTEST, array, done);
		if (!rc)
			rc = invalidate_one(to_nested(domain), &inv);
		done += !rc;
	}
	array->num = done;
	return rc;
}

static const struct iommu_domain_ops nested_ops = {
	.attach_dev = mock_attach,
	.set_dev_pasid = mock_set_dev_pasid,
	.free = nested_free,
	.cache_invalidate_user = nested_invalidate,
};

int mock_nested_new(struct base_alloc *alloc, const struct iommu_user_data *data,
		    struct mock_nested **out)
{
	struct iommu_hwpt_selftest config;
	struct mock_nested *nested;
	unsigned int i;
	int rc;

	if (data->type != IOMMU_HWPT_DATA_SELFTEST)
		return -EOPNOTSUPP;
	rc = iommu_copy_user_data(&config, sizeof(config),
				  offsetofend(struct iommu_hwpt_selftest, iotlb),
				  IOMMU_HWPT_DATA_SELFTEST, data);
	if (rc)
		return rc;
	nested = base_zalloc(alloc, sizeof(*nested));
	if (!nested)
		return -ENOMEM;
	nested->alloc = alloc;
	nested->domain.ops = &nested_ops;
	nested->domain.owner = &mock_ops;
	nested->domain.type = IOMMU_DOMAIN_NESTED;
	for (i = 0; i < MOCK_NESTED_DOMAIN_IOTLB_NUM; i++)
		nested->iotlb[i] = config.iotlb;
	*out = nested;
	return 0;
}

int mock_alloc_nested(struct iommu_device *dev, struct base_alloc *alloc,
		      struct iommu_domain *parent, u32 flags, const struct iommu_user_data *data,
		      struct iommu_domain **out)
{
	struct mock_nested *nested;
	int rc;

	(void)dev;
	(void)parent;
	if (flags & ~(u32)IOMMU_HWPT_ALLOC_PASID)
		return -EOPNOTSUPP;
	rc = mock_nested_new(alloc, data, &nested);
	if (!rc)
		*out = &nested->domain;
	return rc;
}

bool mock_owns(const struct iommu_domain *domain)
{
	return domain->owner == &mock_ops;
}

u64 mock_page_bytes(const struct iommu_domain *domain)
{
	return (u64)1 << lowest_bit(domain->pgsize_bitmap);
}

int mock_check_tracking(const struct iommu_domain *domain)
{
	return container_of(domain, struct mock_domain, domain)->tracking ? 0 : -EINVAL;
}

void mock_set_dirty(struct iommu_domain *domain, u64 iova)
{
	pt_mock_set_dirty(&to_paging(domain)->pt, iova);
}

int mock_iotlb(struct iommu_domain *domain, u32 index, u32 *value)
{
	if (domain->ops != &nested_ops || index > MOCK_NESTED_DOMAIN_IOTLB_ID_MAX)
		return -EINVAL;
	*value = to_nested(domain)->iotlb[index];
	return 0;
}
