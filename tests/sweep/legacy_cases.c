// SPDX-License-Identifier: MIT
/* Sweep: groups and containers of VFIO, and migration, with two functions behind a VT-d. */
#include <string.h>

#include <softiommu/abi/vfio.h>

#include "sweep.h"

#define NAME0 "0000:00:02.0"

enum { CONTAINER, GROUP, OTHER, DEVICE, AGAIN, SESSION, CONTEXT };

static void functions(struct world *w)
{
	const struct siommu_unit_params unit = { .size = sizeof(unit), .model = "vtd" };
	const struct siommu_pci_params edu = {
		.size = sizeof(edu),
		.model = "edu",
		.options = "memory=4K",
	};
	unsigned int i;

	NEED(w, siommu_unit_create(w->machine, &unit, NULL, 0, &w->unit));
	for (i = 0; i < 2; i++) {
		const struct siommu_device_params dev = {
			.size = sizeof(dev),
			.name = "edu",
			.unit = w->unit,
			.requester = (2 + i) << 3,
		};

		NEED(w, siommu_device_create(w->machine, &dev, &w->dev[i]));
		NEED(w, siommu_pci_create(w->dev[i], &edu, NULL, 0, &w->pci[i]));
	}
}

static int open_as(struct world *w, unsigned int which, const char *path)
{
	w->vfio_fd[which] = siommu_vfio_open(w->machine, path, 0);
	return w->vfio_fd[which];
}

static long call(struct world *w, unsigned int which, unsigned long request, void *arg)
{
	return siommu_vfio_ioctl(w->machine, w->vfio_fd[which], request, arg);
}

static int do_container(struct world *w)
{
	return open_as(w, CONTAINER, "/dev/vfio/vfio");
}

static int do_group(struct world *w)
{
	return open_as(w, GROUP, "/dev/vfio/0");
}

static int set_container(struct world *w, unsigned int group, unsigned int container)
{
	return (int)call(w, group, VFIO_GROUP_SET_CONTAINER, &w->vfio_fd[container]);
}

static int do_set_container(struct world *w)
{
	return set_container(w, GROUP, CONTAINER);
}

static void container_and_group(struct world *w)
{
	functions(w);
	NEED(w, do_container(w));
	NEED(w, do_group(w));
}

static void contained(struct world *w)
{
	container_and_group(w);
	NEED(w, do_set_container(w));
}

static int do_set_iommu(struct world *w)
{
	return (int)call(w, CONTAINER, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU);
}

static int map_dma(struct world *w)
{
	struct vfio_iommu_type1_dma_map cmd = {
		.argsz = sizeof(cmd),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)w->mem,
		.iova = IOVA,
		.size = 64 * KIB,
	};

	return (int)call(w, CONTAINER, VFIO_IOMMU_MAP_DMA, &cmd);
}

static void typed(struct world *w)
{
	contained(w);
	NEED(w, do_set_iommu(w));
}

static void mapped(struct world *w)
{
	typed(w);
	NEED(w, map_dma(w));
}

/* A group that comes finds something mapped. */
static void other_group(struct world *w)
{
	mapped(w);
	NEED(w, open_as(w, OTHER, "/dev/vfio/1"));
}

static int do_set_container_typed(struct world *w)
{
	return set_container(w, OTHER, CONTAINER);
}

static void context_and_group(struct world *w)
{
	functions(w);
	NEED(w, siommu_open(w->machine, 0, &w->ctx));
	w->vfio_fd[CONTEXT] = siommu_vfio_context(w->ctx);
	NEED(w, w->vfio_fd[CONTEXT]);
	NEED(w, do_group(w));
}

static int do_set_context(struct world *w)
{
	return set_container(w, GROUP, CONTEXT);
}

static int get_device(struct world *w, unsigned int which)
{
	w->vfio_fd[which] = (int)call(w, GROUP, VFIO_GROUP_GET_DEVICE_FD, NAME0);
	return w->vfio_fd[which];
}

static int do_device(struct world *w)
{
	return get_device(w, DEVICE);
}

static void with_device(struct world *w)
{
	mapped(w);
	NEED(w, do_device(w));
}

static int do_device_again(struct world *w)
{
	return get_device(w, AGAIN);
}

static int do_info(struct world *w)
{
	union {
		struct vfio_iommu_type1_info info;
		char room[512];
	} u = { .info = { .argsz = sizeof(u) } };

	return (int)call(w, CONTAINER, VFIO_IOMMU_GET_INFO, &u);
}

static int do_unmap(struct world *w)
{
	struct vfio_iommu_type1_dma_unmap cmd = {
		.argsz = sizeof(cmd),
		.iova = IOVA,
		.size = 64 * KIB,
	};

	return (int)call(w, CONTAINER, VFIO_IOMMU_UNMAP_DMA, &cmd);
}

static int do_dirty(struct world *w)
{
	struct vfio_iommu_type1_dirty_bitmap cmd = {
		.argsz = sizeof(cmd),
		.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_START,
	};

	return (int)call(w, CONTAINER, VFIO_IOMMU_DIRTY_PAGES, &cmd);
}

static int feature(struct world *w, uint32_t flags, void *data, size_t n)
{
	union {
		struct vfio_device_feature head;
		char room[64];
	} cmd = { .head = { .argsz = (uint32_t)(sizeof(cmd.head) + n), .flags = flags } };
	int rc;

	memcpy(cmd.head.data, data, n);
	rc = (int)call(w, DEVICE, VFIO_DEVICE_FEATURE, &cmd);
	memcpy(data, cmd.head.data, n);
	return rc;
}

static int set_state(struct world *w, uint32_t state)
{
	struct vfio_device_feature_mig_state mig = { .device_state = state };
	int rc = feature(w, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &mig,
			 sizeof(mig));

	if (!rc)
		w->vfio_fd[SESSION] = mig.data_fd;
	return rc;
}

static int do_save(struct world *w)
{
	return set_state(w, VFIO_DEVICE_STATE_STOP_COPY);
}

static int do_resume(struct world *w)
{
	return set_state(w, VFIO_DEVICE_STATE_RESUMING);
}

static void resuming(struct world *w)
{
	with_device(w);
	NEED(w, do_resume(w));
}

static int do_write(struct world *w)
{
	return (int)siommu_vfio_write(w->machine, w->vfio_fd[SESSION], w->mem, 100, 0);
}

static int do_log(struct world *w)
{
	struct vfio_device_feature_dma_logging_range range = { .iova = IOVA, .length = 64 * KIB };
	struct vfio_device_feature_dma_logging_control control = {
		.page_size = PAGE,
		.num_ranges = 1,
		.ranges = (uintptr_t)&range,
	};

	return feature(w, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START, &control,
		       sizeof(control));
}

static void logging(struct world *w)
{
	with_device(w);
	NEED(w, do_log(w));
}

static int do_report(struct world *w)
{
	uint64_t bits[4] = { 0 };
	struct vfio_device_feature_dma_logging_report report = {
		.iova = IOVA,
		.length = 64 * KIB,
		.page_size = PAGE,
		.bitmap = (uintptr_t)bits,
	};

	return feature(w, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, &report,
		       sizeof(report));
}

const struct sweep_case sweep_legacy_cases[] = {
	{ "open of a container", functions, do_container, 0 },
	{ "open of a group", functions, do_group, 0 },
	{ "VFIO_GROUP_SET_CONTAINER", container_and_group, do_set_container, 0 },
	{ "VFIO_GROUP_SET_CONTAINER with a type", other_group, do_set_container_typed, 0 },
	{ "VFIO_GROUP_SET_CONTAINER of a context", context_and_group, do_set_context, 0 },
	{ "VFIO_SET_IOMMU of a container", contained, do_set_iommu, 0 },
	{ "VFIO_IOMMU_GET_INFO of a container", mapped, do_info, SWEEP_NO_ALLOC },
	{ "VFIO_IOMMU_MAP_DMA of a container", typed, map_dma, 0 },
	{ "VFIO_IOMMU_UNMAP_DMA of a container", mapped, do_unmap, SWEEP_NO_ALLOC },
	{ "VFIO_IOMMU_DIRTY_PAGES", mapped, do_dirty, SWEEP_NO_ALLOC },
	{ "VFIO_GROUP_GET_DEVICE_FD", mapped, do_device, 0 },
	{ "VFIO_GROUP_GET_DEVICE_FD once more", with_device, do_device_again, 0 },
	/* What there was of the way to the new state is not taken back, as in a kernel. */
	{ "VFIO_DEVICE_STATE_STOP_COPY", with_device, do_save, SWEEP_CHANGES },
	{ "VFIO_DEVICE_STATE_RESUMING", with_device, do_resume, SWEEP_CHANGES },
	{ "write of migration data", resuming, do_write, 0 },
	{ "VFIO_DEVICE_FEATURE_DMA_LOGGING_START", with_device, do_log, 0 },
	{ "VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT", logging, do_report, 0 },
	{ NULL, NULL, NULL, 0 },
};
