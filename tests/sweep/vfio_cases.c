// SPDX-License-Identifier: MIT
/* Sweep: VFIO type1 requests on the descriptor. */
#include <linux/vfio.h>

#include "sweep.h"

static void compat(struct world *w)
{
	struct iommu_vfio_ioas cmd = { .size = sizeof(cmd), .op = IOMMU_VFIO_IOAS_SET };

	world_domain(w);
	cmd.ioas_id = w->ioas[0];
	NEED(w, siommu_ioctl(w->ctx, IOMMU_VFIO_IOAS, &cmd));
}

static int do_api_version(struct world *w)
{
	return siommu_ioctl(w->ctx, VFIO_GET_API_VERSION, NULL);
}

static int do_extension(struct world *w)
{
	return siommu_ioctl(w->ctx, VFIO_CHECK_EXTENSION, (void *)VFIO_DMA_CC_IOMMU);
}

static int do_set_type1(struct world *w)
{
	return siommu_ioctl(w->ctx, VFIO_SET_IOMMU, (void *)VFIO_TYPE1_IOMMU);
}

static int do_set_type1v2(struct world *w)
{
	return siommu_ioctl(w->ctx, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU);
}

static int do_info(struct world *w)
{
	union {
		struct vfio_iommu_type1_info info;
		char room[512];
	} u = { .info = { .argsz = sizeof(u) } };

	return siommu_ioctl(w->ctx, VFIO_IOMMU_GET_INFO, &u);
}

static int do_map(struct world *w)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)w->mem,
		.iova = IOVA,
		.size = 64 * KIB,
	};

	return siommu_ioctl(w->ctx, VFIO_IOMMU_MAP_DMA, &map);
}

static void mapped(struct world *w)
{
	compat(w);
	NEED(w, do_map(w));
}

/* Type1 can unmap a part of a mapping. */
static void mapped_type1(struct world *w)
{
	compat(w);
	NEED(w, do_set_type1(w));
	NEED(w, do_map(w));
}

static int unmap(struct world *w, uint32_t flags, uint64_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_unmap cmd = {
		.argsz = sizeof(cmd),
		.flags = flags,
		.iova = iova,
		.size = size,
	};

	return siommu_ioctl(w->ctx, VFIO_IOMMU_UNMAP_DMA, &cmd);
}

static int do_unmap(struct world *w)
{
	return unmap(w, 0, IOVA, 64 * KIB);
}

static int do_unmap_all(struct world *w)
{
	return unmap(w, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0);
}

static int do_unmap_tail(struct world *w)
{
	return unmap(w, 0, IOVA + 32 * KIB, 32 * KIB);
}

static int do_unmap_middle(struct world *w)
{
	return unmap(w, 0, IOVA + 16 * KIB, 16 * KIB);
}

const struct sweep_case sweep_vfio_cases[] = {
	{ "VFIO_GET_API_VERSION", compat, do_api_version, SWEEP_NO_ALLOC },
	{ "VFIO_CHECK_EXTENSION", compat, do_extension, SWEEP_NO_ALLOC },
	{ "VFIO_SET_IOMMU type1", compat, do_set_type1, SWEEP_NO_ALLOC },
	{ "VFIO_SET_IOMMU type1v2", compat, do_set_type1v2, SWEEP_NO_ALLOC },
	{ "VFIO_IOMMU_GET_INFO", compat, do_info, SWEEP_NO_ALLOC },
	{ "VFIO_IOMMU_MAP_DMA", compat, do_map, 0 },
	{ "VFIO_IOMMU_UNMAP_DMA", mapped, do_unmap, SWEEP_NO_ALLOC },
	{ "VFIO_IOMMU_UNMAP_DMA of everything", mapped, do_unmap_all, SWEEP_NO_ALLOC },
	{ "VFIO_IOMMU_UNMAP_DMA of a tail", mapped_type1, do_unmap_tail, 0 },
	/* Two cuts: the first one stays when the second one fails, as in a kernel. */
	{ "VFIO_IOMMU_UNMAP_DMA of a middle", mapped_type1, do_unmap_middle, SWEEP_CHANGES },
	{ NULL, NULL, NULL, 0 },
};
