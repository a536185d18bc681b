// SPDX-License-Identifier: MIT
/*
 * A guest with tables of its own, nested on the host's.
 *
 * Its tables are in its memory, in the vendor's format, and map a few addresses,
 * each to one of two pages in turn. When the invalidation of an entry has
 * returned, the page that it led to before is as good as unmapped.
 *
 * AMD's guests have tables as well, but no invalidation yet in the kernel's API.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <softiommu/abi/iommufd.h>

#include "dma_stress.h"

#define GUEST_GPA   ((uint64_t)2 << 30)
#define GUEST_GVA   ((uint64_t)5 << 30)
#define GUEST_PAGES 8
#define GUEST_ASID  7u
#define GUEST_SID   0x123u

/* Pages of the guest's memory: 4 levels of tables, the context descriptor, data. */
enum { TABLES, DESCRIPTOR = 4, DATA, GUEST_BYTES = (DATA + 2 * GUEST_PAGES) * 4096 };

/**
 * struct vendor - how a guest is made
 * @model: for which IOMMU
 * @table: bits of an entry that leads to a table
 * @page: bits of one that leads to a page
 * @begin: make what is nested; guest.hwpt
 * @invalidate: one page
 */
struct vendor {
	const char *model;
	uint64_t table;
	uint64_t page;
	void (*begin)(void);
	int (*invalidate)(uint64_t gva);
};

static struct {
	const struct vendor *vendor;
	struct device device;
	char *memory;
	uint32_t parent;
	uint32_t viommu;
	uint32_t hwpt;
	bool second[GUEST_PAGES]; /* which of the two pages it leads to */
} guest;

static uint64_t gpa_of(unsigned int page)
{
	return GUEST_GPA + page * PAGE;
}

static uint64_t *entry_of(unsigned int table, uint64_t gva)
{
	return (uint64_t *)(guest.memory + (TABLES + table) * PAGE) +
	       (gva >> (39 - 9 * table) & 511);
}

static char *data_of(unsigned int i, bool second)
{
	return guest.memory + (DATA + 2 * i + second) * PAGE;
}

/* Devices read it at any time. */
static void set_entry(unsigned int i, uint64_t bits)
{
	uint64_t *entry = entry_of(3, GUEST_GVA + i * PAGE);
	uint64_t at = gpa_of(DATA + 2 * i + guest.second[i]);

	__atomic_store_n(entry, bits ? at | bits : 0, __ATOMIC_RELEASE);
}

static int invalidate(uint32_t id, uint32_t type, const void *entry, uint32_t bytes)
{
	struct iommu_hwpt_invalidate cmd = {
		.size = sizeof(cmd),
		.hwpt_id = id,
		.data_uptr = addr(entry),
		.data_type = type,
		.entry_len = bytes,
		.entry_num = 1,
	};

	return siommu_ioctl(world.ctx, IOMMU_HWPT_INVALIDATE, &cmd);
}

/* --- VT-d: an x86 table --- */

static void vtd_begin(void)
{
	const struct iommu_hwpt_vtd_s1 data = {
		.pgtbl_addr = gpa_of(TABLES),
		.addr_width = 48,
	};

	must("nested HWPT_ALLOC", new_hwpt(guest.device.id, guest.parent, 0, IOMMU_HWPT_DATA_VTD_S1,
					   &data, sizeof(data), &guest.hwpt));
}

static int vtd_invalidate(uint64_t gva)
{
	const struct iommu_hwpt_vtd_s1_invalidate entry = {
		.addr = gva,
		.npages = 1,
		.flags = IOMMU_VTD_INV_FLAGS_LEAF,
	};

	return invalidate(guest.hwpt, IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, &entry, sizeof(entry));
}

/* --- SMMUv3: a context descriptor, and a table of the Arm architecture --- */

#define CD_T0SZ(bits) ((uint64_t)(64 - (bits)))
#define CD_EPD1	      ((uint64_t)1 << 30)
#define CD_V	      ((uint64_t)1 << 31)
#define CD_IPS_44     ((uint64_t)4 << 32)
#define CD_AA64	      ((uint64_t)1 << 41)
#define CD_R_A_ASET   ((uint64_t)7 << 45)
#define CD_MAIR_WB    ((uint64_t)0xff)
#define STE_V_S1      ((uint64_t)1 | 5 << 1)
#define TLBI_NH_VA    0x12u

static void smmuv3_begin(void)
{
	struct iommu_viommu_alloc viommu = {
		.size = sizeof(viommu),
		.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
		.dev_id = guest.device.id,
		.hwpt_id = guest.parent,
	};
	struct iommu_vdevice_alloc vdevice = {
		.size = sizeof(vdevice),
		.dev_id = guest.device.id,
		.virt_id = GUEST_SID,
	};
	const struct iommu_hwpt_arm_smmuv3 data = { .ste = { STE_V_S1 | gpa_of(DESCRIPTOR) } };
	uint64_t *cd = (uint64_t *)(guest.memory + DESCRIPTOR * PAGE);

	cd[0] = CD_T0SZ(48) | CD_EPD1 | CD_V | CD_IPS_44 | CD_AA64 | CD_R_A_ASET |
		(uint64_t)GUEST_ASID << 48;
	cd[1] = gpa_of(TABLES);
	cd[3] = CD_MAIR_WB;
	must("VIOMMU_ALLOC", siommu_ioctl(world.ctx, IOMMU_VIOMMU_ALLOC, &viommu));
	guest.viommu = viommu.out_viommu_id;
	vdevice.viommu_id = guest.viommu;
	must("VDEVICE_ALLOC", siommu_ioctl(world.ctx, IOMMU_VDEVICE_ALLOC, &vdevice));
	must("nested HWPT_ALLOC",
	     new_hwpt(guest.device.id, guest.viommu, 0, IOMMU_HWPT_DATA_ARM_SMMUV3, &data,
		      sizeof(data), &guest.hwpt));
}

static int smmuv3_invalidate(uint64_t gva)
{
	const struct iommu_viommu_arm_smmuv3_invalidate entry = {
		.cmd = { TLBI_NH_VA | (uint64_t)GUEST_ASID << 48, gva | 1 },
	};

	return invalidate(guest.viommu, IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, &entry,
			  sizeof(entry));
}

static const struct vendor vendors[] = {
	/* Present, writable, a user's, accessed, and dirty. */
	{ "vtd", 0x27, 0x67, vtd_begin, vtd_invalidate },
	/* Valid, a page, a user's, inner shareable, accessed. */
	{ "smmuv3", 0x3, 0x743, smmuv3_begin, smmuv3_invalidate },
};

bool guest_begin(void)
{
	const uint64_t gva = GUEST_GVA;
	uint32_t ioas;
	unsigned int i;

	for (i = 0; i < sizeof(vendors) / sizeof(vendors[0]); i++)
		if (!strcmp(vendors[i].model, world.model))
			guest.vendor = &vendors[i];
	if (!guest.vendor)
		return false;
	guest.memory = new_memory(GUEST_BYTES, VALID);
	memset(guest.memory, 0, DATA * PAGE);
	for (i = 0; i < 3; i++)
		*entry_of(i, gva) = gpa_of(TABLES + i + 1) | guest.vendor->table;
	for (i = 0; i < GUEST_PAGES; i++)
		set_entry(i, guest.vendor->page);
	ioas = new_ioas();
	must("map", map(ioas, RW, GUEST_GPA, guest.memory, GUEST_BYTES));
	new_device(&guest.device, "guest", 0x40, NULL);
	must("parent HWPT_ALLOC", new_hwpt(guest.device.id, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, 0,
					   NULL, 0, &guest.parent));
	guest.vendor->begin();
	attach(&guest.device, guest.hwpt);
	return true;
}

void guest_end(void)
{
	if (!guest.vendor)
		return;
	end_device(&guest.device);
	munmap(guest.memory, GUEST_BYTES);
}

/* The device's thread. */
void guest_dma_turn(struct worker *w)
{
	touch(w, guest.device.port, GUEST_GVA + pick(w, GUEST_PAGES) * PAGE);
}

/* The guest's kernel. */
void guest_turn(struct worker *w)
{
	unsigned int i = pick(w, GUEST_PAGES);
	bool absent = pick(w, 2);
	char *before = data_of(i, guest.second[i]);
	int rc;

	guest.second[i] = !guest.second[i];
	set_entry(i, absent ? 0 : guest.vendor->page);
	pause_a_bit(w);
	rc = guest.vendor->invalidate(GUEST_GVA + i * PAGE);
	if (rc)
		problem("%s: invalidate: %d", w->name, rc);
	check_fence(w, "what a guest's table led to", before, PAGE);
	/* What was not there is not cached. */
	if (absent)
		set_entry(i, guest.vendor->page);
}
