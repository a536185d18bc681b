// SPDX-License-Identifier: MIT
/*
 * Sweep: the IOMMU user API of 2020 through the library, with two devices of one group
 * behind a VT-d, and behind an SMMUv3. What that API says cannot fail needs no memory, or
 * blocks the devices if it has none.
 */
#include <softiommu/abi/iommu-2020.h>
#include <softiommu/legacy.h>

#include "sweep.h"

#define FIRST_PASID 5u

static void with_devices(struct world *w, const char *model, bool page_requests)
{
	const struct siommu_unit_params unit = { .size = sizeof(unit), .model = model };
	struct siommu_device_params params = {
		.size = sizeof(params),
		.name = "sweep",
		.group = 7,
		.pasid_bits = 20,
		.ats = true,
		.page_requests = page_requests,
	};
	unsigned int i;

	world_ioas(w);
	NEED(w, map_at(w, w->ioas[0], 0, MIB, 0));
	NEED(w, siommu_unit_create(w->machine, &unit, NULL, 0, &w->unit));
	params.unit = w->unit;
	for (i = 0; i < 2; i++) {
		params.requester = 8 + i;
		NEED(w, siommu_device_create(w->machine, &params, &w->dev[i]));
	}
	for (i = 0; i < 2; i++)
		NEED(w, siommu_device_bind(w->ctx, w->dev[i], &w->bound[i], &w->bound_id[i]));
}

static void vtd_devices(struct world *w)
{
	with_devices(w, "vtd", true);
}

static int do_create(struct world *w)
{
	return siommu_domain_create(w->ctx, w->ioas[0], &w->domain);
}

static int do_destroy(struct world *w)
{
	siommu_domain_destroy(w->domain);
	w->domain = NULL;
	return 0;
}

static void vtd_domain(struct world *w)
{
	vtd_devices(w);
	NEED(w, do_create(w));
}

static int do_add(struct world *w)
{
	return siommu_domain_add(w->domain, w->bound[0]);
}

static void vtd_added(struct world *w)
{
	vtd_domain(w);
	NEED(w, do_add(w));
}

static int do_add_second(struct world *w)
{
	return siommu_domain_add(w->domain, w->bound[1]);
}

static void vtd_full(struct world *w)
{
	vtd_added(w);
	NEED(w, do_add_second(w));
}

static int do_remove(struct world *w)
{
	siommu_domain_remove(w->domain, w->bound[0]);
	return 0;
}

static int do_info(struct world *w)
{
	struct iommu_nesting_info info;

	return siommu_domain_nesting_info(w->domain, &info);
}

static int do_pasid_alloc(struct world *w)
{
	return siommu_pasid_alloc(w->domain, FIRST_PASID, 100);
}

static void vtd_pasid(struct world *w)
{
	vtd_full(w);
	NEED(w, do_pasid_alloc(w));
}

static int do_pasid_free(struct world *w)
{
	siommu_pasid_free(w->domain, 0, UINT32_MAX);
	return 0;
}

static const struct iommu_gpasid_bind_data bind_data = {
	.argsz = sizeof(bind_data),
	.version = IOMMU_GPASID_BIND_VERSION_1,
	.format = IOMMU_PASID_FORMAT_INTEL_VTD,
	.addr_width = 48,
	.gpgd = 16 * PAGE,
	.hpasid = FIRST_PASID,
};

static int do_bind(struct world *w)
{
	return siommu_uapi_sva_bind_gpasid(w->domain, NULL, &bind_data);
}

static int do_bind_one(struct world *w)
{
	return siommu_uapi_sva_bind_gpasid(w->domain, w->bound[1], &bind_data);
}

static void vtd_bound_one(struct world *w)
{
	vtd_pasid(w);
	NEED(w, siommu_uapi_sva_bind_gpasid(w->domain, w->bound[0], &bind_data));
}

static void vtd_bound(struct world *w)
{
	vtd_pasid(w);
	NEED(w, do_bind(w));
}

static int do_unbind(struct world *w)
{
	return siommu_uapi_sva_unbind_gpasid(w->domain, NULL, &bind_data);
}

static int do_unbind_kernel(struct world *w)
{
	siommu_sva_unbind_gpasid(w->domain, NULL, FIRST_PASID);
	return 0;
}

static int forget(struct world *w, struct iommu_cache_invalidate_info info)
{
	info.argsz = sizeof(info);
	info.version = IOMMU_CACHE_INVALIDATE_INFO_VERSION_1;
	info.cache = IOMMU_CACHE_INV_TYPE_IOTLB;
	return siommu_uapi_cache_invalidate(w->domain, &info);
}

static int do_forget_all(struct world *w)
{
	return forget(w, (struct iommu_cache_invalidate_info){
				 .granularity = IOMMU_INV_GRANU_DOMAIN,
			 });
}

static int do_forget_pasid(struct world *w)
{
	return forget(w, (struct iommu_cache_invalidate_info){
				 .granularity = IOMMU_INV_GRANU_PASID,
				 .granu.pasid_info = {
					 .flags = IOMMU_INV_PASID_FLAGS_PASID,
					 .pasid = FIRST_PASID,
				 },
			 });
}

static int do_forget_range(struct world *w)
{
	return forget(w, (struct iommu_cache_invalidate_info){
				 .granularity = IOMMU_INV_GRANU_ADDR,
				 .granu.addr_info = {
					 .addr = PAGE,
					 .granule_size = PAGE,
					 .nb_granules = 1000,
				 },
			 });
}

static int ignore(void *arg, const struct iommu_fault *fault)
{
	(void)arg;
	(void)fault;
	return 0;
}

static int do_handler(struct world *w)
{
	return siommu_register_device_fault_handler(w->domain, w->bound[0], ignore, NULL);
}

/* A page request of the PASID waits. */
static void vtd_asked(struct world *w)
{
	static const struct siommu_port_ops ops = { 0 };
	const struct siommu_port_params port = {
		.size = sizeof(port),
		.flags = SIOMMU_PORT_PASID,
		.pasid = FIRST_PASID,
		.ops = &ops,
	};
	const struct siommu_page_request request = {
		.iova = PAGE,
		.access = SIOMMU_DMA_READ,
		.last = true,
	};

	vtd_bound(w);
	NEED(w, do_handler(w));
	NEED(w, siommu_port_create(w->dev[0], &port, &w->port));
	NEED(w, siommu_dma_page_request(w->port, &request));
}

static int do_respond(struct world *w)
{
	const struct iommu_page_response response = {
		.argsz = sizeof(response),
		.version = IOMMU_PAGE_RESP_VERSION_1,
		.flags = IOMMU_PAGE_RESP_PASID_VALID,
		.pasid = FIRST_PASID,
	};

	return siommu_uapi_page_response(w->domain, w->bound[0], &response);
}

static void arm_devices(struct world *w)
{
	with_devices(w, "smmuv3", false);
}

static void arm_domain(struct world *w)
{
	arm_devices(w);
	NEED(w, do_create(w));
}

static void arm_full(struct world *w)
{
	arm_domain(w);
	NEED(w, do_add(w));
	NEED(w, do_add_second(w));
}

static int set_table(struct world *w, uint8_t config)
{
	const struct iommu_pasid_table_config table = {
		.argsz = sizeof(table),
		.version = PASID_TABLE_CFG_VERSION_1,
		.base_ptr = 16 * PAGE,
		.format = IOMMU_PASID_FORMAT_SMMUV3,
		.config = config,
		.vendor_data.smmuv3.version = PASID_TABLE_SMMUV3_CFG_VERSION_1,
	};

	return siommu_uapi_attach_pasid_table(w->domain, &table);
}

static int do_table(struct world *w)
{
	return set_table(w, IOMMU_PASID_CONFIG_TRANSLATE);
}

static int do_bypass(struct world *w)
{
	return set_table(w, IOMMU_PASID_CONFIG_BYPASS);
}

static void arm_table(struct world *w)
{
	arm_full(w);
	NEED(w, do_table(w));
}

static int do_unset(struct world *w)
{
	siommu_detach_pasid_table(w->domain);
	return 0;
}

const struct sweep_case sweep_uapi2020_cases[] = {
	{ "2020: domain_create", vtd_devices, do_create, 0 },
	{ "2020: domain_destroy", vtd_domain, do_destroy, SWEEP_NO_ALLOC },
	{ "2020: domain_add", vtd_domain, do_add, 0 },
	{ "2020: domain_add, a second device", vtd_added, do_add_second, 0 },
	{ "2020: domain_add, SMMUv3", arm_domain, do_add, 0 },
	{ "2020: domain_remove", vtd_full, do_remove, SWEEP_NO_ALLOC },
	{ "2020: domain_remove, bound", vtd_bound, do_remove, SWEEP_NO_ALLOC },
	{ "2020: domain_remove, a table", arm_table, do_remove, SWEEP_NO_ALLOC },
	{ "2020: nesting_info", vtd_full, do_info, SWEEP_NO_ALLOC },
	{ "2020: pasid_alloc", vtd_full, do_pasid_alloc, 0 },
	/* What cannot fail. */
	{ "2020: pasid_free", vtd_pasid, do_pasid_free, SWEEP_NO_ALLOC },
	{ "2020: pasid_free, bound", vtd_bound, do_pasid_free, SWEEP_NO_ALLOC },
	{ "2020: sva_bind_gpasid", vtd_pasid, do_bind, 0 },
	{ "2020: sva_bind_gpasid, as the other", vtd_bound_one, do_bind_one, 0 },
	{ "2020: sva_unbind_gpasid", vtd_bound, do_unbind, SWEEP_NO_ALLOC },
	{ "2020: sva_unbind_gpasid, trusted", vtd_bound, do_unbind_kernel, SWEEP_NO_ALLOC },
	{ "2020: cache_invalidate, all", vtd_bound, do_forget_all, SWEEP_NO_ALLOC },
	{ "2020: cache_invalidate, a PASID", vtd_bound, do_forget_pasid, SWEEP_NO_ALLOC },
	{ "2020: cache_invalidate, a range", vtd_bound, do_forget_range, SWEEP_NO_ALLOC },
	{ "2020: fault handler", vtd_full, do_handler, SWEEP_NO_ALLOC },
	{ "2020: page_response", vtd_asked, do_respond, SWEEP_NO_ALLOC },
	{ "2020: attach_pasid_table", arm_full, do_table, 0 },
	{ "2020: attach_pasid_table, another", arm_table, do_bypass, 0 },
	/* Without memory it is detached and attached, in place of being replaced. */
	{ "2020: detach_pasid_table", arm_table, do_unset, SWEEP_SUCCEEDS },
	/* Commands are read with memory; without it nothing is let through any more. */
	{ "2020: cache_invalidate, a table", arm_table, do_forget_all, SWEEP_SUCCEEDS },
	{ "2020: cache_invalidate, its range", arm_table, do_forget_range, SWEEP_SUCCEEDS },
	{ .name = NULL },
};
