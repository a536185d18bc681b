/* SPDX-License-Identifier: MIT */
/*
 * A virtual machine of 2020, as the tests of nesting containers have it: an edu device in
 * such a container, memory of a guest at guest physical address 0, and what the guest's
 * virtual IOMMU asks of the host's, as calls.
 */
#ifndef UNIT_ABI_NESTING_RIG_H
#define UNIT_ABI_NESTING_RIG_H

#include "pci_rig.h"

#include <softiommu/abi/iommu-2020.h>

#include "core/ctx.h"

#define NESTING VFIO_TYPE1_NESTING_IOMMU
#define NAME0	"0000:00:02.0"
#define NAME1	"0000:00:03.0"

#define EDU_CMD_PASID (1u << 8)
#define EDU_PASID_REG 0x70
#define EDU_FILL      4
#define EDU_OK	      0

/* Entries of guests' tables, for pages that may be read and written: VT-d's and Arm's. */
#define FS_PAGE	 (1ull | 1ull << 1 | 1ull << 2)
#define FS_TABLE FS_PAGE
#define S1_TABLE 3ull
#define S1_PAGE	 (3ull | 1ull << 6 | 1ull << 10)

/* A CD for 48 bits of addresses in tables of 4 KiB, IPS 48 bits. */
#define CD_48BIT                                                                                   \
	(16ull | 1ull << 30 | 1ull << 31 | 5ull << 32 | 1ull << 41 | 1ull << 45 | 1ull << 46)

#define RAM_BYTES (64 * PAGE)
#define ROOT	  (16 * PAGE)

/**
 * struct guest - the machine
 * @vfio: its container, group and device
 * @ram: guest physical address 0
 * @next: the next page of it that is free for tables
 */
struct guest {
	struct legacy vfio;
	uint8_t *ram;
	uint64_t next;
};

static const struct siommu_device_params vtd_able = {
	.pasid_bits = 20,
	.ats = true,
	.page_requests = true,
};

static const struct siommu_device_params smmuv3_able = { .pasid_bits = 20, .ats = true };

static inline void guest_memory(struct guest *g)
{
	g->ram = buffer(RAM_BYTES);
	g->next = ROOT + PAGE;
	ASSERT_OK(dma_map(g->vfio.container, g->ram, RAM_BYTES, 0, DMA_RW));
}

/* A machine with one function, behind this IOMMU. */
static inline struct guest guest_begin(const char *model, const char *options,
				       const struct siommu_device_params *able)
{
	struct guest g = { 0 };

	pci_rig_begin_with(model, options, able);
	pci_rig_add(0, NULL);
	g.vfio = legacy_open("/dev/vfio/0", NAME0, NESTING);
	set_master(g.vfio.device);
	guest_memory(&g);
	return g;
}

static inline struct guest guest_vtd(void)
{
	return guest_begin("vtd", NULL, &vtd_able);
}

static inline struct guest guest_smmuv3(void)
{
	return guest_begin("smmuv3", NULL, &smmuv3_able);
}

static inline void guest_end(struct guest *g)
{
	legacy_close(&g->vfio);
	pci_rig_end();
}

static inline uint64_t *guest_word(const struct guest *g, uint64_t gpa)
{
	return (uint64_t *)(g->ram + gpa);
}

/* A table of four levels at @root, of entries with these bits: @va is at @gpa. */
static inline void guest_map_bits(struct guest *g, uint64_t root, uint64_t va, uint64_t gpa,
				  uint64_t table_bits, uint64_t page_bits)
{
	uint64_t table = root, *entry;
	unsigned int level;

	for (level = 3;; level--) {
		entry = guest_word(g, table + (va >> (12 + 9 * level) & 511) * 8);
		if (!level)
			break;
		if (!*entry) {
			*entry = g->next | table_bits;
			g->next += PAGE;
		}
		table = *entry & 0xffffffffff000ull;
	}
	*entry = gpa | page_bits;
}

static inline void guest_map(struct guest *g, uint64_t root, uint64_t va, uint64_t gpa)
{
	guest_map_bits(g, root, va, gpa, FS_TABLE, FS_PAGE);
}

/* The context descriptor of a PASID in a table at @cds, for tables at @root. */
static inline void guest_cd(struct guest *g, uint64_t cds, uint32_t pasid, uint64_t asid,
			    uint64_t root)
{
	uint64_t *cd = guest_word(g, cds + 64 * pasid);

	cd[1] = root;
	cd[3] = 0xf404ff44;
	cd[0] = CD_48BIT | asid << 48;
}

/* The device writes a word there, with a PASID. Return: its result. */
static inline uint32_t guest_dma(const struct guest *g, uint32_t pasid, uint64_t va, uint64_t word)
{
	const int device = g->vfio.device;

	set_reg32(device, REGION(0) + EDU_PASID_REG, pasid);
	set_reg64(device, REGION(0) + EDU_OPERAND, word);
	return edu_move(device, EDU_FILL | (pasid ? EDU_CMD_PASID : 0), va, 8);
}

/* The capability of a container, or NULL; good until the next is looked for. */
static inline struct vfio_info_cap_header *find_cap(int container, uint16_t id)
{
	static uint64_t room[64];
	struct vfio_iommu_type1_info *info = (void *)room;
	struct vfio_info_cap_header *cap;
	uint32_t at;

	memset(room, 0, sizeof(room));
	info->argsz = sizeof(room);
	ASSERT_OK(vcall(container, VFIO_IOMMU_GET_INFO, info));
	for (at = info->cap_offset; at; at = cap->next) {
		ASSERT_TRUE(!(at % 8) && at < sizeof(room));
		cap = (void *)((uint8_t *)info + at);
		if (cap->id == id)
			return cap;
	}
	return NULL;
}

static inline struct iommu_nesting_info nesting_info(int container)
{
	struct vfio_iommu_type1_info_cap_nesting *cap =
		(void *)find_cap(container, VFIO_IOMMU_TYPE1_INFO_CAP_NESTING);

	ASSERT_TRUE(cap);
	EXPECT_EQ(1, cap->header.version);
	return cap->info;
}

/*
 * Intel's series
 */

static inline long pasid_request(int container, uint32_t flags, uint32_t min, uint32_t max)
{
	struct vfio_iommu_type1_pasid_request cmd = {
		.argsz = sizeof(cmd),
		.flags = flags,
		.range = { min, max },
	};

	return vcall(container, VFIO_IOMMU_PASID_REQUEST, &cmd);
}

static inline long pasid_alloc(int container, uint32_t min, uint32_t max)
{
	return pasid_request(container, VFIO_IOMMU_FLAG_ALLOC_PASID, min, max);
}

static inline long pasid_free(int container, uint32_t min, uint32_t max)
{
	return pasid_request(container, VFIO_IOMMU_FLAG_FREE_PASID, min, max);
}

/* A header of VFIO's with a structure behind it. */
struct nesting_op {
	uint32_t argsz;
	uint32_t flags;
	union {
		uint32_t argsz;
		struct iommu_gpasid_bind_data bind;
		struct iommu_cache_invalidate_info inv;
		struct iommu_pasid_table_config table;
		uint8_t room[128];
	} data;
};

static inline struct nesting_op bind_op(uint32_t op, uint64_t pasid, uint64_t root)
{
	return (struct nesting_op){
		.argsz = 8 + sizeof(struct iommu_gpasid_bind_data),
		.flags = op,
		.data.bind = {
			.argsz = sizeof(struct iommu_gpasid_bind_data),
			.version = IOMMU_GPASID_BIND_VERSION_1,
			.format = IOMMU_PASID_FORMAT_INTEL_VTD,
			.addr_width = 48,
			.gpgd = root,
			.hpasid = pasid,
		},
	};
}

static inline long pgtbl_bind(int container, uint64_t pasid, uint64_t root)
{
	struct nesting_op op = bind_op(VFIO_IOMMU_NESTING_OP_BIND_PGTBL, pasid, root);

	return vcall(container, VFIO_IOMMU_NESTING_OP, &op);
}

static inline long pgtbl_unbind(int container, uint64_t pasid)
{
	struct nesting_op op = bind_op(VFIO_IOMMU_NESTING_OP_UNBIND_PGTBL, pasid, 0);

	return vcall(container, VFIO_IOMMU_NESTING_OP, &op);
}

/* All of a PASID. */
static inline struct iommu_cache_invalidate_info inv_pasid(uint8_t cache, uint64_t pasid)
{
	return (struct iommu_cache_invalidate_info){
		.argsz = sizeof(struct iommu_cache_invalidate_info),
		.version = IOMMU_CACHE_INVALIDATE_INFO_VERSION_1,
		.cache = cache,
		.granularity = IOMMU_INV_GRANU_PASID,
		.granu.pasid_info = { .flags = IOMMU_INV_PASID_FLAGS_PASID, .pasid = pasid },
	};
}

/* Pages of a PASID. */
static inline struct iommu_cache_invalidate_info inv_pages(uint64_t pasid, uint64_t va, uint64_t n)
{
	return (struct iommu_cache_invalidate_info){
		.argsz = sizeof(struct iommu_cache_invalidate_info),
		.version = IOMMU_CACHE_INVALIDATE_INFO_VERSION_1,
		.cache = IOMMU_CACHE_INV_TYPE_IOTLB | IOMMU_CACHE_INV_TYPE_DEV_IOTLB,
		.granularity = IOMMU_INV_GRANU_ADDR,
		.granu.addr_info = {
			.flags = IOMMU_INV_ADDR_FLAGS_PASID,
			.pasid = pasid,
			.addr = va,
			.granule_size = PAGE,
			.nb_granules = n,
		},
	};
}

static inline struct nesting_op inv_op(struct iommu_cache_invalidate_info inv, uint32_t flags)
{
	return (struct nesting_op){ .argsz = 8 + sizeof(inv), .flags = flags, .data.inv = inv };
}

static inline long cache_invld(int container, struct iommu_cache_invalidate_info inv)
{
	struct nesting_op op = inv_op(inv, VFIO_IOMMU_NESTING_OP_CACHE_INVLD);

	return vcall(container, VFIO_IOMMU_NESTING_OP, &op);
}

/*
 * Arm's series
 */

static inline struct iommu_pasid_table_config table_config(uint8_t config, uint64_t base,
							   uint8_t bits)
{
	return (struct iommu_pasid_table_config){
		.argsz = sizeof(struct iommu_pasid_table_config),
		.version = PASID_TABLE_CFG_VERSION_1,
		.base_ptr = base,
		.format = IOMMU_PASID_FORMAT_SMMUV3,
		.pasid_bits = bits,
		.config = config,
		.vendor_data.smmuv3 = { .version = PASID_TABLE_SMMUV3_CFG_VERSION_1 },
	};
}

static inline long table_set(int container, struct iommu_pasid_table_config config)
{
	struct vfio_iommu_type1_set_pasid_table cmd = {
		.argsz = sizeof(cmd),
		.flags = VFIO_PASID_TABLE_FLAG_SET,
		.config = config,
	};

	return vcall(container, VFIO_IOMMU_SET_PASID_TABLE, &cmd);
}

static inline long table_unset(int container)
{
	struct vfio_iommu_type1_set_pasid_table cmd = {
		.argsz = sizeof(cmd),
		.flags = VFIO_PASID_TABLE_FLAG_UNSET,
	};

	return vcall(container, VFIO_IOMMU_SET_PASID_TABLE, &cmd);
}

static inline long arm_invalidate(int container, struct iommu_cache_invalidate_info inv)
{
	struct nesting_op op = inv_op(inv, 0);

	return vcall(container, VFIO_IOMMU_CACHE_INVALIDATE, &op);
}

static inline long msi_binding(int container, uint32_t flags, uint64_t iova, uint64_t gpa,
			       uint64_t size)
{
	struct vfio_iommu_type1_set_msi_binding cmd = {
		.argsz = sizeof(cmd),
		.flags = flags,
		.iova = iova,
		.gpa = gpa,
		.size = size,
	};

	return vcall(container, VFIO_IOMMU_SET_MSI_BINDING, &cmd);
}

#endif
