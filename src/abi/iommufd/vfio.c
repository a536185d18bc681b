// SPDX-License-Identifier: MIT
/*
 * VFIO type1 on an iommufd descriptor: the requests that a container takes, on
 * the compatibility IOAS. Differences from a real container that the kernel's
 * own layer has are kept: no dirty bitmaps, no vaddr updates, unmap of a hole
 * succeeds with size 0.
 */
#include <string.h>
#include <linux/vfio.h>

#include "abi/type1.h"
#include "call.h"
#include "core/ioas.h"

static int map_dma(struct core_ctx *ctx, struct siommu_task *task, u64 arg)
{
	const size_t minsz = offsetofend(struct vfio_iommu_type1_dma_map, size);
	struct vfio_iommu_type1_dma_map cmd = { 0 };
	struct core_map map = { .fixed = true };
	int rc;

	rc = task_copy_in(task, &cmd, arg, minsz);
	if (rc)
		return rc;
	if (cmd.argsz < minsz ||
	    (cmd.flags & ~(u32)(VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)))
		return -EINVAL;
	if (cmd.flags & VFIO_DMA_MAP_FLAG_READ)
		map.prot |= IOMMU_PROT_READ;
	if (cmd.flags & VFIO_DMA_MAP_FLAG_WRITE)
		map.prot |= IOMMU_PROT_WRITE;
	if (!ctx->vfio_ioas)
		return -ENODEV;
	map.iova = cmd.iova;
	map.length = cmd.size;
	return core_ioas_map_user(ctx, ctx->vfio_ioas, task, cmd.vaddr, &map);
}

/* type1, but not type1v2, may unmap part of a mapping. */
static int cut_at_ends(struct core_ctx *ctx, struct core_ioas *ioas, u64 iova, u64 size)
{
	int rc;

	if (!ioas->no_large_pages)
		return 0;
	rc = core_ioas_cut(ctx, ioas, iova + size - 1);
	if (!rc && iova)
		rc = core_ioas_cut(ctx, ioas, iova - 1);
	return rc;
}

static int unmap_dma(struct core_ctx *ctx, struct siommu_task *task, u64 arg)
{
	const size_t minsz = offsetofend(struct vfio_iommu_type1_dma_unmap, size);
	struct vfio_iommu_type1_dma_unmap cmd = { 0 };
	u64 unmapped = 0;
	int rc;

	rc = task_copy_in(task, &cmd, arg, minsz);
	if (rc)
		return rc;
	if (cmd.argsz < minsz || (cmd.flags & ~(u32)VFIO_DMA_UNMAP_FLAG_ALL))
		return -EINVAL;
	if (!ctx->vfio_ioas)
		return -ENODEV;
	if (cmd.flags & VFIO_DMA_UNMAP_FLAG_ALL) {
		if (cmd.iova || cmd.size)
			return -EINVAL;
		rc = core_ioas_unmap_all(ctx, ctx->vfio_ioas, &unmapped);
	} else {
		rc = cut_at_ends(ctx, ctx->vfio_ioas, cmd.iova, cmd.size);
		if (rc)
			return rc;
		rc = core_ioas_unmap(ctx, ctx->vfio_ioas, cmd.iova, cmd.size, &unmapped);
	}
	cmd.size = unmapped;
	if (task_copy_out(task, arg, &cmd, minsz))
		return -EFAULT;
	return rc;
}

static int check_extension(struct core_ctx *ctx, u64 extension)
{
	switch (extension) {
	case VFIO_TYPE1_IOMMU:
	case VFIO_TYPE1v2_IOMMU:
	case VFIO_UNMAP_ALL:
	case VFIO_NOIOMMU_IOMMU:
		return 1;
	case VFIO_DMA_CC_IOMMU:
		return ctx->vfio_ioas ? type1_is_coherent(ctx->vfio_ioas) : -ENODEV;
	default:
		return 0;
	}
}

static int set_iommu(struct core_ctx *ctx, u64 type)
{
	if (type != VFIO_TYPE1_IOMMU && type != VFIO_TYPE1v2_IOMMU)
		return -EINVAL;
	if (!ctx->vfio_ioas)
		return -ENODEV;
	if (type == VFIO_TYPE1v2_IOMMU)
		return 0;
	/* Large pages could not be cut where an unmap wants to. */
	return core_ioas_set_large_pages(ctx, ctx->vfio_ioas, false);
}

static int get_info(struct core_ctx *ctx, struct siommu_task *task, u64 arg)
{
	const size_t minsz = offsetofend(struct vfio_iommu_type1_info, iova_pgsizes);
	struct vfio_iommu_type1_info info = { 0 };
	struct type1_caps w = { .task = task, .uptr = arg, .used = sizeof(info) };
	int rc;

	rc = task_copy_in(task, &info, arg, minsz);
	if (rc)
		return rc;
	if (info.argsz < minsz)
		return -EINVAL;
	if (!ctx->vfio_ioas)
		return -ENODEV;
	w.argsz = info.argsz;
	rc = type1_put_dma_avail(&w, UINT32_MAX);
	if (!rc)
		rc = type1_put_iova_ranges(&w, ctx->vfio_ioas);
	if (rc)
		return rc;
	info.flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS;
	info.iova_pgsizes = type1_page_sizes(ctx->vfio_ioas);
	info.argsz = w.used;
	/* With too little room the caller only learns how much is needed. */
	if (w.argsz >= w.used)
		info.cap_offset = sizeof(info);
	return task_copy_out(task, arg, &info, min_u64(w.argsz, sizeof(info)));
}

static int compat_begin(struct core_ctx *ctx)
{
	struct core_ioas *ioas;
	int rc;

	if (ctx->vfio_ioas)
		return 0;
	rc = core_ioas_alloc(ctx, &ioas);
	if (rc)
		return rc;
	core_object_publish(ctx, &ioas->obj);
	ctx->vfio_ioas = ioas;
	return 0;
}

int type1_compat_begin(struct core_ctx *ctx)
{
	int rc;

	pthread_mutex_lock(&ctx->lock);
	rc = compat_begin(ctx);
	pthread_mutex_unlock(&ctx->lock);
	return rc;
}

static long locked_ioctl(struct core_ctx *ctx, struct siommu_task *task, unsigned int request,
			 u64 arg)
{
	switch (request) {
	case VFIO_GET_API_VERSION:
		return VFIO_API_VERSION;
	case VFIO_SET_IOMMU:
		return set_iommu(ctx, arg);
	case VFIO_CHECK_EXTENSION:
		return check_extension(ctx, arg);
	case VFIO_IOMMU_GET_INFO:
		return get_info(ctx, task, arg);
	case VFIO_IOMMU_MAP_DMA:
		return map_dma(ctx, task, arg);
	case VFIO_IOMMU_UNMAP_DMA:
		return unmap_dma(ctx, task, arg);
	default:
		return -ENOTTY;
	}
}

long abi_vfio_ioctl(struct core_ctx *ctx, struct siommu_task *task, unsigned int request, u64 arg)
{
	long rc;

	pthread_mutex_lock(&ctx->lock);
	rc = locked_ioctl(ctx, task, request, arg);
	pthread_mutex_unlock(&ctx->lock);
	return rc;
}
