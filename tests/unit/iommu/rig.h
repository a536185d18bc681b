/* SPDX-License-Identifier: MIT */
/*
 * What the tests of all models share: a unit with one device that is bound, a port
 * of it, an IOAS, and perhaps memory that a guest believes to be its own. Who
 * includes this says which model (RIG_MODEL), and the device's number on its bus
 * (RIG_REQUESTER).
 */
#ifndef UNIT_IOMMU_RIG_H
#define UNIT_IOMMU_RIG_H

#include "calls.h"

#include <softiommu/dma.h>

/**
 * struct rig - the machine under test
 * @unit: the IOMMU
 * @dev: the device
 * @bound: its binding
 * @port: its requests without PASID
 * @id: the device object
 * @ioas: an IOAS
 * @ram: the guest's memory
 * @next: page of @ram that is free
 */
struct rig {
	struct siommu_unit *unit;
	struct siommu_device *dev;
	struct siommu_bound *bound;
	struct siommu_port *port;
	uint32_t id;
	uint32_t ioas;
	uint8_t *ram;
	uint64_t next;
};

static inline int unit_new(const char *options, struct siommu_unit **unit)
{
	const struct siommu_unit_params params = {
		.size = sizeof(params),
		.model = RIG_MODEL,
		.options = options,
	};
	char error[256] = "";
	int rc = siommu_unit_create(machine, &params, error, sizeof(error), unit);

	EXPECT_TRUE(rc != -EINVAL || error[0]);
	return rc;
}

static inline int device_new(struct siommu_unit *unit, const struct siommu_device_params *like,
			     struct siommu_device **dev)
{
	struct siommu_device_params params = *like;

	params.size = sizeof(params);
	params.name = "nic";
	params.unit = unit;
	if (!params.requester)
		params.requester = RIG_REQUESTER;
	return siommu_device_create(machine, &params, dev);
}

static inline struct rig rig_with(const struct siommu_device_params *device, const char *options)
{
	struct rig r = { 0 };

	ASSERT_OK(unit_new(options, &r.unit));
	ASSERT_OK(device_new(r.unit, device, &r.dev));
	ASSERT_OK(siommu_device_bind(ctx, r.dev, &r.bound, &r.id));
	ASSERT_OK(siommu_port_create(r.dev, NULL, &r.port));
	r.ioas = new_ioas();
	return r;
}

static inline void rig_end(struct rig *r)
{
	siommu_device_detach(r->bound, 0);
	siommu_port_destroy(r->port);
	siommu_device_unbind(r->bound);
	/* What is in the context refers to the unit. */
	fixture_close();
	siommu_device_destroy(r->dev);
	siommu_unit_destroy(r->unit);
}

#endif
