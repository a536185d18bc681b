// SPDX-License-Identifier: MIT
/*
 * Attaching devices to page tables.
 *
 * The first device of a group (or of one PASID of it) that attaches changes the
 * hardware; the others join, and must ask for the same page table. The IOVAs
 * that a device cannot use are reserved in the IOAS per device. Replace changes
 * all of them at once and leaves everything as it was when it fails.
 *
 * An IOAS in place of a page table means "any automatic one that fits": the
 * first that accepts the device, or a new one.
 */
#include "core/device.h"
#include "core/eventq.h"

/* Attaching or replacing: to an HWPT that is in use, or to one just made for @ioas. */
struct attach_way {
	int (*to)(struct core_device *dev, u32 pasid, struct core_hwpt *hwpt,
		  struct core_hwpt **old);
	int (*to_new)(struct core_device *dev, u32 pasid, struct core_ioas *ioas,
		      struct core_hwpt_paging *hwpt, struct core_hwpt **old);
};

static struct core_attach *attach_find(struct core_group *group, u32 pasid)
{
	struct itree_node *n = itree_first(&group->attaches, pasid, pasid);

	return n ? container_of(n, struct core_attach, node) : NULL;
}

static struct core_attached *attached_find(struct core_attach *a, struct core_device *dev)
{
	struct core_attached *d;

	LIST_FOREACH(d, &a->devices, link)
		if (d->dev == dev)
			return d;
	return NULL;
}

struct core_hwpt *core_device_attached(struct core_device *dev, u32 pasid)
{
	struct core_attach *a = attach_find(dev->group, pasid);

	return a && attached_find(a, dev) ? a->hwpt : NULL;
}

static bool untranslated(struct core_device *dev)
{
	return dev->dev->unit->ops->untranslated;
}

/* A PASID can only be used beside page tables that were all made for PASIDs. */
static int check_pasid(struct core_group *group, u32 pasid, struct core_hwpt *hwpt)
{
	struct core_attach *a;

	if (pasid == IOMMU_NO_PASID) {
		if (!hwpt->pasid_compat && attach_from(group, IOMMU_NO_PASID + 1))
			return -EINVAL;
		return 0;
	}
	if (!hwpt->pasid_compat)
		return -EINVAL;
	a = attach_find(group, IOMMU_NO_PASID);
	return a && !a->hwpt->pasid_compat ? -EINVAL : 0;
}

/* Point the hardware at @hwpt; @a has its handle afterwards. */
static int hw_attach(struct core_device *dev, struct core_attach *a, struct core_hwpt *hwpt,
		     bool replace)
{
	struct base_alloc *alloc = &dev->ctx->alloc;
	struct iommu_attach_handle *handle, *old = a->handle;
	const u32 pasid = attach_pasid(a);
	int rc;

	rc = check_pasid(dev->group, pasid, hwpt);
	if (rc)
		return rc;
	/* The tables of one model mean nothing to another. */
	if (hwpt->domain->owner != dev->dev->unit->ops)
		return -EINVAL;
	if (untranslated(dev))
		return 0;
	handle = base_zalloc(alloc, sizeof(*handle));
	if (!handle)
		return -ENOMEM;
	handle->cookie = dev;
	if (replace)
		rc = iommu_replace(dev->dev, pasid, hwpt->domain, handle);
	else
		rc = iommu_attach(dev->dev, pasid, hwpt->domain, handle);
	if (rc) {
		base_free(alloc, handle, sizeof(*handle));
		return rc;
	}
	if (old && a->hwpt->fault)
		core_fault_cancel(a->hwpt->fault, old, NULL);
	base_free(alloc, old, sizeof(*old));
	a->handle = handle;
	return 0;
}

static void hw_detach(struct core_device *dev, struct core_attach *a)
{
	if (!a->handle)
		return;
	iommu_detach(dev->dev, attach_pasid(a));
	if (a->hwpt->fault)
		core_fault_cancel(a->hwpt->fault, a->handle, NULL);
	base_free(&dev->ctx->alloc, a->handle, sizeof(*a->handle));
	a->handle = NULL;
}

/* @dev leaves the group's attachment: faults are told as from one that stays. */
static void hand_over(struct core_device *dev, struct core_attach *a)
{
	if (!a->handle || a->handle->cookie != dev)
		return;
	pthread_mutex_lock(&dev->dev->group->lock);
	a->handle->cookie = LIST_FIRST(&a->devices)->dev;
	pthread_mutex_unlock(&dev->dev->group->lock);
}

/* The IOAS in which the device's unusable IOVAs are reserved, if any. */
static struct core_ioas *resv_ioas(struct core_device *dev, u32 pasid, struct core_hwpt *hwpt)
{
	if (pasid != IOMMU_NO_PASID || untranslated(dev))
		return NULL;
	return hwpt_stage2(hwpt)->ioas;
}

static int do_attach(struct core_device *dev, u32 pasid, struct core_hwpt *hwpt,
		     struct core_hwpt **old)
{
	struct core_ctx *ctx = dev->ctx;
	struct core_ioas *ioas = resv_ioas(dev, pasid, hwpt);
	struct core_attach *a = attach_find(dev->group, pasid);
	struct core_attached *d;
	bool first = !a;
	int rc;

	*old = NULL;
	if (a && attached_find(a, dev))
		return -EBUSY;
	if (a && a->hwpt != hwpt)
		return -EINVAL;
	d = base_zalloc(&ctx->alloc, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->dev = dev;
	if (first) {
		a = base_zalloc(&ctx->alloc, sizeof(*a));
		if (!a) {
			rc = -ENOMEM;
			goto err_free;
		}
		a->node.start = a->node.last = pasid;
		LIST_INIT(&a->devices);
	}
	if (ioas) {
		rc = core_ioas_reserve_device(ctx, ioas, dev);
		if (rc)
			goto err_free_attach;
	}
	if (first) {
		rc = hw_attach(dev, a, hwpt, false);
		if (rc)
			goto err_unreserve;
		a->hwpt = hwpt;
		itree_insert(&dev->group->attaches, &a->node);
	}
	LIST_INSERT_HEAD(&a->devices, d, link);
	core_object_get(&hwpt->obj);
	return 0;

err_unreserve:
	if (ioas)
		core_ioas_unreserve(ctx, ioas, dev);
err_free_attach:
	if (first)
		base_free(&ctx->alloc, a, sizeof(*a));
err_free:
	base_free(&ctx->alloc, d, sizeof(*d));
	return rc;
}

static void unreserve_all(struct core_ctx *ctx, struct core_attach *a, struct core_ioas *ioas)
{
	struct core_attached *d;

	LIST_FOREACH(d, &a->devices, link)
		core_ioas_unreserve(ctx, ioas, d->dev);
}

static int reserve_all(struct core_ctx *ctx, struct core_attach *a, struct core_ioas *ioas)
{
	struct core_attached *d;
	int rc;

	LIST_FOREACH(d, &a->devices, link) {
		rc = core_ioas_reserve_device(ctx, ioas, d->dev);
		if (rc) {
			unreserve_all(ctx, a, ioas);
			return rc;
		}
	}
	return 0;
}

/* *@old has one user for the caller to put. */
static int do_replace(struct core_device *dev, u32 pasid, struct core_hwpt *hwpt,
		      struct core_hwpt **old)
{
	struct core_ctx *ctx = dev->ctx;
	struct core_attach *a = attach_find(dev->group, pasid);
	struct core_ioas *to, *from;
	struct core_attached *d;
	int rc;

	*old = NULL;
	if (!a || !attached_find(a, dev))
		return -EINVAL;
	if (a->hwpt == hwpt)
		return 0;
	to = resv_ioas(dev, pasid, hwpt);
	from = resv_ioas(dev, pasid, a->hwpt);
	if (to && to != from) {
		rc = reserve_all(ctx, a, to);
		if (rc)
			return rc;
	}
	rc = hw_attach(dev, a, hwpt, true);
	if (rc) {
		if (to && to != from)
			unreserve_all(ctx, a, to);
		return rc;
	}
	if (from && to != from)
		unreserve_all(ctx, a, from);
	LIST_FOREACH(d, &a->devices, link) {
		core_object_get(&hwpt->obj);
		if (d->dev != dev)
			core_object_put(&a->hwpt->obj);
	}
	*old = a->hwpt;
	a->hwpt = hwpt;
	return 0;
}

/*
 * A device that is attached to nothing can wait for the areas, so what is wrong
 * with attaching is found first, and at less cost; one that is in use gets a
 * table that is complete.
 */
static int attach_and_fill(struct core_device *dev, u32 pasid, struct core_ioas *ioas,
			   struct core_hwpt_paging *hwpt, struct core_hwpt **old)
{
	int rc;

	rc = do_attach(dev, pasid, &hwpt->common, old);
	if (rc)
		return rc;
	rc = core_ioas_add_hwpt(dev->ctx, ioas, hwpt);
	if (rc)
		core_device_detach(dev, pasid);
	return rc;
}

static int fill_and_replace(struct core_device *dev, u32 pasid, struct core_ioas *ioas,
			    struct core_hwpt_paging *hwpt, struct core_hwpt **old)
{
	int rc = core_ioas_add_hwpt(dev->ctx, ioas, hwpt);

	return rc ? rc : do_replace(dev, pasid, &hwpt->common, old);
}

static const struct attach_way attaching = { do_attach, attach_and_fill };
static const struct attach_way replacing = { do_replace, fill_and_replace };

/* Use an automatic HWPT of @ioas: one that fits, or a new one. */
static int attach_ioas(struct core_device *dev, u32 pasid, struct core_ioas *ioas, u32 *pt_id,
		       const struct attach_way *way, struct core_hwpt **old)
{
	struct core_hwpt_paging *hwpt;
	int rc;

	TAILQ_FOREACH(hwpt, &ioas->hwpts, link) {
		if (!hwpt->automatic)
			continue;
		rc = way->to(dev, pasid, &hwpt->common, old);
		/* Only "does not fit" is a reason to look further. */
		if (rc == -EINVAL)
			continue;
		if (!rc)
			*pt_id = hwpt->common.obj.id;
		return rc;
	}
	rc = core_hwpt_paging_new(dev->ctx, ioas, dev, 0, NULL, &hwpt);
	if (rc)
		return rc;
	rc = way->to_new(dev, pasid, ioas, hwpt, old);
	if (rc) {
		core_object_undo(dev->ctx, &hwpt->common.obj);
		return rc;
	}
	hwpt->automatic = true;
	core_object_publish(dev->ctx, &hwpt->common.obj);
	*pt_id = hwpt->common.obj.id;
	return 0;
}

static int change(struct core_device *dev, u32 pasid, u32 *pt_id, const struct attach_way *way)
{
	struct core_object *obj = core_object_find(dev->ctx, *pt_id, CORE_ANY);
	struct core_hwpt *old = NULL;
	int rc;

	if (!obj)
		return -ENOENT;
	switch (obj->ops->type) {
	case CORE_HWPT_PAGING:
	case CORE_HWPT_NESTED:
		rc = way->to(dev, pasid, container_of(obj, struct core_hwpt, obj), &old);
		break;
	case CORE_IOAS:
		rc = attach_ioas(dev, pasid, container_of(obj, struct core_ioas, obj), pt_id, way,
				 &old);
		break;
	default:
		return -EINVAL;
	}
	if (old)
		core_hwpt_put(dev->ctx, old);
	return rc;
}

int core_device_attach(struct core_device *dev, u32 pasid, u32 *pt_id)
{
	return change(dev, pasid, pt_id, &attaching);
}

int core_device_replace(struct core_device *dev, u32 pasid, u32 *pt_id)
{
	return change(dev, pasid, pt_id, &replacing);
}

void core_device_detach(struct core_device *dev, u32 pasid)
{
	struct core_ctx *ctx = dev->ctx;
	struct core_attach *a = attach_find(dev->group, pasid);
	struct core_attached *d = a ? attached_find(a, dev) : NULL;
	struct core_hwpt *hwpt;
	struct core_ioas *ioas;

	if (!d)
		return;
	hwpt = a->hwpt;
	ioas = resv_ioas(dev, pasid, hwpt);
	LIST_REMOVE(d, link);
	base_free(&ctx->alloc, d, sizeof(*d));
	if (LIST_EMPTY(&a->devices)) {
		hw_detach(dev, a);
		itree_remove(&dev->group->attaches, &a->node);
		base_free(&ctx->alloc, a, sizeof(*a));
	} else {
		hand_over(dev, a);
	}
	if (ioas)
		core_ioas_unreserve(ctx, ioas, dev);
	core_hwpt_put(ctx, hwpt);
}
