// SPDX-License-Identifier: MIT
/* Sweep: the library's own interface: machines, contexts, devices, accesses. */
#include "sweep.h"

static int do_machine(struct world *w)
{
	struct siommu_machine_params params = {
		.size = sizeof(params),
		.test_interface = true,
	};
	struct siommu_machine *machine;
	int rc;

	/* A machine pays for itself, so it is the new one that has to fail. */
	params.should_fail = w->should_fail;
	params.should_fail_arg = w;
	rc = siommu_machine_create(&params, &machine);
	if (!rc)
		siommu_machine_destroy(machine);
	return rc;
}

static int do_open(struct world *w)
{
	return siommu_open(w->machine, 0, &w->ctx);
}

static int do_open_checked(struct world *w)
{
	return siommu_open(w->machine, SIOMMU_OPEN_CHECKED, &w->ctx);
}

static int do_close(struct world *w)
{
	siommu_close(w->ctx);
	w->ctx = NULL;
	return 0;
}

static int create(struct world *w, enum siommu_device_iommu iommu, uint32_t group)
{
	struct siommu_device_params params = {
		.size = sizeof(params),
		.name = "sweep",
		.iommu = iommu,
		.group = group,
	};

	return siommu_device_create(w->machine, &params, &w->dev[0]);
}

static int do_create_mock(struct world *w)
{
	return create(w, SIOMMU_IOMMU_MOCK, 0);
}

static int do_create_none(struct world *w)
{
	return create(w, SIOMMU_IOMMU_NONE, 3);
}

static int do_reserve(struct world *w)
{
	return siommu_device_reserve(w->dev[0], IOVA, IOVA + PAGE - 1);
}

static int do_bind(struct world *w)
{
	return siommu_device_bind(w->ctx, w->dev[0], &w->bound[0], &w->bound_id[0]);
}

static int do_bind_second(struct world *w)
{
	return siommu_device_bind(w->ctx, w->dev[1], &w->bound[1], &w->bound_id[1]);
}

static int do_unbind(struct world *w)
{
	siommu_device_unbind(w->bound[0]);
	w->bound[0] = NULL;
	return 0;
}

static void bound_mapped(struct world *w)
{
	world_bound(w);
	NEED(w, map_at(w, w->ioas[0], IOVA, 2 * MIB, 0));
	NEED(w, map_at(w, w->ioas[0], IOVA + 4 * MIB, PAGE, 0));
}

static int attach(struct world *w, unsigned int dev, uint32_t pasid, uint32_t pt)
{
	return siommu_device_attach(w->bound[dev], pasid, &pt);
}

static int do_attach_ioas(struct world *w)
{
	return attach(w, 0, 0, w->ioas[0]);
}

static void explicit_hwpt(struct world *w)
{
	bound_mapped(w);
	NEED(w, hwpt_alloc(w, 0, w->ioas[0], 0, NULL, 0, &w->hwpt));
}

static int do_attach_hwpt(struct world *w)
{
	return attach(w, 0, 0, w->hwpt);
}

static void second_of_group(struct world *w)
{
	world_attached(w);
	NEED(w, do_bind_second(w));
}

static int do_attach_second(struct world *w)
{
	return attach(w, 1, 0, w->ioas[0]);
}

static void bound_none(struct world *w)
{
	world_devices(w);
	NEED(w, map_at(w, w->ioas[0], IOVA, 2 * MIB, 0));
	NEED(w, siommu_device_bind(w->ctx, w->dev[2], &w->bound[2], &w->bound_id[2]));
}

static int do_attach_none(struct world *w)
{
	return attach(w, 2, 0, w->ioas[0]);
}

static void pasid_ready(struct world *w)
{
	bound_mapped(w);
	NEED(w, hwpt_alloc(w, IOMMU_HWPT_ALLOC_PASID, w->ioas[0], 0, NULL, 0, &w->hwpt));
}

static int do_attach_pasid(struct world *w)
{
	return attach(w, 0, 5, w->hwpt);
}

/* Both devices of the group go from one IOAS to the other. */
static void both_attached(struct world *w)
{
	second_of_group(w);
	NEED(w, do_attach_second(w));
	NEED(w, map_at(w, w->ioas[1], IOVA, 2 * MIB, MIB));
}

static int do_replace(struct world *w)
{
	uint32_t pt = w->ioas[1];

	return siommu_device_replace(w->bound[1], 0, &pt);
}

static int do_detach(struct world *w)
{
	siommu_device_detach(w->bound[0], 0);
	return 0;
}

static void unpin(void *arg, uint64_t iova, uint64_t length)
{
	struct world *w = arg;

	(void)iova;
	(void)length;
	siommu_access_unpin(w->access, IOVA, 4 * PAGE);
}

static const struct siommu_access_ops access_ops = { .needs_pin = true, .unmap = unpin };

static int do_access_create(struct world *w)
{
	return siommu_access_create(w->ctx, &access_ops, w, &w->access);
}

static void access_ready(struct world *w)
{
	world_ioas(w);
	NEED(w, map_at(w, w->ioas[0], IOVA, 2 * PAGE, 0));
	NEED(w, map_at(w, w->ioas[0], IOVA + 2 * PAGE, 4 * PAGE, MIB));
	NEED(w, do_access_create(w));
}

static int do_access_attach(struct world *w)
{
	return siommu_access_attach(w->access, w->ioas[0]);
}

static void access_attached(struct world *w)
{
	access_ready(w);
	NEED(w, do_access_attach(w));
}

static int do_access_pin(struct world *w)
{
	return siommu_access_pin(w->access, IOVA, 4 * PAGE, SIOMMU_ACCESS_WRITE, w->hpas);
}

static void access_pinned(struct world *w)
{
	access_attached(w);
	NEED(w, do_access_pin(w));
}

static int do_access_unpin(struct world *w)
{
	siommu_access_unpin(w->access, IOVA, 4 * PAGE);
	return 0;
}

static int do_access_replace(struct world *w)
{
	return siommu_access_replace(w->access, w->ioas[1]);
}

static int do_access_detach(struct world *w)
{
	siommu_access_detach(w->access);
	return 0;
}

static int do_access_destroy(struct world *w)
{
	siommu_access_destroy(w->access);
	w->access = NULL;
	return 0;
}

static int do_access_rw(struct world *w)
{
	char buf[100];

	return siommu_access_rw(w->access, IOVA + 2 * PAGE - 50, buf, sizeof(buf), 0);
}

const struct sweep_case sweep_api_cases[] = {
	{ "siommu_machine_create", world_machine, do_machine, 0 },
	{ "siommu_open", world_machine, do_open, 0 },
	/* The machine keeps this process's address space, and its descriptor, for later. */
	{ "siommu_open checked", world_machine, do_open_checked, SWEEP_CHANGES },
	{ "siommu_close with everything in it", world_fault_attached, do_close, SWEEP_NO_ALLOC },
	{ "siommu_device_create, mock", world_machine, do_create_mock, 0 },
	{ "siommu_device_create, no IOMMU", world_machine, do_create_none, 0 },
	{ "siommu_device_reserve", world_devices, do_reserve, 0 },
	{ "siommu_device_bind", world_devices, do_bind, 0 },
	{ "siommu_device_bind, second of a group", world_bound, do_bind_second, 0 },
	{ "siommu_device_unbind", world_bound, do_unbind, SWEEP_NO_ALLOC },
	{ "siommu_device_attach to an IOAS", bound_mapped, do_attach_ioas, 0 },
	{ "siommu_device_attach to an HWPT", explicit_hwpt, do_attach_hwpt, 0 },
	{ "siommu_device_attach, second of a group", second_of_group, do_attach_second, 0 },
	{ "siommu_device_attach, no IOMMU", bound_none, do_attach_none, 0 },
	{ "siommu_device_attach of a PASID", pasid_ready, do_attach_pasid, 0 },
	{ "siommu_device_replace, two of a group", both_attached, do_replace, 0 },
	{ "siommu_device_detach", world_attached, do_detach, SWEEP_NO_ALLOC },
	{ "siommu_access_create", world_ioas, do_access_create, 0 },
	{ "siommu_access_attach", access_ready, do_access_attach, 0 },
	{ "siommu_access_pin", access_attached, do_access_pin, 0 },
	{ "siommu_access_unpin", access_pinned, do_access_unpin, SWEEP_NO_ALLOC },
	{ "siommu_access_replace", access_pinned, do_access_replace, SWEEP_NO_ALLOC },
	{ "siommu_access_detach", access_pinned, do_access_detach, SWEEP_NO_ALLOC },
	{ "siommu_access_destroy", access_pinned, do_access_destroy, SWEEP_NO_ALLOC },
	{ "siommu_access_rw", access_attached, do_access_rw, SWEEP_NO_ALLOC },
	{ NULL, NULL, NULL, 0 },
};
