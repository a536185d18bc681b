/* SPDX-License-Identifier: MIT */
/* Devices that a context owns, and what they are attached to. */
#ifndef CORE_DEVICE_H
#define CORE_DEVICE_H

#include <softiommu/device.h>

#include "core/ctx.h"
#include "core/hwpt.h"

struct core_vdevice;

/* A group of the machine and its number of devices there. */
struct siommu_group {
	TAILQ_ENTRY(siommu_group) link;
	struct iommu_group group;
	unsigned int devices;
};

/* A device of the machine, as its maker holds it. */
struct siommu_device {
	struct siommu_machine *machine;
	struct siommu_group *group;
	struct iommu_device *dev;
};

/* One device that takes part in an attachment. */
struct core_attached {
	LIST_ENTRY(core_attached) link;
	struct core_device *dev;
};

/**
 * struct core_attach - what a group, or a PASID of it, is attached to
 * @node: in the group, by the PASID
 * @hwpt: to what; each device in @devices is a user of it
 * @handle: the attachment itself
 * @devices: struct core_attached
 */
struct core_attach {
	struct itree_node node;
	struct core_hwpt *hwpt;
	struct iommu_attach_handle *handle;
	LIST_HEAD(, core_attached) devices;
};

/* A group as this context has it. */
struct core_group {
	LIST_ENTRY(core_group) link;
	struct iommu_group *group;
	unsigned int refs;
	struct itree attaches;
};

static inline u32 attach_pasid(const struct core_attach *attach)
{
	return (u32)attach->node.start;
}

/* The attachment with the lowest PASID that is not below @pasid, or NULL. */
static inline struct core_attach *attach_from(const struct core_group *group, u64 pasid)
{
	struct itree_node *n = itree_first(&group->attaches, pasid, U64_MAX);

	return n ? container_of(n, struct core_attach, node) : NULL;
}

/* The one after @attach, or NULL. */
static inline struct core_attach *attach_next(const struct core_group *group,
					      const struct core_attach *attach)
{
	return attach_from(group, attach->node.start + 1);
}

/**
 * struct core_device - a device bound to a context
 * @obj: the object; the driver that bound it is one user
 * @ctx: the context, with a reference unless @test
 * @dev: the device
 * @group: its group here
 * @vdev: its virtual device; NULL for none
 * @test: made by the test interface, which lets go of it at close
 */
struct core_device {
	struct core_object obj;
	struct core_ctx *ctx;
	struct iommu_device *dev;
	struct core_group *group;
	struct core_vdevice *vdev;
	bool test;
};

static inline struct core_device *core_device_find(struct core_ctx *ctx, u32 id)
{
	return core_find(ctx, id, CORE_DEVICE, struct core_device, obj);
}

/* siommu_device_*() with ctx->lock held. */
int core_device_bind(struct core_ctx *ctx, struct iommu_device *dev, bool test,
		     struct core_device **out) __must_check;
void core_device_unbind(struct core_device *dev);
int core_device_attach(struct core_device *dev, u32 pasid, u32 *pt_id) __must_check;
int core_device_replace(struct core_device *dev, u32 pasid, u32 *pt_id) __must_check;
void core_device_detach(struct core_device *dev, u32 pasid);

/* What a PASID of the device is attached to, or NULL; others of its group may be. */
struct core_hwpt *core_device_attached(struct core_device *dev, u32 pasid);

/* Numbers from here up are for groups of one device. */
#define MACHINE_OWN_GROUPS ((u32)1 << 31)

/* Groups of the machine. @number 0: one of its own. */
int machine_group_get(struct siommu_machine *machine, u32 number,
		      struct siommu_group **out) __must_check;
void machine_group_put(struct siommu_machine *machine, struct siommu_group *group);

#endif
