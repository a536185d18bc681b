// SPDX-License-Identifier: MIT
/*
 * The tables that a driver programs the unit with: root, context, PASID
 * directory, PASID table. Sections 3.4 "Mapping Devices to Domains" and 9.1 to
 * 9.6.
 *
 * A device's context entry leads to a directory of its own, and is written when
 * the device appears; PASID tables are made when a PASID in them is attached,
 * and stay. So what a walk may be reading is never freed under it, and only
 * words change. Hardware reads an entry at once; here it reads words, and sees
 * by a sequence number that they do not belong together.
 *
 * In legacy mode there is only the context entry, and no PASID.
 */
#include "vtd.h"

#define TABLE_BYTES	 PAGE_BYTES
#define PASIDS_PER_TABLE 64
#define DIR_MIN		 (TABLE_BYTES / sizeof(u64))

/* The root entry's half, and the context entry in its table, of a requester id. */
static u64 *root_half(const struct vtd_unit *unit, u32 requester)
{
	u64 *root = (u64 *)(uintptr_t)(unit->rtaddr & VTD_ADDR);

	return &root[requester / 256 * 2 + (vtd_scalable(unit) && requester & 0x80)];
}

static u64 *context_entry(const struct vtd_unit *unit, u32 requester)
{
	u64 *table = (u64 *)(uintptr_t)(*root_half(unit, requester) & VTD_ADDR);

	return &table[vtd_scalable(unit) ? (requester & 0x7f) * 4 : (requester & 0xff) * 2];
}

static void write_begin(struct vtd_unit *unit)
{
	pthread_mutex_lock(&unit->lock);
	__atomic_store_n(&unit->sequence, unit->sequence + 1, __ATOMIC_RELAXED);
}

static void write_end(struct vtd_unit *unit)
{
	__atomic_store_n(&unit->sequence, unit->sequence + 1, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&unit->lock);
}

static void put_words(u64 *at, const u64 *words, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		__atomic_store_n(&at[i], words[i], __ATOMIC_RELEASE);
}

/* Context: between write_begin() and write_end(). */
static int context_table_get(struct vtd_unit *unit, u32 requester)
{
	u64 *half = root_half(unit, requester), entry;
	void *table;

	if (*half & ROOT_P)
		return 0;
	table = base_zalloc_table(unit->unit.alloc, TABLE_BYTES);
	if (!table)
		return -ENOMEM;
	entry = (uintptr_t)table | ROOT_P;
	put_words(half, &entry, 1);
	return 0;
}

static bool requester_taken(const struct vtd_unit *unit, u32 requester)
{
	const struct vtd_device *vd;

	LIST_FOREACH(vd, &unit->devices, link)
		if (vd->dev.requester == requester)
			return true;
	return false;
}

/* Linux's directories have a page at least, also of devices without PASIDs. */
static int dir_alloc(struct vtd_device *vd)
{
	u64 ndir = max_u64(DIR_MIN, ((u64)1 << vd->dev.pasid_bits) / PASIDS_PER_TABLE);

	vd->dir = base_zalloc_table(vd->dev.unit->alloc, ndir * sizeof(u64));
	if (!vd->dir)
		return -ENOMEM;
	vd->ndir = (u32)ndir;
	return 0;
}

static void dir_free(struct vtd_device *vd)
{
	struct base_alloc *alloc = vd->dev.unit->alloc;
	u32 i;

	for (i = 0; i < vd->ndir; i++)
		base_free(alloc, (void *)(uintptr_t)(vd->dir[i] & VTD_ADDR), TABLE_BYTES);
	base_free(alloc, vd->dir, vd->ndir * sizeof(u64));
}

/* NULL if there is no table for the PASID. */
static u64 *pasid_entry(const struct vtd_device *vd, u32 pasid)
{
	u64 *table = (u64 *)(uintptr_t)(vd->dir[pasid / PASIDS_PER_TABLE] & VTD_ADDR);

	return table ? &table[pasid % PASIDS_PER_TABLE * PASID_WORDS] : NULL;
}

/* Context: between write_begin() and write_end(). */
static int pasid_table_get(struct vtd_device *vd, u32 pasid)
{
	u64 entry;
	void *table;

	if (pasid_entry(vd, pasid))
		return 0;
	table = base_zalloc_table(vd->dev.unit->alloc, TABLE_BYTES);
	if (!table)
		return -ENOMEM;
	entry = (uintptr_t)table | PDIR_P;
	put_words(&vd->dir[pasid / PASIDS_PER_TABLE], &entry, 1);
	return 0;
}

static void write_context(struct vtd_unit *unit, const struct vtd_device *vd)
{
	u64 words[4] = { 0 };

	words[0] = CTX_P | (uintptr_t)vd->dir | PUT(lowest_bit(vd->ndir) - 7, SCTX_PDTS);
	if (vd->ats)
		words[0] |= SCTX_DTE;
	if (vd->dev.pasid_bits)
		words[0] |= SCTX_PASIDE;
	if (vd->pri)
		words[0] |= SCTX_PRE;
	put_words(context_entry(unit, vd->dev.requester), words, ARRAY_SIZE(words));
}

int vtd_tables_add(struct vtd_device *vd)
{
	struct vtd_unit *unit = to_vtd_unit(vd->dev.unit);
	int rc = 0;

	if (vtd_scalable(unit))
		rc = dir_alloc(vd);
	if (rc)
		return rc;
	write_begin(unit);
	if (requester_taken(unit, vd->dev.requester))
		rc = -EINVAL;
	if (!rc)
		rc = context_table_get(unit, vd->dev.requester);
	if (!rc && vtd_scalable(unit))
		rc = pasid_table_get(vd, IOMMU_NO_PASID);
	if (!rc) {
		if (vtd_scalable(unit))
			write_context(unit, vd);
		LIST_INSERT_HEAD(&unit->devices, vd, link);
	}
	write_end(unit);
	if (rc)
		dir_free(vd);
	return rc;
}

void vtd_tables_remove(struct vtd_device *vd)
{
	static const u64 none[4];
	struct vtd_unit *unit = to_vtd_unit(vd->dev.unit);

	write_begin(unit);
	put_words(context_entry(unit, vd->dev.requester), none, vtd_scalable(unit) ? 4 : 2);
	LIST_REMOVE(vd, link);
	write_end(unit);
	dir_free(vd);
}

void vtd_tables_free(struct vtd_unit *unit)
{
	u64 *root = (u64 *)(uintptr_t)(unit->rtaddr & VTD_ADDR);
	unsigned int i;

	for (i = 0; root && i < TABLE_BYTES / sizeof(u64); i++)
		base_free(unit->unit.alloc, (void *)(uintptr_t)(root[i] & VTD_ADDR), TABLE_BYTES);
	base_free(unit->unit.alloc, root, TABLE_BYTES);
}

/* NULL for a domain that has no id of its own. */
static struct vtd_tags *domain_tags(struct iommu_domain *domain)
{
	if (domain->type == IOMMU_DOMAIN_NESTED)
		return &to_vtd_nested(domain)->tags;
	if (domain->type == IOMMU_DOMAIN_PAGING && !to_vtd_paging(domain)->first_stage)
		return &to_vtd_paging(domain)->tags;
	return NULL;
}

static struct base_alloc *domain_account(struct iommu_domain *domain)
{
	return domain->type == IOMMU_DOMAIN_NESTED ? to_vtd_nested(domain)->alloc
						   : to_vtd_paging(domain)->alloc;
}

/* One that is for @unit, or for none. */
static struct vtd_tag *tag_find(const struct vtd_tags *tags, const struct vtd_unit *unit)
{
	struct vtd_tag *tag, *unused = NULL;

	LIST_FOREACH(tag, tags, link) {
		if (tag->users && tag->unit == unit)
			return tag;
		if (!tag->users)
			unused = tag;
	}
	return unused;
}

/* Context: unit->lock. */
static int did_reserve(struct vtd_unit *unit, u32 *did)
{
	int rc = idtable_reserve(&unit->dids, did);

	if (!rc && *did > VTD_DID_LAST) {
		idtable_release(&unit->dids, *did);
		rc = -ENOSPC;
	}
	return rc;
}

/* The domain's id, with one more user. Context: unit->lock. */
static int tag_get(struct vtd_unit *unit, struct iommu_domain *domain, u32 *did)
{
	struct vtd_tags *tags = domain_tags(domain);
	struct vtd_tag *tag;
	int rc;

	*did = VTD_DID_FIRST_STAGE;
	if (!tags)
		return 0;
	tag = tag_find(tags, unit);
	if (!tag) {
		tag = base_zalloc(domain_account(domain), sizeof(*tag));
		if (!tag)
			return -ENOMEM;
		LIST_INSERT_HEAD(tags, tag, link);
	}
	if (!tag->users) {
		rc = did_reserve(unit, &tag->did);
		if (rc)
			return rc;
		tag->unit = unit;
	}
	tag->users++;
	*did = tag->did;
	return 0;
}

/* Context: unit->lock. */
static void tag_put(struct vtd_unit *unit, struct iommu_domain *domain)
{
	struct vtd_tags *tags = domain_tags(domain);
	struct vtd_tag *tag = tags ? tag_find(tags, unit) : NULL;

	if (tag && !--tag->users)
		idtable_release(&unit->dids, tag->did);
}

void vtd_tags_free(struct vtd_tags *tags, struct base_alloc *alloc)
{
	struct vtd_tag *tag, *next;

	LIST_FOREACH_SAFE(tag, tags, link, next)
		base_free(alloc, tag, sizeof(*tag));
}

static u64 table_root(const struct vtd_paging *paging)
{
	return (uintptr_t)paging->pt.top;
}

/* The code for the levels of a second stage. */
static u64 table_aw(const struct vtd_paging *paging)
{
	return paging->pt.top_level - 1u;
}

static void fill_second(const struct vtd_paging *paging, u64 *e)
{
	e[0] |= table_root(paging) | PUT(table_aw(paging), PASID0_AW);
	if (paging->tracking)
		e[0] |= PASID0_SSADE;
}

static void fill_first(const struct vtd_paging *paging, u64 *e)
{
	e[0] |= PUT(PGTT_FIRST, PASID0_PGTT);
	e[2] |= table_root(paging);
	if (paging->pt.top_level == 4)
		e[2] |= PUT(PASID2_FSPM_5LP, PASID2_FSPM);
	if (paging->domain.cache_coherent)
		e[1] |= PASID1_PGSNP;
}

static void fill_nested(const struct vtd_nested *nested, u64 *e)
{
	const struct iommu_hwpt_vtd_s1 *s1 = &nested->s1;

	fill_second(nested->parent, e);
	e[0] |= PUT(PGTT_NESTED, PASID0_PGTT);
	e[2] |= s1->pgtbl_addr & VTD_ADDR;
	if (s1->addr_width == 57)
		e[2] |= PUT(PASID2_FSPM_5LP, PASID2_FSPM);
	/* As Linux does: without SRE there is nothing for WPE to protect from. */
	if (s1->flags & IOMMU_VTD_S1_SRE)
		e[2] |= PASID2_SRE | (s1->flags & IOMMU_VTD_S1_WPE ? PASID2_WPE : 0);
	if (s1->flags & IOMMU_VTD_S1_EAFE)
		e[2] |= PASID2_EAFE;
	if (nested->parent->domain.cache_coherent)
		e[1] |= PASID1_PGSNP;
}

static void fill_pasid_entry(const struct vtd_unit *unit, struct iommu_domain *domain, u32 did,
			     u64 *e)
{
	if (domain->type == IOMMU_DOMAIN_BLOCKED)
		return;
	e[0] = PASID0_P;
	e[1] = PUT(did, PASID1_DID) | (unit->ecap & ECAP_SMPWCS ? PASID1_PWSNP : 0);
	if (domain->type == IOMMU_DOMAIN_NESTED) {
		fill_nested(to_vtd_nested(domain), e);
	} else if (to_vtd_paging(domain)->first_stage) {
		fill_first(to_vtd_paging(domain), e);
	} else {
		fill_second(to_vtd_paging(domain), e);
		e[0] |= PUT(PGTT_SECOND, PASID0_PGTT);
	}
}

static void fill_context_entry(const struct vtd_device *vd, struct iommu_domain *domain, u32 did,
			       u64 *e)
{
	const struct vtd_paging *paging;

	if (domain->type == IOMMU_DOMAIN_BLOCKED)
		return;
	paging = to_vtd_paging(domain);
	e[0] = CTX_P | table_root(paging) | PUT(vd->ats ? CTX_TT_ATS : CTX_TT_DMA, CTX_TT);
	e[1] = PUT(table_aw(paging), CTX_AW) | PUT(did, CTX_DID);
}

/* Context: between write_begin() and write_end(). */
static int set_entry(struct vtd_unit *unit, struct vtd_device *vd, u32 pasid,
		     struct iommu_domain *domain, struct iommu_domain *old)
{
	u64 entry[PASID_WORDS] = { 0 };
	u32 did;
	int rc;

	if (vtd_scalable(unit)) {
		rc = pasid_table_get(vd, pasid);
		if (rc)
			return rc;
	}
	rc = tag_get(unit, domain, &did);
	if (rc)
		return rc;
	if (vtd_scalable(unit)) {
		fill_pasid_entry(unit, domain, did, entry);
		put_words(pasid_entry(vd, pasid), entry, PASID_WORDS);
	} else {
		fill_context_entry(vd, domain, did, entry);
		put_words(context_entry(unit, vd->dev.requester), entry, 2);
	}
	if (old)
		tag_put(unit, old);
	return 0;
}

int vtd_set_entry(struct iommu_device *dev, u32 pasid, struct iommu_domain *domain,
		  struct iommu_domain *old)
{
	struct vtd_unit *unit = to_vtd_unit(dev->unit);
	int rc;

	write_begin(unit);
	rc = set_entry(unit, to_vtd_device(dev), pasid, domain, old);
	write_end(unit);
	return rc;
}

void vtd_set_ssade(struct iommu_device *dev, u32 pasid, bool enable)
{
	struct vtd_unit *unit = to_vtd_unit(dev->unit);
	u64 *entry, word;

	write_begin(unit);
	entry = pasid_entry(to_vtd_device(dev), pasid);
	word = entry[0] & ~PASID0_SSADE;
	if (enable)
		word |= PASID0_SSADE;
	put_words(entry, &word, 1);
	write_end(unit);
}
