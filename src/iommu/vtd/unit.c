// SPDX-License-Identifier: MIT
/*
 * VT-d units and the devices behind them: capabilities from options, and what
 * Linux says about them.
 *
 * The defaults are those of a server's unit, and what is new in later ones:
 * PASIDs and page requests.
 */
#include <stdio.h>

#include "vtd.h"

/*
 * ND 6, PLMR, PHMR, ZLR, PSI, MAMV 45, DWD, DRD, PI, both sizes of large pages in
 * both stages, MGAW 57, one fault record; SAGAW and FS5LP come from options.
 */
#define CAP_DEFAULT 0x09ed008c40780066

/* C QI DT IR EIM PT SC MTS NEST PRS SRS NWFS EAFS PASID DIT PDS SMTS SSADS SSTS FSTS SMPWCS RPS;
 * PSS comes from options */
#define ECAP_DEFAULT 0x0003ef06a6f050df

/* What there is in scalable mode only. */
#define ECAP_SCALABLE                                                                              \
	(ECAP_NEST | ECAP_PRS | ECAP_SRS | ECAP_EAFS | ECAP_PSS | ECAP_PASID | ECAP_PDS |          \
	 ECAP_SMTS | ECAP_SSADS | ECAP_SSTS | ECAP_FSTS | ECAP_SMPWCS | ECAP_RPS)

/* An option that was not given: on, if the others allow it. */
#define UNSET 2

/* Options, as given. */
struct options {
	u64 aw, pasid, pri, nest, dirty, scalable, fs1gp, spr17, snoop, cap, ecap;
};

#define OPTIONS                                                                                    \
	"  aw=39|48|57     width of second-stage addresses, and 5-level first stage with 57 "      \
	"(48)\n"                                                                                   \
	"  pasid=0..20     bits of PASIDs (20)\n"                                                  \
	"  pri=on|off      page requests (on)\n"                                                   \
	"  nest=on|off     nested translation (on)\n"                                              \
	"  dirty=on|off    accessed and dirty bits in the second stage (on)\n"                     \
	"  scalable=on|off scalable mode; off: second stage only, and none of the above (on)\n"    \
	"  fs1gp=on|off    pages of 1 GiB in the first stage (on)\n"                               \
	"  spr17=on|off    erratum 772415: no read-only mappings in a nest parent (on)\n"          \
	"  snoop=on|off    snooping can be enforced (on)\n"                                        \
	"  cap=, ecap=     the whole register instead\n"

static int parse(const char *text, struct options *o, char *error, size_t n)
{
	const struct iommu_unit_option options[] = {
		{ "aw", 39, 57, &o->aw },	  { "pasid", 0, 20, &o->pasid },
		{ "pri", 0, 1, &o->pri },	  { "nest", 0, 1, &o->nest },
		{ "dirty", 0, 1, &o->dirty },	  { "scalable", 0, 1, &o->scalable },
		{ "fs1gp", 0, 1, &o->fs1gp },	  { "spr17", 0, 1, &o->spr17 },
		{ "snoop", 0, 1, &o->snoop },	  { "cap", 1, U64_MAX, &o->cap },
		{ "ecap", 1, U64_MAX, &o->ecap },
	};

	*o = (struct options){
		.aw = 48,
		.pasid = U64_MAX,
		.pri = UNSET,
		.nest = UNSET,
		.dirty = UNSET,
		.scalable = 1,
		.fs1gp = 1,
		.spr17 = 1,
		.snoop = 1,
	};
	return iommu_parse_options(text, options, ARRAY_SIZE(options), error, n);
}

/* NULL if the options fit together. */
static const char *check_options(const struct options *o)
{
	if (o->aw != 39 && o->aw != 48 && o->aw != 57)
		return "aw is 39, 48 or 57";
	if (o->scalable)
		return NULL;
	if (o->pri == 1 || o->nest == 1 || o->dirty == 1 || (o->pasid != U64_MAX && o->pasid))
		return "pasid, pri, nest and dirty need scalable mode";
	return NULL;
}

static u64 make_cap(const struct options *o)
{
	u64 cap = CAP_DEFAULT;

	if (o->cap)
		return o->cap;
	if (o->aw == 39)
		cap = (cap & ~CAP_MGAW) | PUT(39 - 1, CAP_MGAW) | CAP_SAGAW_39;
	else
		cap |= CAP_SAGAW_48;
	if (o->aw == 57)
		cap |= CAP_SAGAW_57 | CAP_FS5LP;
	return o->fs1gp ? cap : cap & ~CAP_FS1GP;
}

static u64 make_ecap(const struct options *o)
{
	u64 pasid = o->pasid == U64_MAX ? 20 : o->pasid;
	u64 ecap = ECAP_DEFAULT;

	if (o->ecap)
		return o->ecap;
	if (pasid)
		ecap = (ecap & ~ECAP_PSS) | PUT(pasid - 1, ECAP_PSS);
	else
		ecap &= ~(ECAP_PASID | ECAP_PSS);
	if (!o->pri)
		ecap &= ~ECAP_PRS;
	if (!o->nest)
		ecap &= ~ECAP_NEST;
	if (!o->dirty)
		ecap &= ~ECAP_SSADS;
	if (!o->snoop)
		ecap &= ~ECAP_SC;
	return o->scalable ? ecap : ecap & ~ECAP_SCALABLE;
}

static bool implies(u64 ecap, u64 feature, u64 needed)
{
	return !(ecap & feature) || (ecap & needed) == needed;
}

/* NULL if there could be such a unit. */
static const char *check_registers(const struct vtd_unit *unit)
{
	u64 ecap = unit->ecap;
	unsigned int mgaw = vtd_mgaw(unit);

	if (!(unit->cap & CAP_SAGAW_39) && !(unit->cap & CAP_SAGAW_48 && mgaw > 39) &&
	    !(unit->cap & CAP_SAGAW_57 && mgaw > 48))
		return "cap: SAGAW and MGAW allow no second stage";
	if (!(ecap & ECAP_SMTS) && ecap & (ECAP_SCALABLE & ~ECAP_PSS))
		return "ecap: something that needs scalable mode, but no SMTS";
	if (ecap & ECAP_SMTS && !(ecap & (ECAP_SSTS | ECAP_FSTS)))
		return "ecap: SMTS without FSTS or SSTS";
	if (!implies(ecap, ECAP_NEST, ECAP_SSTS | ECAP_FSTS))
		return "ecap: NEST without FSTS and SSTS";
	if (!implies(ecap, ECAP_SSADS, ECAP_SMPWCS | ECAP_SSTS))
		return "ecap: SSADS without SMPWCS and SSTS";
	if (!implies(ecap, ECAP_PRS, ECAP_DT))
		return "ecap: PRS without DT";
	if (GET(ecap, ECAP_PSS) > 19)
		return "ecap: PASIDs have at most 20 bits";
	return NULL;
}

static int vtd_hw_info(struct iommu_device *dev, struct base_alloc *alloc, u32 *type, void **data,
		       u32 *len)
{
	const struct vtd_unit *unit = to_vtd_unit(dev->unit);
	struct iommu_hw_info_vtd *info;

	if (*type != IOMMU_HW_INFO_TYPE_DEFAULT && *type != IOMMU_HW_INFO_TYPE_INTEL_VTD)
		return -EOPNOTSUPP;
	info = base_zalloc(alloc, sizeof(*info));
	if (!info)
		return -ENOMEM;
	info->flags = unit->spr17 ? IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17 : 0;
	info->cap_reg = unit->cap;
	info->ecap_reg = unit->ecap;
	*type = IOMMU_HW_INFO_TYPE_INTEL_VTD;
	*data = info;
	*len = sizeof(*info);
	return 0;
}

static bool vtd_capable(struct iommu_device *dev, enum iommu_cap cap)
{
	const struct vtd_unit *unit = to_vtd_unit(dev->unit);

	switch (cap) {
	case IOMMU_CAP_CACHE_COHERENCY:
		return true;
	case IOMMU_CAP_ENFORCE_CACHE_COHERENCY:
		return unit->ecap & ECAP_SC;
	case IOMMU_CAP_DIRTY_TRACKING:
		return vtd_ecap(unit, VTD_ECAP_DIRTY);
	case IOMMU_CAP_PCI_ATS:
		return to_vtd_device(dev)->ats;
	case IOMMU_CAP_PASID_EXEC:
		return dev->pasid_bits && unit->ecap & ECAP_ERS;
	case IOMMU_CAP_PASID_PRIV:
		return dev->pasid_bits && unit->ecap & ECAP_SRS;
	}
	return false;
}

/*
 * What Linux hands on: canonical addresses, as wide as those of a CPU with this
 * first stage, and requests of users, to execute or to read.
 */
static bool vtd_page_request_valid(const struct iommu_device *dev, const struct iommu_pgfault *fault)
{
	const unsigned int unused = to_vtd_unit(dev->unit)->cap & CAP_FS5LP ? 64 - 57 : 64 - 48;
	const u32 access = IOMMU_PGFAULT_PERM_READ | IOMMU_PGFAULT_PERM_WRITE;
	const u32 read_exec = IOMMU_PGFAULT_PERM_READ | IOMMU_PGFAULT_PERM_EXEC;

	if ((u64)((s64)(fault->addr << unused) >> unused) != fault->addr)
		return false;
	if (fault->perm & IOMMU_PGFAULT_PERM_PRIV && fault->perm & access)
		return false;
	return (fault->perm & read_exec) != read_exec;
}

static void vtd_unit_destroy(struct iommu_unit *common)
{
	struct vtd_unit *unit = to_vtd_unit(common);
	struct base_alloc *alloc = common->alloc;

	vtd_tables_free(unit);
	idtable_destroy(&unit->dids);
	pthread_mutex_destroy(&unit->lock);
	iommu_unit_end(common);
	base_free(alloc, unit, sizeof(*unit));
}

static void vtd_device_destroy(struct iommu_device *dev)
{
	struct base_alloc *alloc = dev->unit->alloc;

	vtd_tables_remove(to_vtd_device(dev));
	iommu_device_destroy(dev);
	base_free(alloc, to_vtd_device(dev), sizeof(struct vtd_device));
}

/* What of the device's abilities the unit can do something with. */
static void set_features(struct vtd_device *vd, const struct iommu_device_desc *desc)
{
	const struct vtd_unit *unit = to_vtd_unit(vd->dev.unit);

	vd->dev.requester = desc->requester;
	vd->ats = desc->ats && unit->ecap & ECAP_DT;
	vd->pri = vd->ats && desc->page_requests && vtd_ecap(unit, ECAP_PRS | ECAP_PDS);
	vd->dev.page_requests = vd->pri;
	if (unit->ecap & ECAP_PASID)
		vd->dev.pasid_bits =
			(unsigned int)min_u64(desc->pasid_bits, GET(unit->ecap, ECAP_PSS) + 1);
	vd->dev.max_pasid_log2 = vd->dev.pasid_bits;
}

static int vtd_device_create(struct iommu_unit *unit, struct iommu_group *group,
			     const struct iommu_device_desc *desc, struct iommu_device **out)
{
	struct vtd_device *vd;
	int rc;

	if (desc->requester > 0xffff || desc->stall || (desc->page_requests && !desc->ats))
		return -EINVAL;
	vd = base_zalloc(unit->alloc, sizeof(*vd));
	if (!vd)
		return -ENOMEM;
	rc = iommu_device_init(&vd->dev, unit, group, desc->name);
	if (rc)
		goto err_free;
	set_features(vd, desc);
	rc = iommu_device_add_resv(&vd->dev, VTD_MSI_FIRST, VTD_MSI_LAST, IOMMU_RESV_MSI);
	if (!rc)
		rc = vtd_tables_add(vd);
	if (rc)
		goto err_device;
	*out = &vd->dev;
	return 0;

err_device:
	iommu_device_destroy(&vd->dev);
err_free:
	base_free(unit->alloc, vd, sizeof(*vd));
	return rc;
}

const struct iommu_ops vtd_ops = {
	.name = "VT-d",
	.hw_info = vtd_hw_info,
	.capable = vtd_capable,
	.domain_alloc_paging = vtd_alloc_paging,
	.domain_alloc_nested = vtd_alloc_nested,
	.blocked_domain = &vtd_blocked,
	.unit_destroy = vtd_unit_destroy,
	.device_create = vtd_device_create,
	.device_destroy = vtd_device_destroy,
	.page_request_valid = vtd_page_request_valid,
	.translate = vtd_translate,
	.fault_cause = vtd_fault_cause,
	.reason_name = vtd_reason_name,
};

/* The root table, empty, and the id that all first stages share. */
static int init_tables(struct vtd_unit *unit)
{
	void *root = base_zalloc_table(unit->unit.alloc, PAGE_BYTES);
	u32 did;
	int rc;

	if (!root)
		return -ENOMEM;
	unit->rtaddr = (uintptr_t)root;
	if (vtd_scalable(unit))
		unit->rtaddr |= PUT(RTADDR_TTM_SCALABLE, RTADDR_TTM);
	/* Ids are given out from 1 on. */
	rc = idtable_reserve(&unit->dids, &did);
	if (rc)
		vtd_tables_free(unit);
	return rc;
}

static int unit_create(struct mem_host *host, const char *text, char *error, size_t n,
		       struct iommu_unit **out)
{
	struct vtd_unit *unit;
	struct options o;
	const char *wrong;
	int rc;

	rc = parse(text, &o, error, n);
	if (rc)
		return rc;
	unit = base_zalloc(host->alloc, sizeof(*unit));
	if (!unit)
		return -ENOMEM;
	unit->cap = make_cap(&o);
	unit->ecap = make_ecap(&o);
	unit->spr17 = o.spr17;
	wrong = check_options(&o);
	if (!wrong)
		wrong = check_registers(unit);
	if (wrong) {
		snprintf(error, n, "%s", wrong);
		rc = -EINVAL;
		goto err_free;
	}
	rc = iommu_unit_init(&unit->unit, &vtd_ops, host);
	if (rc)
		goto err_free;
	idtable_init(&unit->dids, host->alloc);
	rc = init_tables(unit);
	if (rc)
		goto err_unit;
	LIST_INIT(&unit->devices);
	pthread_mutex_init(&unit->lock, NULL);
	*out = &unit->unit;
	return 0;

err_unit:
	idtable_destroy(&unit->dids);
	iommu_unit_end(&unit->unit);
err_free:
	base_free(host->alloc, unit, sizeof(*unit));
	return rc;
}

const struct iommu_model vtd_model = {
	.name = "vtd",
	.summary = "Intel VT-d",
	.options = OPTIONS,
	.unit_create = unit_create,
};
