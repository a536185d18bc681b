/* SPDX-License-Identifier: MIT */
/* What the tests of the AMD model through the public API share. */
#ifndef UNIT_AMD_RIG_H
#define UNIT_AMD_RIG_H

#include "calls.h"

#include <softiommu/dma.h>

/* Bits of a guest's device table entry. */
#define GV    (1ull << 55)
#define GIOV  (1ull << 54)
#define GLX3  (3ull << 56)
#define GCR3  (1ull << 58) /* its address is 4096 */
#define GPM_5 (1ull << 54)

/* A unit with a bound device and an IOAS. */
struct rig {
	struct siommu_unit *unit;
	struct siommu_device *dev;
	struct siommu_bound *bound;
	struct siommu_port *port;
	uint32_t id;
	uint32_t ioas;
};

static inline int unit_new(const char *options, struct siommu_unit **unit)
{
	const struct siommu_unit_params params = { .size = sizeof(params),
						   .model = "amd",
						   .options = options };
	char error[128] = "";
	int rc = siommu_unit_create(machine, &params, error, sizeof(error), unit);

	EXPECT_TRUE(rc != -EINVAL || error[0]);
	return rc;
}

static inline struct rig rig_with(const struct siommu_device_params *device, const char *options)
{
	struct siommu_device_params params = *device;
	struct rig r;

	ASSERT_OK(unit_new(options, &r.unit));
	params.size = sizeof(params);
	params.name = "nic";
	params.unit = r.unit;
	params.requester = 0x1234;
	ASSERT_OK(siommu_device_create(machine, &params, &r.dev));
	ASSERT_OK(siommu_device_bind(ctx, r.dev, &r.bound, &r.id));
	ASSERT_OK(siommu_port_create(r.dev, NULL, &r.port));
	r.ioas = new_ioas();
	return r;
}

static inline struct rig rig_new(const char *options)
{
	const struct siommu_device_params plain = { .pasid_bits = 20 };

	return rig_with(&plain, options);
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
