/* SPDX-License-Identifier: MIT */
/* vIOMMUs and what hangs off them: virtual devices and hardware queues. */
#ifndef CORE_VIOMMU_H
#define CORE_VIOMMU_H

#include "core/access.h"
#include "core/device.h"
#include "core/eventq.h"
#include "core/hwpt.h"

/**
 * struct core_viommu - a slice of an IOMMU for one virtual machine
 * @obj: the object
 * @ctx: the context
 * @hwpt: the nest parent
 * @hw: the model's part
 * @type: IOMMU_VIOMMU_TYPE_*
 * @veventq_lock: covers @veventqs against device threads; outside a queue's
 * @veventqs: struct core_veventq
 */
struct core_viommu {
	struct core_object obj;
	struct core_ctx *ctx;
	struct core_hwpt_paging *hwpt;
	struct iommu_viommu *hw;
	u32 type;
	pthread_mutex_t veventq_lock;
	LIST_HEAD(, core_veventq) veventqs;
};

struct core_vdevice {
	struct core_object obj;
	struct core_viommu *viommu;
	struct core_device *dev;
	struct iommu_vdevice hw;
};

struct core_hw_queue {
	struct core_object obj;
	struct core_viommu *viommu;
	struct core_access *access;
	struct iommu_hw_queue *hw;
	u64 iova;
	u64 length;
};

static inline struct core_viommu *core_viommu_find(struct core_ctx *ctx, u32 id)
{
	return core_find(ctx, id, CORE_VIOMMU, struct core_viommu, obj);
}

/* Make an object that is complete but not published: publish or undo it. */
int core_viommu_alloc(struct core_ctx *ctx, struct core_device *dev, struct core_hwpt_paging *hwpt,
		      const struct iommu_user_data *data, struct core_viommu **out) __must_check;
int core_vdevice_alloc(struct core_ctx *ctx, struct core_viommu *viommu, struct core_device *dev,
		       u64 virt_id, struct core_vdevice **out) __must_check;
int core_hw_queue_alloc(struct core_ctx *ctx, struct core_viommu *viommu, u32 type, u32 index,
			u64 iova, u64 length, struct core_hw_queue **out) __must_check;

#endif
