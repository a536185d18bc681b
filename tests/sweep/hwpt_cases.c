// SPDX-License-Identifier: MIT
/* Sweep: GET_HW_INFO, HWPT_*, FAULT_QUEUE_ALLOC and its descriptor. */
#include <string.h>

#include "sweep.h"

static int do_hw_info(struct world *w)
{
	struct iommu_test_hw_info info;
	struct iommu_hw_info cmd = {
		.size = sizeof(cmd),
		.dev_id = w->idev,
		.data_len = sizeof(info),
		.data_uptr = (uintptr_t)&info,
	};

	return siommu_ioctl(w->ctx, IOMMU_GET_HW_INFO, &cmd);
}

static void mapped(struct world *w)
{
	world_domain(w);
	NEED(w, map_at(w, w->ioas[0], IOVA, 2 * MIB, 0));
	NEED(w, map_at(w, w->ioas[0], IOVA + 4 * MIB - PAGE, 1 * MIB, PAGE));
}

static int do_paging(struct world *w)
{
	uint32_t id;

	return hwpt_alloc(w, 0, w->ioas[0], 0, NULL, 0, &id);
}

static int do_paging_dirty(struct world *w)
{
	uint32_t id;

	return hwpt_alloc(w, IOMMU_HWPT_ALLOC_DIRTY_TRACKING | IOMMU_HWPT_ALLOC_PASID, w->ioas[0],
			  0, NULL, 0, &id);
}

static int do_paging_data(struct world *w)
{
	struct iommu_hwpt_selftest data = { .pagetable_type = MOCK_IOMMUPT_HUGE };
	uint32_t id;

	return hwpt_alloc(w, IOMMU_HWPT_ALLOC_NEST_PARENT, w->ioas[0], IOMMU_HWPT_DATA_SELFTEST,
			  &data, sizeof(data), &id);
}

static int do_paging_fault(struct world *w)
{
	uint32_t id;

	return hwpt_alloc(w, IOMMU_HWPT_FAULT_ID_VALID, w->ioas[0], 0, NULL, 0, &id);
}

static int nested(struct world *w, uint32_t flags, uint32_t on)
{
	struct iommu_hwpt_selftest data = { .iotlb = IOMMU_TEST_IOTLB_DEFAULT };
	uint32_t id;

	return hwpt_alloc(w, flags, on, IOMMU_HWPT_DATA_SELFTEST, &data, sizeof(data), &id);
}

static int do_nested(struct world *w)
{
	return nested(w, 0, w->parent);
}

static int do_nested_fault(struct world *w)
{
	return nested(w, IOMMU_HWPT_FAULT_ID_VALID, w->parent);
}

static int do_nested_viommu(struct world *w)
{
	return nested(w, 0, w->viommu);
}

static void second_hwpt(struct world *w)
{
	mapped(w);
	NEED(w, hwpt_alloc(w, 0, w->ioas[0], 0, NULL, 0, &w->hwpt));
}

static int do_destroy_hwpt(struct world *w)
{
	return destroy(w, w->hwpt);
}

static int do_destroy_nested(struct world *w)
{
	return destroy(w, w->nested);
}

static int set_dirty_tracking(struct world *w, uint32_t flags)
{
	struct iommu_hwpt_set_dirty_tracking cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.hwpt_id = w->hwpt,
	};

	return siommu_ioctl(w->ctx, IOMMU_HWPT_SET_DIRTY_TRACKING, &cmd);
}

static int do_dirty_on(struct world *w)
{
	return set_dirty_tracking(w, IOMMU_HWPT_DIRTY_TRACKING_ENABLE);
}

static int do_dirty_off(struct world *w)
{
	return set_dirty_tracking(w, 0);
}

static int do_get_dirty(struct world *w)
{
	uint64_t bits[8] = { 0 };
	struct iommu_hwpt_get_dirty_bitmap cmd = {
		.size = sizeof(cmd),
		.hwpt_id = w->hwpt,
		.iova = IOVA,
		.length = 2 * MIB,
		.page_size = PAGE,
		.data = (uintptr_t)bits,
	};

	return siommu_ioctl(w->ctx, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd);
}

static int do_invalidate_nested(struct world *w)
{
	struct iommu_hwpt_invalidate_selftest entries[2] = { { .iotlb_id = 0 }, { .iotlb_id = 1 } };
	struct iommu_hwpt_invalidate cmd = {
		.size = sizeof(cmd),
		.hwpt_id = w->nested,
		.data_uptr = (uintptr_t)entries,
		.data_type = IOMMU_HWPT_INVALIDATE_DATA_SELFTEST,
		.entry_len = sizeof(entries[0]),
		.entry_num = 2,
	};

	return siommu_ioctl(w->ctx, IOMMU_HWPT_INVALIDATE, &cmd);
}

static int do_invalidate_viommu(struct world *w)
{
	struct iommu_viommu_invalidate_selftest entries[2] = {
		{ .vdev_id = 0x99, .cache_id = 0 },
		{ .vdev_id = 0x99, .cache_id = 1 },
	};
	struct iommu_hwpt_invalidate cmd = {
		.size = sizeof(cmd),
		.hwpt_id = w->viommu,
		.data_uptr = (uintptr_t)entries,
		.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST,
		.entry_len = sizeof(entries[0]),
		.entry_num = 2,
	};

	return siommu_ioctl(w->ctx, IOMMU_HWPT_INVALIDATE, &cmd);
}

static int do_fault_alloc(struct world *w)
{
	struct iommu_fault_alloc cmd = { .size = sizeof(cmd) };

	return siommu_ioctl(w->ctx, IOMMU_FAULT_QUEUE_ALLOC, &cmd);
}

static int trigger(struct world *w)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_TRIGGER_IOPF,
		.trigger_iopf = {
			.dev_id = w->idev,
			.grpid = 1,
			.perm = IOMMU_PGFAULT_PERM_READ,
			.addr = IOVA,
		},
	};

	return test_cmd(w, &cmd);
}

static void fault_pending(struct world *w)
{
	world_fault_attached(w);
	NEED(w, trigger(w));
}

static int do_fault_read(struct world *w)
{
	struct iommu_hwpt_pgfault record;

	return (int)siommu_read(w->ctx, w->fault_fd, &record, sizeof(record));
}

static void fault_read(struct world *w)
{
	fault_pending(w);
	NEED(w, do_fault_read(w));
}

static int do_fault_write(struct world *w)
{
	struct iommu_hwpt_page_response response = {
		.cookie = 1,
		.code = IOMMUFD_PAGE_RESP_SUCCESS,
	};

	return (int)siommu_write(w->ctx, w->fault_fd, &response, sizeof(response));
}

static int do_fault_close(struct world *w)
{
	return siommu_close_fd(w->ctx, w->fault_fd);
}

static void fault_closed(struct world *w)
{
	world_fault(w);
	NEED(w, siommu_close_fd(w->ctx, w->fault_fd));
}

static int do_fault_destroy(struct world *w)
{
	return destroy(w, w->fault);
}

const struct sweep_case sweep_hwpt_cases[] = {
	{ "GET_HW_INFO", world_domain, do_hw_info, 0 },
	{ "HWPT_ALLOC paging, nothing mapped", world_domain, do_paging, 0 },
	{ "HWPT_ALLOC paging, areas to fill in", mapped, do_paging, 0 },
	{ "HWPT_ALLOC paging, dirty tracking and PASID", mapped, do_paging_dirty, 0 },
	{ "HWPT_ALLOC paging, with data, nest parent", mapped, do_paging_data, 0 },
	{ "HWPT_ALLOC paging, with a fault queue", world_fault, do_paging_fault, 0 },
	{ "HWPT_ALLOC nested", world_parent, do_nested, 0 },
	{ "HWPT_ALLOC nested, with a fault queue", world_fault, do_nested_fault, 0 },
	{ "HWPT_ALLOC nested, through a vIOMMU", world_viommu, do_nested_viommu, 0 },
	{ "DESTROY of a paging HWPT", second_hwpt, do_destroy_hwpt, SWEEP_NO_ALLOC },
	{ "DESTROY of a nested HWPT", world_nested, do_destroy_nested, SWEEP_NO_ALLOC },
	{ "HWPT_SET_DIRTY_TRACKING on", world_dirty, do_dirty_on, SWEEP_NO_ALLOC },
	{ "HWPT_SET_DIRTY_TRACKING off", world_dirty, do_dirty_off, SWEEP_NO_ALLOC },
	{ "HWPT_GET_DIRTY_BITMAP", world_dirty, do_get_dirty, 0 },
	{ "HWPT_INVALIDATE of a nested HWPT", world_nested, do_invalidate_nested, SWEEP_NO_ALLOC },
	{ "HWPT_INVALIDATE of a vIOMMU", world_vdev, do_invalidate_viommu, 0 },
	{ "FAULT_QUEUE_ALLOC", world_domain, do_fault_alloc, 0 },
	{ "read of a fault", fault_pending, do_fault_read, 0 },
	{ "write of a response", fault_read, do_fault_write, SWEEP_NO_ALLOC },
	{ "close of a fault queue", fault_pending, do_fault_close, SWEEP_NO_ALLOC },
	{ "DESTROY of a fault queue", fault_closed, do_fault_destroy, SWEEP_NO_ALLOC },
	{ NULL, NULL, NULL, 0 },
};
