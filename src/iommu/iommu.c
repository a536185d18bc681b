// SPDX-License-Identifier: MIT
/*
 * Devices, groups and what they are attached to, for all models alike.
 *
 * A group without an attachment is blocked: that is the model's own domain, and
 * detaching means attaching it. Attaching changes the hardware of every device
 * in the group and is undone for all when one refuses.
 */
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "iommu_impl.h"

void iommu_group_init(struct iommu_group *group, u32 id)
{
	memset(group, 0, sizeof(*group));
	group->id = id;
	pthread_mutex_init(&group->attach_lock, NULL);
	pthread_mutex_init(&group->lock, NULL);
	LIST_INIT(&group->devices);
}

void iommu_group_destroy(struct iommu_group *group)
{
	pthread_mutex_destroy(&group->lock);
	pthread_mutex_destroy(&group->attach_lock);
}

/* Context: group->attach_lock. */
static int can_join(struct iommu_group *group, const struct iommu_unit *unit)
{
	struct iommu_device *any = LIST_FIRST(&group->devices);

	if (any && any->unit != unit)
		return -EINVAL;
	return itree_empty(&group->handles) ? 0 : -EBUSY;
}

int iommu_device_init(struct iommu_device *dev, struct iommu_unit *unit,
		      struct iommu_group *group, const char *name)
{
	int rc;

	memset(dev, 0, sizeof(*dev));
	dev->unit = unit;
	dev->group = group;
	snprintf(dev->name, sizeof(dev->name), "%s", name);
	LIST_INIT(&dev->resv);
	LIST_INIT(&dev->ports);
	TAILQ_INIT(&dev->partial);
	pthread_mutex_lock(&group->attach_lock);
	rc = can_join(group, unit);
	pthread_mutex_unlock(&group->attach_lock);
	if (rc)
		return rc;
	pthread_mutex_init(&dev->ports_lock, NULL);
	iommu_page_requests_init(&dev->requests);
	return 0;
}

void iommu_device_destroy(struct iommu_device *dev)
{
	struct iommu_resv_region *r, *next;

	LIST_FOREACH_SAFE(r, &dev->resv, link, next)
		base_free(dev->unit->alloc, r, sizeof(*r));
	iommu_page_requests_end(&dev->requests);
	pthread_mutex_destroy(&dev->ports_lock);
}

int iommu_device_join(struct iommu_device *dev)
{
	struct iommu_group *group = dev->group;
	int rc;

	pthread_mutex_lock(&group->attach_lock);
	rc = can_join(group, dev->unit);
	if (!rc)
		LIST_INSERT_HEAD(&group->devices, dev, group_link);
	pthread_mutex_unlock(&group->attach_lock);
	return rc;
}

int iommu_device_add_resv(struct iommu_device *dev, u64 start, u64 last, int type)
{
	struct iommu_resv_region *r = base_zalloc(dev->unit->alloc, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->start = start;
	r->last = last;
	r->type = type;
	LIST_INSERT_HEAD(&dev->resv, r, link);
	return 0;
}

int iommu_group_claim(struct iommu_group *group, void *owner)
{
	if (group->owner && group->owner != owner)
		return -EBUSY;
	group->owner = owner;
	group->owners++;
	return 0;
}

void iommu_group_release(struct iommu_group *group)
{
	if (!--group->owners)
		group->owner = NULL;
}

struct iommu_attach_handle *iommu_handle_find(struct iommu_group *group, u32 pasid)
{
	struct itree_node *n = itree_first(&group->handles, pasid, pasid);

	return n ? container_of(n, struct iommu_attach_handle, node) : NULL;
}

/* Change one device's hardware: all its untagged DMA, or one PASID. */
static int set_domain(struct iommu_device *dev, u32 pasid, struct iommu_domain *domain,
		      struct iommu_domain *old)
{
	if (pasid == IOMMU_NO_PASID)
		return domain->ops->attach_dev(domain, dev, old);
	if (!domain->ops->set_dev_pasid)
		return -EOPNOTSUPP;
	return domain->ops->set_dev_pasid(domain, dev, pasid, old);
}

/* What a device translates with while nothing is attached. */
static struct iommu_domain *blocked(struct iommu_device *dev)
{
	return dev->unit->ops->blocked_domain;
}

/*
 * Every device of the group, or none of them. @old is NULL for blocked. When
 * this returns, no access goes through @old any more, or, on failure, through
 * @domain. Context: group->attach_lock.
 */
static int change(struct iommu_group *group, u32 pasid, struct iommu_domain *domain,
		  struct iommu_domain *old)
{
	struct iommu_device *dev, *undo;
	int rc;

	LIST_FOREACH(dev, &group->devices, group_link) {
		rc = set_domain(dev, pasid, domain, old ? old : blocked(dev));
		if (rc)
			goto err_undo;
	}
	iommu_flush_attachment(group, pasid);
	return 0;

err_undo:
	LIST_FOREACH(undo, &group->devices, group_link) {
		if (undo == dev)
			break;
		/* It translated with this a moment ago, so it can again. */
		if (set_domain(undo, pasid, old ? old : blocked(undo), domain))
			base_log(undo->unit->host->log, LOG_ERR, "iommu: %s cannot go back",
				 undo->name);
	}
	iommu_flush_attachment(group, pasid);
	return rc;
}

void iommu_device_leave(struct iommu_device *dev)
{
	struct iommu_group *group = dev->group;
	struct iommu_attach_handle *handle;
	struct itree_node *n;

	pthread_mutex_lock(&group->attach_lock);
	for (n = itree_first(&group->handles, 0, U64_MAX); n;
	     n = itree_next(&group->handles, n, 0, U64_MAX)) {
		handle = container_of(n, struct iommu_attach_handle, node);
		if (set_domain(dev, (u32)n->start, blocked(dev), handle->domain))
			base_log(dev->unit->host->log, LOG_ERR, "iommu: %s cannot be blocked",
				 dev->name);
	}
	LIST_REMOVE(dev, group_link);
	pthread_mutex_unlock(&group->attach_lock);
	iommu_device_watch(dev, NULL);
}

static bool pasid_usable(struct iommu_group *group, u32 pasid)
{
	struct iommu_device *dev;

	LIST_FOREACH(dev, &group->devices, group_link)
		if (pasid >= (u32)1 << dev->pasid_bits)
			return false;
	return true;
}

static void link_handle(struct iommu_group *group, u32 pasid, struct iommu_domain *domain,
			struct iommu_attach_handle *handle)
{
	handle->node.start = handle->node.last = pasid;
	handle->domain = domain;
	handle->group = group;
	itree_insert(&group->handles, &handle->node);
	LIST_INSERT_HEAD(&domain->attached, handle, link);
}

static void unlink_handle(struct iommu_group *group, struct iommu_attach_handle *handle)
{
	itree_remove(&group->handles, &handle->node);
	LIST_REMOVE(handle, link);
}

static int attach(struct iommu_device *dev, u32 pasid, struct iommu_domain *domain,
		  struct iommu_attach_handle *handle)
{
	struct iommu_group *group = dev->group;
	int rc;

	if (pasid != IOMMU_NO_PASID) {
		/* The order of the questions is the kernel's. */
		if (!domain->ops->set_dev_pasid || !blocked(dev)->ops->set_dev_pasid)
			return -EOPNOTSUPP;
		if (!pasid_usable(group, pasid))
			return -EINVAL;
	}
	if (iommu_handle_find(group, pasid))
		return -EBUSY;
	rc = change(group, pasid, domain, NULL);
	if (rc)
		return rc;
	pthread_mutex_lock(&group->lock);
	link_handle(group, pasid, domain, handle);
	pthread_mutex_unlock(&group->lock);
	return 0;
}

int iommu_attach(struct iommu_device *dev, u32 pasid, struct iommu_domain *domain,
		 struct iommu_attach_handle *handle)
{
	int rc;

	pthread_mutex_lock(&dev->group->attach_lock);
	rc = attach(dev, pasid, domain, handle);
	pthread_mutex_unlock(&dev->group->attach_lock);
	return rc;
}

static int replace(struct iommu_device *dev, u32 pasid, struct iommu_domain *domain,
		   struct iommu_attach_handle *handle)
{
	struct iommu_group *group = dev->group;
	struct iommu_attach_handle *old = iommu_handle_find(group, pasid);
	int rc;

	if (pasid != IOMMU_NO_PASID && !domain->ops->set_dev_pasid)
		return -EOPNOTSUPP;
	if (!old)
		return -EINVAL;
	rc = change(group, pasid, domain, old->domain);
	if (rc)
		return rc;
	pthread_mutex_lock(&group->lock);
	unlink_handle(group, old);
	link_handle(group, pasid, domain, handle);
	pthread_mutex_unlock(&group->lock);
	return 0;
}

int iommu_replace(struct iommu_device *dev, u32 pasid, struct iommu_domain *domain,
		  struct iommu_attach_handle *handle)
{
	int rc;

	pthread_mutex_lock(&dev->group->attach_lock);
	rc = replace(dev, pasid, domain, handle);
	pthread_mutex_unlock(&dev->group->attach_lock);
	return rc;
}

void iommu_detach(struct iommu_device *dev, u32 pasid)
{
	struct iommu_group *group = dev->group;
	struct iommu_attach_handle *handle;
	int rc;

	pthread_mutex_lock(&group->attach_lock);
	handle = iommu_handle_find(group, pasid);
	rc = change(group, pasid, blocked(dev), handle->domain);
	if (rc)
		base_log(dev->unit->host->log, LOG_ERR, "iommu: %s cannot be blocked: %d",
			 dev->name, rc);
	pthread_mutex_lock(&group->lock);
	unlink_handle(group, handle);
	pthread_mutex_unlock(&group->lock);
	pthread_mutex_unlock(&group->attach_lock);
}

static void for_each_of(struct iommu_domain *domain,
			void (*fn)(struct iommu_device *dev, u32 pasid, void *arg), void *arg)
{
	struct iommu_attach_handle *handle;
	struct iommu_device *dev;

	LIST_FOREACH(handle, &domain->attached, link) {
		pthread_mutex_lock(&handle->group->attach_lock);
		LIST_FOREACH(dev, &handle->group->devices, group_link)
			fn(dev, (u32)handle->node.start, arg);
		pthread_mutex_unlock(&handle->group->attach_lock);
	}
}

void iommu_for_each_attached(struct iommu_domain *domain,
			     void (*fn)(struct iommu_device *dev, u32 pasid, void *arg), void *arg)
{
	struct iommu_domain *nested;

	for_each_of(domain, fn, arg);
	LIST_FOREACH(nested, &domain->nested, nested_link)
		for_each_of(nested, fn, arg);
}

void iommu_report_dirty(void *arg, u64 iova, u64 len)
{
	struct iommu_dirty_sink *sink = arg;

	sink->set(sink, iova, len);
}
