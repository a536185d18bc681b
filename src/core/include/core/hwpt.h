/* SPDX-License-Identifier: MIT */
/*
 * Hardware page tables: a domain of a model, as an object.
 *
 * A paging HWPT belongs to an IOAS and shows its areas. A nested one is the
 * user's own first stage over a parent. Automatic HWPTs are made by attaching
 * an IOAS, shared by all devices they fit, and end with their last attachment.
 */
#ifndef CORE_HWPT_H
#define CORE_HWPT_H

#include "core/ctx.h"
#include "core/ioas.h"

struct core_device;
struct core_fault;
struct core_viommu;

/**
 * struct core_hwpt - what all HWPTs have
 * @obj: the object
 * @domain: the model's part
 * @fault: where page faults go; NULL if they are not handled
 * @pasid_compat: made for use with PASIDs
 */
struct core_hwpt {
	struct core_object obj;
	struct iommu_domain *domain;
	struct core_fault *fault;
	bool pasid_compat;
};

/**
 * struct core_hwpt_paging - a page table that the core fills
 * @common: first
 * @ioas: whose areas it shows
 * @link: in ioas->hwpts
 * @listed: it is there
 * @automatic: ends with its last attachment
 * @nest_parent: may carry nested ones
 * @cache_coherent: DMA through it is snooped
 */
struct core_hwpt_paging {
	struct core_hwpt common;
	struct core_ioas *ioas;
	TAILQ_ENTRY(core_hwpt_paging) link;
	bool listed;
	bool automatic;
	bool nest_parent;
	bool cache_coherent;
};

/**
 * struct core_hwpt_nested - a page table that the user fills
 * @common: first
 * @parent: the second stage
 * @viommu: made through this vIOMMU; NULL if directly on @parent
 */
struct core_hwpt_nested {
	struct core_hwpt common;
	struct core_hwpt_paging *parent;
	struct core_viommu *viommu;
};

extern const struct core_object_ops core_hwpt_paging_ops;
extern const struct core_object_ops core_hwpt_nested_ops;

/* Any HWPT of that id, or NULL. */
struct core_hwpt *core_hwpt_find(struct core_ctx *ctx, u32 id);

static inline struct core_hwpt_paging *core_hwpt_paging_find(struct core_ctx *ctx, u32 id)
{
	return core_find(ctx, id, CORE_HWPT_PAGING, struct core_hwpt_paging, common.obj);
}

static inline struct core_hwpt_paging *hwpt_to_paging(struct core_hwpt *hwpt)
{
	return container_of(hwpt, struct core_hwpt_paging, common);
}

/* The paging HWPT that its DMA ends in: itself or its parent. */
static inline struct core_hwpt_paging *hwpt_stage2(struct core_hwpt *hwpt)
{
	if (hwpt->obj.ops->type == CORE_HWPT_PAGING)
		return hwpt_to_paging(hwpt);
	return container_of(hwpt, struct core_hwpt_nested, common)->parent;
}

/*
 * Make an HWPT. It is complete but not published: publish or undo it. @flags
 * are IOMMU_HWPT_ALLOC_*.
 */
int core_hwpt_paging_alloc(struct core_ctx *ctx, struct core_ioas *ioas, struct core_device *dev,
			   u32 flags, const struct iommu_user_data *data,
			   struct core_hwpt_paging **out) __must_check;
/* The same, without any area in it: core_ioas_add_hwpt() is still to be called. */
int core_hwpt_paging_new(struct core_ctx *ctx, struct core_ioas *ioas, struct core_device *dev,
			 u32 flags, const struct iommu_user_data *data,
			 struct core_hwpt_paging **out) __must_check;
int core_hwpt_nested_alloc(struct core_ctx *ctx, struct core_hwpt_paging *parent,
			   struct core_device *dev, u32 flags, const struct iommu_user_data *data,
			   struct core_hwpt **out) __must_check;
int core_hwpt_viommu_alloc(struct core_ctx *ctx, struct core_viommu *viommu, u32 flags,
			   const struct iommu_user_data *data,
			   struct core_hwpt **out) __must_check;

/* Send the HWPT's page faults to @fault. */
void core_hwpt_set_fault(struct core_hwpt *hwpt, struct core_fault *fault);

/* An attachment is gone: an automatic HWPT may end with it. */
void core_hwpt_put(struct core_ctx *ctx, struct core_hwpt *hwpt);

int core_hwpt_set_dirty_tracking(struct core_hwpt_paging *hwpt, bool enable) __must_check;

/* What GET_DIRTY_BITMAP asks for. */
struct core_dirty_query {
	u64 iova;
	u64 length;
	u64 page_bytes;
	u64 bitmap;
	bool no_clear;
};

int core_hwpt_get_dirty(struct core_ctx *ctx, struct core_hwpt_paging *hwpt,
			struct siommu_task *task, const struct core_dirty_query *q) __must_check;

#endif
