/* SPDX-License-Identifier: MIT */
/*
 * An IOMMU that is as simple as can be, for tests of what all models share: one
 * stage, whose tables are AMD's v1, a domain per PASID, and faults that say what the
 * test wants.
 */
#ifndef UNIT_FAKE_H
#define UNIT_FAKE_H

#include "calls.h"
#include "core/device.h"
#include "pt/pt.h"

#define FAKE_PASID_BITS 2

struct fake_domain {
	struct iommu_domain domain;
	struct base_alloc *alloc;
	struct pt pt;
};

struct fake_device {
	struct iommu_device dev;
	_Atomic(struct fake_domain *) domains[1 << FAKE_PASID_BITS];
	bool stall;
};

static const struct iommu_ops fake_ops;

static struct fake_device *to_fake(struct iommu_device *dev)
{
	return container_of(dev, struct fake_device, dev);
}

static struct fake_domain *to_fake_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct fake_domain, domain);
}

static int fake_set_pasid(struct iommu_domain *domain, struct iommu_device *dev, u32 pasid,
			  struct iommu_domain *old)
{
	bool blocked = domain->type == IOMMU_DOMAIN_BLOCKED;

	(void)old;
	atomic_store(&to_fake(dev)->domains[pasid], blocked ? NULL : to_fake_domain(domain));
	return 0;
}

static int fake_attach(struct iommu_domain *domain, struct iommu_device *dev,
		       struct iommu_domain *old)
{
	return fake_set_pasid(domain, dev, 0, old);
}

static void fake_free(struct iommu_domain *domain)
{
	struct fake_domain *d = to_fake_domain(domain);

	pt_amdv1_destroy(&d->pt);
	base_free(d->alloc, d, sizeof(*d));
}

static int fake_map(struct iommu_domain *domain, u64 iova, hpa_t hpa, u64 len, unsigned int prot)
{
	return pt_amdv1_map(&to_fake_domain(domain)->pt, iova, hpa, len, prot);
}

static void fake_unmap(struct iommu_domain *domain, u64 iova, u64 len)
{
	pt_amdv1_unmap(&to_fake_domain(domain)->pt, iova, len);
}

static void fake_sync(struct iommu_domain *domain)
{
	pt_sync(&to_fake_domain(domain)->pt);
}

static hpa_t fake_iova_to_hpa(struct iommu_domain *domain, u64 iova)
{
	return pt_amdv1_lookup(&to_fake_domain(domain)->pt, iova, NULL);
}

static const struct iommu_domain_ops fake_domain_ops = {
	.attach_dev = fake_attach,
	.set_dev_pasid = fake_set_pasid,
	.free = fake_free,
	.map = fake_map,
	.unmap = fake_unmap,
	.sync = fake_sync,
	.iova_to_hpa = fake_iova_to_hpa,
};

static int fake_alloc_paging(struct iommu_device *dev, struct base_alloc *alloc, u32 flags,
			     const struct iommu_user_data *data, struct iommu_domain **out)
{
	static const struct pt_config config = { .levels = 6 };
	struct fake_domain *d = base_zalloc(alloc, sizeof(*d));

	(void)dev;
	(void)flags;
	(void)data;
	if (!d || pt_amdv1_init(&d->pt, alloc, &config)) {
		base_free(alloc, d, sizeof(*d));
		return -ENOMEM;
	}
	d->alloc = alloc;
	d->domain.ops = &fake_domain_ops;
	d->domain.owner = &fake_ops;
	d->domain.type = IOMMU_DOMAIN_PAGING;
	d->domain.pgsize_bitmap = d->pt.pgsize_bitmap;
	d->domain.aperture_last = d->pt.va_last;
	*out = &d->domain;
	return 0;
}

static int fake_fault(const struct dma_port *port, const struct dma_request *req,
		      struct dma_reply *reply, bool attached)
{
	struct fake_device *fake = to_fake(port->owner);

	reply->fault = (struct siommu_fault){
		.iova = req->iova,
		.access = req->access,
		.reason = attached ? 2 : 1,
		.pasid = port->pasid,
	};
	if (port->flags & SIOMMU_PORT_PASID)
		reply->fault.flags |= SIOMMU_FAULT_PASID;
	if (attached)
		reply->fault.flags |= SIOMMU_FAULT_RECOVERABLE;
	if (attached && fake->stall)
		reply->fault.flags |= SIOMMU_FAULT_STALLED;
	return -EFAULT;
}

static int fake_translate(struct iommu_device *dev, struct dma_port *port,
			  const struct dma_request *req, struct dma_reply *reply)
{
	struct fake_domain *d = atomic_load(&to_fake(dev)->domains[port->pasid]);
	struct pt_leaf leaf;
	unsigned int allowed = 0;

	if (!d)
		return fake_fault(port, req, reply, false);
	if (!pt_amdv1_walk(&d->pt, req->iova, &leaf))
		return fake_fault(port, req, reply, true);
	if (leaf.prot & PT_PROT_READ)
		allowed |= SIOMMU_DMA_READ | SIOMMU_DMA_EXEC;
	if (leaf.prot & PT_PROT_WRITE)
		allowed |= SIOMMU_DMA_WRITE;
	reply->hpa = leaf.oa + (req->iova - leaf.va);
	reply->lg2 = reply->span_lg2 = leaf.lg2;
	reply->perms = dma_perms(allowed, allowed);
	if ((reply->perms & siommu_dma_need(req->access)) != siommu_dma_need(req->access))
		return fake_fault(port, req, reply, true);
	return 0;
}

static bool fake_capable(struct iommu_device *dev, enum iommu_cap cap)
{
	(void)dev;
	return cap == IOMMU_CAP_CACHE_COHERENCY;
}

static int fake_device_create(struct iommu_unit *unit, struct iommu_group *group,
			      const struct iommu_device_desc *desc, struct iommu_device **out)
{
	struct fake_device *fake = base_zalloc(unit->alloc, sizeof(*fake));
	int rc = fake ? iommu_device_init(&fake->dev, unit, group, desc->name) : -ENOMEM;

	if (rc) {
		base_free(unit->alloc, fake, sizeof(*fake));
		return rc;
	}
	fake->dev.pasid_bits = desc->pasid_bits;
	fake->dev.page_requests = desc->page_requests;
	fake->stall = desc->stall;
	*out = &fake->dev;
	return 0;
}

static void fake_device_destroy(struct iommu_device *dev)
{
	struct base_alloc *alloc = dev->unit->alloc;

	iommu_device_destroy(dev);
	base_free(alloc, to_fake(dev), sizeof(struct fake_device));
}

static const struct iommu_domain_ops fake_blocked_ops = {
	.attach_dev = fake_attach,
	.set_dev_pasid = fake_set_pasid,
};

static struct iommu_domain fake_blocked = {
	.ops = &fake_blocked_ops,
	.owner = &fake_ops,
	.type = IOMMU_DOMAIN_BLOCKED,
};

static const struct iommu_ops fake_ops = {
	.name = "fake",
	.capable = fake_capable,
	.domain_alloc_paging = fake_alloc_paging,
	.blocked_domain = &fake_blocked,
	.device_create = fake_device_create,
	.device_destroy = fake_device_destroy,
	.translate = fake_translate,
};

#endif
