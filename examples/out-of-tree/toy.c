// SPDX-License-Identifier: MIT
/*
 * An IOMMU as small as one can be that nests: a table has one level of words, each an
 * address with SIOMMU_DMA_READ and _WRITE in its low bits. A nested domain's is the guest's.
 * Devices walk while words change, so these are stored at once; tables last as domains do.
 */
#include <errno.h>
#include "toy.h"

#define PAGE	   4096ull
#define WORDS	   16384
#define RW	   (SIOMMU_DMA_READ | SIOMMU_DMA_WRITE)
#define PASID_BITS 2

#define LOAD(at)	 __atomic_load_n(at, __ATOMIC_ACQUIRE)
#define STORE(at, value) __atomic_store_n(at, value, __ATOMIC_RELEASE)

/* A nested one has a parent, and the guest's address of its table; the others have words. */
struct toy_domain {
	struct siommu_model_domain *self;
	struct siommu_account *account;
	struct toy_domain *parent;
	uint64_t root;
	uint64_t words[];
};

struct toy_device {
	struct siommu_account *account;
	struct toy_domain *domains[1 << PASID_BITS];
};

/* All that a unit would keep is whom to charge for its devices. */
static int unit_create(struct siommu_account *account, const char *options, char *error, size_t n,
		       void **unit)
{
	*unit = account;
	return *options ? -EINVAL : 0;
}

static void unit_destroy(void *unit)
{
}

static int device_create(void *unit, struct siommu_model_device *desc, void **out)
{
	struct toy_device *dev = siommu_model_alloc(unit, sizeof(*dev));

	if (!dev)
		return -ENOMEM;
	dev->account = unit;
	desc->pasid_bits = PASID_BITS;
	*out = dev;
	return 0;
}

static void device_destroy(void *device)
{
	struct toy_device *dev = device;

	siommu_model_free(dev->account, dev, sizeof(*dev));
}

static size_t domain_size(const struct toy_domain *parent)
{
	return sizeof(struct toy_domain) + (parent ? 0 : WORDS * sizeof(uint64_t));
}

static int domain_new(const struct siommu_model_domain_request *request, struct toy_domain *parent,
		      uint64_t root, void **out)
{
	struct toy_domain *d = siommu_model_alloc(request->account, domain_size(parent));

	if (!d)
		return -ENOMEM;
	*d = (struct toy_domain){ request->self, request->account, parent, root };
	*out = d;
	return 0;
}

static int alloc_paging(void *device, const struct siommu_model_domain_request *request,
			struct siommu_model_geometry *geometry, void **out)
{
	geometry->page_sizes = PAGE;
	geometry->last = WORDS * PAGE - 1;
	return domain_new(request, NULL, 0, out);
}

static int alloc_nested(void *device, void *parent,
			const struct siommu_model_domain_request *request, void **out)
{
	const struct toy_hwpt *data = request->data;

	return data->root % PAGE ? -EINVAL : domain_new(request, parent, data->root, out);
}

static void domain_free(void *domain)
{
	struct toy_domain *d = domain;

	siommu_model_free(d->account, d, domain_size(d->parent));
}

static int attach(void *device, uint32_t pasid, void *domain, void *old)
{
	STORE(&((struct toy_device *)device)->domains[pasid], domain);
	return 0;
}

static int map(void *domain, uint64_t iova, uint64_t address, uint64_t length, unsigned int access)
{
	for (uint64_t n = 0; n < length; n += PAGE)
		STORE(&((struct toy_domain *)domain)->words[(iova + n) / PAGE],
		      (address + n) | access);
	return 0;
}

static void unmap(void *domain, uint64_t iova, uint64_t length)
{
	for (uint64_t n = 0; n < length; n += PAGE)
		STORE(&((struct toy_domain *)domain)->words[(iova + n) / PAGE], 0);
}

static bool lookup(void *domain, uint64_t iova, struct siommu_model_page *page)
{
	struct toy_domain *d = domain;
	uint64_t word = iova < WORDS * PAGE ? LOAD(&d->words[iova / PAGE]) : 0;

	*page = (struct siommu_model_page){ (word & -PAGE) | iova % PAGE, 12, word & RW };
	return page->access;
}

static int invalidate(void *domain, const void *entry, uint64_t *first, uint64_t *last)
{
	const struct toy_invalidate *range = entry;

	*first = range->first;
	*last = range->last;
	return range->first > range->last ? -EINVAL : 0;
}

static int translate(void *device, struct siommu_port *port,
		     const struct siommu_model_request *request, struct siommu_model_reply *reply)
{
	struct toy_domain *d = LOAD(&((struct toy_device *)device)->domains[request->pasid]);
	const unsigned int need = request->access & (RW | SIOMMU_DMA_EXEC);
	uint64_t at = request->iova, word = RW, where;
	struct siommu_model_page page;

	if (!d)
		return reply->reason = TOY_BLOCKED, -EFAULT;
	if (d->parent) {
		where = d->root + at / PAGE * 8;
		if (at >= TOY_GUEST_WORDS * PAGE ||
		    siommu_model_guest_load64(port, d->parent->self, where, &word))
			return reply->reason = TOY_TABLE, -EFAULT;
		if (need & ~(word & RW))
			return reply->reason = TOY_STAGE1, -EFAULT;
		at = (word & -PAGE) | at % PAGE;
		d = d->parent;
	}
	if (!lookup(d, at, &page) || need & ~page.access)
		return reply->reason = TOY_STAGE2, -EFAULT;
	reply->address = page.address;
	reply->lg2 = page.lg2;
	reply->user = reply->priv = page.access & word;
	return 0;
}

static const struct siommu_model_ops ops = {
	sizeof(ops), unit_create, unit_destroy, device_create, device_destroy,
	.domain_alloc_paging = alloc_paging, .domain_alloc_nested = alloc_nested,
	.domain_free = domain_free, .attach = attach, .map = map, .unmap = unmap,
	.lookup = lookup, .invalidate = invalidate, .translate = translate,
};

const struct siommu_model siommu_model = {
	sizeof(siommu_model), "toy", "as small as an IOMMU can be that nests", "",
	.flags = SIOMMU_MODEL_NEST_PARENT | SIOMMU_MODEL_PASID,
	.nested = { TOY_HWPT_DATA, sizeof(struct toy_hwpt), 8 },
	.invalidation = { TOY_INVALIDATE, sizeof(struct toy_invalidate), 16 },
	.ops = &ops,
};
