// SPDX-License-Identifier: MIT
/* Sweep: VIOMMU_ALLOC, VDEVICE_ALLOC, VEVENTQ_ALLOC, HW_QUEUE_ALLOC, mmap. */
#include <sys/mman.h>

#include "sweep.h"

static int viommu_alloc(struct world *w, void *data, uint32_t len)
{
	struct iommu_viommu_alloc cmd = {
		.size = sizeof(cmd),
		.type = IOMMU_VIOMMU_TYPE_SELFTEST,
		.dev_id = w->idev,
		.hwpt_id = w->parent,
		.data_len = len,
		.data_uptr = (uintptr_t)data,
	};

	return siommu_ioctl(w->ctx, IOMMU_VIOMMU_ALLOC, &cmd);
}

static int do_viommu(struct world *w)
{
	return viommu_alloc(w, NULL, 0);
}

static int do_viommu_data(struct world *w)
{
	struct iommu_viommu_selftest data = { .in_data = 7 };

	return viommu_alloc(w, &data, sizeof(data));
}

static int do_destroy_viommu(struct world *w)
{
	return destroy(w, w->viommu);
}

static int do_mmap(struct world *w)
{
	return siommu_mmap(w->ctx, 2 * PAGE, PROT_READ | PROT_WRITE, w->mmap_offset, &w->map);
}

static int do_vdevice(struct world *w)
{
	struct iommu_vdevice_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = w->viommu,
		.dev_id = w->idev,
		.virt_id = 0x99,
	};

	return siommu_ioctl(w->ctx, IOMMU_VDEVICE_ALLOC, &cmd);
}

static int do_destroy_vdevice(struct world *w)
{
	return destroy(w, w->vdev);
}

static int do_veventq(struct world *w)
{
	struct iommu_veventq_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = w->viommu,
		.type = IOMMU_VEVENTQ_TYPE_SELFTEST,
		.veventq_depth = 2,
	};

	return siommu_ioctl(w->ctx, IOMMU_VEVENTQ_ALLOC, &cmd);
}

static int do_trigger(struct world *w)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_TRIGGER_VEVENT,
		.trigger_vevent = { .dev_id = w->idev },
	};

	return test_cmd(w, &cmd);
}

/* Two events, and a third one that is lost. */
static void events(struct world *w)
{
	world_vdev(w);
	NEED(w, do_trigger(w));
	NEED(w, do_trigger(w));
	NEED(w, do_trigger(w));
}

static int do_read_events(struct world *w)
{
	char room[64];

	return (int)siommu_read(w->ctx, w->veventq_fd, room, sizeof(room));
}

static int do_close_veventq(struct world *w)
{
	return siommu_close_fd(w->ctx, w->veventq_fd);
}

static void closed(struct world *w)
{
	events(w);
	NEED(w, do_close_veventq(w));
}

static int do_destroy_veventq(struct world *w)
{
	return destroy(w, w->veventq);
}

static int do_hw_queue(struct world *w)
{
	struct iommu_hw_queue_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = w->viommu,
		.type = IOMMU_HW_QUEUE_TYPE_SELFTEST,
		.nesting_parent_iova = IOVA + PAGE,
		.length = PAGE,
	};
	int rc = siommu_ioctl(w->ctx, IOMMU_HW_QUEUE_ALLOC, &cmd);

	if (!rc)
		w->hw_queue = cmd.out_hw_queue_id;
	return rc;
}

static void hw_queue(struct world *w)
{
	world_viommu(w);
	NEED(w, do_hw_queue(w));
}

static int do_destroy_hw_queue(struct world *w)
{
	return destroy(w, w->hw_queue);
}

const struct sweep_case sweep_viommu_cases[] = {
	{ "VIOMMU_ALLOC", world_parent, do_viommu, 0 },
	{ "VIOMMU_ALLOC with data", world_parent, do_viommu_data, 0 },
	{ "DESTROY of a vIOMMU", world_viommu, do_destroy_viommu, SWEEP_NO_ALLOC },
	{ "mmap of what a vIOMMU offers", world_viommu, do_mmap, SWEEP_NO_ALLOC },
	{ "VDEVICE_ALLOC", world_viommu, do_vdevice, 0 },
	{ "DESTROY of a vDEVICE", world_vdev, do_destroy_vdevice, SWEEP_NO_ALLOC },
	{ "VEVENTQ_ALLOC", world_viommu, do_veventq, 0 },
	/* An event for which there is no memory is lost, and that is recorded. */
	{ "an event", world_vdev, do_trigger, SWEEP_CHANGES },
	{ "an event too many", events, do_trigger, SWEEP_NO_ALLOC },
	{ "read of events", events, do_read_events, SWEEP_NO_ALLOC },
	{ "close of an event queue", events, do_close_veventq, SWEEP_NO_ALLOC },
	{ "DESTROY of an event queue", closed, do_destroy_veventq, SWEEP_NO_ALLOC },
	{ "HW_QUEUE_ALLOC", world_viommu, do_hw_queue, 0 },
	{ "DESTROY of a HW queue", hw_queue, do_destroy_hw_queue, SWEEP_NO_ALLOC },
	{ NULL, NULL, NULL, 0 },
};
