/* SPDX-License-Identifier: MIT */
/*
 * A version of struct iommu_gpasid_bind_data that never was. Tests have it served, by
 * SIOMMU_2020_FUTURE, to see that the structure can grow in the two ways that its rules
 * allow: a piece of padding gets a meaning, and a union gets a larger member. Each has a
 * flag. Both are labels, which page requests of the PASID bring back in @private_data.
 */
#ifndef ABI_LEGACY_FUTURE_H
#define ABI_LEGACY_FUTURE_H

#include <softiommu/abi/iommu-2020.h>

#define FUTURE_GPASID_LABEL  (1u << 1) /* @label, where padding was */
#define FUTURE_GPASID_VENDOR (1u << 2) /* @future, a larger member of the union */

struct future_vendor {
	struct iommu_gpasid_bind_data_vtd vtd;
	__u64 label;
	__u64 reserved;
};

struct future_gpasid_bind_data {
	__u32 argsz;
	__u32 version;
	__u32 format;
	__u32 addr_width;
	__u64 flags;
	__u64 gpgd;
	__u64 hpasid;
	__u64 gpasid;
	__u64 label;
	union {
		struct iommu_gpasid_bind_data_vtd vtd;
		struct future_vendor future;
	} vendor;
};

SIOMMU_ABI_SIZE(future_gpasid_bind_data, 88);
SIOMMU_ABI_AT(future_gpasid_bind_data, label, offsetof(struct iommu_gpasid_bind_data, padding));
SIOMMU_ABI_AT(future_gpasid_bind_data, vendor, offsetof(struct iommu_gpasid_bind_data, vendor));

#endif
