// SPDX-License-Identifier: MIT
/*
 * How the unit finds out what a request's translation is: root, context, PASID
 * directory and PASID table, with the checks and fault reasons of section 7.1.3
 * "Fault conditions".
 *
 * First all words are read that belong to the request, and again if the driver
 * has written meanwhile; then they are checked. Reading is not done twice for a
 * port until everything of it is invalidated.
 */
#include <sched.h>

#include "../x86/walk.h"
#include "vtd.h"

/**
 * struct raw - what was read, down to the first entry that is not present
 * @scalable: in scalable mode
 * @pasid: that the table was indexed with
 * @root_at: where the root entry's half was
 * @context_at: where the context entry was; NULL if it was not read
 * @dir_at: the same of the PASID directory's
 * @pasid_at: and of the PASID table's
 * @root: root entry; its half in scalable mode
 * @root_hi: the other word in legacy mode
 * @context: context entry
 * @dir: PASID directory entry
 * @entry: PASID table entry
 */
struct raw {
	bool scalable;
	u32 pasid;
	const u64 *root_at, *context_at, *dir_at, *pasid_at;
	u64 root;
	u64 root_hi;
	u64 context[4];
	u64 dir;
	u64 entry[PASID_WORDS];
};

static u64 word(const u64 *at)
{
	return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

static const u64 *follow(u64 entry)
{
	return (const u64 *)(uintptr_t)(entry & VTD_ADDR);
}

static u64 dir_entries(const struct raw *raw)
{
	return BIT(GET(raw->context[0], SCTX_PDTS) + 7);
}

static void read_pasid(struct raw *raw)
{
	unsigned int i;

	raw->dir_at = &follow(raw->context[0])[raw->pasid / 64];
	raw->dir = word(raw->dir_at);
	if (!(raw->dir & PDIR_P))
		return;
	raw->pasid_at = &follow(raw->dir)[raw->pasid % 64 * PASID_WORDS];
	for (i = 0; i < PASID_WORDS; i++)
		raw->entry[i] = word(&raw->pasid_at[i]);
}

static void read_all(const struct vtd_unit *unit, u32 requester, const struct dma_port *port,
		     struct raw *raw)
{
	unsigned int i, n;

	*raw = (struct raw){ .scalable = GET(unit->rtaddr, RTADDR_TTM) == RTADDR_TTM_SCALABLE };
	raw->root_at =
		&follow(unit->rtaddr)[requester / 256 * 2 + (raw->scalable && requester & 0x80)];
	raw->root = word(raw->root_at);
	raw->root_hi = raw->scalable ? 0 : word(raw->root_at + 1);
	if (!(raw->root & ROOT_P))
		return;
	n = raw->scalable ? 4 : 2;
	raw->context_at = &follow(raw->root)[(requester & (raw->scalable ? 0x7f : 0xff)) * n];
	for (i = 0; i < n; i++)
		raw->context[i] = word(&raw->context_at[i]);
	if (!raw->scalable || !(raw->context[0] & CTX_P))
		return;
	raw->pasid = port->flags & SIOMMU_PORT_PASID ? port->pasid
						     : (u32)GET(raw->context[1], SCTX_RID_PASID);
	if (raw->pasid / 64 < dir_entries(raw))
		read_pasid(raw);
}

/* Words that belong together: the driver did not write between them. */
static void read_consistent(const struct vtd_unit *unit, u32 requester, const struct dma_port *port,
			    struct raw *raw)
{
	u64 sequence;

	for (;;) {
		sequence = __atomic_load_n(&unit->sequence, __ATOMIC_ACQUIRE);
		if (!(sequence & 1)) {
			read_all(unit, requester, port, raw);
			if (__atomic_load_n(&unit->sequence, __ATOMIC_RELAXED) == sequence)
				return;
		}
		sched_yield();
	}
}

static void report_step(const struct dma_request *req, const char *what, const u64 *at, u64 value)
{
	const struct siommu_walk_step step = {
		.what = what,
		.address = (uintptr_t)at,
		.value = value,
	};

	if (at)
		req->step(req->step_arg, &step);
}

static void report_steps(const struct dma_request *req, const struct raw *raw)
{
	report_step(req, "Root Entry", raw->root_at, raw->root);
	report_step(req, "Context Entry", raw->context_at, raw->context[0]);
	report_step(req, "PASID Directory Entry", raw->dir_at, raw->dir);
	report_step(req, "PASID Table Entry", raw->pasid_at, raw->entry[0]);
}

/* AW of a second stage. Return: false if the unit does not have it. */
static bool set_second(const struct vtd_unit *unit, u64 root, u64 aw, struct vtd_config *c)
{
	const bool snp_reserved = c->flags & VTD_LEGACY && !(unit->ecap & ECAP_SC);
	unsigned int level;

	if (aw < 1 || aw > 3 || !(GET(unit->cap, CAP_SAGAW) & BIT(aw)))
		return false;
	c->ss_root = root & VTD_ADDR;
	c->ss_levels = (u8)VTD_AW_LEVELS(aw);
	c->ss_bits = (u8)min_u64(VTD_AW_BITS(aw), vtd_mgaw(unit));
	for (level = 0; level < ARRAY_SIZE(c->ss_page); level++)
		c->ss_page[level] = SS_PS;
	c->ss_page[0] = SS_TM | (snp_reserved ? SS_SNP : 0);
	if (unit->cap & CAP_SSLPS_2M)
		c->ss_page[1] = c->ss_page[0] | FIELD(20, 12);
	if (unit->cap & CAP_SSLPS_1G)
		c->ss_page[2] = c->ss_page[0] | FIELD(29, 12);
	return true;
}

static enum vtd_fault legacy(const struct vtd_unit *unit, const struct dma_port *port,
			     const struct raw *raw, struct vtd_config *c, bool *fpd)
{
	const u64 lo = raw->context[0], hi = raw->context[1];
	const u64 tt = GET(lo, CTX_TT);

	if (port->flags & SIOMMU_PORT_PASID)
		return VTD_RTA_PASID;
	if (!raw->context_at)
		return VTD_ROOT_P;
	if (raw->root & ROOT_RESERVED || raw->root_hi)
		return VTD_ROOT_RESERVED;
	*fpd = lo & CTX_FPD;
	if (!(lo & CTX_P))
		return VTD_CTX_P;
	if (lo & CTX_RESERVED_LO || hi & CTX_RESERVED_HI)
		return VTD_CTX_RESERVED;
	c->flags = VTD_LEGACY;
	c->ats = tt == CTX_TT_ATS && unit->ecap & ECAP_DT;
	c->pgtt = tt == CTX_TT_PASS ? PGTT_PASS : PGTT_SECOND;
	if (tt > CTX_TT_PASS || (tt == CTX_TT_ATS && !(unit->ecap & ECAP_DT)) ||
	    (tt == CTX_TT_PASS && !(unit->ecap & ECAP_PT)))
		return VTD_CTX_INVALID;
	return set_second(unit, lo, GET(hi, CTX_AW), c) ? VTD_OK : VTD_CTX_INVALID;
}

static bool pgtt_supported(const struct vtd_unit *unit, u64 pgtt)
{
	switch (pgtt) {
	case PGTT_FIRST:
		return unit->ecap & ECAP_FSTS;
	case PGTT_SECOND:
		return unit->ecap & ECAP_SSTS;
	case PGTT_NESTED:
		return unit->ecap & ECAP_NEST;
	case PGTT_PASS:
		return unit->ecap & ECAP_PT;
	default:
		return false;
	}
}

static bool set_first(const struct vtd_unit *unit, u64 q2, struct vtd_config *c)
{
	const u64 fspm = GET(q2, PASID2_FSPM);

	if (fspm > PASID2_FSPM_5LP || (fspm == PASID2_FSPM_5LP && !(unit->cap & CAP_FS5LP)))
		return false;
	if (q2 & PASID2_EAFE && !(unit->ecap & ECAP_EAFS))
		return false;
	c->fs_root = q2 & VTD_ADDR;
	c->fs_levels = fspm == PASID2_FSPM_5LP ? 5 : 4;
	c->fs_flags =
		X86_WALK_CANONICAL | X86_WALK_AD | (unit->cap & CAP_FS1GP ? X86_WALK_PAGES_1G : 0) |
		(q2 & PASID2_WPE ? X86_WALK_WP : 0) | (q2 & PASID2_NXE ? X86_WALK_NX : 0) |
		(q2 & PASID2_SMEP ? X86_WALK_SMEP : 0) | (q2 & PASID2_EAFE ? X86_WALK_EA : 0) |
		(c->pgtt == PGTT_NESTED ? X86_WALK_GUEST : 0);
	return true;
}

static bool reserved(const u64 *e)
{
	return e[0] & PASID0_RESERVED || e[1] & PASID1_RESERVED || e[2] & PASID2_RESERVED ||
	       e[3] | e[4] | e[5] | e[6] | e[7];
}

static enum vtd_fault pasid_entry(const struct vtd_unit *unit, const u64 *e, struct vtd_config *c)
{
	const u64 pgtt = GET(e[0], PASID0_PGTT);

	if (!(e[0] & PASID0_P))
		return VTD_SPT_P;
	if (reserved(e))
		return VTD_SPT_RESERVED;
	if (!pgtt_supported(unit, pgtt))
		return VTD_SPT_INVALID;
	c->pgtt = (u8)pgtt;
	if ((e[2] & PASID2_SRE && !(unit->ecap & ECAP_SRS)) ||
	    (e[2] & PASID2_ERE && !(unit->ecap & ECAP_ERS)))
		return VTD_SPT_INVALID;
	c->flags = (e[2] & PASID2_SRE ? VTD_SRE : 0) | (e[2] & PASID2_ERE ? VTD_ERE : 0) |
		   (e[0] & PASID0_SSADE ? VTD_SSADE : 0);
	if (pgtt == PGTT_FIRST)
		return set_first(unit, e[2], c) ? VTD_OK : VTD_SPT_INVALID;
	/* Pass-through has no table, but AW counts for it too. */
	if (!set_second(unit, e[0], GET(e[0], PASID0_AW), c))
		return VTD_SPT_INVALID;
	if (e[0] & PASID0_SSADE && !(unit->ecap & ECAP_SSADS))
		return VTD_SPT_INVALID;
	return pgtt != PGTT_NESTED || set_first(unit, e[2], c) ? VTD_OK : VTD_SPT_INVALID;
}

static enum vtd_fault scalable(const struct vtd_unit *unit, const struct dma_port *port,
			       const struct raw *raw, struct vtd_config *c, bool *fpd)
{
	const u64 *ctx = raw->context;
	bool with_pasid = port->flags & SIOMMU_PORT_PASID;

	if (!raw->context_at)
		return VTD_SRT_P;
	if (raw->root & ROOT_RESERVED)
		return VTD_SRT_RESERVED;
	*fpd = ctx[0] & CTX_FPD;
	if (!(ctx[0] & CTX_P))
		return VTD_SCT_P;
	if (ctx[0] & SCTX_RESERVED_LO || ctx[1] & SCTX_RESERVED_HI || ctx[2] | ctx[3])
		return VTD_SCT_RESERVED;
	if (with_pasid && !(ctx[0] & SCTX_PASIDE))
		return VTD_SCT_PASIDE;
	if (raw->pasid / 64 >= dir_entries(raw))
		return with_pasid ? VTD_SCT_PDTS : VTD_SCT_RID_PASID;
	*fpd |= (raw->dir & PDIR_FPD) != 0;
	if (!raw->pasid_at)
		return VTD_SPD_P;
	if (raw->dir & PDIR_RESERVED)
		return VTD_SPD_RESERVED;
	*fpd |= (raw->entry[0] & PASID0_FPD) != 0;
	c->ats = ctx[0] & SCTX_DTE && unit->ecap & ECAP_DT;
	return pasid_entry(unit, raw->entry, c);
}

enum vtd_fault vtd_config_read(struct vtd_device *vd, const struct dma_port *port,
			       const struct dma_request *req, struct vtd_config *config, bool *fpd)
{
	const struct vtd_unit *unit = to_vtd_unit(vd->dev.unit);
	struct vtd_config c = { 0 };
	enum vtd_fault fault;
	struct raw raw;

	*fpd = false;
	read_consistent(unit, vd->dev.requester, port, &raw);
	if (req->step)
		report_steps(req, &raw);
	fault = raw.scalable ? scalable(unit, port, &raw, &c, fpd)
			     : legacy(unit, port, &raw, &c, fpd);
	if (fault)
		return fault;
	if (*fpd)
		c.flags |= VTD_FPD;
	*config = c;
	return VTD_OK;
}
