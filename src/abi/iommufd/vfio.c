// SPDX-License-Identifier: MIT
/*
 * VFIO type1 on an iommufd descriptor: the requests that a container takes, on
 * the compatibility IOAS. Differences from a real container that the kernel's
 * own layer has are kept: no dirty bitmaps, no vaddr updates, unmap of a hole
 * succeeds with size 0.
 */
#include <string.h>
#include <linux/vfio.h>

#include "call.h"
#include "core/hwpt.h"
#include "core/ioas.h"

/* The chain of capabilities in the order in which it is written. */
struct cap_writer {
	struct siommu_task *task;
	u64 uptr;    /* the caller's structure */
	u32 argsz;   /* bytes of it */
	u32 used;    /* bytes that all of it needs so far */
	u32 last;    /* offset of the latest capability; 0 for none */
};

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

/* Is all DMA of the compatibility IOAS coherent? */
static int dma_is_coherent(struct core_ctx *ctx)
{
	struct core_hwpt_paging *hwpt;

	if (!ctx->vfio_ioas)
		return -ENODEV;
	TAILQ_FOREACH(hwpt, &ctx->vfio_ioas->hwpts, link)
		if (!hwpt->cache_coherent)
			return 0;
	return 1;
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
		return dma_is_coherent(ctx);
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

static u64 page_sizes(struct core_ioas *ioas)
{
	struct core_hwpt_paging *hwpt;
	u64 sizes = U64_MAX;

	TAILQ_FOREACH(hwpt, &ioas->hwpts, link)
		sizes &= hwpt->common.domain->pgsize_bitmap;
	/* Sizes below a page cannot be used through this interface. */
	if (sizes & (PAGE_BYTES - 1))
		sizes = (sizes & ~(PAGE_BYTES - 1)) | PAGE_BYTES;
	return max_u64(sizes, ioas->alignment);
}

/* Write @n bytes of the current capability at @offset, if they fit. */
static int put(struct cap_writer *w, u32 offset, const void *data, u32 n)
{
	if (w->argsz < offset + n)
		return 0;
	return task_copy_out(w->task, w->uptr + offset, data, n);
}

/*
 * A capability of @n bytes begins at w->used; chain it to the one before, unless
 * it lies behind the caller's room.
 */
static int begin_cap(struct cap_writer *w, u32 n, u32 *offset)
{
	int rc = 0;

	*offset = w->used;
	if (w->last && w->argsz >= *offset)
		rc = put(w, w->last + (u32)offsetof(struct vfio_info_cap_header, next), offset,
			 sizeof(*offset));
	w->last = *offset;
	w->used += (u32)align_up(n, 8);
	return rc;
}

static int write_dma_avail(struct cap_writer *w)
{
	struct vfio_iommu_type1_info_dma_avail cap = {
		.header = { .id = VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, .version = 1 },
		.avail = UINT32_MAX,
	};
	u32 at;
	int rc = begin_cap(w, sizeof(cap), &at);

	return rc ? rc : put(w, at, &cap, sizeof(cap));
}

static u32 count_ranges(struct core_ioas *ioas)
{
	struct itree_span span;
	u32 n = 0;

	itree_span_begin(&span, &ioas->reserved, 0, U64_MAX);
	do {
		n += !span.used;
	} while (itree_span_next(&span));
	return n;
}

static int write_iova_ranges(struct cap_writer *w, struct core_ioas *ioas)
{
	struct vfio_iommu_type1_info_cap_iova_range cap = {
		.header = { .id = VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, .version = 1 },
		.nr_iovas = count_ranges(ioas),
	};
	struct itree_span span;
	u32 at, pos, bytes;
	int rc;

	bytes = (u32)(sizeof(cap) + cap.nr_iovas * sizeof(struct vfio_iova_range));
	rc = begin_cap(w, bytes, &at);
	/* Ranges are written as far as they fit, the header that counts them if all do. */
	if (!rc && w->argsz >= at + bytes)
		rc = put(w, at, &cap, sizeof(cap));
	if (rc)
		return rc;
	pos = at + sizeof(cap);
	itree_span_begin(&span, &ioas->reserved, 0, U64_MAX);
	do {
		struct vfio_iova_range range = { .start = span.start, .end = span.last };

		if (span.used)
			continue;
		rc = put(w, pos, &range, sizeof(range));
		if (rc)
			return rc;
		pos += sizeof(range);
	} while (itree_span_next(&span));
	return 0;
}

static int get_info(struct core_ctx *ctx, struct siommu_task *task, u64 arg)
{
	const size_t minsz = offsetofend(struct vfio_iommu_type1_info, iova_pgsizes);
	struct vfio_iommu_type1_info info = { 0 };
	struct cap_writer w = { .task = task, .uptr = arg, .used = sizeof(info) };
	int rc;

	rc = task_copy_in(task, &info, arg, minsz);
	if (rc)
		return rc;
	if (info.argsz < minsz)
		return -EINVAL;
	if (!ctx->vfio_ioas)
		return -ENODEV;
	w.argsz = info.argsz;
	rc = write_dma_avail(&w);
	if (!rc)
		rc = write_iova_ranges(&w, ctx->vfio_ioas);
	if (rc)
		return rc;
	info.flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS;
	info.iova_pgsizes = page_sizes(ctx->vfio_ioas);
	info.argsz = w.used;
	/* With too little room the caller only learns how much is needed. */
	if (w.argsz >= w.used)
		info.cap_offset = sizeof(info);
	return task_copy_out(task, arg, &info, min_u64(w.argsz, sizeof(info)));
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
