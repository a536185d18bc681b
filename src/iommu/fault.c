// SPDX-License-Identifier: MIT
/*
 * Page requests on their way from a device to whoever attached it.
 *
 * Requests of a group wait at the device until the one marked last comes; the
 * whole group then goes to the domain's handler, and is answered once. What has
 * no handler is answered "invalid" here, so a device never waits for nothing.
 */
#include <string.h>

#include <softiommu/abi/iommufd.h>

#include "iommu_impl.h"

struct iommu_partial_fault {
	TAILQ_ENTRY(iommu_partial_fault) link;
	struct iommu_pgfault fault;
};

static size_t group_bytes(u32 count)
{
	return sizeof(struct iommu_fault_group) + count * sizeof(struct iommu_pgfault);
}

void iommu_fault_respond(struct iommu_fault_group *group, u32 code)
{
	struct iommu_unit *unit = group->dev->unit;

	atomic_fetch_sub(&group->dev->pending, 1);
	if (unit->ops->page_response)
		unit->ops->page_response(group->dev, group, code);
	iommu_page_answer(group->dev, &group->faults[group->count - 1], code);
	base_free(unit->alloc, group, group_bytes(group->count));
}

/*
 * Tell the model of a request that has not become a group. If a port made it, who
 * reported it knows.
 */
static void refuse(struct iommu_device *dev, const struct iommu_pgfault *fault)
{
	union {
		struct iommu_fault_group group;
		u8 room[sizeof(struct iommu_fault_group) + sizeof(struct iommu_pgfault)];
	} one = { 0 };

	if (!(fault->flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE) || !dev->unit->ops->page_response)
		return;
	one.group.dev = dev;
	one.group.count = 1;
	one.group.faults[0] = *fault;
	dev->unit->ops->page_response(dev, &one.group, IOMMUFD_PAGE_RESP_INVALID);
}

/* The attachment that handles a request. Context: the group's lock. */
static struct iommu_attach_handle *find_handler(struct iommu_device *dev,
						const struct iommu_pgfault *fault)
{
	const bool with_pasid = fault->flags & IOMMU_PGFAULT_FLAGS_PASID_VALID;
	const struct iommu_ops *ops = dev->unit->ops;
	struct iommu_attach_handle *handle;

	if (ops->faults_need_pasid && !(with_pasid && fault->pasid))
		return NULL;
	if (ops->page_request_valid && !ops->page_request_valid(dev, fault))
		return NULL;
	if (!with_pasid) {
		handle = iommu_handle_find(dev->group, IOMMU_NO_PASID);
	} else {
		handle = iommu_handle_find(dev->group, fault->pasid);
		if (!handle && ops->user_pasid_table) {
			handle = iommu_handle_find(dev->group, IOMMU_NO_PASID);
			if (handle && handle->domain->type != IOMMU_DOMAIN_NESTED)
				handle = NULL;
		}
	}
	return handle && handle->domain->fault_handler ? handle : NULL;
}

static int keep_partial(struct iommu_device *dev, const struct iommu_pgfault *fault)
{
	struct iommu_partial_fault *partial;

	if (dev->npartial >= IOMMU_MAX_PARTIAL)
		return -ENOMEM;
	partial = base_zalloc(dev->unit->alloc, sizeof(*partial));
	if (!partial)
		return -ENOMEM;
	partial->fault = *fault;
	TAILQ_INSERT_TAIL(&dev->partial, partial, link);
	dev->npartial++;
	return 0;
}

/* Devices number the groups of each PASID apart. */
static bool same_group(const struct iommu_pgfault *a, const struct iommu_pgfault *b)
{
	return a->grpid == b->grpid && a->pasid == b->pasid &&
	       !((a->flags ^ b->flags) & IOMMU_PGFAULT_FLAGS_PASID_VALID);
}

/* Collect what waits for @last, in order, and @last itself. */
static struct iommu_fault_group *build_group(struct iommu_device *dev,
					     const struct iommu_pgfault *last)
{
	struct iommu_partial_fault *p, *next;
	struct iommu_fault_group *group;
	u32 count = 1;

	TAILQ_FOREACH(p, &dev->partial, link)
		count += same_group(&p->fault, last);
	group = base_zalloc(dev->unit->alloc, group_bytes(count));
	if (!group)
		return NULL;
	group->dev = dev;
	TAILQ_FOREACH_SAFE(p, &dev->partial, link, next) {
		if (!same_group(&p->fault, last))
			continue;
		group->faults[group->count++] = p->fault;
		TAILQ_REMOVE(&dev->partial, p, link);
		dev->npartial--;
		base_free(dev->unit->alloc, p, sizeof(*p));
	}
	group->faults[group->count++] = *last;
	return group;
}

/* Requests that wait for a last one that will not come, or cannot be queued. */
static void drop_partial(struct iommu_device *dev, const struct iommu_pgfault *like)
{
	struct iommu_partial_fault *p, *next;

	TAILQ_FOREACH_SAFE(p, &dev->partial, link, next) {
		if (like && !same_group(&p->fault, like))
			continue;
		TAILQ_REMOVE(&dev->partial, p, link);
		dev->npartial--;
		base_free(dev->unit->alloc, p, sizeof(*p));
	}
}

void iommu_fault_drop(struct iommu_device *dev, const struct iommu_pgfault *like)
{
	pthread_mutex_lock(&dev->group->lock);
	drop_partial(dev, like);
	pthread_mutex_unlock(&dev->group->lock);
}

void iommu_fault_listen(struct iommu_device *dev)
{
	pthread_mutex_lock(&dev->group->lock);
	dev->listened = true;
	pthread_mutex_unlock(&dev->group->lock);
}

void iommu_fault_forget(struct iommu_device *dev)
{
	pthread_mutex_lock(&dev->group->lock);
	dev->listened = false;
	drop_partial(dev, NULL);
	pthread_mutex_unlock(&dev->group->lock);
}

int iommu_report_fault(struct iommu_device *dev, const struct iommu_pgfault *fault)
{
	struct iommu_attach_handle *handle;
	struct iommu_fault_group *group = NULL;
	int rc = 0;

	pthread_mutex_lock(&dev->group->lock);
	/* The rest of a group may be in use, and its attachment with it. */
	handle = dev->listened ? find_handler(dev, fault) : NULL;
	if (!handle) {
		rc = -EINVAL;
		goto out;
	}
	if (!(fault->flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE)) {
		rc = keep_partial(dev, fault);
		goto out;
	}
	if (atomic_load(&dev->pending) >= IOMMU_MAX_PENDING) {
		drop_partial(dev, fault);
		rc = -ENOSPC;
		goto out;
	}
	group = build_group(dev, fault);
	if (!group) {
		drop_partial(dev, fault);
		rc = -ENOMEM;
		goto out;
	}
	atomic_fetch_add(&dev->pending, 1);
	group->handle = handle;
	/* Whatever the reason why it is not taken: it has an answer, and is not to be repeated. */
	if (handle->domain->fault_handler(handle->domain, group))
		rc = -EINVAL;
out:
	pthread_mutex_unlock(&dev->group->lock);
	if (rc && group)
		iommu_fault_respond(group, IOMMUFD_PAGE_RESP_INVALID);
	else if (rc)
		refuse(dev, fault);
	return rc;
}
