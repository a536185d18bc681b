// SPDX-License-Identifier: MIT
/*
 * Translation: sections 3.6 "First-Stage Translation", 3.7 "Second-Stage
 * Translation", 3.8 "Nested Translation", and 7.1.3 "Fault conditions".
 *
 * Second-stage tables are made by the driver, in memory of ours. First-stage
 * tables are the driver's too, or a guest's: then every address in them, and
 * that of the root, goes through the second stage, and so does an accessed or
 * dirty bit that is set, which makes the guest's table a page that was written.
 *
 * Bits of leaves are set last, when nothing can refuse the request any more. If
 * an entry is another by then, the walk is done again.
 */
#include "../x86/walk.h"
#include "vtd.h"

/* Internal: an entry has changed, begin again. */
#define AGAIN 0x100

/**
 * struct ss_leaf - what a second-stage walk has found
 * @at: where the entry is
 * @entry: the entry, of a page
 * @all: R and W as all levels allow them
 * @hpa: of the address
 * @lg2: log2 of the page's bytes
 */
struct ss_leaf {
	u64 *at;
	u64 entry;
	u64 all;
	hpa_t hpa;
	unsigned int lg2;
};

/**
 * struct walk - one translation
 * @x86: the first stage
 * @config: how
 * @req: what for
 * @marks: SS_A and SS_D, if they are kept in the second stage
 * @plain: bits of a second-stage table's entry that needs no second look
 * @stage2: the second stage has refused
 * @ipa: what it has refused
 */
struct walk {
	struct x86_walk x86;
	const struct vtd_config *config;
	const struct dma_request *req;
	u64 marks;
	u64 plain;
	bool stage2;
	u64 ipa;
};

static const char *const fs_names[] = { "FS-PTE", "FS-PDE", "FS-PDPE", "FS-PML4E", "FS-PML5E" };
static const char *const ss_names[] = { "SS-PTE", "SS-PDE", "SS-PDPE", "SS-PML4E", "SS-PML5E" };

static const char *ss_note(unsigned int fault)
{
	switch (fault) {
	case VTD_SSS_P:
		return "not present";
	case VTD_SGN_WRITE:
		return "read-only";
	case VTD_SGN_READ:
		return "write-only";
	case VTD_SSS_RESERVED:
		return "reserved bits are set";
	default:
		return NULL;
	}
}

/* What of an SS entry goes to people. */
static void ss_step(const struct walk *w, const struct ss_leaf *leaf, unsigned int level,
		    bool for_table, unsigned int fault)
{
	struct siommu_walk_step step = {
		.what = ss_names[level],
		.stage = 2,
		.depth = for_table,
		.level = level,
		.address = (uintptr_t)leaf->at,
		.value = leaf->entry,
		.note = ss_note(fault),
	};

	if (!fault && (!level || leaf->entry & SS_PS)) {
		step.leaf = true;
		step.output = leaf->hpa;
		step.bytes = (u64)1 << leaf->lg2;
		step.access = (leaf->all & SS_R ? SIOMMU_DMA_READ : 0) |
			      (leaf->all & SS_W ? SIOMMU_DMA_WRITE : 0);
	}
	w->req->step(w->req->step_arg, &step);
}

/* What is wrong with an entry; 0, or by the numbers of scalable mode. */
static unsigned int ss_check(const struct walk *w, u64 entry, unsigned int level, u64 need)
{
	u64 bad = !level || entry & SS_PS ? w->config->ss_page[level] : SS_SNP;

	if (likely((entry & need) == need && entry & (SS_R | SS_W) && !(entry & bad)))
		return VTD_OK;
	if (!(entry & (SS_R | SS_W)))
		return VTD_SSS_P;
	if (need & ~entry)
		return need & ~entry & SS_W ? VTD_SGN_WRITE : VTD_SGN_READ;
	return VTD_SSS_RESERVED;
}

/* Walk down to a page, of which all levels allow @need: SS_R and SS_W. */
static __attribute__((noinline)) unsigned int
ss_walk_slow(const struct walk *w, u64 address, u64 need, bool for_table, struct ss_leaf *leaf)
{
	const struct vtd_config *c = w->config;
	const u64 accessed = w->marks & SS_A;
	unsigned int level = c->ss_levels, fault;
	u64 table = c->ss_root;

	*leaf = (struct ss_leaf){ .all = SS_R | SS_W };
	if (unlikely(address >> c->ss_bits))
		return VTD_SGN_SS_WIDTH;
	for (;;) {
		level--;
		leaf->at = (u64 *)(uintptr_t)table + (address >> (12 + 9 * level) & 511);
		leaf->entry = __atomic_load_n(leaf->at, __ATOMIC_ACQUIRE);
	recheck:
		fault = ss_check(w, leaf->entry, level, need);
		if (unlikely(fault) || !level || leaf->entry & SS_PS)
			break;
		if (unlikely((leaf->entry & accessed) != accessed) &&
		    !__atomic_compare_exchange_n(leaf->at, &leaf->entry, leaf->entry | accessed,
						 false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			goto recheck;
		leaf->all &= leaf->entry;
		table = leaf->entry & SS_ADDR;
		if (unlikely(w->req->step != NULL))
			ss_step(w, leaf, level, for_table, VTD_OK);
	}
	leaf->all &= leaf->entry;
	leaf->lg2 = 12 + 9 * level;
	leaf->hpa =
		(leaf->entry & SS_ADDR & ~(BIT(leaf->lg2) - 1)) | (address & (BIT(leaf->lg2) - 1));
	if (unlikely(w->req->step != NULL))
		ss_step(w, leaf, level, for_table, fault);
	return fault;
}

/* The same, as it mostly is: nothing to be marked on the way, nothing wrong. */
X86_INLINE bool ss_walk_fast(const struct walk *w, u64 address, u64 need, struct ss_leaf *leaf)
{
	const struct vtd_config *c = w->config;
	const u64 plain = w->plain | need;
	unsigned int level = c->ss_levels - 1u, shift = 12 + 9 * level;
	u64 table = c->ss_root, all = SS_R | SS_W, entry;

	if (unlikely(address >> c->ss_bits || !need))
		return false;
	for (;;) {
		leaf->at = (u64 *)(uintptr_t)table + (address >> shift & 511);
		entry = __atomic_load_n(leaf->at, __ATOMIC_ACQUIRE);
		if (!level || entry & SS_PS)
			break;
		if (unlikely((entry & plain) != plain || entry & SS_SNP))
			return false;
		all &= entry;
		table = entry & SS_ADDR;
		level--;
		shift -= 9;
	}
	if (unlikely((entry & need) != need || entry & c->ss_page[level] || w->req->step))
		return false;
	leaf->entry = entry;
	leaf->all = all & entry;
	leaf->lg2 = shift;
	leaf->hpa = (entry & SS_ADDR & ~(BIT(shift) - 1)) | (address & (BIT(shift) - 1));
	return true;
}

X86_INLINE unsigned int ss_walk(const struct walk *w, u64 address, u64 need, bool for_table,
				struct ss_leaf *leaf)
{
	struct ss_leaf slow;
	unsigned int fault;

	if (likely(ss_walk_fast(w, address, need, leaf)))
		return VTD_OK;
	fault = ss_walk_slow(w, address, need, for_table, &slow);
	*leaf = slow;
	return fault;
}

/* The page is used, or written. Return: 0, or AGAIN. */
X86_INLINE unsigned int ss_commit(const struct walk *w, struct ss_leaf *leaf, bool dirty)
{
	const u64 marks = w->marks & (dirty ? SS_A | SS_D : SS_A);
	u64 entry = leaf->entry;

	while (unlikely((entry & marks) != marks)) {
		if (__atomic_compare_exchange_n(leaf->at, &entry, entry | marks, false,
						__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			entry |= marks;
		else if ((entry ^ leaf->entry) & ~(SS_A | SS_D))
			return AGAIN;
	}
	leaf->entry = entry;
	return VTD_OK;
}

/* Why a first-stage table cannot be read, or written. */
static int table_fault(struct walk *w, u64 address, bool write, unsigned int fault)
{
	w->stage2 = true;
	w->ipa = address;
	switch (fault) {
	case VTD_SGN_SS_WIDTH:
		return VTD_SFS_GPA;
	case VTD_SSS_RESERVED:
		return VTD_SSS_RESERVED;
	default:
		break;
	}
	if (write)
		return VTD_SFS_SS_WRITE;
	return w->x86.level + 1 == w->x86.levels ? VTD_SFS_ROOT_SS : VTD_SFS_SS;
}

static __attribute__((noinline)) int table_for_write(struct walk *w, u64 address, hpa_t *hpa)
{
	struct ss_leaf leaf;
	unsigned int fault;

	do {
		fault = ss_walk(w, address, SS_W, true, &leaf);
		if (fault)
			return table_fault(w, address, true, fault);
	} while (ss_commit(w, &leaf, true));
	*hpa = leaf.hpa;
	return 0;
}

X86_INLINE int through_second_stage(void *arg, u64 address, bool write, hpa_t *hpa)
{
	struct walk *w = arg;
	struct ss_leaf leaf;
	unsigned int fault;

	if (write)
		return table_for_write(w, address, hpa);
	do {
		fault = ss_walk(w, address, SS_R, true, &leaf);
		if (unlikely(fault))
			return table_fault(w, address, false, fault);
	} while (unlikely(ss_commit(w, &leaf, false)));
	*hpa = leaf.hpa;
	return 0;
}

X86_INLINE int at_its_address(void *arg, u64 address, bool write, hpa_t *hpa)
{
	(void)arg;
	(void)write;
	*hpa = address;
	return 0;
}

static unsigned int first_stage_fault(const struct walk *w, enum x86_fault fault)
{
	switch (fault) {
	case X86_OK:
		return VTD_OK;
	case X86_AGAIN:
		return AGAIN;
	case X86_NONCANONICAL:
		return VTD_SGN_CANONICAL;
	case X86_TABLE:
	case X86_TABLE_WRITE:
		return (unsigned int)w->x86.why;
	case X86_ABORT:
		return w->x86.level + 1 == w->x86.levels ? VTD_SFS_ROOT_ACCESS : VTD_SFS_ACCESS;
	case X86_NOT_PRESENT:
		return VTD_SFS_P;
	case X86_USER:
		return VTD_SGN_USER;
	case X86_WRITE:
		return VTD_SGN_WRITE;
	case X86_EXEC:
		return VTD_SGN_EXEC;
	case X86_RESERVED:
		return VTD_SFS_RESERVED;
	case X86_UPDATE:
		break;
	}
	return VTD_SFS_UPDATE;
}

/* R and W that the request needs of the second stage. */
X86_INLINE u64 ss_need(unsigned int access)
{
	return (access & (SIOMMU_DMA_READ | SIOMMU_DMA_EXEC) ? SS_R : 0) |
	       (access & SIOMMU_DMA_WRITE ? SS_W : 0);
}

/* What a second-stage page allows, to anybody. */
X86_INLINE u32 ss_perms(const struct walk *w, const struct ss_leaf *leaf)
{
	unsigned int perms = leaf->all & SS_R ? SIOMMU_DMA_READ | SIOMMU_DMA_EXEC : 0;

	if (leaf->all & SS_W && (!(w->config->flags & VTD_SSADE) || leaf->entry & SS_D))
		perms |= SIOMMU_DMA_WRITE;
	return dma_perms(perms, perms);
}

/* Translate @address through the second stage as the request asks. */
X86_INLINE unsigned int ss_final(struct walk *w, u64 address, struct ss_leaf *leaf)
{
	unsigned int fault = ss_walk(w, address, ss_need(w->x86.access), false, leaf);

	if (unlikely(fault)) {
		w->stage2 = true;
		w->ipa = address;
	}
	return fault;
}

/* Where the first stage ended, for its neighbours. */
X86_INLINE void fs_left(const struct walk *w, struct dma_leaf *leaf)
{
	leaf->at = w->x86.hpa;
	leaf->entry = w->x86.entry;
	leaf->address = X86_PTE_ADDR & ~(BIT(w->x86.lg2) - 1);
	leaf->perms = w->x86.perms;
	leaf->item_lg2 = leaf->lg2 = w->x86.lg2;
}

/* The same of the second. */
X86_INLINE void ss_left(const struct ss_leaf *found, u32 perms, struct dma_leaf *leaf)
{
	leaf->at = (uintptr_t)found->at;
	leaf->entry = found->entry;
	leaf->address = SS_ADDR & ~(BIT(found->lg2) - 1);
	leaf->perms = perms;
	leaf->item_lg2 = leaf->lg2 = found->lg2;
}

static unsigned int first_stage(struct walk *w, struct dma_reply *reply)
{
	enum x86_fault fault;

	do {
		fault = x86_walk(&w->x86, at_its_address, NULL);
		if (!fault)
			fault = x86_walk_commit(&w->x86, at_its_address, NULL);
	} while (unlikely(fault == X86_AGAIN));
	if (unlikely(fault))
		return first_stage_fault(w, fault);
	reply->hpa = w->x86.output;
	reply->lg2 = reply->span_lg2 = w->x86.lg2;
	reply->perms = w->x86.perms;
	reply->leaves = 1;
	fs_left(w, &reply->leaf[0]);
	return VTD_OK;
}

static unsigned int second_stage(struct walk *w, struct dma_reply *reply)
{
	struct ss_leaf leaf;
	unsigned int fault;

	do {
		fault = ss_final(w, w->req->iova, &leaf);
		if (unlikely(fault))
			return fault;
	} while (unlikely(ss_commit(w, &leaf, w->x86.dirty && leaf.all & SS_W)));
	reply->hpa = leaf.hpa;
	reply->lg2 = reply->span_lg2 = leaf.lg2;
	reply->perms = ss_perms(w, &leaf);
	reply->leaves = 1;
	ss_left(&leaf, reply->perms, &reply->leaf[0]);
	return VTD_OK;
}

static unsigned int nested_once(struct walk *w, struct dma_reply *reply)
{
	unsigned int fault;
	struct ss_leaf leaf;
	bool written;
	u32 perms;

	fault = first_stage_fault(w, x86_walk(&w->x86, through_second_stage, w));
	if (unlikely(fault))
		return fault;
	fault = ss_final(w, w->x86.output, &leaf);
	if (unlikely(fault))
		return fault;
	/* A translation request is for writing if both stages let it. */
	w->x86.dirty &= (leaf.all & SS_W) != 0;
	written = w->x86.dirty && x86_writable(&w->x86);
	fault = first_stage_fault(w, x86_walk_commit(&w->x86, through_second_stage, w));
	if (likely(!fault))
		fault = ss_commit(w, &leaf, written);
	if (unlikely(fault))
		return fault;
	reply->hpa = leaf.hpa;
	reply->lg2 = (unsigned int)min_u64(w->x86.lg2, leaf.lg2);
	/* Whoever changes the second stage invalidates all that is nested on it. */
	reply->span_lg2 = w->x86.lg2;
	perms = ss_perms(w, &leaf);
	reply->perms = w->x86.perms & perms;
	reply->leaves = 2;
	fs_left(w, &reply->leaf[0]);
	ss_left(&leaf, perms, &reply->leaf[1]);
	return VTD_OK;
}

static unsigned int nested(struct walk *w, struct dma_reply *reply)
{
	const bool dirty = w->x86.dirty;
	unsigned int fault;

	do {
		w->x86.dirty = dirty;
		fault = nested_once(w, reply);
	} while (unlikely(fault == AGAIN));
	return fault;
}

static unsigned int pass_through(const struct walk *w, struct dma_reply *reply)
{
	const unsigned int all = SIOMMU_DMA_READ | SIOMMU_DMA_WRITE | SIOMMU_DMA_EXEC;

	if (w->req->iova >> w->config->ss_bits)
		return VTD_SGN_HARDWARE;
	reply->hpa = w->req->iova;
	reply->lg2 = reply->span_lg2 = PAGE_LG2;
	reply->perms = dma_perms(all, all);
	return VTD_OK;
}

/* What came out must not be the interrupt window, nor must a page that has it be reused. */
X86_INLINE unsigned int check_output(struct dma_reply *reply)
{
	const u64 page = reply->hpa & ~(BIT(reply->lg2) - 1);

	if (likely(page > VTD_MSI_LAST || page + (BIT(reply->lg2) - 1) < VTD_MSI_FIRST))
		return VTD_OK;
	if (reply->hpa >= VTD_MSI_FIRST && reply->hpa <= VTD_MSI_LAST)
		return VTD_SGN_INTERRUPT;
	reply->lg2 = PAGE_LG2;
	return VTD_OK;
}

/* Only requests with a PASID say whether they are privileged, or fetch code. */
X86_INLINE unsigned int real_access(const struct dma_port *port, const struct dma_request *req)
{
	const unsigned int said = SIOMMU_DMA_EXEC | SIOMMU_DMA_PRIV;

	return port->flags & SIOMMU_PORT_PASID ? req->access : req->access & ~said;
}

X86_INLINE u32 real_perms(const struct dma_port *port, const struct vtd_config *c, u32 perms)
{
	const u32 exec = dma_perms(SIOMMU_DMA_EXEC, SIOMMU_DMA_EXEC);
	u32 user;

	if (port->flags & SIOMMU_PORT_PASID) {
		if (!(c->flags & VTD_ERE))
			perms &= ~exec;
		return c->flags & VTD_SRE ? perms : perms & dma_perms(7, 0);
	}
	user = perms & (SIOMMU_DMA_READ | SIOMMU_DMA_WRITE);
	if (user & SIOMMU_DMA_READ)
		user |= SIOMMU_DMA_EXEC;
	return dma_perms(user, user);
}

/*
 * The page has the window for interrupts, or shares a table with it. A write there is a
 * message: no page that a guest has mapped there may be remembered as one to write to.
 */
static __attribute__((noinline)) void
leave_window(const struct dma_port *port, const struct dma_request *req, struct dma_reply *reply)
{
	reply->leaves = 0;
	if (port->flags & SIOMMU_PORT_PASID || req->ats)
		return;
	reply->lg2 = PAGE_LG2;
	if (req->iova >= VTD_MSI_FIRST && req->iova <= VTD_MSI_LAST)
		reply->perms &= ~dma_perms(SIOMMU_DMA_WRITE, SIOMMU_DMA_WRITE);
}

static unsigned int walk_tables(struct walk *w, const struct dma_port *port,
				struct dma_reply *reply)
{
	const struct vtd_config *c = w->config;
	unsigned int fault;

	switch (c->pgtt) {
	case PGTT_FIRST:
		fault = first_stage(w, reply);
		break;
	case PGTT_SECOND:
		fault = second_stage(w, reply);
		break;
	case PGTT_NESTED:
		fault = nested(w, reply);
		break;
	default:
		fault = pass_through(w, reply);
	}
	if (unlikely(fault))
		return fault;
	reply->perms = real_perms(port, c, reply->perms);
	reply->leaf[0].perms = real_perms(port, c, reply->leaf[0].perms);
	if (unlikely((w->req->iova ^ VTD_MSI_FIRST) >> max_u64(reply->lg2, DMA_NEAR_LG2) == 0))
		leave_window(port, w->req, reply);
	return check_output(reply);
}

static unsigned int check_request(const struct vtd_config *c, const struct dma_request *req,
				  unsigned int access)
{
	if (req->ats && !c->ats)
		return VTD_SCT_DTE;
	if (access & SIOMMU_DMA_EXEC && !(c->flags & VTD_ERE))
		return VTD_SPT_ERE;
	return access & SIOMMU_DMA_PRIV && !(c->flags & VTD_SRE) ? VTD_SPT_SRE : VTD_OK;
}

static unsigned int translate(struct iommu_device *dev, struct dma_port *port,
			      const struct dma_request *req, struct dma_reply *reply,
			      struct walk *w)
{
	struct vtd_config *c = (struct vtd_config *)port->config;
	const unsigned int access = real_access(port, req);
	unsigned int fault;
	bool fpd;

	if (unlikely(!port->config_valid || req->step)) {
		fault = vtd_config_read(to_vtd_device(dev), port, req, c, &fpd);
		port->config_valid = !fault;
		c->flags = fault ? (fpd ? VTD_FPD : 0) : c->flags;
		if (fault)
			return fault;
	}
	if (unlikely(req->ats || access & (SIOMMU_DMA_EXEC | SIOMMU_DMA_PRIV))) {
		fault = check_request(c, req, access);
		if (fault)
			return fault;
	}
	w->marks = c->flags & VTD_SSADE && !req->peek ? SS_A | SS_D : 0;
	w->plain = w->marks & SS_A;
	w->x86.port = port;
	w->x86.req = req;
	w->x86.names = fs_names;
	w->x86.root = c->fs_root;
	w->x86.reserved = 0;
	w->x86.flags = c->fs_flags;
	w->x86.levels = c->fs_levels;
	w->x86.access = req->ats ? access & SIOMMU_DMA_PRIV : access;
	w->x86.dirty = access & SIOMMU_DMA_WRITE;
	w->x86.retries = X86_WALK_RETRIES;
	return walk_tables(w, port, reply);
}

/*
 * Untranslated writes without a PASID to the window are messages, whatever the
 * tables say; everything else there is an address like any other.
 */
X86_INLINE bool is_interrupt(const struct dma_port *port, const struct dma_request *req)
{
	return req->iova >= VTD_MSI_FIRST && req->iova <= VTD_MSI_LAST && !req->ats &&
	       !(port->flags & SIOMMU_PORT_PASID) &&
	       (req->access & (SIOMMU_DMA_READ | SIOMMU_DMA_WRITE)) == SIOMMU_DMA_WRITE;
}

int vtd_translate(struct iommu_device *dev, struct dma_port *port, const struct dma_request *req,
		  struct dma_reply *reply)
{
	const struct vtd_config *c = (const struct vtd_config *)port->config;
	struct walk w;
	unsigned int fault;

	if (unlikely(is_interrupt(port, req))) {
		reply->hpa = req->iova;
		reply->lg2 = reply->span_lg2 = PAGE_LG2;
		reply->perms = 0;
		reply->interrupt = true;
		return 0;
	}
	w.config = c;
	w.req = req;
	w.stage2 = false;
	fault = translate(dev, port, req, reply, &w);
	if (likely(!fault))
		return 0;
	if (w.stage2) {
		reply->fault.flags |= SIOMMU_FAULT_STAGE2;
		reply->fault.ipa = w.ipa;
	}
	return vtd_refuse(dev, port, req, fault, reply);
}
