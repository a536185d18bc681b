// SPDX-License-Identifier: MIT
/* States from which the calls of the sweep start. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sweep.h"

void need(struct world *w, int rc, const char *what)
{
	(void)w;
	if (rc >= 0)
		return;
	printf("Bail out! setting up: %s: %s\n", what, strerror(-rc));
	exit(EXIT_FAILURE);
}

int ioas_alloc(struct world *w, uint32_t *id)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int rc = siommu_ioctl(w->ctx, IOMMU_IOAS_ALLOC, &cmd);

	if (!rc)
		*id = cmd.out_ioas_id;
	return rc;
}

int map_at(struct world *w, uint32_t ioas, uint64_t iova, uint64_t length, uint64_t offset)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)w->mem + offset,
		.length = length,
		.iova = iova,
	};

	return siommu_ioctl(w->ctx, IOMMU_IOAS_MAP, &cmd);
}

int hwpt_alloc(struct world *w, uint32_t flags, uint32_t pt, uint32_t type, const void *data,
	       uint32_t len, uint32_t *out)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.dev_id = w->idev,
		.pt_id = pt,
		.data_type = type,
		.data_len = len,
		.data_uptr = (uintptr_t)data,
		.fault_id = w->fault,
	};
	int rc = siommu_ioctl(w->ctx, IOMMU_HWPT_ALLOC, &cmd);

	if (!rc)
		*out = cmd.out_hwpt_id;
	return rc;
}

int test_cmd(struct world *w, struct iommu_test_cmd *cmd)
{
	cmd->size = sizeof(*cmd);
	return siommu_ioctl(w->ctx, IOMMU_TEST_CMD, cmd);
}

int mock_domain(struct world *w, uint32_t pt, uint32_t flags)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS,
		.id = pt,
		.mock_domain_flags = { .dev_flags = flags },
	};
	int rc = test_cmd(w, &cmd);

	if (rc)
		return rc;
	w->stdev = cmd.mock_domain_flags.out_stdev_id;
	w->idev = cmd.mock_domain_flags.out_idev_id;
	w->hwpt = cmd.mock_domain_flags.out_hwpt_id;
	return 0;
}

int destroy(struct world *w, uint32_t id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	return siommu_ioctl(w->ctx, IOMMU_DESTROY, &cmd);
}

void world_machine(struct world *w)
{
	(void)w;
}

void world_ctx(struct world *w)
{
	NEED(w, siommu_open(w->machine, 0, &w->ctx));
}

void world_ioas(struct world *w)
{
	world_ctx(w);
	NEED(w, ioas_alloc(w, &w->ioas[0]));
	NEED(w, ioas_alloc(w, &w->ioas[1]));
}

void world_domain(struct world *w)
{
	world_ioas(w);
	NEED(w, mock_domain(w, w->ioas[0], MOCK_FLAGS_DEVICE_PASID));
}

void world_two_domains(struct world *w)
{
	uint32_t second;

	world_domain(w);
	NEED(w, hwpt_alloc(w, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, w->ioas[0], 0, NULL, 0, &second));
}

void world_dirty(struct world *w)
{
	struct iommu_hwpt_set_dirty_tracking cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE,
	};

	world_domain(w);
	NEED(w, map_at(w, w->ioas[0], IOVA, 2 * MIB, 0));
	NEED(w, hwpt_alloc(w, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, w->ioas[0], 0, NULL, 0, &w->hwpt));
	cmd.hwpt_id = w->hwpt;
	NEED(w, siommu_ioctl(w->ctx, IOMMU_HWPT_SET_DIRTY_TRACKING, &cmd));
}

void world_parent(struct world *w)
{
	world_domain(w);
	NEED(w, map_at(w, w->ioas[0], IOVA, 2 * MIB, 0));
	NEED(w, hwpt_alloc(w, IOMMU_HWPT_ALLOC_NEST_PARENT, w->ioas[0], 0, NULL, 0, &w->parent));
}

void world_nested(struct world *w)
{
	struct iommu_hwpt_selftest data = { .iotlb = IOMMU_TEST_IOTLB_DEFAULT };

	world_parent(w);
	NEED(w, hwpt_alloc(w, 0, w->parent, IOMMU_HWPT_DATA_SELFTEST, &data, sizeof(data),
			   &w->nested));
}

void world_viommu(struct world *w)
{
	struct iommu_viommu_selftest data = { .in_data = 1 };
	struct iommu_viommu_alloc cmd = {
		.size = sizeof(cmd),
		.type = IOMMU_VIOMMU_TYPE_SELFTEST,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)&data,
	};

	world_parent(w);
	cmd.dev_id = w->idev;
	cmd.hwpt_id = w->parent;
	NEED(w, siommu_ioctl(w->ctx, IOMMU_VIOMMU_ALLOC, &cmd));
	w->viommu = cmd.out_viommu_id;
	w->mmap_offset = data.out_mmap_offset;
}

/* The device is attached through the vIOMMU, so that its events reach the queue. */
void world_vdev(struct world *w)
{
	struct iommu_hwpt_selftest data = { .iotlb = IOMMU_TEST_IOTLB_DEFAULT };
	struct iommu_vdevice_alloc vdev = { .size = sizeof(vdev), .virt_id = 0x99 };
	struct iommu_veventq_alloc veventq = {
		.size = sizeof(veventq),
		.type = IOMMU_VEVENTQ_TYPE_SELFTEST,
		.veventq_depth = 2,
	};
	struct iommu_test_cmd replace = { .op = IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE };

	world_viommu(w);
	vdev.viommu_id = veventq.viommu_id = w->viommu;
	vdev.dev_id = w->idev;
	NEED(w, siommu_ioctl(w->ctx, IOMMU_VDEVICE_ALLOC, &vdev));
	w->vdev = vdev.out_vdevice_id;
	NEED(w, siommu_ioctl(w->ctx, IOMMU_VEVENTQ_ALLOC, &veventq));
	w->veventq = veventq.out_veventq_id;
	w->veventq_fd = (int)veventq.out_veventq_fd;
	NEED(w, hwpt_alloc(w, 0, w->viommu, IOMMU_HWPT_DATA_SELFTEST, &data, sizeof(data),
			   &w->nested));
	replace.id = w->stdev;
	replace.mock_domain_replace.pt_id = w->nested;
	NEED(w, test_cmd(w, &replace));
}

void world_fault(struct world *w)
{
	struct iommu_fault_alloc cmd = { .size = sizeof(cmd) };

	world_nested(w);
	NEED(w, siommu_ioctl(w->ctx, IOMMU_FAULT_QUEUE_ALLOC, &cmd));
	w->fault = cmd.out_fault_id;
	w->fault_fd = (int)cmd.out_fault_fd;
}

void world_fault_attached(struct world *w)
{
	struct iommu_hwpt_selftest data = { .iotlb = IOMMU_TEST_IOTLB_DEFAULT };
	struct iommu_test_cmd replace = { .op = IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE };

	world_fault(w);
	NEED(w, hwpt_alloc(w, IOMMU_HWPT_FAULT_ID_VALID, w->parent, IOMMU_HWPT_DATA_SELFTEST,
			   &data, sizeof(data), &w->nested));
	replace.id = w->stdev;
	replace.mock_domain_replace.pt_id = w->nested;
	NEED(w, test_cmd(w, &replace));
}

void world_devices(struct world *w)
{
	struct siommu_device_params params = {
		.size = sizeof(params),
		.iommu = SIOMMU_IOMMU_MOCK,
		.group = 7,
		.pasid_bits = 16,
	};

	params.name = "sweep0";
	NEED(w, siommu_device_create(w->machine, &params, &w->dev[0]));
	NEED(w, siommu_device_reserve(w->dev[0], IOVA + 8 * MIB, IOVA + 9 * MIB - 1));
	params.name = "sweep1";
	NEED(w, siommu_device_create(w->machine, &params, &w->dev[1]));
	params = (struct siommu_device_params){ .size = sizeof(params), .name = "sweep2" };
	NEED(w, siommu_device_create(w->machine, &params, &w->dev[2]));
	world_ioas(w);
}

void world_bound(struct world *w)
{
	world_devices(w);
	NEED(w, siommu_device_bind(w->ctx, w->dev[0], &w->bound[0], &w->bound_id[0]));
	w->idev = w->bound_id[0];
}

void world_attached(struct world *w)
{
	world_bound(w);
	w->hwpt = w->ioas[0];
	NEED(w, map_at(w, w->ioas[0], IOVA, 2 * MIB, 0));
	NEED(w, siommu_device_attach(w->bound[0], 0, &w->hwpt));
}
