/* SPDX-License-Identifier: MIT */
/*
 * The mock IOMMU: the model behind the kernel's test interface.
 *
 * Its page tables are real ones with 2 KiB pages; the rest of it (translation
 * caches, interrupts, errors on demand) is what the tests look at. What the
 * test interface can do to it is declared here, and nowhere else.
 */
#ifndef IOMMU_MOCK_H
#define IOMMU_MOCK_H

#include "iommu/iommu.h"

int mock_unit_create(struct mem_host *host, struct iommu_unit **out) __must_check;
void mock_unit_destroy(struct iommu_unit *unit);
int mock_device_create(struct iommu_unit *unit, struct iommu_group *group, const char *name,
		       unsigned int pasid_bits, bool no_dirty,
		       struct iommu_device **out) __must_check;

/* The model that a domain belongs to is the mock. */
bool mock_owns(const struct iommu_domain *domain);

/* Size of the smallest page of a paging domain. */
u64 mock_page_bytes(const struct iommu_domain *domain);

/* Dirty tracking is on. Return: 0, or -EINVAL. */
int mock_check_tracking(const struct iommu_domain *domain) __must_check;

/* As hardware would on a write to @iova. Where nothing is mapped nothing happens. */
void mock_set_dirty(struct iommu_domain *domain, u64 iova);

/* Slot @index of a nested domain's cache. Return: 0, or -EINVAL. */
int mock_iotlb(struct iommu_domain *domain, u32 index, u32 *value) __must_check;

/* Slot @index of a device's cache. Return: 0, or -EINVAL. */
int mock_dev_cache(struct iommu_device *dev, u32 index, u32 *value) __must_check;

/* An event of the device for its vIOMMU. Return: 0; -ENOENT without one; -errno. */
int mock_trigger_event(struct iommu_device *dev) __must_check;

#endif
