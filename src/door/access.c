// SPDX-License-Identifier: MIT
/*
 * softiommu/access.h for callers in this process: the core's calls with the
 * context's lock around them. An access is the core's own object.
 */
#include <softiommu/access.h>

#include "core/access.h"
#include "inproc.h"

static struct core_access *from_access(struct siommu_access *access)
{
	return (struct core_access *)access;
}

int siommu_access_create(struct siommu_ctx *ctx, const struct siommu_access_ops *ops, void *arg,
			 struct siommu_access **out)
{
	struct core_access *core;
	int rc;

	pthread_mutex_lock(&ctx->core->lock);
	rc = core_access_create(ctx->core, ops, arg, &core);
	if (!rc)
		*out = (struct siommu_access *)core;
	pthread_mutex_unlock(&ctx->core->lock);
	return rc;
}

void siommu_access_destroy(struct siommu_access *access)
{
	struct core_ctx *ctx = from_access(access)->ctx;

	pthread_mutex_lock(&ctx->lock);
	core_access_destroy(from_access(access));
	pthread_mutex_unlock(&ctx->lock);
	core_ctx_put(ctx);
}

int siommu_access_attach(struct siommu_access *access, uint32_t ioas_id)
{
	struct core_ctx *ctx = from_access(access)->ctx;
	struct core_ioas *ioas;
	int rc;

	pthread_mutex_lock(&ctx->lock);
	ioas = core_ioas_find(ctx, ioas_id);
	rc = ioas ? core_access_attach(from_access(access), ioas) : -ENOENT;
	pthread_mutex_unlock(&ctx->lock);
	return rc;
}

int siommu_access_replace(struct siommu_access *access, uint32_t ioas_id)
{
	struct core_ctx *ctx = from_access(access)->ctx;
	int rc;

	pthread_mutex_lock(&ctx->lock);
	rc = core_access_replace(from_access(access), ioas_id);
	pthread_mutex_unlock(&ctx->lock);
	return rc;
}

void siommu_access_detach(struct siommu_access *access)
{
	struct core_ctx *ctx = from_access(access)->ctx;

	pthread_mutex_lock(&ctx->lock);
	core_access_detach(from_access(access));
	pthread_mutex_unlock(&ctx->lock);
}

int siommu_access_pin(struct siommu_access *access, uint64_t iova, uint64_t length,
		      unsigned int flags, uint64_t *hpas)
{
	struct core_ctx *ctx = from_access(access)->ctx;
	int rc;

	pthread_mutex_lock(&ctx->lock);
	rc = core_access_pin(from_access(access), iova, length, flags & SIOMMU_ACCESS_WRITE, hpas);
	pthread_mutex_unlock(&ctx->lock);
	return rc;
}

void siommu_access_unpin(struct siommu_access *access, uint64_t iova, uint64_t length)
{
	struct core_ctx *ctx = from_access(access)->ctx;

	pthread_mutex_lock(&ctx->lock);
	core_access_unpin(from_access(access), iova, length);
	pthread_mutex_unlock(&ctx->lock);
}

int siommu_access_rw(struct siommu_access *access, uint64_t iova, void *buf, size_t length,
		     unsigned int flags)
{
	struct core_ctx *ctx = from_access(access)->ctx;
	int rc;

	pthread_mutex_lock(&ctx->lock);
	rc = core_access_rw(from_access(access), iova, buf, length, flags & SIOMMU_ACCESS_WRITE);
	pthread_mutex_unlock(&ctx->lock);
	return rc;
}
