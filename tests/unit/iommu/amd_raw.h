/* SPDX-License-Identifier: MIT */
/*
 * The hardware half of the AMD model alone: a unit, a device and ports, whose
 * device table entry the test writes itself, in memory that it fills itself.
 */
#ifndef UNIT_AMD_RAW_H
#define UNIT_AMD_RAW_H

#include <sys/mman.h>

#include "amd/amd.h"
#include "base/log.h"
#include "iommu/models.h"
#include "mem/space.h"
#include "unit.h"

/* Addresses of tables and pages: 4 GiB, aligned to that, of which little is used. */
#define ARENA_LG2   32
#define ARENA_BYTES ((uint64_t)1 << ARENA_LG2)

static struct {
	struct base_alloc alloc;
	struct base_log log;
	struct mem_host host;
	struct iommu_unit *unit;
	struct iommu_group group;
	struct iommu_device *dev;
} raw;

/* Memory that costs nothing until it is used. */
static inline uint64_t arena_new(void)
{
	uint8_t *p = mmap(NULL, 2 * ARENA_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t start;

	ASSERT_TRUE(p != MAP_FAILED);
	start = ((uintptr_t)p + ARENA_BYTES - 1) & ~(ARENA_BYTES - 1);
	if (start > (uintptr_t)p)
		munmap(p, start - (uintptr_t)p);
	munmap((void *)(uintptr_t)(start + ARENA_BYTES),
	       (uintptr_t)p + 2 * ARENA_BYTES - (start + ARENA_BYTES));
	return start;
}

static inline void arena_free(uint64_t arena)
{
	munmap((void *)(uintptr_t)arena, ARENA_BYTES);
}

static inline uint64_t *at(uint64_t address)
{
	return (uint64_t *)(uintptr_t)address;
}

#define RAW_REQUESTER 0xbeef

static inline void raw_begin(const char *options)
{
	static const struct iommu_device_desc desc = {
		.name = "raw", .requester = RAW_REQUESTER, .pasid_bits = 16, .ats = true
	};
	char error[128];

	memset(&raw, 0, sizeof(raw));
	mem_host_init(&raw.host, &raw.alloc, &raw.log);
	ASSERT_OK(amd_model.unit_create(&raw.host, options, error, sizeof(error), &raw.unit));
	iommu_group_init(&raw.group, 1);
	ASSERT_OK(raw.unit->ops->device_create(raw.unit, &raw.group, &desc, &raw.dev));
	ASSERT_OK(iommu_device_join(raw.dev));
}

static inline void raw_end(void)
{
	iommu_device_leave(raw.dev);
	raw.unit->ops->device_destroy(raw.dev);
	iommu_group_destroy(&raw.group);
	raw.unit->ops->unit_destroy(raw.unit);
	mem_host_destroy(&raw.host);
	EXPECT_EQ(0, raw.alloc.blocks);
	EXPECT_EQ(0, raw.alloc.bytes);
}

/* A port; @pasid -1 for requests without one. */
static inline struct dma_port *raw_port(int pasid)
{
	const struct siommu_port_params params = {
		.size = sizeof(params),
		.flags = pasid < 0 ? 0 : SIOMMU_PORT_PASID,
		.pasid = pasid < 0 ? 0 : (uint32_t)pasid,
	};
	struct dma_port *port;

	ASSERT_OK(iommu_port_create(raw.dev, &params, &port));
	return port;
}

static inline void raw_dte(const uint64_t q[4])
{
	amd_dte_write(&to_amd_device(raw.dev)->dte, q);
	iommu_flush_device(raw.dev, 0, U64_MAX);
}

static inline int raw_translate(struct dma_port *port, const struct dma_request *req,
				struct dma_reply *reply)
{
	int rc;

	memset(reply, 0, sizeof(*reply));
	siommu_dma_begin(&port->port);
	rc = raw.unit->ops->translate(raw.dev, port, req, reply);
	siommu_dma_end(&port->port);
	return rc;
}

#endif
