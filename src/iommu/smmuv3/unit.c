// SPDX-License-Identifier: MIT
/*
 * The SMMU as a unit: its options, its identification registers, its devices.
 *
 * What the unit can do follows from the registers alone, as it does for a driver.
 * The defaults are those that a virtual SMMU of QEMU can be put on: a stream table
 * of two levels, all three granules, and no updates of dirty state (HTTU), since
 * QEMU before 11 would then ask for a nest parent that tracks dirty pages, which
 * Linux refuses on Arm.
 */
#include <stdio.h>
#include <string.h>

#include "smmuv3.h"

/* Larger stream tables would cost memory that no device uses. */
#define MAX_SID_BITS 24

#define NOT_GIVEN U64_MAX

/* What the user may say. */
struct options {
	u64 httu, stall, oas, ssid, sid, ats, canwbs, fwb, ril;
	u64 idr[6];
};

static int hw_info(struct iommu_device *dev, struct base_alloc *alloc, u32 *type, void **data,
		   u32 *len)
{
	struct iommu_hw_info_arm_smmuv3 *info;

	if (*type != IOMMU_HW_INFO_TYPE_DEFAULT && *type != IOMMU_HW_INFO_TYPE_ARM_SMMUV3)
		return -EOPNOTSUPP;
	info = base_zalloc(alloc, sizeof(*info));
	if (!info)
		return -ENOMEM;
	memcpy(info->idr, to_smmuv3(dev)->idr, sizeof(info->idr));
	info->aidr = AIDR_V3_2;
	*type = IOMMU_HW_INFO_TYPE_ARM_SMMUV3;
	*data = info;
	*len = sizeof(*info);
	return 0;
}

static bool capable(struct iommu_device *dev, enum iommu_cap cap)
{
	const struct smmuv3_unit *smmu = to_smmuv3(dev);

	switch (cap) {
	case IOMMU_CAP_CACHE_COHERENCY:
		return smmu->idr[0] & IDR0_COHACC;
	case IOMMU_CAP_ENFORCE_CACHE_COHERENCY:
		return smmu->canwbs;
	case IOMMU_CAP_DIRTY_TRACKING:
		return has_dirty(smmu) && smmu->idr[0] & IDR0_COHACC;
	case IOMMU_CAP_PCI_ATS:
		return to_smmuv3_device(dev)->ats;
	case IOMMU_CAP_PASID_EXEC:
	case IOMMU_CAP_PASID_PRIV:
		return dev->pasid_bits;
	default:
		return false;
	}
}

static void device_destroy(struct iommu_device *common)
{
	struct smmuv3_device *dev = to_smmuv3_device(common);
	struct base_alloc *alloc = common->unit->alloc;

	smmuv3_stream_remove(dev);
	smmuv3_cds_free(dev);
	iommu_device_destroy(common);
	base_free(alloc, dev, sizeof(*dev));
}

static int device_create(struct iommu_unit *unit, struct iommu_group *group,
			 const struct iommu_device_desc *desc, struct iommu_device **out)
{
	const struct smmuv3_unit *smmu = container_of(unit, struct smmuv3_unit, unit);
	struct smmuv3_device *dev;
	int rc;

	if ((u64)desc->requester >> smmu->sid_bits)
		return -EINVAL;
	if (desc->stall && field(smmu->idr[0], 25, 24) == STALL_NEVER)
		return -EINVAL;
	dev = base_zalloc(unit->alloc, sizeof(*dev));
	if (!dev)
		return -ENOMEM;
	rc = iommu_device_init(&dev->dev, unit, group, desc->name);
	if (rc)
		goto err_free;
	dev->dev.requester = desc->requester;
	dev->dev.pasid_bits = (unsigned int)min_u64(desc->pasid_bits, smmu->ssid_bits);
	dev->dev.max_pasid_log2 = dev->dev.pasid_bits;
	dev->ats = desc->ats && smmu->idr[0] & IDR0_ATS;
	dev->stall = desc->stall || field(smmu->idr[0], 25, 24) == STALL_FORCED;
	dev->blocked = true;
	rc = iommu_device_add_resv(&dev->dev, MSI_BASE, MSI_BASE + MSI_BYTES - 1,
				   IOMMU_RESV_SW_MSI);
	if (!rc)
		rc = smmuv3_stream_add(dev);
	if (rc)
		goto err_device;
	*out = &dev->dev;
	return 0;

err_device:
	iommu_device_destroy(&dev->dev);
err_free:
	base_free(unit->alloc, dev, sizeof(*dev));
	return rc;
}

static size_t l1_bytes(const struct smmuv3_unit *smmu)
{
	return (size_t)8 << (smmu->sid_bits > L1STD_SPLIT ? smmu->sid_bits - L1STD_SPLIT : 0);
}

static void unit_destroy(struct iommu_unit *unit)
{
	struct smmuv3_unit *smmu = container_of(unit, struct smmuv3_unit, unit);
	struct base_alloc *alloc = unit->alloc;

	base_free(alloc, smmu->l1, l1_bytes(smmu));
	pthread_mutex_destroy(&smmu->lock);
	iommu_unit_end(unit);
	base_free(alloc, smmu, sizeof(*smmu));
}

const struct iommu_ops smmuv3_ops = {
	.name = "smmuv3",
	.user_pasid_table = true,
	.hw_info = hw_info,
	.capable = capable,
	.domain_alloc_paging = smmuv3_alloc_paging,
	.blocked_domain = &smmuv3_blocked,
	.unit_destroy = unit_destroy,
	.device_create = device_create,
	.device_destroy = device_destroy,
	.translate = smmuv3_translate,
	.report = smmuv3_report,
	.fault_cause = smmuv3_fault_cause,
	.reason_name = smmuv3_reason_name,
	.viommu_supported = smmuv3_viommu_supported,
	.viommu_alloc = smmuv3_viommu_alloc,
};

static void make_idr(const struct options *o, u32 idr[6])
{
	unsigned int i;

	idr[0] = IDR0_S2P | IDR0_S1P | IDR0_TTF_AARCH64 | IDR0_COHACC | IDR0_ASID16 | IDR0_MSI |
		 IDR0_VMID16 | IDR0_CD2L | IDR0_TTENDIAN_LE | IDR0_TERM_MODEL | IDR0_ST_2LEVEL |
		 (o->httu ? IDR0_HTTU_AD : 0) | (o->ats ? IDR0_ATS : 0) |
		 (o->stall ? 0 : IDR0_STALL_NEVER);
	idr[1] = (u32)o->sid | (u32)o->ssid << IDR1_SSIDSIZE_LOW | IDR1_EVTQS_19 | IDR1_CMDQS_19;
	idr[3] = IDR3_HAD | IDR3_BBML_2 | (o->fwb ? IDR3_FWB : 0) | (o->ril ? IDR3_RIL : 0);
	idr[5] = (o->oas == 44 ? 4 : 5) | IDR5_GRAN4K | IDR5_GRAN16K | IDR5_GRAN64K;
	for (i = 0; i < 6; i++)
		if (o->idr[i] != NOT_GIVEN)
			idr[i] = (u32)o->idr[i];
}

/* What a driver would refuse to use, and what the model cannot be. */
static const char *check_idr(const u32 idr[6])
{
	if (!(idr[0] & (IDR0_S1P | IDR0_S2P)))
		return "idr0 has neither stage";
	if (!(idr[0] & IDR0_TTF_AARCH64))
		return "idr0 has no AArch64 tables";
	if ((idr[0] & IDR0_TTENDIAN_BE) == IDR0_TTENDIAN_BE)
		return "idr0 has big-endian tables only";
	if (field(idr[0], 25, 24) > STALL_FORCED)
		return "idr0 has a reserved STALL_MODEL";
	if (field(idr[1], 5, 0) > MAX_SID_BITS)
		return "idr1 has StreamIDs of more than 24 bits";
	if (field(idr[1], 10, 6) > 20)
		return "idr1 has SubstreamIDs of more than 20 bits";
	if (!(idr[5] & IDR5_GRAN4K))
		return "idr5 has no granule of 4 KiB, the size of the host's pages";
	if (field(idr[5], 2, 0) > 6)
		return "idr5 has a reserved OAS";
	return NULL;
}

static int parse(const char *text, struct options *o, char *error, size_t n)
{
	const struct iommu_unit_option known[] = {
		{ "httu", 0, 1, &o->httu },
		{ "stall", 0, 1, &o->stall },
		{ "oas", 44, 48, &o->oas },
		{ "ssid", 0, 20, &o->ssid },
		{ "sid", 0, MAX_SID_BITS, &o->sid },
		{ "ats", 0, 1, &o->ats },
		{ "canwbs", 0, 1, &o->canwbs },
		{ "fwb", 0, 1, &o->fwb },
		{ "ril", 0, 1, &o->ril },
		{ "idr0", 0, UINT32_MAX, &o->idr[0] },
		{ "idr1", 0, UINT32_MAX, &o->idr[1] },
		{ "idr2", 0, UINT32_MAX, &o->idr[2] },
		{ "idr3", 0, UINT32_MAX, &o->idr[3] },
		{ "idr4", 0, UINT32_MAX, &o->idr[4] },
		{ "idr5", 0, UINT32_MAX, &o->idr[5] },
	};
	int rc;

	rc = iommu_parse_options(text, known, ARRAY_SIZE(known), error, n);
	if (!rc && o->oas != 44 && o->oas != 48) {
		snprintf(error, n, "option \"oas\" takes 44 or 48");
		rc = -EINVAL;
	}
	return rc;
}

/* Section 6.3.6 "SMMU_IDR5": OAS; addresses here have 48 bits at most. */
static unsigned int oas_bits(u32 idr5)
{
	static const u8 bits[] = { 32, 36, 40, 42, 44, 48, 48, 48 };

	return bits[field(idr5, 2, 0)];
}

static int unit_create(struct mem_host *host, const char *text, char *error, size_t n,
		       struct iommu_unit **out)
{
	struct options o = {
		.oas = 48,
		.ssid = 20,
		.sid = 16,
		.ats = 1,
		.canwbs = 1,
		.fwb = 1,
		.ril = 1,
	};
	struct smmuv3_unit *smmu;
	const char *wrong;
	u32 idr[6] = { 0 };
	int rc;

	memset(o.idr, 0xff, sizeof(o.idr));
	rc = parse(text, &o, error, n);
	if (rc)
		return rc;
	make_idr(&o, idr);
	wrong = check_idr(idr);
	if (wrong) {
		snprintf(error, n, "%s", wrong);
		return -EINVAL;
	}
	smmu = base_zalloc(host->alloc, sizeof(*smmu));
	if (!smmu)
		return -ENOMEM;
	memcpy(smmu->idr, idr, sizeof(idr));
	smmu->oas = oas_bits(idr[5]);
	smmu->sid_bits = (unsigned int)field(idr[1], 5, 0);
	smmu->ssid_bits = (unsigned int)field(idr[1], 10, 6);
	smmu->canwbs = o.canwbs;
	pthread_mutex_init(&smmu->lock, NULL);
	rc = iommu_unit_init(&smmu->unit, &smmuv3_ops, host);
	if (rc)
		goto err_free;
	smmu->l1 = base_zalloc(host->alloc, l1_bytes(smmu));
	if (!smmu->l1) {
		rc = -ENOMEM;
		goto err_unit;
	}
	*out = &smmu->unit;
	return 0;

err_unit:
	iommu_unit_end(&smmu->unit);
err_free:
	pthread_mutex_destroy(&smmu->lock);
	base_free(host->alloc, smmu, sizeof(*smmu));
	return rc;
}

const struct iommu_model smmuv3_model = {
	.name = "smmuv3",
	.summary = "Arm SMMUv3",
	.options = "  httu=on|off    updates accessed and dirty state in tables (off: QEMU\n"
		   "                 before 11 cannot put its accelerated SMMU on one that does)\n"
		   "  stall=on|off   devices may wait when they fault (off)\n"
		   "  oas=44|48      bits of a guest's physical addresses (48)\n"
		   "  sid=0..24      bits of StreamIDs (16)\n"
		   "  ssid=0..20     bits of SubstreamIDs (PASIDs) (20)\n"
		   "  ats=on|off     answers translation requests (on)\n"
		   "  canwbs=on|off  devices' accesses always snoop (on)\n"
		   "  fwb=on|off     stage 2 can force write-back (on); a vIOMMU needs this or "
		   "canwbs\n"
		   "  ril=on|off     invalidation by range (on)\n"
		   "  idr0..idr5=N   a whole identification register, whatever the other options "
		   "say\n",
	.unit_create = unit_create,
};
