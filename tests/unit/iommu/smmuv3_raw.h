/* SPDX-License-Identifier: MIT */
/*
 * The hardware half of the SMMUv3 model alone: a unit, a device and ports, whose
 * stream table entry the test writes itself, in memory that it fills itself.
 */
#ifndef UNIT_SMMUV3_RAW_H
#define UNIT_SMMUV3_RAW_H

#include <sys/mman.h>

#include "base/log.h"
#include "iommu/models.h"
#include "mem/space.h"
#include "smmuv3/smmuv3.h"
#include "unit.h"

#define RAW_SID 0xbeefu

struct raw {
	struct base_alloc alloc;
	struct base_log log;
	struct mem_host host;
	struct iommu_unit *unit;
	struct iommu_group group;
	struct iommu_device *dev;
};

static inline void raw_begin(struct raw *raw, const char *options)
{
	struct iommu_device_desc desc = {
		.name = "raw", .requester = RAW_SID, .pasid_bits = 20, .ats = true
	};
	char error[128] = "";

	memset(raw, 0, sizeof(*raw));
	mem_host_init(&raw->host, &raw->alloc, &raw->log);
	ASSERT_OK(smmuv3_model.unit_create(&raw->host, options, error, sizeof(error), &raw->unit));
	iommu_group_init(&raw->group, 1);
	ASSERT_OK(raw->unit->ops->device_create(raw->unit, &raw->group, &desc, &raw->dev));
	ASSERT_OK(iommu_device_join(raw->dev));
}

static inline void raw_end(struct raw *raw)
{
	iommu_device_leave(raw->dev);
	raw->unit->ops->device_destroy(raw->dev);
	iommu_group_destroy(&raw->group);
	raw->unit->ops->unit_destroy(raw->unit);
	mem_host_destroy(&raw->host);
	EXPECT_EQ(0, raw->alloc.blocks);
	EXPECT_EQ(0, raw->alloc.bytes);
}

/* A port; @ssid -1 for requests without one. */
static inline struct dma_port *raw_port(struct raw *raw, int ssid)
{
	const struct siommu_port_params params = {
		.size = sizeof(params),
		.flags = ssid < 0 ? 0 : SIOMMU_PORT_PASID,
		.pasid = ssid < 0 ? 0 : (uint32_t)ssid,
	};
	struct dma_port *port;

	ASSERT_OK(iommu_port_create(raw->dev, &params, &port));
	return port;
}

static inline void raw_ste(struct raw *raw, const uint64_t ste[STE_WORDS])
{
	struct smmuv3_device *dev = to_smmuv3_device(raw->dev);
	unsigned int i;

	for (i = 0; i < STE_WORDS; i++)
		dev->ste[i] = ste[i];
	iommu_flush_device(raw->dev, 0, U64_MAX);
}

static inline int raw_translate(struct raw *raw, struct dma_port *port,
				const struct dma_request *req, struct dma_reply *reply)
{
	int rc;

	memset(reply, 0, sizeof(*reply));
	siommu_dma_begin(&port->port);
	rc = raw->unit->ops->translate(raw->dev, port, req, reply);
	siommu_dma_end(&port->port);
	return rc;
}

#endif
