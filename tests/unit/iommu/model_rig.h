/* SPDX-License-Identifier: MIT */
/*
 * A model that is registered from outside, through softiommu/model.h alone, and writes down
 * what it is asked. It frees tables that unmap has unlinked, as late as it may and no
 * later, so that the sanitizers see whoever still walks them.
 *
 * Every test has it in its machine, as "probe".
 */
#ifndef UNIT_MODEL_RIG_H
#define UNIT_MODEL_RIG_H

#define RIG_MODEL     "probe"
#define RIG_REQUESTER 0x21

#include "rig.h"

#include <softiommu/model.h>

#define PROBE_PAGING (SIOMMU_MODEL_TYPES + 0x10)
#define PROBE_NESTED (SIOMMU_MODEL_TYPES + 0x11)
#define PROBE_INVALI (SIOMMU_MODEL_TYPES + 0x12)
#define PROBE_INFO   (SIOMMU_MODEL_TYPES + 0x13)

#define WORDS	   512u
#define BITS	   30
#define PASID_BITS 3

/* Bits of a word, here and in the guest's table. */
#define WORD_R	((uint64_t)SIOMMU_DMA_READ)
#define WORD_W	((uint64_t)SIOMMU_DMA_WRITE)
#define WORD_A	0x20ull
#define WORD_RW (WORD_R | WORD_W)

enum { REASON_BLOCKED = 1, REASON_TABLE, REASON_STAGE1, REASON_STAGE2 };

/* @bits and @page_lg2 are for the library to see; nobody looks at @opaque. */
struct probe_paging {
	uint64_t bits;
	uint64_t page_lg2;
	uint8_t opaque[16];
};

/* @copy: a guest's address whose word is read when the domain is made; it becomes ~0. */
struct probe_nested {
	uint64_t root;
	uint64_t copy;
	uint64_t later; /* came with the second version */
};

enum { INV_RANGE, INV_SILENT, INV_PARENT };

struct probe_inv {
	uint64_t first;
	uint64_t last;
	uint64_t how;
};

struct probe_info {
	uint64_t version;
	uint64_t unused;
};

struct probe_table {
	uint64_t words[WORDS];
};

struct probe_domain {
	struct siommu_model_domain *self;
	struct siommu_account *account;
	struct probe_domain *parent;
	struct probe_table *tables[WORDS];
	struct probe_table *dead[WORDS];
	unsigned int ndead;
	uint64_t root;
};

struct probe_device {
	struct siommu_account *account;
	struct probe_domain *domains[1 << PASID_BITS];
};

/* What it was asked last, and how often; and what it is to do wrong. */
static struct {
	unsigned int paging, nested, freed, attached, invalidated, synced;
	void *device, *parent;
	unsigned int flags;
	uint32_t type;
	bool data;
	_Alignas(8) uint8_t bytes[64];
	uint64_t word;
	int alloc_rc, attach_rc, hw_info_rc;
	bool no_domain, set_anyway, no_pages, backwards, mean, tiny;
} probe;

static int probe_unit_create(struct siommu_account *account, const char *options, char *error,
			     size_t n, void **unit)
{
	void **u = siommu_model_alloc(account, sizeof(*u));

	if (!u)
		return -ENOMEM;
	if (*options) {
		siommu_model_free(account, u, sizeof(*u));
		snprintf(error, n, "the probe knows no \"%s\"", options);
		return -EINVAL;
	}
	*u = account;
	*unit = u;
	return 0;
}

static void probe_unit_destroy(void *unit)
{
	siommu_model_free(*(void **)unit, unit, sizeof(void *));
}

static int probe_device_create(void *unit, struct siommu_model_device *desc, void **device)
{
	struct siommu_account *account = *(void **)unit;
	struct probe_device *dev;

	if (desc->requester > 0xff)
		return -EINVAL;
	dev = siommu_model_alloc(account, sizeof(*dev));
	if (!dev)
		return -ENOMEM;
	dev->account = account;
	if (desc->pasid_bits > PASID_BITS)
		desc->pasid_bits = PASID_BITS;
	*device = dev;
	return 0;
}

static void probe_device_destroy(void *device)
{
	struct probe_device *dev = device;

	siommu_model_free(dev->account, dev, sizeof(*dev));
}

static int probe_hw_info(void *device, void *info)
{
	(void)device;
	((struct probe_info *)info)->version = 7;
	return probe.hw_info_rc;
}

static void note(void *device, void *parent, const struct siommu_model_domain_request *request,
		 size_t size)
{
	probe.device = device;
	probe.parent = parent;
	probe.flags = request->flags;
	probe.type = request->data_type;
	probe.data = request->data;
	memset(probe.bytes, 0xee, sizeof(probe.bytes));
	if (request->data)
		memcpy(probe.bytes, request->data, size);
}

static int domain_new(const struct siommu_model_domain_request *request, struct probe_domain **out)
{
	struct probe_domain *d = siommu_model_alloc(request->account, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->self = request->self;
	d->account = request->account;
	*out = d;
	return 0;
}

/* As probe.alloc_rc and its kind say, after a domain could have been made. */
static int misbehave(void **out)
{
	if (probe.set_anyway)
		*out = &probe;
	return probe.alloc_rc;
}

static int probe_alloc_paging(void *device, const struct siommu_model_domain_request *request,
			      struct siommu_model_geometry *geometry, void **out)
{
	const struct probe_paging *data = request->data;
	struct probe_domain *d;
	int rc;

	probe.paging++;
	note(device, NULL, request, sizeof(*data));
	geometry->page_sizes = probe.no_pages ? 0 : 1ull << (data ? data->page_lg2 : 12);
	geometry->first = probe.backwards ? UINT64_MAX : 0;
	geometry->last = (1ull << (data ? data->bits : BITS)) - 1;
	if (probe.alloc_rc || probe.no_domain)
		return misbehave(out);
	rc = domain_new(request, &d);
	if (!rc)
		*out = d;
	return rc;
}

static void probe_domain_free(void *domain)
{
	struct probe_domain *d = domain;
	unsigned int i;

	probe.freed++;
	for (i = 0; i < d->ndead; i++)
		siommu_model_free(d->account, d->dead[i], sizeof(struct probe_table));
	for (i = 0; i < WORDS; i++)
		siommu_model_free(d->account, d->tables[i], sizeof(struct probe_table));
	siommu_model_free(d->account, d, sizeof(*d));
}

static int probe_alloc_nested(void *device, void *parent,
			      const struct siommu_model_domain_request *request, void **out)
{
	const struct probe_nested *data = request->data;
	static const uint64_t done = UINT64_MAX;
	struct probe_domain *d;
	int rc = 0;

	probe.nested++;
	note(device, parent, request, sizeof(*data));
	if (probe.alloc_rc || probe.no_domain)
		return misbehave(out);
	rc = domain_new(request, &d);
	if (rc)
		return rc;
	d->parent = parent;
	d->root = data->root;
	if (data->copy) {
		rc = siommu_model_guest_read(d->parent->self, data->copy, &probe.word,
					     sizeof(probe.word));
		if (!rc)
			rc = siommu_model_guest_write(d->parent->self, data->copy, &done,
						      sizeof(done));
	}
	if (rc)
		probe_domain_free(d);
	else
		*out = d;
	return rc;
}

static int probe_attach(void *device, uint32_t pasid, void *domain, void *old)
{
	struct probe_device *dev = device;

	EXPECT_TRUE(dev->domains[pasid] == old);
	if (domain && probe.attach_rc)
		return probe.attach_rc;
	probe.attached++;
	__atomic_store_n(&dev->domains[pasid], domain, __ATOMIC_RELEASE);
	return 0;
}

static uint64_t *word_of(struct probe_domain *d, uint64_t iova)
{
	struct probe_table *table =
		iova >> BITS ? NULL : __atomic_load_n(&d->tables[iova >> 21], __ATOMIC_ACQUIRE);

	return table ? &table->words[iova >> 12 & (WORDS - 1)] : NULL;
}

static int probe_map(void *domain, uint64_t iova, uint64_t address, uint64_t length,
		     unsigned int access)
{
	struct probe_domain *d = domain;
	struct probe_table *table;
	uint64_t i;

	for (i = iova >> 21; i <= (iova + length - 1) >> 21; i++) {
		if (d->tables[i])
			continue;
		table = siommu_model_alloc_table(d->account, sizeof(*table));
		if (!table)
			return -ENOMEM;
		EXPECT_EQ(0, (uintptr_t)table % sizeof(*table));
		__atomic_store_n(&d->tables[i], table, __ATOMIC_RELEASE);
	}
	for (i = 0; i < length; i += PAGE)
		__atomic_store_n(word_of(d, iova + i), (address + i) | access, __ATOMIC_RELEASE);
	return 0;
}

/* Tables that are unmapped as a whole are unlinked, and freed in sync. */
static void probe_unmap(void *domain, uint64_t iova, uint64_t length)
{
	struct probe_domain *d = domain;
	uint64_t i, table;

	for (i = 0; i < length; i += PAGE)
		__atomic_store_n(word_of(d, iova + i), 0, __ATOMIC_RELEASE);
	for (table = (iova + 0x1fffff) >> 21; (table + 1) << 21 <= iova + length; table++) {
		if (d->ndead == WORDS)
			return;
		d->dead[d->ndead++] = d->tables[table];
		__atomic_store_n(&d->tables[table], NULL, __ATOMIC_RELEASE);
	}
}

static void probe_sync(void *domain)
{
	struct probe_domain *d = domain;

	probe.synced++;
	while (d->ndead)
		siommu_model_free(d->account, d->dead[--d->ndead], sizeof(struct probe_table));
}

static bool probe_lookup(void *domain, uint64_t iova, struct siommu_model_page *page)
{
	uint64_t *at = word_of(domain, iova), word = at ? __atomic_load_n(at, __ATOMIC_ACQUIRE) : 0;

	page->address = (word & -PAGE) | (iova & (PAGE - 1));
	page->access = word & WORD_RW;
	page->lg2 = 12;
	return page->access;
}

static int probe_invalidate(void *domain, const void *entry, uint64_t *first, uint64_t *last)
{
	const struct probe_inv *inv = entry;
	struct probe_domain *d = domain;

	probe.invalidated++;
	if (inv->how == INV_PARENT)
		siommu_model_flush(d->parent->self, inv->first, inv->last);
	if (inv->how > INV_PARENT)
		return -EOPNOTSUPP;
	if (inv->how != INV_RANGE)
		return 0;
	*first = inv->first;
	*last = inv->last;
	return 0;
}

static int refuse(struct siommu_model_reply *reply, uint32_t reason, uint64_t iova)
{
	reply->reason = reason;
	reply->record[0] = iova | reason;
	return -EFAULT;
}

/* The guest's word, accessed if the page is there. */
static int stage1(struct siommu_port *port, struct probe_domain *d,
		  const struct siommu_model_request *request, uint64_t *word)
{
	uint64_t at = d->root + (request->iova >> 12) * 8;
	struct siommu_walk_step step = { .what = "word", .stage = 1, .address = at };
	int rc;

	do {
		rc = siommu_model_guest_load64(port, d->parent->self, at, word);
		if (!rc && *word & WORD_RW && !(*word & WORD_A) && !request->peek)
			rc = siommu_model_guest_cas64(port, d->parent->self, at, word,
						      *word | WORD_A);
	} while (rc == -EAGAIN);
	step.value = *word;
	if (!rc && request->step)
		request->step(request->step_arg, &step);
	return rc;
}

static int probe_translate(void *device, struct siommu_port *port,
			   const struct siommu_model_request *request,
			   struct siommu_model_reply *reply)
{
	struct probe_device *dev = device;
	struct probe_domain *d = __atomic_load_n(&dev->domains[request->pasid], __ATOMIC_ACQUIRE);
	uint64_t iova = request->iova, word = WORD_RW;
	const unsigned int need = request->access & (unsigned int)WORD_RW;
	struct siommu_model_page page;

	if (!d)
		return refuse(reply, REASON_BLOCKED, iova);
	if (d->parent) {
		if (iova >= WORDS * PAGE || stage1(port, d, request, &word))
			return refuse(reply, REASON_TABLE, iova);
		if (need & ~word)
			return refuse(reply, REASON_STAGE1, iova);
		iova = reply->ipa = (word & 0xfffffffffff000ull) | (iova & (PAGE - 1));
		d = d->parent;
	}
	if (!probe_lookup(d, iova, &page) || need & ~page.access) {
		reply->flags = SIOMMU_FAULT_STAGE2 | SIOMMU_FAULT_STALLED;
		return refuse(reply, REASON_STAGE2, request->iova);
	}
	reply->address = page.address;
	reply->lg2 = probe.tiny ? 11 : page.lg2;
	reply->user = probe.mean ? 0 : page.access & (unsigned int)word;
	reply->priv = reply->user;
	return 0;
}

static const char *probe_reason_name(uint32_t reason)
{
	return reason == REASON_STAGE2 ? "the second stage refuses" : NULL;
}

static const struct siommu_model_ops probe_ops = {
	.size = sizeof(probe_ops),
	.unit_create = probe_unit_create,
	.unit_destroy = probe_unit_destroy,
	.device_create = probe_device_create,
	.device_destroy = probe_device_destroy,
	.hw_info = probe_hw_info,
	.domain_alloc_paging = probe_alloc_paging,
	.domain_alloc_nested = probe_alloc_nested,
	.domain_free = probe_domain_free,
	.attach = probe_attach,
	.map = probe_map,
	.unmap = probe_unmap,
	.sync = probe_sync,
	.lookup = probe_lookup,
	.invalidate = probe_invalidate,
	.translate = probe_translate,
	.reason_name = probe_reason_name,
};

static const struct siommu_model probe_model = {
	.size = sizeof(probe_model),
	.name = "probe",
	.summary = "writes down what it is asked",
	.options = "",
	.flags = SIOMMU_MODEL_NEST_PARENT | SIOMMU_MODEL_PASID,
	.hw_info = { PROBE_INFO, sizeof(struct probe_info), 0 },
	.paging = { PROBE_PAGING, sizeof(struct probe_paging), sizeof(struct probe_paging) },
	.nested = { PROBE_NESTED, sizeof(struct probe_nested),
		    offsetof(struct probe_nested, later) },
	.invalidation = { PROBE_INVALI, sizeof(struct probe_inv), offsetof(struct probe_inv, how) },
	.ops = &probe_ops,
};

/* What a machine keeps of a model does not count as left behind. */
static inline int probe_register(const struct siommu_model *model)
{
	size_t before = fixture_blocks();
	int rc = siommu_model_register(machine, model);

	fixture.blocks += fixture_blocks() - before;
	return rc;
}

static void probe_setup(void)
{
	memset(&probe, 0, sizeof(probe));
	fixture_setup();
	ASSERT_OK(probe_register(&probe_model));
}

__attribute__((constructor)) static void probe_register_setup(void)
{
	unit.setup = probe_setup;
}

static inline struct rig probe_rig(void)
{
	static const struct siommu_device_params device = { .pasid_bits = 8 };

	return rig_with(&device, NULL);
}

/* A machine of another model, in the same machine: its unit and device. */
static inline struct rig rig_of(const char *model, const struct siommu_device_params *like)
{
	const struct siommu_unit_params unit_params = {
		.size = sizeof(unit_params),
		.model = model,
	};
	struct rig r = { 0 };

	ASSERT_OK(siommu_unit_create(machine, &unit_params, NULL, 0, &r.unit));
	ASSERT_OK(device_new(r.unit, like, &r.dev));
	ASSERT_OK(siommu_device_bind(ctx, r.dev, &r.bound, &r.id));
	ASSERT_OK(siommu_port_create(r.dev, NULL, &r.port));
	r.ioas = new_ioas();
	return r;
}

#endif
