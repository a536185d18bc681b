// SPDX-License-Identifier: MIT
/*
 * The mock as a unit, and its devices. Everything is coherent, every device can
 * take page faults, and dirty tracking is there unless a device was made without.
 */
#include <string.h>

#include "mock.h"

static int mock_hw_info(struct iommu_device *dev, struct base_alloc *alloc, u32 *type, void **data,
			u32 *len)
{
	struct iommu_test_hw_info *info;

	(void)dev;
	if (*type != IOMMU_HW_INFO_TYPE_DEFAULT && *type != IOMMU_HW_INFO_TYPE_SELFTEST)
		return -EOPNOTSUPP;
	info = base_zalloc(alloc, sizeof(*info));
	if (!info)
		return -ENOMEM;
	info->test_reg = IOMMU_HW_INFO_SELFTEST_REGVAL;
	*type = IOMMU_HW_INFO_TYPE_SELFTEST;
	*data = info;
	*len = sizeof(*info);
	return 0;
}

static bool mock_capable(struct iommu_device *dev, enum iommu_cap cap)
{
	switch (cap) {
	case IOMMU_CAP_CACHE_COHERENCY:
		return true;
	case IOMMU_CAP_DIRTY_TRACKING:
		return !to_mock_device(dev)->no_dirty;
	default:
		return false;
	}
}

static void mock_device_destroy(struct iommu_device *dev)
{
	struct base_alloc *alloc = dev->unit->alloc;

	iommu_device_destroy(dev);
	base_free(alloc, to_mock_device(dev), sizeof(struct mock_device));
}

const struct iommu_ops mock_ops = {
	.name = "mock",
	.user_pasid_table = true,
	.hw_info = mock_hw_info,
	.capable = mock_capable,
	.domain_alloc_paging = mock_alloc_paging,
	.domain_alloc_nested = mock_alloc_nested,
	.blocked_domain = &mock_blocked,
	.device_destroy = mock_device_destroy,
	.viommu_supported = mock_viommu_supported,
	.viommu_alloc = mock_viommu_alloc,
};

int mock_unit_create(struct mem_host *host, struct iommu_unit **out)
{
	struct iommu_unit *unit = base_zalloc(host->alloc, sizeof(*unit));

	if (!unit)
		return -ENOMEM;
	unit->ops = &mock_ops;
	unit->alloc = host->alloc;
	unit->host = host;
	*out = unit;
	return 0;
}

void mock_unit_destroy(struct iommu_unit *unit)
{
	if (unit)
		base_free(unit->alloc, unit, sizeof(*unit));
}

int mock_device_create(struct iommu_unit *unit, struct iommu_group *group, const char *name,
		       unsigned int pasid_bits, bool no_dirty, struct iommu_device **out)
{
	struct mock_device *mock = base_zalloc(unit->alloc, sizeof(*mock));
	unsigned int i;
	int rc;

	if (!mock)
		return -ENOMEM;
	rc = iommu_device_init(&mock->dev, unit, group, name);
	if (rc) {
		base_free(unit->alloc, mock, sizeof(*mock));
		return rc;
	}
	mock->dev.pasid_bits = mock->dev.max_pasid_log2 = pasid_bits;
	mock->no_dirty = no_dirty;
	for (i = 0; i < MOCK_DEV_CACHE_NUM; i++)
		mock->cache[i] = IOMMU_TEST_DEV_CACHE_DEFAULT;
	*out = &mock->dev;
	return 0;
}

int mock_dev_cache(struct iommu_device *dev, u32 index, u32 *value)
{
	if (dev->unit->ops != &mock_ops || index > MOCK_DEV_CACHE_ID_MAX)
		return -EINVAL;
	*value = to_mock_device(dev)->cache[index];
	return 0;
}

int mock_trigger_event(struct iommu_device *dev)
{
	struct mock_device *mock = to_mock_device(dev);
	int rc = -ENOENT;

	if (dev->unit->ops != &mock_ops)
		return -EINVAL;
	pthread_mutex_lock(&dev->group->lock);
	if (mock->viommu && mock->virt_id)
		rc = mock_viommu_event(mock->viommu, mock->virt_id);
	pthread_mutex_unlock(&dev->group->lock);
	return rc;
}
