// SPDX-License-Identifier: MIT
/*
 * Making and ending HWPTs. A failed allocation leaves nothing behind: every
 * part that was built is known from the object itself, so one function ends
 * complete and incomplete ones alike.
 */
#include <softiommu/abi/iommufd.h>

#include "core/device.h"
#include "core/eventq.h"
#include "core/hwpt.h"
#include "core/viommu.h"

static void common_end(struct core_hwpt *hwpt)
{
	if (hwpt->domain)
		iommu_domain_free(hwpt->domain);
	if (hwpt->fault)
		core_object_put(&hwpt->fault->obj);
}

static void paging_destroy(struct core_ctx *ctx, struct core_object *obj)
{
	struct core_hwpt_paging *hwpt = container_of(obj, struct core_hwpt_paging, common.obj);

	if (hwpt->listed)
		core_ioas_remove_hwpt(ctx, hwpt->ioas, hwpt);
	common_end(&hwpt->common);
	core_object_put(&hwpt->ioas->obj);
	core_object_free(ctx, obj);
}

static void nested_destroy(struct core_ctx *ctx, struct core_object *obj)
{
	struct core_hwpt_nested *hwpt = container_of(obj, struct core_hwpt_nested, common.obj);

	common_end(&hwpt->common);
	core_object_put(hwpt->viommu ? &hwpt->viommu->obj : &hwpt->parent->common.obj);
	core_object_free(ctx, obj);
}

static void paging_show(struct core_object *obj, FILE *out)
{
	struct core_hwpt_paging *hwpt = container_of(obj, struct core_hwpt_paging, common.obj);

	fprintf(out, "%s of IOAS %u%s%s%s", hwpt->common.domain->owner->name, hwpt->ioas->obj.id,
		hwpt->automatic ? ", automatic" : "", hwpt->nest_parent ? ", nest parent" : "",
		hwpt->common.domain->dirty_ops ? ", dirty tracking" : "");
}

static void nested_show(struct core_object *obj, FILE *out)
{
	struct core_hwpt_nested *hwpt = container_of(obj, struct core_hwpt_nested, common.obj);

	fprintf(out, "%s on HWPT %u", hwpt->common.domain->owner->name,
		hwpt->parent->common.obj.id);
	if (hwpt->viommu)
		fprintf(out, " through vIOMMU %u", hwpt->viommu->obj.id);
}

const struct core_object_ops core_hwpt_paging_ops = {
	.type = CORE_HWPT_PAGING,
	.size = sizeof(struct core_hwpt_paging),
	.name = "HWPT",
	.destroy = paging_destroy,
	.show = paging_show,
};

const struct core_object_ops core_hwpt_nested_ops = {
	.type = CORE_HWPT_NESTED,
	.size = sizeof(struct core_hwpt_nested),
	.name = "nested HWPT",
	.destroy = nested_destroy,
	.show = nested_show,
};

struct core_hwpt *core_hwpt_find(struct core_ctx *ctx, u32 id)
{
	struct core_object *obj = core_object_find(ctx, id, CORE_ANY);

	if (!obj ||
	    (obj->ops->type != CORE_HWPT_PAGING && obj->ops->type != CORE_HWPT_NESTED))
		return NULL;
	return container_of(obj, struct core_hwpt, obj);
}

#define PAGING_FLAGS                                                                               \
	(IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING |                          \
	 IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID)
#define NESTED_FLAGS (IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID)

static int check_paging_flags(struct core_device *dev, u32 flags)
{
	if (flags & ~(u32)PAGING_FLAGS)
		return -EOPNOTSUPP;
	if ((flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING) &&
	    !iommu_capable(dev->dev, IOMMU_CAP_DIRTY_TRACKING))
		return -EOPNOTSUPP;
	if ((flags & IOMMU_HWPT_FAULT_ID_VALID) && (flags & IOMMU_HWPT_ALLOC_NEST_PARENT))
		return -EOPNOTSUPP;
	return 0;
}

int core_hwpt_paging_new(struct core_ctx *ctx, struct core_ioas *ioas, struct core_device *dev,
			 u32 flags, const struct iommu_user_data *data,
			 struct core_hwpt_paging **out)
{
	const struct iommu_ops *ops = dev->dev->unit->ops;
	struct core_hwpt_paging *hwpt;
	struct core_object *obj;
	int rc;

	rc = check_paging_flags(dev, flags);
	if (rc)
		return rc;
	rc = core_object_new(ctx, &core_hwpt_paging_ops, &obj);
	if (rc)
		return rc;
	hwpt = container_of(obj, struct core_hwpt_paging, common.obj);
	hwpt->ioas = ioas;
	core_object_get(&ioas->obj);
	hwpt->common.pasid_compat = flags & IOMMU_HWPT_ALLOC_PASID;
	hwpt->nest_parent = flags & IOMMU_HWPT_ALLOC_NEST_PARENT;
	rc = ops->domain_alloc_paging(dev->dev, &ctx->alloc, flags & ~IOMMU_HWPT_FAULT_ID_VALID,
				      data, &hwpt->common.domain);
	if (rc) {
		hwpt->common.domain = NULL;
		goto err_undo;
	}
	/* Decided before anything is mapped: some formats keep it in each entry. */
	if (iommu_capable(dev->dev, IOMMU_CAP_ENFORCE_CACHE_COHERENCY))
		hwpt->cache_coherent = hwpt->common.domain->cache_coherent;
	*out = hwpt;
	return 0;

err_undo:
	core_object_undo(ctx, &hwpt->common.obj);
	return rc;
}

int core_hwpt_paging_alloc(struct core_ctx *ctx, struct core_ioas *ioas, struct core_device *dev,
			   u32 flags, const struct iommu_user_data *data,
			   struct core_hwpt_paging **out)
{
	int rc;

	rc = core_hwpt_paging_new(ctx, ioas, dev, flags, data, out);
	if (rc)
		return rc;
	rc = core_ioas_add_hwpt(ctx, ioas, *out);
	if (rc)
		core_object_undo(ctx, &(*out)->common.obj);
	return rc;
}

/* The object of a nested HWPT, over @parent or through @viommu. */
static int nested_new(struct core_ctx *ctx, struct core_hwpt_paging *parent,
		      struct core_viommu *viommu, u32 flags, struct core_hwpt_nested **out)
{
	struct core_hwpt_nested *hwpt;
	struct core_object *obj;
	int rc;

	rc = core_object_new(ctx, &core_hwpt_nested_ops, &obj);
	if (rc)
		return rc;
	hwpt = container_of(obj, struct core_hwpt_nested, common.obj);
	hwpt->common.pasid_compat = flags & IOMMU_HWPT_ALLOC_PASID;
	hwpt->parent = parent;
	hwpt->viommu = viommu;
	core_object_get(viommu ? &viommu->obj : &parent->common.obj);
	*out = hwpt;
	return 0;
}

int core_hwpt_nested_alloc(struct core_ctx *ctx, struct core_hwpt_paging *parent,
			   struct core_device *dev, u32 flags, const struct iommu_user_data *data,
			   struct core_hwpt **out)
{
	const struct iommu_ops *ops = dev->dev->unit->ops;
	struct core_hwpt_nested *hwpt;
	int rc;

	if ((flags & ~(u32)NESTED_FLAGS) || !data->len || !ops->domain_alloc_nested)
		return -EOPNOTSUPP;
	if (parent->automatic || !parent->nest_parent || parent->common.domain->owner != ops)
		return -EINVAL;
	rc = nested_new(ctx, parent, NULL, flags, &hwpt);
	if (rc)
		return rc;
	rc = ops->domain_alloc_nested(dev->dev, &ctx->alloc, parent->common.domain,
				      flags & ~IOMMU_HWPT_FAULT_ID_VALID, data,
				      &hwpt->common.domain);
	if (rc) {
		hwpt->common.domain = NULL;
		core_object_undo(ctx, &hwpt->common.obj);
		return rc;
	}
	iommu_domain_nest(hwpt->common.domain, parent->common.domain);
	*out = &hwpt->common;
	return 0;
}

int core_hwpt_viommu_alloc(struct core_ctx *ctx, struct core_viommu *viommu, u32 flags,
			   const struct iommu_user_data *data, struct core_hwpt **out)
{
	const struct iommu_viommu_ops *ops = viommu->hw->ops;
	struct core_hwpt_nested *hwpt;
	int rc;

	if ((flags & ~(u32)NESTED_FLAGS) || !data->len || !ops->alloc_domain_nested)
		return -EOPNOTSUPP;
	rc = nested_new(ctx, viommu->hwpt, viommu, flags, &hwpt);
	if (rc)
		return rc;
	rc = ops->alloc_domain_nested(viommu->hw, flags & ~IOMMU_HWPT_FAULT_ID_VALID, data,
				      &hwpt->common.domain);
	if (rc) {
		hwpt->common.domain = NULL;
		core_object_undo(ctx, &hwpt->common.obj);
		return rc;
	}
	iommu_domain_nest(hwpt->common.domain, viommu->hwpt->common.domain);
	*out = &hwpt->common;
	return 0;
}

void core_hwpt_set_fault(struct core_hwpt *hwpt, struct core_fault *fault)
{
	hwpt->fault = fault;
	core_object_get(&fault->obj);
	hwpt->domain->fault_cookie = fault;
	hwpt->domain->fault_handler = core_fault_deliver;
}

void core_hwpt_put(struct core_ctx *ctx, struct core_hwpt *hwpt)
{
	core_object_put(&hwpt->obj);
	if (hwpt->obj.ops->type == CORE_HWPT_PAGING && hwpt_to_paging(hwpt)->automatic &&
	    hwpt->obj.users == 1)
		core_object_remove(ctx, &hwpt->obj);
}
