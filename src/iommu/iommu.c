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

#include "iommu/iommu.h"

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
	TAILQ_INIT(&dev->partial);
	pthread_mutex_lock(&group->attach_lock);
	rc = can_join(group, unit);
	if (!rc)
		LIST_INSERT_HEAD(&group->devices, dev, group_link);
	pthread_mutex_unlock(&group->attach_lock);
	return rc;
}

void iommu_device_destroy(struct iommu_device *dev)
{
	struct iommu_resv_region *r, *next;

	LIST_FOREACH_SAFE(r, &dev->resv, link, next)
		base_free(dev->unit->alloc, r, sizeof(*r));
	pthread_mutex_lock(&dev->group->attach_lock);
	LIST_REMOVE(dev, group_link);
	pthread_mutex_unlock(&dev->group->attach_lock);
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
 * Every device of the group, or none of them. @old is NULL for blocked.
 * Context: group->attach_lock.
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
	return rc;
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
	itree_insert(&group->handles, &handle->node);
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
	itree_remove(&group->handles, &old->node);
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
	itree_remove(&group->handles, &handle->node);
	pthread_mutex_unlock(&group->lock);
	pthread_mutex_unlock(&group->attach_lock);
}
