// SPDX-License-Identifier: MIT
/*
 * The hardware's half: what becomes of a request.
 *
 * All that is known of a device is its device table entry. It is decoded once
 * into the port and checked then; whoever writes one flushes the ports, which
 * forgets what was decoded.
 *
 * A request goes through guest tables if it has a PASID, or if GIOV gives it
 * PASID 0, and then through host tables; all that guest tables consist of, the
 * GCR3 table too, is at addresses that host tables translate. Without host
 * tables (Mode 0) they are at addresses as they are.
 *
 * Accessed bits of tables are set on the way, those of pages and dirty bits at
 * the end, when nothing can refuse the request any more.
 */
#include "../x86/walk.h"
#include "amd.h"
#include "host.h"

void amd_dte_write(struct amd_dte *dte, const u64 q[4])
{
	u32 sequence = atomic_load_explicit(&dte->sequence, memory_order_relaxed);
	unsigned int i;

	atomic_store_explicit(&dte->sequence, sequence + 1, memory_order_relaxed);
	/* In order: who sees any of these sees that they are being written. */
	for (i = 0; i < 4; i++)
		atomic_store_explicit(&dte->q[i], q[i], memory_order_release);
	atomic_store_explicit(&dte->sequence, sequence + 2, memory_order_release);
}

void amd_dte_read(const struct amd_dte *dte, u64 q[4])
{
	unsigned int i;
	u32 sequence;

	do {
		sequence = atomic_load_explicit(&dte->sequence, memory_order_acquire);
		for (i = 0; i < 4; i++)
			q[i] = atomic_load_explicit(&dte->q[i], memory_order_acquire);
	} while (sequence & 1 ||
		 sequence != atomic_load_explicit(&dte->sequence, memory_order_relaxed));
}

/* What a device's entry makes of its requests. */
enum amd_kind {
	KIND_ILLEGAL, /* the entry makes no sense */
	KIND_DIRECT,  /* nothing is translated */
	KIND_BLOCKED, /* there is no translation */
	KIND_TABLES,
};

/**
 * struct amd_config - a device table entry, decoded; in a port's config
 * @root: top host table
 * @gcr3: top GCR3 table
 * @gcr3_entry: the port's entry in it, once it was found valid; 0 before
 * @allowed: HOST_IR and HOST_IW
 * @update: HOST_A and HOST_D
 * @kind: enum amd_kind
 * @domain: its id
 * @mode: levels of host tables
 * @guest_levels: levels of guest tables
 * @glx: levels of the GCR3 table less one
 * @guest: requests of the port go through guest tables
 * @has_guest: there are guest tables
 * @ats: translation requests are answered
 * @ppr: page requests are
 */
struct amd_config {
	u64 root;
	u64 gcr3;
	u64 gcr3_entry;
	u64 allowed;
	u64 update;
	u16 domain;
	u8 kind;
	u8 mode;
	u8 guest_levels;
	u8 glx;
	bool guest;
	bool has_guest;
	bool ats;
	bool ppr;
};

_Static_assert(sizeof(struct amd_config) <= DMA_CONFIG_WORDS * sizeof(u64), "it fits a port");

/**
 * struct request - one request on its way
 * @dev: the device
 * @port: the port
 * @config: its entry
 * @req: the request
 * @reply: what it gets
 * @host: the last walk of host tables
 * @host_fault: how it ended
 * @gpa: what was to be translated by it
 * @write: the page is written, if it may be
 */
struct request {
	struct iommu_device *dev;
	struct dma_port *port;
	struct amd_config *config;
	const struct dma_request *req;
	struct dma_reply *reply;
	struct host_walk host;
	enum host_fault host_fault;
	u64 gpa;
	bool write;
};

static bool has_pasid(const struct dma_port *port)
{
	return port->flags & SIOMMU_PORT_PASID;
}

static void tell(const struct request *r, const char *what, u64 address, u64 value,
		 const char *note)
{
	const struct siommu_walk_step step = {
		.what = what, .address = address, .value = value, .note = note
	};

	if (unlikely(r->req->step != NULL))
		r->req->step(r->req->step_arg, &step);
}

/* Section 2.5: an event. @address is what it is about. Return: -EFAULT. */
static int event(const struct request *r, unsigned int code, u32 flags, u64 address,
		 u32 fault_flags)
{
	struct siommu_fault *fault = &r->reply->fault;
	u32 id = flags & AMD_EVENT_GN ? r->port->pasid : r->config->domain;
	u32 d0 = r->dev->requester;

	if (flags & AMD_EVENT_GN)
		d0 |= (r->port->pasid >> 16) << 16;
	if (r->req->ats) {
		flags |= AMD_EVENT_TR;
		fault_flags |= SIOMMU_FAULT_SILENT;
	}
	*fault = (struct siommu_fault){
		.iova = r->req->iova,
		.ipa = fault_flags & SIOMMU_FAULT_STAGE2 ? r->gpa : 0,
		.access = r->req->access,
		.flags = fault_flags | (has_pasid(r->port) ? SIOMMU_FAULT_PASID : 0),
		.pasid = r->port->pasid,
		.reason = code,
		.record = { d0 | (u64)((id & 0xffff) | flags << 16 | code << 28) << 32, address },
	};
	return -EFAULT;
}

/* Section 2.5.3 "IO_PAGE_FAULT Event", with what the request says of itself. */
static int page_fault(const struct request *r, u32 flags, u64 address, u32 fault_flags)
{
	const unsigned int access = r->req->access;

	if (access & SIOMMU_DMA_WRITE)
		flags |= AMD_EVENT_RW;
	if (flags & AMD_EVENT_GN) {
		if (access & SIOMMU_DMA_EXEC)
			flags |= AMD_EVENT_NX;
		if (!(access & SIOMMU_DMA_PRIV && has_pasid(r->port)))
			flags |= AMD_EVENT_US;
	}
	/* To a translation request, no page and no permission are an answer. */
	if (r->req->ats && r->config->kind == KIND_TABLES && !(flags & AMD_EVENT_RZ))
		fault_flags |= SIOMMU_FAULT_RECOVERABLE;
	return event(r, AMD_IO_PAGE_FAULT, flags, address, fault_flags);
}

/* A host table refuses @r->gpa. */
static int host_page_fault(const struct request *r)
{
	const u32 stage = r->config->guest ? SIOMMU_FAULT_STAGE2 : 0;

	switch (r->host_fault) {
	case HOST_RZ:
		return page_fault(r, AMD_EVENT_PR | AMD_EVENT_RZ, r->gpa, stage);
	case HOST_DENIED:
		return page_fault(r, AMD_EVENT_PR | AMD_EVENT_PE, r->gpa, stage);
	default:
		return page_fault(r, 0, r->gpa, stage);
	}
}

static const char *host_note(enum host_fault fault)
{
	switch (fault) {
	case HOST_NOT_PRESENT:
		return "not present";
	case HOST_RZ:
		return "reserved bits or an impossible level";
	default:
		return NULL;
	}
}

void host_step(const struct host_walk *w, unsigned int level, enum host_fault fault)
{
	unsigned int next = (unsigned int)(w->entry >> HOST_NEXT_SHIFT) & 7;
	struct siommu_walk_step step = {
		.what = !next || next == HOST_ENCODED ? "host PTE" : "host PDE",
		.stage = 2,
		.depth = w->depth,
		.level = level - 1,
		.address = (u64)(uintptr_t)w->slot,
		.value = w->entry,
		.note = host_note(fault),
	};

	if (!fault && (!next || next == HOST_ENCODED)) {
		step.leaf = true;
		step.output = w->hpa;
		step.bytes = (u64)1 << w->lg2;
		step.access = (w->all & HOST_IR ? SIOMMU_DMA_READ : 0) |
			      (w->all & HOST_IW ? SIOMMU_DMA_WRITE : 0);
	}
	w->req->step(w->req->step_arg, &step);
}

/* Section 2.2.2.1: does the entry say what this IOMMU can do? */
static bool dte_legal(const struct amd_unit *unit, const u64 q[4])
{
	unsigned int mode = (unsigned int)((q[0] & DTE0_MODE) >> DTE0_MODE_SHIFT);
	u64 glx = (q[0] & DTE0_GLX) >> DTE0_GLX_SHIFT;
	u64 glx_max = (unit->efr & EFR_GLX) >> EFR_GLX_SHIFT;
	u64 levels = (q[2] & DTE2_GPM) >> DTE2_GPM_SHIFT;

	if (mode > amd_host_levels(unit))
		return false;
	if ((q[0] & DTE0_HAD_D && !(q[0] & DTE0_HAD_A && unit->efr & EFR_HD)) ||
	    (q[0] & DTE0_HAD_A && !(unit->efr & EFR_HA)))
		return false;
	if (!(q[0] & DTE0_GV))
		return true;
	if (glx > glx_max || glx > AMD_GLX_MAX)
		return false;
	return unit->efr & EFR_GT && levels + 4 <= amd_guest_levels(unit);
}

static enum amd_kind dte_kind(const struct amd_unit *unit, const u64 q[4])
{
	if (!(q[0] & DTE0_V))
		return KIND_DIRECT;
	if (!dte_legal(unit, q))
		return KIND_ILLEGAL;
	return q[0] & DTE0_TV ? KIND_TABLES : KIND_BLOCKED;
}

static __attribute__((noinline)) void decode(struct request *r)
{
	const struct amd_device *dev = to_amd_device(r->dev);
	struct amd_config *c = r->config;
	u64 q[4];

	amd_dte_read(&dev->dte, q);
	*c = (struct amd_config){
		.root = q[0] & DTE0_ROOT,
		.gcr3 = amd_dte_gcr3(q),
		.allowed = q[0] & (DTE0_IR | DTE0_IW),
		.update = (q[0] & DTE0_HAD_A ? HOST_A : 0) | (q[0] & DTE0_HAD_D ? HOST_D : 0),
		.domain = (u16)(q[1] & DTE1_DOMAIN),
		.kind = dte_kind(to_amd_unit(r->dev->unit), q),
		.mode = (u8)((q[0] & DTE0_MODE) >> DTE0_MODE_SHIFT),
		.guest_levels = (u8)(4 + ((q[2] & DTE2_GPM) >> DTE2_GPM_SHIFT)),
		.glx = (u8)((q[0] & DTE0_GLX) >> DTE0_GLX_SHIFT),
		.has_guest = q[0] & DTE0_GV,
		.ats = q[1] & DTE1_I,
		.ppr = q[0] & DTE0_PPR,
	};
	c->guest = c->kind == KIND_TABLES &&
		   (has_pasid(r->port) || (c->has_guest && q[0] & DTE0_GIOV));
	r->port->config_valid = true;
}

static void tell_dte(const struct request *r)
{
	const struct amd_dte *dte = &to_amd_device(r->dev)->dte;
	static const char *const notes[] = {
		[KIND_ILLEGAL] = "makes no sense",
		[KIND_DIRECT] = "not valid: nothing is translated",
		[KIND_BLOCKED] = "no translation: all is blocked",
		[KIND_TABLES] = NULL,
	};
	u64 q[4];

	amd_dte_read(dte, q);
	tell(r, "DTE", (u64)(uintptr_t)&dte->q[0], q[0], notes[r->config->kind]);
}

/* Translate an address of a guest's. */
static __attribute__((noinline)) int host_begin(struct request *r, u64 gpa, u64 need)
{
	r->gpa = gpa;
	r->host_fault = host_walk_near(&r->host, gpa, need);
	return r->host_fault ? -EFAULT : 0;
}

/* Where a guest's table is that the IOMMU itself reads or updates. */
static int guest_where(void *arg, u64 address, bool write, hpa_t *hpa)
{
	struct request *r = arg;

	if (!r->config->mode) {
		*hpa = address;
		return 0;
	}
	do {
		if (host_begin(r, address, write ? HOST_IR | HOST_IW : HOST_IR))
			return -EFAULT;
	} while (host_commit(&r->host, write));
	*hpa = r->host.hpa;
	return 0;
}

static int load_guest(struct request *r, hpa_t hpa, u64 *value)
{
	if (r->config->mode)
		return dma_load64(r->port, hpa, value);
	*value = __atomic_load_n((const u64 *)(uintptr_t)hpa, __ATOMIC_ACQUIRE);
	return 0;
}

/* Memory is gone that the hardware has to read. */
static int table_error(const struct request *r, u64 address)
{
	return event(r, AMD_PAGE_TAB_HARDWARE_ERROR, 0, address, 0);
}

/* Section 2.2.6.3: where the guest tables of the port's PASID are. */
static __attribute__((noinline)) int find_gcr3(struct request *r, u64 *found)
{
	const u32 pasid = r->port->pasid;
	unsigned int level = r->config->glx + 1u;
	u64 entry, table = r->config->gcr3;
	hpa_t hpa;

	if (!r->config->has_guest || pasid >> 9 * level)
		return page_fault(r, AMD_EVENT_GN, r->req->iova, 0);
	while (level--) {
		u64 address = table + (pasid >> 9 * level & 511) * 8;

		if (guest_where(r, address, false, &hpa))
			return host_page_fault(r);
		if (load_guest(r, hpa, &entry))
			return table_error(r, address);
		tell(r, "GCR3 entry", address, entry, entry & GCR3_V ? NULL : "not valid");
		if (!(entry & GCR3_V))
			return page_fault(r, AMD_EVENT_GN, r->req->iova, 0);
		table = entry & GCR3_ADDR;
	}
	/* What was found without a trace is not as good as found. */
	if (!r->req->peek)
		r->config->gcr3_entry = entry;
	*found = entry;
	return 0;
}

/* The guest's tables refuse the request. */
static int guest_fault(const struct request *r, const struct x86_walk *w, enum x86_fault fault)
{
	const u32 may_help = r->config->ppr && has_pasid(r->port) ? SIOMMU_FAULT_RECOVERABLE : 0;

	switch (fault) {
	case X86_TABLE:
	case X86_TABLE_WRITE:
		return host_page_fault(r);
	case X86_ABORT:
	case X86_AGAIN:
	case X86_UPDATE:
		return table_error(r, w->address);
	case X86_RESERVED:
		return page_fault(r, AMD_EVENT_GN | AMD_EVENT_PR | AMD_EVENT_RZ, r->req->iova, 0);
	case X86_NONCANONICAL:
		return page_fault(r, AMD_EVENT_GN, r->req->iova, 0);
	case X86_NOT_PRESENT:
		return page_fault(r, AMD_EVENT_GN, r->req->iova, may_help);
	default:
		return page_fault(r, AMD_EVENT_GN | AMD_EVENT_PR | AMD_EVENT_PE, r->req->iova,
				  may_help);
	}
}

static u64 host_need(unsigned int access)
{
	return (access & (SIOMMU_DMA_READ | SIOMMU_DMA_EXEC) ? HOST_IR : 0) |
	       (access & SIOMMU_DMA_WRITE ? HOST_IW : 0);
}

/* A translation request is granted what there is: all that matters is whom for. */
static unsigned int needed_access(const struct request *r)
{
	unsigned int access = r->req->access;

	if (r->req->ats)
		access &= SIOMMU_DMA_PRIV;
	return has_pasid(r->port) ? access : access & ~(unsigned int)SIOMMU_DMA_PRIV;
}

/* A translation request that nothing is granted is refused. */
static int grant(struct request *r, unsigned int lg2, unsigned int span, u32 perms, u32 gn)
{
	struct dma_reply *reply = r->reply;

	if (unlikely(r->req->ats && !perms))
		return page_fault(r, gn | AMD_EVENT_PR | AMD_EVENT_PE, r->req->iova, 0);
	reply->hpa = r->host.hpa;
	reply->lg2 = lg2;
	reply->span_lg2 = span;
	reply->perms = perms;
	reply->interrupt = false;
	return 0;
}

/* Where host tables were left, for the neighbours. */
static inline void host_left(const struct request *r, unsigned int stage, unsigned int perms)
{
	r->reply->leaf[stage] = (struct dma_leaf){
		.at = (uintptr_t)r->host.slot,
		.entry = r->host.entry,
		.address = HOST_ADDR & ~host_mask(r->host.lg2),
		.perms = dma_perms(perms, perms),
		.item_lg2 = r->host.item_lg2,
		.lg2 = r->host.lg2,
	};
}

static inline void guest_left(const struct request *r, const struct x86_walk *w)
{
	r->reply->leaf[0] = (struct dma_leaf){
		.at = w->hpa,
		.entry = w->entry,
		.address = X86_PTE_ADDR & ~host_mask(w->lg2),
		.perms = w->perms,
		.item_lg2 = w->lg2,
		.lg2 = w->lg2,
	};
}

/* Is all that addresses near this one go through tables? */
static bool has_near(const struct request *r)
{
	return r->host.mode && (r->req->iova ^ AMD_MSI_FIRST) >> DMA_NEAR_LG2;
}

static int translate_host(struct request *r)
{
	const unsigned int access = needed_access(r);
	unsigned int perms;

	r->gpa = r->req->iova;
	do {
		r->host_fault = host_walk(&r->host, r->gpa, host_need(access));
		if (unlikely(r->host_fault))
			return host_page_fault(r);
	} while (host_commit(&r->host, r->write && r->host.all & HOST_IW));
	perms = host_perms(&r->host, r->config->update & HOST_D);
	if (likely(has_near(r))) {
		host_left(r, 0, perms);
		r->reply->leaves = 1;
	}
	return grant(r, r->host.lg2, r->host.lg2, dma_perms(perms, perms), 0);
}

static const char *const guest_names[] = { "PTE", "PDE", "PDPE", "PML4E", "PML5E" };

/* Is the page marked as what is done to it? */
static bool marked(const struct x86_walk *w)
{
	return w->entry & X86_PTE_A && (!w->dirty || w->entry & X86_PTE_D);
}

/* Both stages, once. X86_AGAIN if an entry was another when it was to be marked. */
static enum x86_fault walk_guest(struct request *r, struct x86_walk *w)
{
	enum x86_fault fault;

	r->host.depth = 1;
	fault = x86_walk(w, guest_where, r);
	r->host.depth = 0;
	if (unlikely(fault))
		return fault;
	if (unlikely(host_begin(r, w->output, host_need(w->access))))
		return X86_TABLE;
	w->dirty = r->write && r->host.all & HOST_IW;
	if (unlikely(!marked(w))) {
		/* To mark an entry, another address has to be translated. */
		struct host_walk page = r->host;

		fault = x86_walk_commit(w, guest_where, r);
		r->host = page;
		if (unlikely(fault))
			return fault;
	}
	if (host_commit(&r->host, w->dirty && x86_writable(w)))
		return X86_AGAIN;
	return X86_OK;
}

static int translate_guest(struct request *r)
{
	const struct amd_unit *unit = to_amd_unit(r->dev->unit);
	const struct amd_config *c = r->config;
	struct x86_walk w;
	u64 entry = c->gcr3_entry;
	enum x86_fault fault;
	unsigned int host, lg2;
	int rc;

	if (unlikely(!entry || r->req->step)) {
		r->host.depth = 1;
		rc = find_gcr3(r, &entry);
		if (rc)
			return rc;
	}
	w.port = r->port;
	w.req = r->req;
	w.names = guest_names;
	w.root = entry & GCR3_ADDR;
	w.reserved = unit->efr & EFR_NX ? 0 : X86_PTE_XD;
	w.flags = X86_WALK_CANONICAL | X86_WALK_PAGES_1G | X86_WALK_WP | X86_WALK_AD |
		  (unit->efr & EFR_NX ? X86_WALK_NX : 0) | (c->mode ? X86_WALK_GUEST : 0);
	w.levels = c->guest_levels;
	w.access = needed_access(r);
	w.retries = X86_WALK_RETRIES;
	fault = walk_guest(r, &w);
	while (unlikely(fault == X86_AGAIN) && w.retries--) {
		r->host.near.table = 0;
		fault = walk_guest(r, &w);
	}
	if (unlikely(fault))
		return guest_fault(r, &w, fault);
	if (!has_pasid(r->port))
		w.perms = dma_perms(w.perms & 7, w.perms & 7);
	host = host_perms(&r->host, c->update & HOST_D);
	if (likely(has_near(r))) {
		guest_left(r, &w);
		host_left(r, 1, host);
		r->reply->leaves = 2;
	}
	lg2 = r->host.lg2 < w.lg2 ? r->host.lg2 : w.lg2;
	/* A page that has the window for interrupts is none for what is in there. */
	if (unlikely((r->req->iova ^ AMD_MSI_FIRST) >> lg2 == 0) && !has_pasid(r->port)) {
		r->reply->leaves = 0;
		lg2 = PAGE_LG2;
	}
	return grant(r, lg2, r->host.lg2 > w.lg2 ? r->host.lg2 : w.lg2,
		     w.perms & dma_perms(host, host), AMD_EVENT_GN);
}

/* Section 2.1.2: only writes are interrupts, and nothing else is allowed there. */
static int interrupt(struct request *r)
{
	if (r->req->ats || (r->req->access & 7) != SIOMMU_DMA_WRITE)
		return event(r, AMD_INVALID_DEVICE_REQUEST,
			     AMD_TYPE_INTERRUPT_READ << AMD_EVENT_TYPE_SHIFT, r->req->iova, 0);
	*r->reply = (struct dma_reply){
		.hpa = r->req->iova, .lg2 = PAGE_LG2, .span_lg2 = PAGE_LG2, .interrupt = true
	};
	return 0;
}

/* What is not translated by tables. */
static __attribute__((noinline)) int translate_special(struct request *r)
{
	switch (r->config->kind) {
	case KIND_ILLEGAL:
		return event(r, AMD_ILLEGAL_DEV_TABLE_ENTRY, AMD_EVENT_RZ, r->req->iova, 0);
	case KIND_BLOCKED:
		return page_fault(r, 0, r->req->iova, 0);
	default:
		r->host.mode = 0;
		r->host.allowed = HOST_IR | HOST_IW;
		return translate_host(r);
	}
}

int amd_translate(struct iommu_device *dev, struct dma_port *port, const struct dma_request *req,
		  struct dma_reply *reply)
{
	struct amd_config *config = (struct amd_config *)port->config;
	struct request r;

	/* One by one: to clear the rest would take longer than to read a table. */
	r.dev = dev;
	r.port = port;
	r.config = config;
	r.req = req;
	r.reply = reply;
	r.write = req->access & SIOMMU_DMA_WRITE && !req->peek;
	if (unlikely(!port->config_valid))
		decode(&r);
	if (unlikely(req->step != NULL))
		tell_dte(&r);
	r.host.root = config->root;
	r.host.mode = config->mode;
	r.host.allowed = config->allowed;
	r.host.update = req->peek ? 0 : config->update;
	r.host.depth = 0;
	r.host.near.table = 0;
	r.host.req = req;
	if (unlikely(req->iova - AMD_MSI_FIRST <= AMD_MSI_LAST - AMD_MSI_FIRST) && !has_pasid(port))
		return interrupt(&r);
	if (unlikely(req->ats && !config->ats)) {
		event(&r, AMD_INVALID_DEVICE_REQUEST, AMD_TYPE_NO_ATS << AMD_EVENT_TYPE_SHIFT,
		      req->iova, 0);
		return -EOPNOTSUPP;
	}
	if (unlikely(config->kind != KIND_TABLES))
		return translate_special(&r);
	return config->guest ? translate_guest(&r) : translate_host(&r);
}
