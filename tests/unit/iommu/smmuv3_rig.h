/* SPDX-License-Identifier: MIT */
/*
 * What the tests of SMMUv3 through the public API share: a unit with one device
 * that is bound, an IOAS, and memory that a guest believes to be its own: guest
 * address 0 is rig->ram. In it the guest has its STE's CDs and its stage 1.
 */
#ifndef UNIT_SMMUV3_RIG_H
#define UNIT_SMMUV3_RIG_H

#define SID 0x1a3u

#define RIG_MODEL     "smmuv3"
#define RIG_REQUESTER SID

#include "rig.h"

#define NEST  IOMMU_HWPT_ALLOC_NEST_PARENT
#define DIRTY IOMMU_HWPT_ALLOC_DIRTY_TRACKING
#define FAULT IOMMU_HWPT_FAULT_ID_VALID
#define PASID IOMMU_HWPT_ALLOC_PASID

#define ARM_VIOMMU  IOMMU_VIOMMU_TYPE_ARM_SMMUV3
#define ARM_VEVENTQ IOMMU_VEVENTQ_TYPE_ARM_SMMUV3
#define ARM_INV	    IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3

#define RD SIOMMU_DMA_READ
#define WR SIOMMU_DMA_WRITE
#define EX SIOMMU_DMA_EXEC
#define PV SIOMMU_DMA_PRIV

#define VSID 0x21u

#define MiB (1ull << 20)
#define GiB (1ull << 30)

#define STE_V	     (1ull << 0)
#define STE_BYPASS   (STE_V | 4ull << 1)
#define STE_S1	     (STE_V | 5ull << 1)
#define STE_CDMAX(n) ((uint64_t)(n) << 59)

/* A CD for 48 bits of addresses in tables of 4 KiB, IPS 48 bits. */
#define CD_48BIT                                                                                   \
	(16ull | 1ull << 30 | 1ull << 31 | 5ull << 32 | 1ull << 41 | 1ull << 45 | 1ull << 46)

#define D_TABLE 3ull
#define D_PAGE	(3ull | 1ull << 6 | 1ull << 10) /* for users, AF */
#define D_BLOCK (1ull | 1ull << 6 | 1ull << 10)
#define D_RO	(1ull << 7)
#define D_AF	(1ull << 10)
#define D_DBM	(1ull << 51)

static inline struct rig rig_new(const char *options)
{
	static const struct siommu_device_params able = { .pasid_bits = 20, .ats = true };

	return rig_with(&able, options);
}

/* Give the guest memory, from its address 0 on. */
static inline void rig_ram(struct rig *r, uint64_t bytes)
{
	r->ram = buffer(bytes);
	r->next = PAGE;
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

static inline int nested_on(const struct rig *r, uint32_t viommu, uint64_t ste0, uint64_t ste1,
			    unsigned int flags, uint32_t *id)
{
	const struct iommu_hwpt_arm_smmuv3 ste = { { ste0, ste1 } };

	return hwpt_alloc_full(r->id, viommu, flags, 0, IOMMU_HWPT_DATA_ARM_SMMUV3, &ste,
			       sizeof(ste), id);
}

static inline int command(uint32_t viommu, uint64_t cmd0, uint64_t cmd1)
{
	const struct iommu_viommu_arm_smmuv3_invalidate cmd = { { cmd0, cmd1 } };
	uint32_t n = 1;
	int rc = invalidate(viommu, ARM_INV, &cmd, sizeof(cmd), &n);

	EXPECT_EQ(!rc, n);
	return rc;
}

/* The event of a request; 0 if it has none. */
static inline uint32_t event_of(struct siommu_port *port, uint64_t iova, unsigned int access)
{
	uint64_t hpa;

	if (!siommu_dma_translate(port, iova, access, &hpa, NULL))
		return 0;
	return siommu_dma_fault(port)->reason;
}

static inline uint64_t *guest_word(const struct rig *r, uint64_t gpa)
{
	return (uint64_t *)(r->ram + gpa);
}

static inline uint64_t guest_page(struct rig *r)
{
	uint64_t page = r->next;

	r->next += PAGE;
	return page;
}

/* The entry for @va in tables of 4 KiB that begin at @root with level 0. */
static inline uint64_t *guest_map(struct rig *r, uint64_t root, uint64_t va, unsigned int level,
				  uint64_t leaf)
{
	uint64_t table = root, *entry;
	unsigned int i;

	for (i = 0;; i++) {
		entry = guest_word(r, table + (va >> (39 - 9 * i) & 511) * 8);
		if (i == level)
			break;
		if (!*entry)
			*entry = guest_page(r) | D_TABLE;
		table = *entry & 0xfffffffff000ull;
	}
	*entry = leaf;
	return entry;
}

static inline void guest_cd(struct rig *r, uint64_t cd, uint64_t word0, uint64_t root)
{
	guest_word(r, cd)[1] = root;
	guest_word(r, cd)[3] = 0xf404ff44;
	guest_word(r, cd)[0] = word0;
}

#endif
