// SPDX-License-Identifier: MIT
/*
 * Devices of a context: binding, and the groups they are in.
 *
 * Binding claims the DMA of the device's whole group for the context. The
 * driver that binds is one user of the object, so DESTROY of a bound device is
 * always EBUSY; unbinding ends it, whatever else hangs on its virtual device.
 */
#include <string.h>

#include "core/device.h"
#include "core/eventq.h"
#include "core/machine.h"
#include "core/viommu.h"
#include "iommu/mock.h"
#include "iommu/none.h"

static struct core_group *group_get(struct core_ctx *ctx, struct iommu_group *group)
{
	struct core_group *g;

	LIST_FOREACH(g, &ctx->groups, link) {
		if (g->group == group) {
			g->refs++;
			return g;
		}
	}
	g = base_zalloc(&ctx->alloc, sizeof(*g));
	if (!g)
		return NULL;
	g->group = group;
	g->refs = 1;
	LIST_INSERT_HEAD(&ctx->groups, g, link);
	return g;
}

static void group_put(struct core_ctx *ctx, struct core_group *g)
{
	if (--g->refs)
		return;
	LIST_REMOVE(g, link);
	base_free(&ctx->alloc, g, sizeof(*g));
}

static int claim(struct core_ctx *ctx, struct iommu_group *group)
{
	int rc;

	pthread_mutex_lock(&ctx->machine->lock);
	rc = iommu_group_claim(group, ctx);
	pthread_mutex_unlock(&ctx->machine->lock);
	return rc;
}

static void release(struct core_ctx *ctx, struct iommu_group *group)
{
	pthread_mutex_lock(&ctx->machine->lock);
	iommu_group_release(group);
	pthread_mutex_unlock(&ctx->machine->lock);
}

static void device_destroy(struct core_ctx *ctx, struct core_object *obj)
{
	struct core_device *dev = container_of(obj, struct core_device, obj);
	struct core_attach *attach;

	iommu_fault_forget(dev->dev);
	/* Others of the group may go on; what this one asked for ends with it. */
	for (attach = attach_from(dev->group, 0); attach; attach = attach_next(dev->group, attach))
		if (attach->hwpt->fault)
			core_fault_cancel(attach->hwpt->fault, attach->handle, dev->dev);
	release(ctx, dev->dev->group);
	group_put(ctx, dev->group);
	core_object_free(ctx, obj);
}

static void device_show(struct core_object *obj, FILE *out)
{
	struct core_device *dev = container_of(obj, struct core_device, obj);
	struct core_attach *attach;

	fprintf(out, "%s behind %s", dev->dev->name, dev->dev->unit->ops->name);
	for (attach = attach_from(dev->group, 0); attach; attach = attach_next(dev->group, attach)) {
		fprintf(out, ", attached to HWPT %u", attach->hwpt->obj.id);
		if (attach_pasid(attach) != IOMMU_NO_PASID)
			fprintf(out, " for PASID %u", attach_pasid(attach));
	}
}

static const struct core_object_ops device_ops = {
	.type = CORE_DEVICE,
	.size = sizeof(struct core_device),
	.name = "device",
	.destroy = device_destroy,
	.show = device_show,
};

int core_device_bind(struct core_ctx *ctx, struct iommu_device *hw, bool test,
		     struct core_device **out)
{
	struct core_device *dev;
	struct core_object *obj;
	int rc;

	/* There is no call to make caches coherent, so the hardware must be. */
	if (!hw->unit->ops->untranslated && !iommu_capable(hw, IOMMU_CAP_CACHE_COHERENCY))
		return -EINVAL;
	rc = core_object_new(ctx, &device_ops, &obj);
	if (rc)
		return rc;
	dev = container_of(obj, struct core_device, obj);
	dev->ctx = ctx;
	dev->dev = hw;
	dev->test = test;
	dev->group = group_get(ctx, hw->group);
	if (!dev->group) {
		rc = -ENOMEM;
		goto err_abort;
	}
	rc = claim(ctx, hw->group);
	if (rc)
		goto err_group;
	/* Others of the group may be attached already, and then it has been said. */
	if (dev->group->refs == 1)
		iommu_group_set_careful(hw->group, ctx->careful);
	iommu_fault_listen(hw);
	/* The driver is a user until it unbinds. */
	core_object_get(&dev->obj);
	core_object_publish(ctx, &dev->obj);
	if (!test)
		core_ctx_get(ctx);
	*out = dev;
	return 0;

err_group:
	group_put(ctx, dev->group);
err_abort:
	core_object_abort(ctx, obj);
	return rc;
}

void core_device_unbind(struct core_device *dev)
{
	struct core_ctx *ctx = dev->ctx;
	struct core_attach *attach, *next;

	for (attach = attach_from(dev->group, 0); attach; attach = next) {
		next = attach_next(dev->group, attach);
		core_device_detach(dev, attach_pasid(attach));
	}
	if (dev->vdev)
		core_object_tombstone(ctx, &dev->vdev->obj);
	core_object_remove(ctx, &dev->obj);
}

static int create_behind(struct iommu_unit *unit, struct iommu_group *group,
			 const struct siommu_device_params *p, struct iommu_device **out)
{
	const struct iommu_device_desc desc = {
		.name = p->name,
		.requester = p->requester,
		.pasid_bits = p->pasid_bits,
		.ats = p->ats,
		.page_requests = p->page_requests,
		.stall = p->stall,
	};


	return unit->ops->device_create(unit, group, &desc, out);
}

int siommu_device_create(struct siommu_machine *m, const struct siommu_device_params *params,
			 struct siommu_device **out)
{
	struct siommu_device_params p = { 0 };
	struct siommu_device *dev;
	int rc;

	if (params->size < offsetofend(struct siommu_device_params, iommu))
		return -EINVAL;
	memcpy(&p, params, min_u64(params->size, sizeof(p)));
	if (!p.name || p.pasid_bits > 20)
		return -EINVAL;
	if (p.unit && (p.iommu || p.unit->machine != m))
		return -EINVAL;
	if (p.iommu > SIOMMU_IOMMU_MOCK || (p.iommu == SIOMMU_IOMMU_MOCK && !m->mock))
		return -EOPNOTSUPP;
	dev = base_zalloc(&m->alloc, sizeof(*dev));
	if (!dev)
		return -ENOMEM;
	dev->machine = m;
	rc = machine_group_get(m, p.group, &dev->group);
	if (rc)
		goto err_free;
	if (p.unit)
		rc = create_behind(p.unit->unit, &dev->group->group, &p, &dev->dev);
	else if (p.iommu == SIOMMU_IOMMU_NONE)
		rc = none_device_create(m->none, &dev->group->group, p.name, &dev->dev);
	else
		rc = mock_device_create(m->mock, &dev->group->group, p.name, p.pasid_bits,
					p.no_dirty, &dev->dev);
	if (rc)
		goto err_group;
	rc = iommu_device_join(dev->dev);
	if (rc)
		goto err_device;
	*out = dev;
	return 0;

err_device:
	dev->dev->unit->ops->device_destroy(dev->dev);
err_group:
	machine_group_put(m, dev->group);
err_free:
	base_free(&m->alloc, dev, sizeof(*dev));
	return rc;
}

void siommu_device_destroy(struct siommu_device *dev)
{
	struct siommu_machine *m;

	if (!dev)
		return;
	m = dev->machine;
	iommu_device_leave(dev->dev);
	dev->dev->unit->ops->device_destroy(dev->dev);
	machine_group_put(m, dev->group);
	base_free(&m->alloc, dev, sizeof(*dev));
}

int siommu_device_reserve(struct siommu_device *dev, uint64_t start, uint64_t last)
{
	if (last < start)
		return -EINVAL;
	return iommu_device_add_resv(dev->dev, start, last, IOMMU_RESV_RESERVED);
}
