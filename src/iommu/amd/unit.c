// SPDX-License-Identifier: MIT
/*
 * An AMD IOMMU as a unit, and the devices behind it.
 *
 * What it can do is in its two feature registers, which options build and user
 * space gets to see; nothing else is remembered. The values that they begin with
 * are those of a real machine, plus accessed and dirty bits for host tables
 * (HASup, HDSup) and GCR3 tables in a guest's memory (GCR3TRPMode), and with
 * host tables of 4 levels.
 */
#include <stdio.h>

#include <softiommu/abi/iommu-2020.h>

#include "amd.h"
#include "iommu/models.h"

#define EFR_DEFAULT  0x247777efa22542faull
#define EFR2_DEFAULT 0x18ull

/* An option that was not given leaves the register as it is. */
#define NOT_GIVEN U64_MAX

#define PASID_BITS_MAX 16

u16 amd_domain_id_get(struct amd_unit *unit)
{
	u16 id = 0;
	size_t i;

	pthread_mutex_lock(&unit->lock);
	for (i = 0; i < ARRAY_SIZE(unit->domains); i++) {
		unsigned int bit;

		if (!~unit->domains[i])
			continue;
		bit = lowest_bit(~unit->domains[i]);
		unit->domains[i] |= (u64)1 << bit;
		id = (u16)(i * 64 + bit);
		break;
	}
	pthread_mutex_unlock(&unit->lock);
	return id;
}

void amd_domain_id_put(struct amd_unit *unit, u16 id)
{
	pthread_mutex_lock(&unit->lock);
	unit->domains[id / 64] &= ~((u64)1 << id % 64);
	pthread_mutex_unlock(&unit->lock);
}

static int amd_hw_info(struct iommu_device *dev, struct base_alloc *alloc, u32 *type, void **data,
		       u32 *len)
{
	const struct amd_unit *unit = to_amd_unit(dev->unit);
	struct iommu_hw_info_amd *info;

	if (*type != IOMMU_HW_INFO_TYPE_DEFAULT && *type != IOMMU_HW_INFO_TYPE_AMD)
		return -EOPNOTSUPP;
	info = base_zalloc(alloc, sizeof(*info));
	if (!info)
		return -ENOMEM;
	info->efr = unit->efr;
	info->efr2 = unit->efr2;
	*type = IOMMU_HW_INFO_TYPE_AMD;
	*data = info;
	*len = sizeof(*info);
	return 0;
}

static bool amd_capable(struct iommu_device *dev, enum iommu_cap cap)
{
	const struct amd_unit *unit = to_amd_unit(dev->unit);

	switch (cap) {
	case IOMMU_CAP_CACHE_COHERENCY:
	case IOMMU_CAP_ENFORCE_CACHE_COHERENCY:
		return true;
	case IOMMU_CAP_DIRTY_TRACKING:
		return unit->efr & EFR_HD && amd_host_levels(unit);
	case IOMMU_CAP_PCI_ATS:
		return to_amd_device(dev)->ats;
	default:
		return false;
	}
}

/*
 * In the terms that all IOMMUs share. An IO_PAGE_FAULT for want of a GCR3 entry looks like
 * one for want of a page.
 */
static u32 fault_cause(const struct siommu_fault *fault, u64 *fetch_addr)
{
	const u32 flags = (u32)(fault->record[0] >> 48);

	switch (fault->reason) {
	case AMD_IO_PAGE_FAULT:
		return flags & AMD_EVENT_PE ? IOMMU_FAULT_REASON_PERMISSION
					    : IOMMU_FAULT_REASON_PTE_FETCH;
	case AMD_PAGE_TAB_HARDWARE_ERROR:
		*fetch_addr = fault->record[1];
		return IOMMU_FAULT_REASON_WALK_EABT;
	default:
		return IOMMU_FAULT_REASON_UNKNOWN;
	}
}

/* Section 2.5 "Event Logging". */
static const char *reason_name(u32 reason)
{
	switch (reason) {
	case AMD_ILLEGAL_DEV_TABLE_ENTRY:
		return "ILLEGAL_DEV_TABLE_ENTRY";
	case AMD_IO_PAGE_FAULT:
		return "IO_PAGE_FAULT";
	case AMD_PAGE_TAB_HARDWARE_ERROR:
		return "PAGE_TAB_HARDWARE_ERROR";
	case AMD_INVALID_DEVICE_REQUEST:
		return "INVALID_DEVICE_REQUEST";
	default:
		return NULL;
	}
}

static void unit_destroy(struct iommu_unit *common)
{
	struct amd_unit *unit = to_amd_unit(common);

	pthread_mutex_destroy(&unit->lock);
	iommu_unit_end(common);
	base_free(common->alloc, unit, sizeof(*unit));
}

/* Return: false if another device has that id. */
static bool requester_get(struct amd_unit *unit, u32 id)
{
	u64 *word = &unit->devices[id / 64], bit = (u64)1 << id % 64;
	bool taken;

	pthread_mutex_lock(&unit->lock);
	taken = *word & bit;
	*word |= bit;
	pthread_mutex_unlock(&unit->lock);
	return !taken;
}

static void requester_put(struct amd_unit *unit, u32 id)
{
	pthread_mutex_lock(&unit->lock);
	unit->devices[id / 64] &= ~((u64)1 << id % 64);
	pthread_mutex_unlock(&unit->lock);
}

static void device_destroy(struct iommu_device *dev)
{
	struct base_alloc *alloc = dev->unit->alloc;

	requester_put(to_amd_unit(dev->unit), dev->requester);
	iommu_device_destroy(dev);
	base_free(alloc, to_amd_device(dev), sizeof(struct amd_device));
}

static int add_resv(struct iommu_device *dev)
{
	int rc = iommu_device_add_resv(dev, AMD_MSI_FIRST, AMD_MSI_LAST, IOMMU_RESV_MSI);

	if (rc || to_amd_unit(dev->unit)->efr2 & EFR2_HT_RANGE_IGNORE)
		return rc;
	return iommu_device_add_resv(dev, AMD_HT_FIRST, AMD_HT_LAST, IOMMU_RESV_RESERVED);
}

static unsigned int pasid_bits(const struct amd_unit *unit)
{
	unsigned int bits = (unsigned int)((unit->efr & EFR_PAS) >> EFR_PAS_SHIFT) + 1;

	if (!(unit->efr & EFR_GT))
		return 0;
	return bits < PASID_BITS_MAX ? bits : PASID_BITS_MAX;
}

/* Linux keeps the last PASID of the unit's: that makes a power of two less. */
static unsigned int max_pasid_log2(const struct iommu_device *dev)
{
	unsigned int bits = dev->pasid_bits;

	return bits && bits == pasid_bits(to_amd_unit(dev->unit)) ? bits - 1 : bits;
}

static int device_create(struct iommu_unit *common, struct iommu_group *group,
			 const struct iommu_device_desc *desc, struct iommu_device **out)
{
	struct amd_unit *unit = to_amd_unit(common);
	struct amd_device *dev;
	int rc;

	/* A PCI requester id, page requests as PCIe has them, and no stalls: these are Arm's. */
	if (desc->requester >= AMD_MAX_DEVICES || desc->stall ||
	    (desc->page_requests && !desc->ats))
		return -EINVAL;
	if (!requester_get(unit, desc->requester))
		return -EINVAL;
	dev = base_zalloc_aligned(common->alloc, sizeof(*dev), __alignof__(*dev));
	if (!dev) {
		rc = -ENOMEM;
		goto err_requester;
	}
	rc = iommu_device_init(&dev->dev, common, group, desc->name);
	if (rc)
		goto err_free;
	dev->dev.requester = desc->requester;
	dev->dev.pasid_bits = (unsigned int)min_u64(desc->pasid_bits, pasid_bits(unit));
	dev->dev.max_pasid_log2 = max_pasid_log2(&dev->dev);
	dev->ats = desc->ats;
	dev->dev.page_requests = desc->page_requests && unit->efr & EFR_PPR;
	rc = add_resv(&dev->dev);
	if (rc)
		goto err_device;
	amd_block(dev);
	*out = &dev->dev;
	return 0;

err_device:
	iommu_device_destroy(&dev->dev);
err_free:
	base_free(common->alloc, dev, sizeof(*dev));
err_requester:
	requester_put(unit, desc->requester);
	return rc;
}

/*
 * Linux 7.3 has code to make nested domains and no way to call it, so that is
 * what a model of it has, too: the second table is for kernels to come.
 */
#define AMD_OPS(...)                                                                               \
	{                                                                                          \
		.name = "amd", .faults_need_pasid = true, .hw_info = amd_hw_info,                  \
		.capable = amd_capable, .domain_alloc_paging = amd_alloc_paging,                   \
		.blocked_domain = &amd_blocked, .unit_destroy = unit_destroy,                      \
		.device_create = device_create, .device_destroy = device_destroy,                  \
		.translate = amd_translate, .fault_cause = fault_cause,                            \
		.reason_name = reason_name,                                                        \
		.viommu_supported = amd_viommu_supported, .viommu_alloc = amd_viommu_alloc,        \
		__VA_ARGS__                                                                        \
	}

static const struct iommu_ops amd_ops = AMD_OPS();
static const struct iommu_ops amd_nested_ops = AMD_OPS(.domain_alloc_nested = amd_alloc_nested);

/* What the options say, NOT_GIVEN for those that were not. */
struct options {
	u64 hats, gats, pasid, pri, dirty, nested, pgtbl, efr, efr2;
};

static u64 set_field(u64 reg, u64 mask, unsigned int shift, u64 value)
{
	return (reg & ~mask) | value << shift;
}

static u64 set_bits(u64 reg, u64 bits, u64 on)
{
	return on ? reg | bits : reg & ~bits;
}

static void apply(const struct options *o, struct amd_unit *unit)
{
	unit->efr = o->efr;
	unit->efr2 = o->efr2;
	if (o->hats != NOT_GIVEN)
		unit->efr = set_field(unit->efr, EFR_HATS, EFR_HATS_SHIFT, o->hats - 4);
	if (o->gats != NOT_GIVEN)
		unit->efr = set_field(unit->efr, EFR_GATS, EFR_GATS_SHIFT, o->gats - 4);
	if (o->pasid != NOT_GIVEN)
		unit->efr = set_field(unit->efr, EFR_PAS, EFR_PAS_SHIFT, o->pasid - 1);
	if (o->pri != NOT_GIVEN)
		unit->efr = set_bits(unit->efr, EFR_PPR, o->pri);
	if (o->dirty != NOT_GIVEN)
		unit->efr = set_bits(unit->efr, EFR_HA | EFR_HD, o->dirty);
	/* Linux falls back to the kind of tables that there is. */
	unit->guest_default = unit->efr & EFR_GT && (o->pgtbl == 2 || !amd_host_levels(unit));
	unit->unit.ops = o->nested ? &amd_nested_ops : &amd_ops;
}

static int check(const struct amd_unit *unit, char *error, size_t n)
{
	if (!amd_host_levels(unit) && !(unit->efr & EFR_GT)) {
		snprintf(error, n, "efr has neither host tables (HATS) nor guest tables (GTSup)");
		return -EINVAL;
	}
	if ((unit->efr & EFR_GATS) >> EFR_GATS_SHIFT > 1) {
		snprintf(error, n, "efr has a reserved value of GATS");
		return -EINVAL;
	}
	return 0;
}

static int unit_create(struct mem_host *host, const char *options, char *error, size_t n,
		       struct iommu_unit **out)
{
	struct options o = {
		.hats = NOT_GIVEN,
		.gats = NOT_GIVEN,
		.pasid = NOT_GIVEN,
		.pri = NOT_GIVEN,
		.dirty = NOT_GIVEN,
		.pgtbl = 1,
		.efr = EFR_DEFAULT,
		.efr2 = EFR2_DEFAULT,
	};
	const struct iommu_unit_option known[] = {
		{ "hats", 4, AMD_MODE_MAX, &o.hats },
		{ "gats", 4, 5, &o.gats },
		{ "pasid", 1, PASID_BITS_MAX, &o.pasid },
		{ "pri", 0, 1, &o.pri },
		{ "dirty", 0, 1, &o.dirty },
		{ "nested", 0, 1, &o.nested },
		{ "pgtbl", 1, 2, &o.pgtbl },
		{ "efr", 0, U64_MAX, &o.efr },
		{ "efr2", 0, U64_MAX, &o.efr2 },
	};
	struct amd_unit *unit;
	int rc;

	rc = iommu_parse_options(options, known, ARRAY_SIZE(known), error, n);
	if (rc)
		return rc;
	unit = base_zalloc(host->alloc, sizeof(*unit));
	if (!unit)
		return -ENOMEM;
	rc = iommu_unit_init(&unit->unit, &amd_ops, host);
	if (rc)
		goto err_free;
	apply(&o, unit);
	rc = check(unit, error, n);
	if (rc)
		goto err_unit;
	pthread_mutex_init(&unit->lock, NULL);
	unit->domains[0] = 1; /* 0 stands for none */
	*out = &unit->unit;
	return 0;

err_unit:
	iommu_unit_end(&unit->unit);
err_free:
	base_free(host->alloc, unit, sizeof(*unit));
	return rc;
}

const struct iommu_model amd_model = {
	.name = "amd",
	.summary = "AMD I/O Virtualization Technology",
	.options =
		"  hats=4|5|6     levels of host tables: 48, 57 or 64 bits of IOVA (4)\n"
		"  gats=4|5       levels of guest tables (4)\n"
		"  pgtbl=1|2      tables of domains without flags: host (1) or guest (2) ones (1)\n"
		"  pasid=BITS     width of PASIDs, 1 to 16 (16)\n"
		"  pri=on|off     page requests, PPRSup (on)\n"
		"  dirty=on|off   accessed and dirty bits in host tables, HASup and HDSup (on)\n"
		"  nested=on|off  nested domains, which Linux 7.3 refuses (off)\n"
		"  efr=N, efr2=N  feature registers, before the options above change them\n",
	.unit_create = unit_create,
};
