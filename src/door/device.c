// SPDX-License-Identifier: MIT
/*
 * softiommu/device.h for callers in this process: the core's calls with the
 * context's lock around them. A binding is the core's device object.
 */
#include <softiommu/device.h>

#include "core/device.h"
#include "inproc.h"

static struct core_device *from_bound(struct siommu_bound *bound)
{
	return (struct core_device *)bound;
}

int siommu_device_bind(struct siommu_ctx *ctx, struct siommu_device *dev,
		       struct siommu_bound **bound, uint32_t *id)
{
	struct core_device *core;
	int rc;

	pthread_mutex_lock(&ctx->core->lock);
	rc = core_device_bind(ctx->core, dev->dev, false, &core);
	if (!rc) {
		*bound = (struct siommu_bound *)core;
		*id = core->obj.id;
	}
	pthread_mutex_unlock(&ctx->core->lock);
	return rc;
}

void siommu_device_unbind(struct siommu_bound *bound)
{
	struct core_ctx *ctx = from_bound(bound)->ctx;

	pthread_mutex_lock(&ctx->lock);
	core_device_unbind(from_bound(bound));
	pthread_mutex_unlock(&ctx->lock);
	core_ctx_put(ctx);
}

int siommu_device_attach(struct siommu_bound *bound, uint32_t pasid, uint32_t *pt_id)
{
	struct core_ctx *ctx = from_bound(bound)->ctx;
	int rc;

	pthread_mutex_lock(&ctx->lock);
	rc = core_device_attach(from_bound(bound), pasid, pt_id);
	pthread_mutex_unlock(&ctx->lock);
	return rc;
}

int siommu_device_replace(struct siommu_bound *bound, uint32_t pasid, uint32_t *pt_id)
{
	struct core_ctx *ctx = from_bound(bound)->ctx;
	int rc;

	pthread_mutex_lock(&ctx->lock);
	rc = core_device_replace(from_bound(bound), pasid, pt_id);
	pthread_mutex_unlock(&ctx->lock);
	return rc;
}

void siommu_device_detach(struct siommu_bound *bound, uint32_t pasid)
{
	struct core_ctx *ctx = from_bound(bound)->ctx;

	pthread_mutex_lock(&ctx->lock);
	core_device_detach(from_bound(bound), pasid);
	pthread_mutex_unlock(&ctx->lock);
}
