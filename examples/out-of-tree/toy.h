/* SPDX-License-Identifier: MIT */
/* What programs see of an IOMMU of this kind. */
#include <softiommu/model.h>

#define TOY_HWPT_DATA	(SIOMMU_MODEL_TYPES + 1)
#define TOY_INVALIDATE	(SIOMMU_MODEL_TYPES + 2)
#define TOY_GUEST_WORDS 512

/* Data of a nested HWPT: where the guest has TOY_GUEST_WORDS words. */
struct toy_hwpt { uint64_t root; };

/* The guest has changed words for [first, last]. */
struct toy_invalidate { uint64_t first, last; };

enum toy_reason { TOY_BLOCKED = 1, TOY_TABLE, TOY_STAGE1, TOY_STAGE2 };

extern const struct siommu_model siommu_model;
