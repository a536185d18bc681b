/* SPDX-License-Identifier: MIT */
/* What a VMM of 2020 answers to a page request, by whichever way it was told. */
#ifndef UNIT_UAPI2020_RESPONSE_H
#define UNIT_UAPI2020_RESPONSE_H

#include <stdint.h>

#include <softiommu/abi/iommu-2020.h>

#define F_PASID IOMMU_FAULT_PAGE_REQUEST_PASID_VALID
#define F_LAST	IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE
#define F_NEEDS IOMMU_FAULT_PAGE_RESPONSE_NEEDS_PASID

/* The response to @fault. */
static inline struct iommu_page_response response_to(const struct iommu_fault *fault, uint32_t code)
{
	struct iommu_page_response response = {
		.argsz = sizeof(response),
		.version = IOMMU_PAGE_RESP_VERSION_1,
		.grpid = fault->prm.grpid,
		.code = code,
	};

	if (fault->prm.flags & F_NEEDS) {
		response.flags = IOMMU_PAGE_RESP_PASID_VALID;
		response.pasid = fault->prm.pasid;
	}
	return response;
}

#endif
