// SPDX-License-Identifier: MIT
/*
 * Invalidations for SMMUv3: commands to the vIOMMU, with the guest's StreamID (Arm IHI
 * 0070, section 4). TLBs are tagged by ASID, not by PASID: without an ASID all of them
 * are meant. A range is invalidated page by page, which every SMMU can; where that would
 * be long, the whole of the space is.
 */
#include "view_impl.h"

enum {
	CMD_CFGI_CD = 0x05,
	CMD_CFGI_CD_ALL = 0x06,
	CMD_TLBI_NH_ALL = 0x10,
	CMD_TLBI_NH_ASID = 0x11,
	CMD_TLBI_NH_VA = 0x12,
	CMD_TLBI_NH_VAA = 0x13,
	CMD_ATC_INV = 0x40,
};

#define CMD0_SSV      ((u64)1 << 11)
#define CMD0_SSID(n)  ((u64)(n) << 12)
#define CMD0_SID(n)   ((u64)(n) << 32)
#define CMD0_ASID(n)  ((u64)(n) << 48)
#define CMD1_LEAF     ((u64)1 << 0)
#define CMD1_SIZE_ALL ((u64)52)

/* Addresses of one command each. */
#define MAX_PAGES 32

/* One for the PASID, one for each page, one for the device. */
_Static_assert((MAX_PAGES + 2) * sizeof(struct iommu_viommu_arm_smmuv3_invalidate) <=
		       VIEW_ENTRIES_BYTES,
	       "the entries of a request fit");

struct batch {
	struct iommu_viommu_arm_smmuv3_invalidate *cmds;
	u32 n;
};

static void add(struct batch *batch, u64 word0, u64 word1)
{
	batch->cmds[batch->n++] =
		(struct iommu_viommu_arm_smmuv3_invalidate){ .cmd = { word0, word1 } };
}

static void add_config(struct batch *batch, const struct view_target *target,
		       const struct siommu_view_inv *inv)
{
	const u64 sid = CMD0_SID(target->virt_id);

	if (inv->granularity == SIOMMU_VIEW_INV_DEVICE)
		add(batch, CMD_CFGI_CD_ALL | sid, 0);
	else
		add(batch, CMD_CFGI_CD | CMD0_SSID(target->pasid) | sid, CMD1_LEAF);
}

static void add_tlb(struct batch *batch, const struct siommu_view_inv *inv, u64 first, u64 last)
{
	/* One ASID would leave a device's other spaces as they are. */
	const bool has_asid =
		inv->flags & SIOMMU_VIEW_INV_ASID && inv->granularity != SIOMMU_VIEW_INV_DEVICE;
	const u64 asid = has_asid ? CMD0_ASID(inv->asid) : 0;
	const u64 leaf = inv->flags & SIOMMU_VIEW_INV_LEAF ? CMD1_LEAF : 0;
	u64 page;

	if (last - first >= MAX_PAGES) {
		add(batch, has_asid ? CMD_TLBI_NH_ASID | asid : CMD_TLBI_NH_ALL, 0);
		return;
	}
	for (page = first; page <= last; page++)
		add(batch, has_asid ? CMD_TLBI_NH_VA | asid : CMD_TLBI_NH_VAA,
		    page * PAGE_BYTES | leaf);
}

/* The smallest block that ATS can name and that has all of it: section 4.5.1. */
static void add_atc(struct batch *batch, const struct view_target *target, u64 first, u64 last)
{
	u64 word0 = CMD_ATC_INV | CMD0_SID(target->virt_id), word1 = CMD1_SIZE_ALL;
	unsigned int lg2 = first == last ? 0 : highest_bit(first ^ last) + 1;

	if (target->has_pasid)
		word0 |= CMD0_SSV | CMD0_SSID(target->pasid);
	if (lg2 < CMD1_SIZE_ALL)
		word1 = align_down(first, (u64)1 << lg2) * PAGE_BYTES | lg2;
	add(batch, word0, word1);
}

static void compose(const struct view_target *target, const struct siommu_view_inv *inv,
		    u64 *entries, struct iommu_hwpt_invalidate *cmd)
{
	struct batch batch = { .cmds = (void *)entries };
	u64 first = 0, last = U64_MAX / PAGE_BYTES;

	if (inv->granularity == SIOMMU_VIEW_INV_RANGE)
		view_pages(inv->addr, inv->length, &first, &last);
	if (inv->flags & SIOMMU_VIEW_INV_PASID_CACHE)
		add_config(&batch, target, inv);
	if (inv->flags & SIOMMU_VIEW_INV_TLB)
		add_tlb(&batch, inv, first, last);
	if (inv->flags & SIOMMU_VIEW_INV_TLB && target->ats)
		add_atc(&batch, target, first, last);
	cmd->hwpt_id = target->viommu_id;
	cmd->entry_len = sizeof(*batch.cmds);
	cmd->entry_num = batch.n;
}

const struct view_format view_smmuv3 = {
	.type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
	.pasid_cache = true,
	.max_virt_id = UINT32_MAX,
	.compose = compose,
};
