// SPDX-License-Identifier: MIT
/*
 * Ports of devices: the way from the data path to a model, and back from a
 * domain to the ports that may hold translations of it.
 *
 * A domain knows its attachments, a group its devices, a device its ports. A
 * port without an attachment of its own, and one with a PASID behind a table of
 * PASIDs that the user owns, depend on the device's attachment: so whatever
 * concerns that is told to all of the device's ports.
 */
#include <stdio.h>
#include <string.h>

#include "iommu_impl.h"

static struct iommu_device *port_device(const struct dma_port *port)
{
	return port->owner;
}

static int port_translate(struct dma_port *port, const struct dma_request *req,
			  struct dma_reply *reply)
{
	struct iommu_device *dev = port_device(port);

	return dev->unit->ops->translate(dev, port, req, reply);
}

static void log_fault(struct iommu_fault_log *log, const struct siommu_fault *fault)
{
	pthread_mutex_lock(&log->lock);
	log->faults[log->count++ % IOMMU_FAULT_LOG] = *fault;
	pthread_mutex_unlock(&log->lock);
}

static void tell_watch(struct iommu_device *dev, const struct siommu_fault *fault)
{
	pthread_mutex_lock(&dev->group->lock);
	if (dev->watch)
		dev->watch->fault(dev->watch, fault);
	pthread_mutex_unlock(&dev->group->lock);
}

void iommu_device_watch(struct iommu_device *dev, struct iommu_fault_watch *watch)
{
	pthread_mutex_lock(&dev->group->lock);
	dev->watch = watch;
	pthread_mutex_unlock(&dev->group->lock);
}

static void port_fault(struct dma_port *port, const struct siommu_fault *fault)
{
	struct iommu_device *dev = port_device(port);
	struct siommu_fault full = *fault;

	full.requester = dev->requester;
	snprintf(full.device, sizeof(full.device), "%s", dev->name);
	log_fault(dev->unit->log, &full);
	port->last = full;
	if (dev->unit->ops->report)
		dev->unit->ops->report(dev, &full);
	tell_watch(dev, &full);
}

static const struct dma_ops port_ops = {
	.translate = port_translate,
	.fault = port_fault,
	.resolve = iommu_port_resolve,
};

int iommu_port_create(struct iommu_device *dev, const struct siommu_port_params *params,
		      struct dma_port **out)
{
	struct dma_port *port;
	int rc;

	if (!dev->unit->ops->translate)
		return -EOPNOTSUPP;
	rc = dma_port_create(dev->unit->host, dev->unit->alloc, &port_ops, dev, params, &port);
	if (rc)
		return rc;
	/* PASID 0 can always be sent: what becomes of it the unit decides. */
	if (port->flags & SIOMMU_PORT_PASID && port->pasid >= (u32)1 << dev->pasid_bits) {
		dma_port_destroy(port);
		return -EINVAL;
	}
	pthread_mutex_lock(&dev->group->attach_lock);
	port->careful = dev->group->careful;
	pthread_mutex_lock(&dev->ports_lock);
	LIST_INSERT_HEAD(&dev->ports, port, link);
	pthread_mutex_unlock(&dev->ports_lock);
	pthread_mutex_unlock(&dev->group->attach_lock);
	*out = port;
	return 0;
}

void iommu_port_destroy(struct dma_port *port)
{
	struct iommu_device *dev = port_device(port);

	iommu_port_forget_requests(port);
	pthread_mutex_lock(&dev->ports_lock);
	LIST_REMOVE(port, link);
	pthread_mutex_unlock(&dev->ports_lock);
	dma_port_destroy(port);
}

static void set_careful(struct iommu_device *dev, bool careful)
{
	struct dma_port *port;

	pthread_mutex_lock(&dev->ports_lock);
	LIST_FOREACH(port, &dev->ports, link)
		port->careful = careful;
	pthread_mutex_unlock(&dev->ports_lock);
}

void iommu_group_set_careful(struct iommu_group *group, bool careful)
{
	struct iommu_device *dev;

	pthread_mutex_lock(&group->attach_lock);
	group->careful = careful;
	LIST_FOREACH(dev, &group->devices, group_link)
		set_careful(dev, careful);
	pthread_mutex_unlock(&group->attach_lock);
}

/* What invalidation does with each port: first all are told, then waited for. */
enum phase { POST, WAIT };

/* Return: did any port have to be told? */
static bool flush_ports(struct iommu_device *dev, u32 pasid, enum phase phase, u64 first, u64 last)
{
	struct dma_port *port;
	bool any = false;

	pthread_mutex_lock(&dev->ports_lock);
	LIST_FOREACH(port, &dev->ports, link) {
		if (pasid != IOMMU_NO_PASID && port->pasid != pasid)
			continue;
		any = true;
		if (phase == POST)
			dma_port_post(port, first, last);
		else
			dma_port_wait(port, first, last);
	}
	pthread_mutex_unlock(&dev->ports_lock);
	return any;
}

/* Context: group->attach_lock. */
static bool flush_group(struct iommu_group *group, u32 pasid, enum phase phase, u64 first, u64 last)
{
	struct iommu_device *dev;
	bool any = false;

	LIST_FOREACH(dev, &group->devices, group_link)
		any |= flush_ports(dev, pasid, phase, first, last);
	return any;
}

void iommu_flush_attachment(struct iommu_group *group, u32 pasid)
{
	if (!flush_group(group, pasid, POST, 0, U64_MAX))
		return;
	dma_barrier();
	flush_group(group, pasid, WAIT, 0, U64_MAX);
}

static bool flush_attached(struct iommu_domain *domain, enum phase phase, u64 first, u64 last)
{
	struct iommu_attach_handle *handle;
	bool any = false;

	LIST_FOREACH(handle, &domain->attached, link) {
		pthread_mutex_lock(&handle->group->attach_lock);
		any |= flush_group(handle->group, (u32)handle->node.start, phase, first, last);
		pthread_mutex_unlock(&handle->group->attach_lock);
	}
	return any;
}

/* What is nested on it translates other addresses, so a range says nothing there. */
static bool flush_domain(struct iommu_domain *domain, enum phase phase, u64 first, u64 last)
{
	bool any = flush_attached(domain, phase, first, last);
	struct iommu_domain *nested;

	LIST_FOREACH(nested, &domain->nested, nested_link)
		any |= flush_attached(nested, phase, 0, U64_MAX);
	return any;
}

void iommu_flush(struct iommu_domain *domain, u64 first, u64 last)
{
	if (!flush_domain(domain, POST, first, last))
		return;
	dma_barrier();
	flush_domain(domain, WAIT, first, last);
}

void iommu_flush_device(struct iommu_device *dev, u64 first, u64 last)
{
	if (!flush_ports(dev, IOMMU_NO_PASID, POST, first, last))
		return;
	dma_barrier();
	flush_ports(dev, IOMMU_NO_PASID, WAIT, first, last);
}

void iommu_gather(struct iommu_domain *domain, u64 first, u64 last)
{
	if (domain->gathered) {
		first = min_u64(first, domain->gather_first);
		last = max_u64(last, domain->gather_last);
	}
	domain->gathered = true;
	domain->gather_first = first;
	domain->gather_last = last;
}

void iommu_unmap(struct iommu_domain *domain, u64 iova, u64 len)
{
	domain->ops->unmap(domain, iova, len);
	iommu_gather(domain, iova, iova + len - 1);
}

void iommu_sync(struct iommu_domain *domain)
{
	if (!domain->gathered)
		return;
	iommu_flush(domain, domain->gather_first, domain->gather_last);
	domain->gathered = false;
	if (domain->ops->sync)
		domain->ops->sync(domain);
}

void iommu_domain_nest(struct iommu_domain *domain, struct iommu_domain *parent)
{
	domain->parent = parent;
	LIST_INSERT_HEAD(&parent->nested, domain, nested_link);
}

void iommu_domain_free(struct iommu_domain *domain)
{
	if (domain->parent)
		LIST_REMOVE(domain, nested_link);
	domain->ops->free(domain);
}

unsigned int iommu_faults(struct iommu_unit *unit, struct siommu_fault *faults, unsigned int n,
			  u64 *count)
{
	struct iommu_fault_log *log = unit->log;
	unsigned int i, have;

	*count = 0;
	if (!log)
		return 0;
	pthread_mutex_lock(&log->lock);
	*count = log->count;
	have = (unsigned int)min_u64(min_u64(log->count, IOMMU_FAULT_LOG), n);
	for (i = 0; i < have; i++)
		faults[i] = log->faults[(log->count - have + i) % IOMMU_FAULT_LOG];
	pthread_mutex_unlock(&log->lock);
	return have;
}
