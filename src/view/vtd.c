// SPDX-License-Identifier: MIT
/*
 * Invalidations for VT-d: of a nested HWPT, by pages. Which PASID that is attached to,
 * iommufd knows by itself, and devices' own TLBs are included.
 */
#include "view_impl.h"

static void compose(const struct view_target *target, const struct siommu_view_inv *inv,
		    u64 *entries, struct iommu_hwpt_invalidate *cmd)
{
	struct iommu_hwpt_vtd_s1_invalidate *entry = (void *)entries;
	u64 first = 0, last = U64_MAX / PAGE_BYTES;

	if (inv->granularity == SIOMMU_VIEW_INV_RANGE)
		view_pages(inv->addr, inv->length, &first, &last);
	*entry = (struct iommu_hwpt_vtd_s1_invalidate){
		.addr = first * PAGE_BYTES,
		.npages = last - first + 1,
		.flags = inv->flags & SIOMMU_VIEW_INV_LEAF ? IOMMU_VTD_INV_FLAGS_LEAF : 0,
	};
	/* Everything has a number of its own. */
	if (!first && last == U64_MAX / PAGE_BYTES)
		entry->npages = U64_MAX;
	cmd->hwpt_id = target->pt_id;
	cmd->entry_len = sizeof(*entry);
	cmd->entry_num = 1;
}

const struct view_format view_vtd = {
	.type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
	.per_space = true,
	.max_virt_id = U64_MAX,
	.compose = compose,
};
