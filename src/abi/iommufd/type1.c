// SPDX-License-Identifier: MIT
/* What VFIO type1 tells of an I/O address space, as a container and as an iommufd does. */
#include "abi/type1.h"
#include "core/hwpt.h"
#include "core/ioas.h"

bool type1_is_coherent(struct core_ioas *ioas)
{
	struct core_hwpt_paging *hwpt;

	TAILQ_FOREACH(hwpt, &ioas->hwpts, link)
		if (!hwpt->cache_coherent)
			return false;
	return true;
}

u64 type1_page_sizes(struct core_ioas *ioas)
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

int type1_put(struct type1_caps *w, u32 offset, const void *data, u32 n)
{
	if (w->argsz < offset + n)
		return 0;
	return task_copy_out(w->task, w->uptr + offset, data, n);
}

int type1_begin_cap(struct type1_caps *w, u32 n, u32 *offset)
{
	int rc = 0;

	*offset = w->used;
	if (w->last && w->argsz >= *offset)
		rc = type1_put(w, w->last + (u32)offsetof(struct vfio_info_cap_header, next),
			       offset, sizeof(*offset));
	w->last = *offset;
	w->used += (u32)align_up(n, 8);
	return rc;
}

int type1_put_dma_avail(struct type1_caps *w, u32 avail)
{
	struct vfio_iommu_type1_info_dma_avail cap = {
		.header = { .id = VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, .version = 1 },
		.avail = avail,
	};
	u32 at;
	int rc = type1_begin_cap(w, sizeof(cap), &at);

	return rc ? rc : type1_put(w, at, &cap, sizeof(cap));
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

int type1_put_iova_ranges(struct type1_caps *w, struct core_ioas *ioas)
{
	struct vfio_iommu_type1_info_cap_iova_range cap = {
		.header = { .id = VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, .version = 1 },
		.nr_iovas = count_ranges(ioas),
	};
	struct itree_span span;
	u32 at, pos, bytes;
	int rc;

	bytes = (u32)(sizeof(cap) + cap.nr_iovas * sizeof(struct vfio_iova_range));
	rc = type1_begin_cap(w, bytes, &at);
	/* Ranges are written as far as they fit, the header that counts them if all do. */
	if (!rc && w->argsz >= at + bytes)
		rc = type1_put(w, at, &cap, sizeof(cap));
	if (rc)
		return rc;
	pos = at + sizeof(cap);
	itree_span_begin(&span, &ioas->reserved, 0, U64_MAX);
	do {
		struct vfio_iova_range range = { .start = span.start, .end = span.last };

		if (span.used)
			continue;
		rc = type1_put(w, pos, &range, sizeof(range));
		if (rc)
			return rc;
		pos += sizeof(range);
	} while (itree_span_next(&span));
	return 0;
}
