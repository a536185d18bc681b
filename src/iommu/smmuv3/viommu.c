// SPDX-License-Identifier: MIT
/*
 * The vIOMMU: nested domains from a guest's STEs, and the guest's invalidation
 * commands.
 *
 * A command is checked bit by bit, as Linux does before it hands one to the
 * hardware under the guest's VMID, with the StreamID replaced. Here it becomes a
 * range of addresses that the ports of nested domains forget: TLBs do not have
 * ASIDs, so an ASID means all of them. What a guest changed in a CD is forgotten
 * together with all that was translated by it.
 */
#include "smmuv3.h"

/* The bits of a guest's STE that it may set. */
#define GUEST_STE0 (STE0_V | STE0_CFG_MASK | STE0_S1FMT_MASK | STE0_S1CTX_MASK | STE0_S1CDMAX_MASK)
#define GUEST_STE1 (STE1_S1DSS_MASK | STE1_S1C_MASK | STE1_S1STALLD | STE1_EATS_MASK)

/* Section 4 "Commands". */
enum {
	CMD_CFGI_CD = 0x05,
	CMD_CFGI_CD_ALL = 0x06,
	CMD_TLBI_NH_ALL = 0x10,
	CMD_TLBI_NH_ASID = 0x11,
	CMD_TLBI_NH_VA = 0x12,
	CMD_TLBI_NH_VAA = 0x13,
	CMD_TLBI_NSNH_ALL = 0x30,
	CMD_ATC_INV = 0x40,
};

#define CMD0_OP	       ((u64)0xff)
#define CMD0_G	       ((u64)1 << 9)
#define CMD0_SSV       ((u64)1 << 11)
#define CMD0_SSID      ((u64)0xfffff << 12)
#define CMD0_NUM       ((u64)0x1f << 12)
#define CMD0_SCALE     ((u64)0x3f << 20)
#define CMD0_SCALE_DS  ((u64)1 << 25)
#define CMD0_VMID      ((u64)0xffff << 32)
#define CMD0_SID       ((u64)0xffffffff << 32)
#define CMD0_ASID      ((u64)0xffff << 48)
#define CMD0_ASID_HIGH ((u64)0xff << 56)
#define CMD1_LEAF      ((u64)1 << 0)
#define CMD1_SIZE      ((u64)0x3f)
#define CMD1_TTL       ((u64)3 << 8)
#define CMD1_TG	       ((u64)3 << 10)
#define CMD1_ADDR      (~(u64)0 << 12)

/* Section 4.5.1: ATC_INV of all there is. */
#define ATC_SIZE_ALL 52

static struct smmuv3_nested *to_nested(struct iommu_domain *domain)
{
	return container_of(domain, struct smmuv3_nested, domain);
}

static struct smmuv3_unit *viommu_unit(const struct iommu_viommu *viommu)
{
	return container_of(viommu->unit, struct smmuv3_unit, unit);
}

static u64 config_of(const struct smmuv3_nested *nested)
{
	return nested->ste[0] & STE0_V ? nested->ste[0] & STE0_CFG_MASK : STE0_CFG_ABORT;
}

static int nested_attach(struct iommu_domain *domain, struct iommu_device *common,
			 struct iommu_domain *old)
{
	struct smmuv3_nested *nested = to_nested(domain);
	struct smmuv3_device *dev = to_smmuv3_device(common);
	struct smmuv3_domain *parent = to_smmuv3_domain(nested->viommu->parent);
	struct iommu_viommu *viommu = nested->viommu;
	const u64 config = config_of(nested);
	u64 vsid = 0;
	int rc;

	if (viommu->unit != common->unit)
		return -EINVAL;
	if (dev->ssids)
		return -EBUSY;
	rc = iommu_vdevice_id(viommu, common, &vsid);
	if (rc && config == STE0_CFG_S1)
		return rc;
	if (rc)
		viommu = NULL;
	if (config == STE0_CFG_S1)
		smmuv3_ste_nested(dev, parent, nested->ste);
	else if (config == STE0_CFG_BYPASS)
		smmuv3_ste_s2(dev, parent, dev->ats);
	else
		smmuv3_ste_abort(dev);
	smmuv3_cd_clear(dev, IOMMU_NO_PASID);
	smmuv3_attached(dev, domain, old, viommu, vsid);
	return 0;
}

static void nested_free(struct iommu_domain *domain)
{
	struct smmuv3_nested *nested = to_nested(domain);

	base_free(nested->alloc, nested, sizeof(*nested));
}

static const struct iommu_domain_ops nested_ops = {
	.attach_dev = nested_attach,
	.free = nested_free,
};

/* An entry that is not valid is one that aborts, whatever else it says. */
static int check_ste(u64 ste[2])
{
	const u64 config = ste[0] & STE0_CFG_MASK, eats = ste[1] & STE1_EATS_MASK;

	if (!(ste[0] & STE0_V)) {
		ste[0] = ste[1] = 0;
		return 0;
	}
	if (ste[0] & ~GUEST_STE0 || ste[1] & ~GUEST_STE1)
		return -EIO;
	if (config != STE0_CFG_ABORT && config != STE0_CFG_BYPASS && config != STE0_CFG_S1)
		return -EIO;
	return eats && eats != STE1_EATS_TRANS ? -EIO : 0;
}

static int alloc_nested(struct iommu_viommu *viommu, u32 flags, const struct iommu_user_data *data,
			struct iommu_domain **out)
{
	struct iommu_hwpt_arm_smmuv3 user;
	struct smmuv3_nested *nested;
	u64 ste[2];
	int rc;

	if (flags)
		return -EOPNOTSUPP;
	rc = iommu_copy_user_data(&user, sizeof(user), sizeof(user), IOMMU_HWPT_DATA_ARM_SMMUV3,
				  data);
	if (rc)
		return rc;
	ste[0] = user.ste[0];
	ste[1] = user.ste[1];
	rc = check_ste(ste);
	if (rc)
		return rc;
	nested = base_zalloc(viommu->alloc, sizeof(*nested));
	if (!nested)
		return -ENOMEM;
	nested->domain.ops = &nested_ops;
	nested->domain.owner = &smmuv3_ops;
	nested->domain.type = IOMMU_DOMAIN_NESTED;
	nested->alloc = viommu->alloc;
	nested->viommu = viommu;
	nested->ste[0] = ste[0];
	nested->ste[1] = ste[1];
	*out = &nested->domain;
	return 0;
}

/* Only bits are set that the command has, if it is one that a guest may give. */
static bool known_fields(const u64 cmd[2])
{
	u64 allowed0 = CMD0_OP, allowed1 = 0;

	switch (cmd[0] & CMD0_OP) {
	case CMD_TLBI_NSNH_ALL:
		break;
	case CMD_TLBI_NH_ALL:
		allowed0 |= CMD0_VMID;
		break;
	case CMD_TLBI_NH_ASID:
		allowed0 |= CMD0_VMID | CMD0_ASID;
		break;
	case CMD_TLBI_NH_VA:
		allowed0 |= CMD0_VMID | CMD0_ASID | CMD0_NUM | CMD0_SCALE;
		allowed1 = CMD1_LEAF | CMD1_TTL | CMD1_TG | CMD1_ADDR;
		break;
	case CMD_TLBI_NH_VAA:
		allowed0 |= CMD0_VMID | CMD0_NUM | CMD0_SCALE;
		allowed1 = CMD1_LEAF | CMD1_TTL | CMD1_TG | CMD1_ADDR;
		break;
	case CMD_ATC_INV:
		allowed0 |= CMD0_G | CMD0_SSV | CMD0_SSID | CMD0_SID;
		allowed1 = CMD1_SIZE | CMD1_ADDR;
		break;
	case CMD_CFGI_CD:
		allowed0 |= CMD0_SSID | CMD0_SID;
		allowed1 = CMD1_LEAF;
		break;
	case CMD_CFGI_CD_ALL:
		allowed0 |= CMD0_SID;
		break;
	default:
		return false;
	}
	return !(cmd[0] & ~allowed0) && !(cmd[1] & ~allowed1);
}

/* Section 4.4.1: invalidation by range. */
static bool valid_range(const struct smmuv3_unit *smmu, const u64 cmd[2])
{
	const u64 range = cmd[0] & (CMD0_NUM | CMD0_SCALE);
	const u64 ttl = field(cmd[1], 9, 8), tg = field(cmd[1], 11, 10);
	const bool ds = smmu->idr[5] & IDR5_DS;

	if (!(smmu->idr[3] & IDR3_RIL) || !tg)
		return !range && !ttl && !tg;
	if (!range && !ttl)
		return false;
	return ds || (!(cmd[0] & CMD0_SCALE_DS) && !(tg == 2 && ttl == 1));
}

/* Nothing is set that this SMMU does not have. */
static bool valid_fields(const struct smmuv3_unit *smmu, const u64 cmd[2])
{
	const u64 op = cmd[0] & CMD0_OP;

	switch (op) {
	case CMD_TLBI_NH_ASID:
	case CMD_TLBI_NH_VA:
		if (cmd[0] & CMD0_ASID_HIGH && !(smmu->idr[0] & IDR0_ASID16))
			return false;
		return op == CMD_TLBI_NH_ASID || valid_range(smmu, cmd);
	case CMD_TLBI_NH_VAA:
		return valid_range(smmu, cmd);
	case CMD_ATC_INV:
		if (!(smmu->idr[0] & IDR0_ATS) || (cmd[1] & CMD1_SIZE) > ATC_SIZE_ALL)
			return false;
		return smmu->ssid_bits || !(cmd[0] & (CMD0_SSV | CMD0_SSID | CMD0_G));
	case CMD_CFGI_CD:
		return smmu->ssid_bits || !(cmd[0] & CMD0_SSID);
	default:
		return true;
	}
}

/* What the guest's first stages have translated. */
static void gather_stage1(struct iommu_viommu *viommu, u64 first, u64 last)
{
	struct iommu_domain *domain;

	LIST_FOREACH(domain, &viommu->parent->nested, nested_link)
		iommu_gather(domain, first, last);
}

static void invalidate_va(struct iommu_viommu *viommu, const u64 cmd[2])
{
	const u64 tg = field(cmd[1], 11, 10);
	const unsigned int granule = tg ? 10 + 2 * (unsigned int)tg : PAGE_LG2;
	const unsigned int shift = granule + (unsigned int)field(cmd[0], 25, 20);
	const u64 first = align_down(cmd[1] & CMD1_ADDR, (u64)1 << granule);
	u64 last;

	/*
	 * A top byte that is ignored is not in the command, but in the TLB. If a
	 * port is just about to see the CD that says so, it will see the changed
	 * table as well: both sides change @tbi, which is a full barrier.
	 */
	if (atomic_fetch_or(&viommu_unit(viommu)->tbi, 0) || shift >= 58) {
		gather_stage1(viommu, 0, U64_MAX);
		return;
	}
	if (range_last(first, (field(cmd[0], 16, 12) + 1) << shift, &last))
		last = U64_MAX;
	gather_stage1(viommu, first, last);
}

/* What is nested on the parent is told all at once at the end, anything else now. */
static void invalidate_device(struct iommu_viommu *viommu, struct smmuv3_device *dev, u64 first,
			      u64 last)
{
	if (dev->nested && dev->nested->parent == viommu->parent)
		iommu_gather(dev->nested, first, last);
	else
		iommu_flush_device(&dev->dev, first, last);
}

static void invalidate_atc(struct iommu_viommu *viommu, struct smmuv3_device *dev, const u64 cmd[2])
{
	const unsigned int size = (unsigned int)(cmd[1] & CMD1_SIZE);
	u64 bytes, first;

	if (size >= ATC_SIZE_ALL) {
		invalidate_device(viommu, dev, 0, U64_MAX);
		return;
	}
	bytes = (u64)1 << (size + PAGE_LG2);
	first = align_down(cmd[1] & CMD1_ADDR, bytes);
	invalidate_device(viommu, dev, first, first + bytes - 1);
}

static int invalidate_one(struct iommu_viommu *viommu, const u64 cmd[2])
{
	struct iommu_device *dev;

	if (!known_fields(cmd) || !valid_fields(viommu_unit(viommu), cmd))
		return -EIO;
	switch (cmd[0] & CMD0_OP) {
	case CMD_TLBI_NSNH_ALL:
	case CMD_TLBI_NH_ALL:
	case CMD_TLBI_NH_ASID:
		gather_stage1(viommu, 0, U64_MAX);
		return 0;
	case CMD_TLBI_NH_VA:
	case CMD_TLBI_NH_VAA:
		invalidate_va(viommu, cmd);
		return 0;
	}
	/* Virtual devices come and go with the context's lock held, as we do. */
	pthread_mutex_lock(&viommu->lock);
	dev = iommu_vdevice_find(viommu, field(cmd[0], 63, 32));
	pthread_mutex_unlock(&viommu->lock);
	if (!dev)
		return -EIO;
	if ((cmd[0] & CMD0_OP) == CMD_ATC_INV)
		invalidate_atc(viommu, to_smmuv3_device(dev), cmd);
	else
		invalidate_device(viommu, to_smmuv3_device(dev), 0, U64_MAX);
	return 0;
}

static int cache_invalidate(struct iommu_viommu *viommu, struct iommu_user_array *array)
{
	const size_t bytes = sizeof(struct iommu_viommu_arm_smmuv3_invalidate);
	struct iommu_viommu_arm_smmuv3_invalidate *cmds;
	const u32 want = array->num;
	struct iommu_domain *domain;
	u32 done = 0;
	int rc;

	cmds = base_zalloc_array(viommu->alloc, want ? want : 1, bytes);
	if (!cmds) {
		array->num = 0;
		return -ENOMEM;
	}
	rc = iommu_copy_user_array(cmds, bytes, IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, array);
	while (!rc && done < want) {
		const u64 cmd[2] = { cmds[done].cmd[0], cmds[done].cmd[1] };

		rc = invalidate_one(viommu, cmd);
		done += !rc;
	}
	/* What came before a bad one counts. */
	LIST_FOREACH(domain, &viommu->parent->nested, nested_link)
		iommu_sync(domain);
	base_free(viommu->alloc, cmds, (want ? want : 1) * bytes);
	array->num = done;
	return rc;
}

static void viommu_destroy(struct iommu_viommu *viommu)
{
	pthread_mutex_destroy(&viommu->lock);
	base_free(viommu->alloc, viommu, sizeof(*viommu));
}

static const struct iommu_viommu_ops viommu_ops = {
	.destroy = viommu_destroy,
	.alloc_domain_nested = alloc_nested,
	.cache_invalidate = cache_invalidate,
};

/* A guest must not get around the caches: its devices snoop, or its types do not count. */
bool smmuv3_viommu_supported(struct iommu_device *dev, u32 type)
{
	const struct smmuv3_unit *smmu = to_smmuv3(dev);

	return type == IOMMU_VIOMMU_TYPE_ARM_SMMUV3 && has_nesting(smmu) &&
	       (smmu->canwbs || smmu->idr[3] & IDR3_FWB);
}

int smmuv3_viommu_alloc(struct iommu_device *dev, struct base_alloc *alloc, u32 type,
			struct iommu_domain *parent, const struct iommu_user_data *data,
			const struct iommu_viommu_sink *sink, void *sink_arg,
			struct iommu_viommu **out)
{
	struct iommu_viommu *viommu;

	(void)type;
	(void)data;
	if (parent->owner != &smmuv3_ops || to_smmuv3_domain(parent)->unit != to_smmuv3(dev))
		return -EINVAL;
	viommu = base_zalloc(alloc, sizeof(*viommu));
	if (!viommu)
		return -ENOMEM;
	iommu_viommu_init(viommu, &viommu_ops, dev, alloc, parent, sink, sink_arg);
	*out = viommu;
	return 0;
}
