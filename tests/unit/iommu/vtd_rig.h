/* SPDX-License-Identifier: MIT */
/*
 * What the tests of VT-d share: a unit with one device that is bound, an IOAS,
 * and memory that a guest believes to be its own: guest address 0 is rig->ram.
 */
#ifndef UNIT_VTD_RIG_H
#define UNIT_VTD_RIG_H

#define REQUESTER 0x01a3

#define RIG_MODEL     "vtd"
#define RIG_REQUESTER REQUESTER

#include "rig.h"

#define NEST  IOMMU_HWPT_ALLOC_NEST_PARENT
#define DIRTY IOMMU_HWPT_ALLOC_DIRTY_TRACKING
#define FAULT IOMMU_HWPT_FAULT_ID_VALID
#define PASID IOMMU_HWPT_ALLOC_PASID

#define KiB (1ull << 10)
#define MiB (1ull << 20)
#define GiB (1ull << 30)

static inline struct rig rig_new(const char *options)
{
	static const struct siommu_device_params able = {
		.pasid_bits = 20,
		.ats = true,
		.page_requests = true,
	};

	return rig_with(&able, options);
}

/* Give the guest memory, from its address 0 on. */
static inline void rig_ram(struct rig *r, uint64_t bytes)
{
	r->ram = buffer(bytes);
	ASSERT_OK(map_at(r->ioas, r->ram, bytes, 0));
}

static inline struct siommu_port *pasid_port(const struct rig *r, uint32_t pasid)
{
	const struct siommu_port_params params = {
		.size = sizeof(params),
		.flags = SIOMMU_PORT_PASID,
		.pasid = pasid,
	};
	struct siommu_port *port;

	ASSERT_OK(siommu_port_create(r->dev, &params, &port));
	return port;
}

static inline int nested_on(const struct rig *r, uint32_t parent, uint64_t root, uint64_t s1_flags,
			    uint32_t width, unsigned int flags, uint32_t *id)
{
	const struct iommu_hwpt_vtd_s1 s1 = {
		.flags = s1_flags,
		.pgtbl_addr = root,
		.addr_width = width,
	};

	return hwpt_alloc_full(r->id, parent, flags, 0, IOMMU_HWPT_DATA_VTD_S1, &s1, sizeof(s1),
			       id);
}

static inline int invalidate_s1(uint32_t hwpt, uint64_t address, uint64_t npages)
{
	const struct iommu_hwpt_vtd_s1_invalidate inv = { .addr = address, .npages = npages };
	uint32_t n = 1;

	return invalidate(hwpt, IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, &inv, sizeof(inv), &n);
}

/* The reason of a request's fault; 0 if it has none. */
static inline uint32_t reason_of(struct siommu_port *port, uint64_t iova, unsigned int access)
{
	uint64_t hpa;

	if (!siommu_dma_translate(port, iova, access, &hpa, NULL))
		return 0;
	return siommu_dma_fault(port)->reason;
}

/* Bits of first-stage entries, for a guest's tables. */
#define FS_P  (1ull << 0)
#define FS_RW (1ull << 1)
#define FS_US (1ull << 2)
#define FS_A  (1ull << 5)
#define FS_D  (1ull << 6)
#define FS_PS (1ull << 7)
#define FS_EA (1ull << 10)
#define FS_XD (1ull << 63)

static inline uint64_t *guest_word(const struct rig *r, uint64_t gpa)
{
	return (uint64_t *)(r->ram + gpa);
}

/* The guest's tables stand one behind the other, from @root on: *@next is the first free page. */
static inline uint64_t *guest_map(const struct rig *r, uint64_t root, uint64_t *next, uint64_t va,
				  unsigned int levels, unsigned int leaf_level, uint64_t leaf)
{
	uint64_t table = root, *entry;
	unsigned int level;

	for (level = levels - 1;; level--) {
		entry = guest_word(r, table + (va >> (12 + 9 * level) & 511) * 8);
		if (level == leaf_level)
			break;
		if (!*entry) {
			*entry = *next | FS_P | FS_RW | FS_US;
			*next += PAGE;
		}
		table = *entry & 0xffffffffff000ull;
	}
	*entry = leaf;
	return entry;
}

#endif
