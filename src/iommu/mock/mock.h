/* SPDX-License-Identifier: MIT */
/* What the files of the mock share. */
#ifndef MOCK_MOCK_H
#define MOCK_MOCK_H

#include <softiommu/abi/iommufd.h>
#include <softiommu/abi/iommufd-test.h>

#include "iommu/mock.h"
#include "pt/pt.h"

struct mock_viommu;

/**
 * struct mock_device - a device behind the mock
 * @dev: the common part
 * @no_dirty: its path cannot track dirty pages
 * @pasid_fault: attaching PASID 1024 fails next time, see domain.c
 * @viommu: the vIOMMU whose nested domain it translates through, or NULL
 * @virt_id: its id there
 * @cache: what the test interface reads and the vIOMMU invalidates
 */
struct mock_device {
	struct iommu_device dev;
	bool no_dirty;
	bool pasid_fault;
	struct mock_viommu *viommu;
	u64 virt_id;
	u32 cache[MOCK_DEV_CACHE_NUM];
};

struct mock_domain {
	struct iommu_domain domain;
	struct base_alloc *alloc;
	struct pt pt;
	bool tracking;
};

struct mock_nested {
	struct iommu_domain domain;
	struct base_alloc *alloc;
	struct mock_viommu *viommu;
	u32 iotlb[MOCK_NESTED_DOMAIN_IOTLB_NUM];
};

static inline struct mock_device *to_mock_device(struct iommu_device *dev)
{
	return container_of(dev, struct mock_device, dev);
}

extern const struct iommu_ops mock_ops;
extern struct iommu_domain mock_blocked;

int mock_alloc_paging(struct iommu_device *dev, struct base_alloc *alloc, u32 flags,
		      const struct iommu_user_data *data, struct iommu_domain **out);
int mock_alloc_nested(struct iommu_device *dev, struct base_alloc *alloc,
		      struct iommu_domain *parent, u32 flags, const struct iommu_user_data *data,
		      struct iommu_domain **out);

/* A nested domain from the user's configuration, not tied to a vIOMMU yet. */
int mock_nested_new(struct base_alloc *alloc, const struct iommu_user_data *data,
		    struct mock_nested **out);

bool mock_viommu_supported(struct iommu_device *dev, u32 type);
int mock_viommu_alloc(struct iommu_device *dev, struct base_alloc *alloc, u32 type,
		      struct iommu_domain *parent, const struct iommu_user_data *data,
		      const struct iommu_viommu_sink *sink, void *sink_arg,
		      struct iommu_viommu **out);

/* The id of @dev in @viommu. Return: 0, or -ENOENT. */
int mock_viommu_find(struct mock_viommu *viommu, struct iommu_device *dev, u64 *virt_id);

/* Report an event of @virt_id. */
int mock_viommu_event(struct mock_viommu *viommu, u64 virt_id);

#endif
