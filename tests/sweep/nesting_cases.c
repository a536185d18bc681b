// SPDX-License-Identifier: MIT
/*
 * Sweep: containers of VFIO that nest, with a function behind a VT-d, and behind an SMMUv3.
 * What they hand down is in uapi2020_cases.c; here is the way there.
 */
#include <string.h>

#include <softiommu/abi/iommu-2020.h>

#include "sweep.h"

#define NAME0 "0000:00:02.0"

enum { CONTAINER, GROUP, DEVICE };

static void contained(struct world *w, const char *model, bool page_requests)
{
	const struct siommu_unit_params unit = { .size = sizeof(unit), .model = model };
	const struct siommu_pci_params edu = {
		.size = sizeof(edu),
		.model = "edu",
		.options = "memory=4K",
	};
	struct siommu_device_params dev = {
		.size = sizeof(dev),
		.name = "edu",
		.requester = 2 << 3,
		.pasid_bits = 20,
		.ats = true,
		.page_requests = page_requests,
	};

	NEED(w, siommu_unit_create(w->machine, &unit, NULL, 0, &w->unit));
	dev.unit = w->unit;
	NEED(w, siommu_device_create(w->machine, &dev, &w->dev[0]));
	NEED(w, siommu_pci_create(w->dev[0], &edu, NULL, 0, &w->pci[0]));
	w->vfio_fd[CONTAINER] = siommu_vfio_open(w->machine, "/dev/vfio/vfio", 0);
	NEED(w, w->vfio_fd[CONTAINER]);
	w->vfio_fd[GROUP] = siommu_vfio_open(w->machine, "/dev/vfio/0", 0);
	NEED(w, w->vfio_fd[GROUP]);
	NEED(w, (int)siommu_vfio_ioctl(w->machine, w->vfio_fd[GROUP], VFIO_GROUP_SET_CONTAINER,
				       &w->vfio_fd[CONTAINER]));
}

static int call(struct world *w, unsigned long request, void *arg)
{
	return (int)siommu_vfio_ioctl(w->machine, w->vfio_fd[CONTAINER], request, arg);
}

static void vtd_contained(struct world *w)
{
	contained(w, "vtd", true);
}

static void arm_contained(struct world *w)
{
	contained(w, "smmuv3", false);
}

static int do_set_iommu(struct world *w)
{
	return call(w, VFIO_SET_IOMMU, (void *)VFIO_TYPE1_NESTING_IOMMU);
}

static void vtd_typed(struct world *w)
{
	vtd_contained(w);
	NEED(w, do_set_iommu(w));
}

static void arm_typed(struct world *w)
{
	arm_contained(w);
	NEED(w, do_set_iommu(w));
}

static int do_device(struct world *w)
{
	w->vfio_fd[DEVICE] = (int)siommu_vfio_ioctl(w->machine, w->vfio_fd[GROUP],
						    VFIO_GROUP_GET_DEVICE_FD, NAME0);
	return w->vfio_fd[DEVICE];
}

static int do_info(struct world *w)
{
	union {
		struct vfio_iommu_type1_info info;
		char room[512];
	} u = { .info = { .argsz = sizeof(u) } };

	return call(w, VFIO_IOMMU_GET_INFO, &u);
}

static int pasid_request(struct world *w, uint32_t flags)
{
	struct vfio_iommu_type1_pasid_request cmd = {
		.argsz = sizeof(cmd),
		.flags = flags,
		.range = { 1, 100 },
	};

	return call(w, VFIO_IOMMU_PASID_REQUEST, &cmd);
}

static int do_alloc(struct world *w)
{
	return pasid_request(w, VFIO_IOMMU_FLAG_ALLOC_PASID);
}

static int do_free(struct world *w)
{
	return pasid_request(w, VFIO_IOMMU_FLAG_FREE_PASID);
}

static void vtd_pasid(struct world *w)
{
	vtd_typed(w);
	NEED(w, do_alloc(w));
}

static int nesting_op(struct world *w, uint32_t op, const void *data, size_t n)
{
	uint8_t cmd[128];
	const struct vfio_iommu_type1_nesting_op head = { (uint32_t)(sizeof(head) + n), op };

	memcpy(cmd, &head, sizeof(head));
	memcpy(cmd + sizeof(head), data, n);
	return call(w, VFIO_IOMMU_NESTING_OP, cmd);
}

static const struct iommu_gpasid_bind_data bind_data = {
	.argsz = sizeof(bind_data),
	.version = IOMMU_GPASID_BIND_VERSION_1,
	.format = IOMMU_PASID_FORMAT_INTEL_VTD,
	.addr_width = 48,
	.hpasid = 1,
};

static int do_bind(struct world *w)
{
	return nesting_op(w, VFIO_IOMMU_NESTING_OP_BIND_PGTBL, &bind_data, sizeof(bind_data));
}

static int do_unbind(struct world *w)
{
	return nesting_op(w, VFIO_IOMMU_NESTING_OP_UNBIND_PGTBL, &bind_data, sizeof(bind_data));
}

static void vtd_bound(struct world *w)
{
	vtd_pasid(w);
	NEED(w, do_bind(w));
}

static int do_forget(struct world *w)
{
	const struct iommu_cache_invalidate_info info = {
		.argsz = sizeof(info),
		.version = IOMMU_CACHE_INVALIDATE_INFO_VERSION_1,
		.cache = IOMMU_CACHE_INV_TYPE_IOTLB,
	};

	return nesting_op(w, VFIO_IOMMU_NESTING_OP_CACHE_INVLD, &info, sizeof(info));
}

static int do_unset_container(struct world *w)
{
	return (int)siommu_vfio_ioctl(w->machine, w->vfio_fd[GROUP], VFIO_GROUP_UNSET_CONTAINER,
				      NULL);
}

static int pasid_table(struct world *w, uint32_t flags)
{
	struct vfio_iommu_type1_set_pasid_table cmd = {
		.argsz = sizeof(cmd),
		.flags = flags,
		.config = {
			.argsz = sizeof(cmd.config),
			.version = PASID_TABLE_CFG_VERSION_1,
			.format = IOMMU_PASID_FORMAT_SMMUV3,
			.config = IOMMU_PASID_CONFIG_BYPASS,
			.vendor_data.smmuv3.version = PASID_TABLE_SMMUV3_CFG_VERSION_1,
		},
	};

	return call(w, VFIO_IOMMU_SET_PASID_TABLE, &cmd);
}

static int do_set(struct world *w)
{
	return pasid_table(w, VFIO_PASID_TABLE_FLAG_SET);
}

static void arm_set(struct world *w)
{
	arm_typed(w);
	NEED(w, do_set(w));
}

static int msi(struct world *w, uint32_t flags)
{
	struct vfio_iommu_type1_set_msi_binding cmd = {
		.argsz = sizeof(cmd),
		.flags = flags,
		.iova = 8 * PAGE,
		.size = PAGE,
	};

	return call(w, VFIO_IOMMU_SET_MSI_BINDING, &cmd);
}

static int do_msi_bind(struct world *w)
{
	return msi(w, VFIO_IOMMU_BIND_MSI);
}

static int do_msi_unbind(struct world *w)
{
	return msi(w, VFIO_IOMMU_UNBIND_MSI);
}

static void arm_msi(struct world *w)
{
	arm_typed(w);
	NEED(w, do_msi_bind(w));
}

const struct sweep_case sweep_nesting_cases[] = {
	{ "VFIO_SET_IOMMU to nest", vtd_contained, do_set_iommu, 0 },
	{ "VFIO_SET_IOMMU to nest, SMMUv3", arm_contained, do_set_iommu, 0 },
	{ "VFIO_GROUP_GET_DEVICE_FD, nesting", vtd_typed, do_device, 0 },
	{ "VFIO_IOMMU_GET_INFO, nesting", vtd_typed, do_info, SWEEP_NO_ALLOC },
	{ "VFIO_GROUP_UNSET_CONTAINER, nesting", vtd_bound, do_unset_container, SWEEP_NO_ALLOC },
	{ "VFIO_IOMMU_PASID_REQUEST, allocate", vtd_typed, do_alloc, 0 },
	{ "VFIO_IOMMU_PASID_REQUEST, free", vtd_bound, do_free, SWEEP_NO_ALLOC },
	{ "VFIO_IOMMU_NESTING_OP, bind", vtd_pasid, do_bind, 0 },
	{ "VFIO_IOMMU_NESTING_OP, unbind", vtd_bound, do_unbind, SWEEP_NO_ALLOC },
	{ "VFIO_IOMMU_NESTING_OP, invalidate", vtd_bound, do_forget, SWEEP_NO_ALLOC },
	{ "VFIO_IOMMU_SET_PASID_TABLE", arm_typed, do_set, 0 },
	{ "VFIO_GROUP_UNSET_CONTAINER, a table", arm_set, do_unset_container, SWEEP_NO_ALLOC },
	{ "VFIO_IOMMU_SET_MSI_BINDING, bind", arm_typed, do_msi_bind, 0 },
	{ "VFIO_IOMMU_SET_MSI_BINDING, unbind", arm_msi, do_msi_unbind, SWEEP_NO_ALLOC },
	{ NULL, NULL, NULL, 0 },
};
