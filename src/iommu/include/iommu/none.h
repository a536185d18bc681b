/* SPDX-License-Identifier: MIT */
/*
 * No IOMMU: a stand-in for devices that use host addresses. Its page tables
 * only answer IOMMU_IOAS_NOIOMMU_GET_PA; no hardware reads them.
 */
#ifndef IOMMU_NONE_H
#define IOMMU_NONE_H

#include "iommu/iommu.h"

int none_unit_create(struct mem_host *host, struct iommu_unit **out) __must_check;
void none_unit_destroy(struct iommu_unit *unit);
int none_device_create(struct iommu_unit *unit, struct iommu_group *group, const char *name,
		       struct iommu_device **out) __must_check;

#endif
