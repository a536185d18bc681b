// SPDX-License-Identifier: MIT
/*
 * Ports, pins, translations that a device keeps, and page requests, behind a
 * VT-d that has all of these.
 */
#include <string.h>

#include "sweep.h"

static void unpin(void *arg, uint64_t iova, uint64_t length)
{
	struct world *w = arg;

	siommu_dma_unpin(w->port, iova, length);
}

static void page_response(void *arg, uint32_t group, uint32_t code)
{
	(void)arg;
	(void)group;
	(void)code;
}

static const struct siommu_port_ops ops = { .unpin = unpin, .page_response = page_response };

static int do_unit(struct world *w)
{
	const struct siommu_unit_params params = { .size = sizeof(params),
						   .model = "vtd",
						   .options = "pri=on" };

	return siommu_unit_create(w->machine, &params, NULL, 0, &w->unit);
}

static void with_unit(struct world *w)
{
	NEED(w, do_unit(w));
}

static int do_device(struct world *w)
{
	const struct siommu_device_params params = {
		.size = sizeof(params),
		.name = "sweep",
		.unit = w->unit,
		.requester = 8,
		.ats = true,
		.page_requests = true,
	};

	return siommu_device_create(w->machine, &params, &w->dev[0]);
}

/* Attached, with a queue for its faults and two pages mapped. */
static void with_device(struct world *w)
{
	struct iommu_fault_alloc fault = { .size = sizeof(fault) };

	with_unit(w);
	NEED(w, do_device(w));
	world_ioas(w);
	NEED(w, siommu_ioctl(w->ctx, IOMMU_FAULT_QUEUE_ALLOC, &fault));
	w->fault = fault.out_fault_id;
	w->fault_fd = (int)fault.out_fault_fd;
	NEED(w, siommu_device_bind(w->ctx, w->dev[0], &w->bound[0], &w->bound_id[0]));
	w->idev = w->bound_id[0];
	NEED(w, map_at(w, w->ioas[0], IOVA, 2 * PAGE, 0));
	NEED(w, hwpt_alloc(w, IOMMU_HWPT_FAULT_ID_VALID, w->ioas[0], 0, NULL, 0, &w->hwpt));
	NEED(w, siommu_device_attach(w->bound[0], 0, &w->hwpt));
}

static int do_port(struct world *w)
{
	const struct siommu_port_params params = {
		.size = sizeof(params), .timeout_ms = 1, .ops = &ops, .arg = w
	};

	return siommu_port_create(w->dev[0], &params, &w->port);
}

static void with_port(struct world *w)
{
	with_device(w);
	NEED(w, do_port(w));
}

static int do_read(struct world *w)
{
	char buf[PAGE];

	return siommu_dma_read(w->port, IOVA + PAGE / 2, buf, sizeof(buf), 0);
}

static int do_write(struct world *w)
{
	char buf[PAGE];

	memset(buf, 0, sizeof(buf));
	return siommu_dma_write(w->port, IOVA + PAGE / 2, buf, sizeof(buf), 0);
}

static int do_atomic(struct world *w)
{
	uint64_t old;

	return siommu_dma_atomic(w->port, SIOMMU_ATOMIC_SWAP, IOVA, 8, 1, 0, &old, 0);
}

static int do_pin(struct world *w)
{
	struct siommu_sg sg[2];
	unsigned int n = 2;

	return siommu_dma_pin(w->port, IOVA, 2 * PAGE, SIOMMU_DMA_READ, sg, &n);
}

static int do_ats(struct world *w)
{
	struct siommu_ats ats;

	return siommu_dma_ats_translate(w->port, IOVA, SIOMMU_DMA_READ, &ats);
}

static void in_use(struct world *w)
{
	with_port(w);
	NEED(w, do_pin(w));
	NEED(w, do_ats(w));
}

static int do_detach(struct world *w)
{
	siommu_device_detach(w->bound[0], 0);
	return 0;
}

static int ask(struct world *w, uint32_t group, bool last)
{
	const struct siommu_page_request request = {
		.iova = 0, .group = group, .access = SIOMMU_DMA_READ, .last = last
	};

	return siommu_dma_page_request(w->port, &request);
}

static int do_request(struct world *w)
{
	return ask(w, 1, false);
}

static int do_last_request(struct world *w)
{
	return ask(w, 1, true);
}

static void begun(struct world *w)
{
	with_port(w);
	NEED(w, do_request(w));
}

/* Nobody answers; that it asked is what counts. */
static int do_wait(struct world *w)
{
	int rc = siommu_dma_page_request_wait(w->port, 0, SIOMMU_DMA_READ);

	return rc == -ETIMEDOUT ? 0 : rc;
}

static void waiting(struct world *w)
{
	begun(w);
	NEED(w, ask(w, 2, true));
}

static int do_destroy_port(struct world *w)
{
	siommu_port_destroy(w->port);
	w->port = NULL;
	return 0;
}

const struct sweep_case sweep_dma_cases[] = {
	{ "siommu_unit_create", world_machine, do_unit, 0 },
	{ "siommu_device_create, VT-d", with_unit, do_device, 0 },
	{ "siommu_port_create", with_device, do_port, 0 },
	{ "siommu_port_destroy", waiting, do_destroy_port, SWEEP_NO_ALLOC },
	{ "siommu_dma_read", with_port, do_read, SWEEP_NO_ALLOC },
	{ "siommu_dma_write", with_port, do_write, SWEEP_NO_ALLOC },
	{ "siommu_dma_atomic", with_port, do_atomic, SWEEP_NO_ALLOC },
	{ "siommu_dma_pin", with_port, do_pin, 0 },
	{ "siommu_dma_ats_translate", with_port, do_ats, 0 },
	{ "siommu_device_detach with a pin and a grant", in_use, do_detach, SWEEP_NO_ALLOC },
	{ "siommu_dma_page_request", with_port, do_request, 0 },
	/* A group of which a request is lost is lost as a whole. */
	{ "siommu_dma_page_request, last", begun, do_last_request, SWEEP_CHANGES },
	{ "siommu_dma_page_request_wait", with_port, do_wait, 0 },
	{ NULL, NULL, NULL, 0 },
};
