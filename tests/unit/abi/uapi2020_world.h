/* SPDX-License-Identifier: MIT */
/*
 * A machine that serves the user API of 2020: a unit, a device that is bound, and a domain
 * over an IOAS in which the guest's memory is, from address 0 on.
 */
#ifndef UNIT_UAPI2020_WORLD_H
#define UNIT_UAPI2020_WORLD_H

#include <softiommu/abi/iommu-2020.h>
#include <softiommu/dma.h>
#include <softiommu/legacy.h>

#include "calls.h"

#define WORLD_PAGES 16ul

/* Where the guest's tables begin, and a page of data. */
#define GUEST_ROOT 0x1000ull
#define GUEST_DATA 0x8000ull

/**
 * struct world - the machine under test
 * @unit: the IOMMU
 * @dev: the device
 * @bound: its binding
 * @ioas: the IOAS
 * @domain: the domain
 * @ram: the guest's memory
 */
struct world {
	struct siommu_unit *unit;
	struct siommu_device *dev;
	struct siommu_bound *bound;
	uint32_t ioas;
	struct siommu_domain *domain;
	uint8_t *ram;
};

/* In place of the fixture's machine, one that is otherwise the same. */
static inline void machine_restart(enum siommu_2020 revision)
{
	const struct siommu_machine_params params = {
		.size = sizeof(params),
		.test_interface = true,
		.iommu_2020 = revision,
	};

	fixture_close();
	siommu_machine_destroy(machine);
	machine = NULL;
	ASSERT_OK(siommu_machine_create(&params, &machine));
	fixture_warm(0);
	fixture_warm(SIOMMU_OPEN_CHECKED);
	fixture.blocks = fixture_blocks();
	ctx = NULL;
	ASSERT_OK(siommu_open(machine, unit.variant, &ctx));
}

/* Bound to the context, in no domain. @requester: its number on the bus. */
static inline struct world world_without_domain(const char *model, uint32_t requester)
{
	const struct siommu_unit_params u = { .size = sizeof(u), .model = model };
	struct siommu_device_params d = {
		.size = sizeof(d),
		.name = "nic",
		.pasid_bits = 20,
		.ats = true,
		.page_requests = !strcmp(model, "vtd"),
		.requester = requester,
	};
	struct world w = { 0 };
	uint32_t id;

	ASSERT_OK(siommu_unit_create(machine, &u, NULL, 0, &w.unit));
	d.unit = w.unit;
	ASSERT_OK(siommu_device_create(machine, &d, &w.dev));
	ASSERT_OK(siommu_device_bind(ctx, w.dev, &w.bound, &id));
	w.ioas = new_ioas();
	w.ram = buffer(WORLD_PAGES * PAGE);
	ASSERT_OK(map_at(w.ioas, w.ram, WORLD_PAGES * PAGE, 0));
	ASSERT_OK(siommu_domain_create(ctx, w.ioas, &w.domain));
	return w;
}

static inline struct world world_new(const char *model)
{
	struct world w = world_without_domain(model, 0x1a3);

	ASSERT_OK(siommu_domain_add(w.domain, w.bound));
	return w;
}

static inline void world_end(struct world *w)
{
	siommu_domain_remove(w->domain, w->bound);
	siommu_domain_destroy(w->domain);
	siommu_device_unbind(w->bound);
	siommu_device_destroy(w->dev);
	/* What is in the context refers to the unit. */
	fixture_close();
	siommu_unit_destroy(w->unit);
}

/* A port for requests with @pasid; 0 for those without one. */
static inline struct siommu_port *world_port(const struct world *w, uint32_t pasid,
					     const struct siommu_port_ops *ops, void *arg)
{
	const struct siommu_port_params params = {
		.size = sizeof(params),
		.flags = pasid ? SIOMMU_PORT_PASID : 0,
		.pasid = pasid,
		.ops = ops,
		.arg = arg,
	};
	struct siommu_port *port;

	ASSERT_OK(siommu_port_create(w->dev, &params, &port));
	return port;
}

/* A device reads 8 bytes. Return: what siommu_dma_read() does. */
static inline int world_read(struct siommu_port *port, uint64_t iova)
{
	uint64_t value;

	return siommu_dma_read(port, iova, &value, sizeof(value), 0);
}

static inline uint64_t *world_word(const struct world *w, uint64_t gpa)
{
	return (uint64_t *)(w->ram + gpa);
}

/* VT-d: the guest's tables of four levels map GUEST_DATA, there and nowhere else. */
static inline void world_vtd_tables(const struct world *w)
{
	const uint64_t table = 7;

	*world_word(w, GUEST_ROOT) = (GUEST_ROOT + PAGE) | table;
	*world_word(w, GUEST_ROOT + PAGE) = (GUEST_ROOT + 2 * PAGE) | table;
	*world_word(w, GUEST_ROOT + 2 * PAGE) = (GUEST_ROOT + 3 * PAGE) | table;
	*world_word(w, GUEST_ROOT + 3 * PAGE + GUEST_DATA / PAGE * 8) = GUEST_DATA | table;
}

static inline struct iommu_gpasid_bind_data world_bind(uint32_t pasid)
{
	return (struct iommu_gpasid_bind_data){
		.argsz = sizeof(struct iommu_gpasid_bind_data),
		.version = IOMMU_GPASID_BIND_VERSION_1,
		.format = IOMMU_PASID_FORMAT_INTEL_VTD,
		.addr_width = 48,
		.gpgd = GUEST_ROOT,
		.hpasid = pasid,
	};
}

static inline struct iommu_pasid_table_config world_bypass(void)
{
	return (struct iommu_pasid_table_config){
		.argsz = sizeof(struct iommu_pasid_table_config),
		.version = PASID_TABLE_CFG_VERSION_1,
		.format = IOMMU_PASID_FORMAT_SMMUV3,
		.config = IOMMU_PASID_CONFIG_BYPASS,
		.vendor_data.smmuv3.version = PASID_TABLE_SMMUV3_CFG_VERSION_1,
	};
}

/* All of a domain's IOTLB. */
static inline struct iommu_cache_invalidate_info world_invalidate(void)
{
	return (struct iommu_cache_invalidate_info){
		.argsz = sizeof(struct iommu_cache_invalidate_info),
		.version = IOMMU_CACHE_INVALIDATE_INFO_VERSION_1,
		.cache = IOMMU_CACHE_INV_TYPE_IOTLB,
		.granularity = IOMMU_INV_GRANU_DOMAIN,
	};
}

#endif
