/* SPDX-License-Identifier: MIT */
/*
 * A domain of the user API of 2020 for the tests of a vendor's part, and its structures
 * with few words. Included after the vendor's own rig (iommu/vtd_rig.h, smmuv3_rig.h).
 */
#ifndef UNIT_UAPI2020_RIG_H
#define UNIT_UAPI2020_RIG_H

#include <softiommu/abi/iommu-2020.h>
#include <softiommu/legacy.h>

#include "core/ctx.h"

#define C_IOTLB	 IOMMU_CACHE_INV_TYPE_IOTLB
#define C_DEV	 IOMMU_CACHE_INV_TYPE_DEV_IOTLB
#define C_PASID	 IOMMU_CACHE_INV_TYPE_PASID
#define G_DOMAIN IOMMU_INV_GRANU_DOMAIN
#define G_PASID	 IOMMU_INV_GRANU_PASID
#define G_ADDR	 IOMMU_INV_GRANU_ADDR
#define F_PASID	 IOMMU_INV_ADDR_FLAGS_PASID
#define F_ARCHID IOMMU_INV_ADDR_FLAGS_ARCHID
#define F_LEAF	 IOMMU_INV_ADDR_FLAGS_LEAF

static inline struct siommu_domain *domain_new(const struct rig *r)
{
	struct siommu_domain *domain;

	ASSERT_OK(siommu_domain_create(ctx, r->ioas, &domain));
	ASSERT_OK(siommu_domain_add(domain, r->bound));
	return domain;
}

static inline void domain_end(struct siommu_domain *domain, struct rig *r)
{
	siommu_domain_remove(domain, r->bound);
	siommu_domain_destroy(domain);
}

static inline uint32_t pasid_new(struct siommu_domain *domain)
{
	int pasid = siommu_pasid_alloc(domain, 1, (1u << 20) - 1);

	ASSERT_TRUE(pasid > 0);
	return (uint32_t)pasid;
}

static inline struct iommu_gpasid_bind_data bind_data(uint32_t pasid, uint64_t root)
{
	return (struct iommu_gpasid_bind_data){
		.argsz = sizeof(struct iommu_gpasid_bind_data),
		.version = IOMMU_GPASID_BIND_VERSION_1,
		.format = IOMMU_PASID_FORMAT_INTEL_VTD,
		.addr_width = 48,
		.gpgd = root,
		.hpasid = pasid,
	};
}

static inline int bind_root(struct siommu_domain *domain, struct siommu_bound *bound,
			    uint32_t pasid, uint64_t root)
{
	const struct iommu_gpasid_bind_data data = bind_data(pasid, root);

	return siommu_uapi_sva_bind_gpasid(domain, bound, &data);
}

static inline int unbind_pasid(struct siommu_domain *domain, uint32_t pasid)
{
	const struct iommu_gpasid_bind_data data = bind_data(pasid, 0);

	return siommu_uapi_sva_unbind_gpasid(domain, NULL, &data);
}

static inline struct iommu_pasid_table_config table_config(uint8_t config, uint64_t base,
							   uint8_t pasid_bits)
{
	return (struct iommu_pasid_table_config){
		.argsz = sizeof(struct iommu_pasid_table_config),
		.version = PASID_TABLE_CFG_VERSION_1,
		.base_ptr = base,
		.format = IOMMU_PASID_FORMAT_SMMUV3,
		.pasid_bits = pasid_bits,
		.config = config,
		/* Requests without a PASID have CD 0. */
		.vendor_data.smmuv3 = { .version = PASID_TABLE_SMMUV3_CFG_VERSION_1, .s1dss = 2 },
	};
}

static inline int set_table(struct siommu_domain *domain, uint8_t config, uint64_t base,
			    uint8_t pasid_bits)
{
	const struct iommu_pasid_table_config c = table_config(config, base, pasid_bits);

	return siommu_uapi_attach_pasid_table(domain, &c);
}

static inline struct iommu_cache_invalidate_info inv(uint8_t cache, uint8_t granularity)
{
	return (struct iommu_cache_invalidate_info){
		.argsz = sizeof(struct iommu_cache_invalidate_info),
		.version = IOMMU_CACHE_INVALIDATE_INFO_VERSION_1,
		.cache = cache,
		.granularity = granularity,
	};
}

static inline struct iommu_cache_invalidate_info inv_pasid(uint8_t cache, uint32_t flags,
							   uint64_t pasid, uint32_t archid)
{
	struct iommu_cache_invalidate_info info = inv(cache, G_PASID);

	info.granu.pasid_info = (struct iommu_inv_pasid_info){
		.flags = flags,
		.archid = archid,
		.pasid = pasid,
	};
	return info;
}

static inline struct iommu_cache_invalidate_info inv_addr(uint8_t cache, uint32_t flags,
							  uint64_t pasid, uint64_t address,
							  uint64_t granule, uint64_t n)
{
	struct iommu_cache_invalidate_info info = inv(cache, G_ADDR);

	info.granu.addr_info = (struct iommu_inv_addr_info){
		.flags = flags,
		.pasid = pasid,
		.addr = address,
		.granule_size = granule,
		.nb_granules = n,
	};
	return info;
}

static inline int inv_all(struct siommu_domain *domain)
{
	const struct iommu_cache_invalidate_info info = inv(C_IOTLB, G_DOMAIN);

	return siommu_uapi_cache_invalidate(domain, &info);
}

static inline struct iommu_nesting_info nesting_info(struct siommu_domain *domain)
{
	struct iommu_nesting_info info;

	memset(&info, 0xff, sizeof(info));
	ASSERT_OK(siommu_domain_nesting_info(domain, &info));
	return info;
}

/* Make allocations of the fixture's context fail after @left more; -1: none. */
static int failing_left = -1;

static inline bool failing_now(void *arg)
{
	(void)arg;
	if (failing_left < 0)
		return false;
	if (failing_left > 0) {
		failing_left--;
		return false;
	}
	return true;
}

static inline void fail_after(int left)
{
	struct base_alloc *alloc = &LIST_FIRST(&machine->contexts)->alloc;

	failing_left = left;
	alloc->should_fail = left < 0 ? NULL : failing_now;
}

#endif
