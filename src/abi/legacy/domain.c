// SPDX-License-Identifier: MIT
/*
 * Domains and their devices, tables of PASIDs, and invalidation: the same for all IOMMUs.
 *
 * The first device decides which driver there is, by what its IOMMU says of itself, and
 * has the nest parent made. Attachments are of a group: the first of its devices to be
 * attached to something changes the hardware for all, the others join, and must ask for the
 * same. So the devices of a domain share one table for each PASID, and a replacement of
 * what they are attached to themselves is one call.
 *
 * Unbinding, unsetting and removing cannot fail. They are made of detaching, which needs
 * no memory; the one exception is the way back from a guest's table of PASIDs to the
 * parent, which has what the table gives back. When that fails all the same, or an
 * invalidation does, isolation comes first: the domain is blocked. All of its devices are
 * detached from everything, and stay so until they leave.
 */
#include <string.h>
#include <syslog.h>

#include "legacy.h"

static const struct legacy_vendor *const vendors[] = { &legacy_vtd, &legacy_smmuv3 };

static int own_in(struct siommu_task *task, void *dst, u64 src, size_t n)
{
	(void)task;
	memcpy(dst, (const void *)(uintptr_t)src, n);
	return 0;
}

static int own_out(struct siommu_task *task, u64 dst, const void *src, size_t n)
{
	(void)task;
	memcpy((void *)(uintptr_t)dst, src, n);
	return 0;
}

/* Models copy what they are given, and do nothing else with a caller. */
static const struct siommu_task_ops own_ops = {
	.copy_in = own_in,
	.copy_out = own_out,
};

/*
 * Somebody who knows its id may have come to use it: then it is that user's to destroy.
 */
void legacy_let_go(struct core_ctx *ctx, struct core_object *obj)
{
	core_object_put(obj);
	if (obj->users == 1)
		core_object_remove(ctx, obj);
}

static void unbind_freed(struct core_pasid_user *user, u32 pasid)
{
	struct legacy_domain *domain = container_of(user, struct legacy_domain, user);

	pthread_mutex_lock(&domain->ctx->lock);
	legacy_unbind_gpasid(domain, NULL, pasid);
	pthread_mutex_unlock(&domain->ctx->lock);
}

int legacy_domain_create(struct core_ctx *ctx, struct core_ioas *ioas,
			 struct core_pasid_set *pasids, struct legacy_domain **out)
{
	struct legacy_domain *domain;

	domain = base_zalloc(&ctx->alloc, sizeof(*domain));
	if (!domain)
		return -ENOMEM;
	domain->ctx = ctx;
	domain->ioas = ioas;
	core_object_get(&ioas->obj);
	domain->pasids = pasids;
	domain->revision = ctx->machine->iommu_2020;
	domain->timeout_ms = ctx->machine->prq_timeout_ms;
	domain->task.ops = &own_ops;
	domain->task.space = pasids->space;
	LIST_INIT(&domain->devs);
	pthread_mutex_init(&domain->fault_lock, NULL);
	domain->user.unbind = unbind_freed;
	core_pasid_user_add(pasids, &domain->user);
	*out = domain;
	return 0;
}

void legacy_domain_destroy(struct legacy_domain *domain)
{
	core_pasid_user_remove(domain->pasids, &domain->user);
	core_object_put(&domain->ioas->obj);
	pthread_mutex_destroy(&domain->fault_lock);
	base_free(&domain->ctx->alloc, domain, sizeof(*domain));
}

/* Ask the IOMMU what it is, and find its driver. */
static int find_vendor(struct legacy_domain *domain, struct core_device *dev)
{
	const struct iommu_ops *ops = dev->dev->unit->ops;
	u32 type = IOMMU_HW_INFO_TYPE_DEFAULT;
	size_t i;
	int rc;

	if (ops->untranslated || !ops->hw_info)
		return -EINVAL;
	rc = ops->hw_info(dev->dev, &domain->ctx->alloc, &type, &domain->hw_info,
			  &domain->hw_info_len);
	if (rc)
		return rc;
	for (i = 0; i < ARRAY_SIZE(vendors); i++)
		if (vendors[i]->hw_info == type)
			domain->vendor = vendors[i];
	return domain->vendor ? 0 : -EINVAL;
}

static int make_parent(struct legacy_domain *domain, struct core_device *dev)
{
	const struct legacy_vendor *vendor = domain->vendor;
	int rc;

	if (vendor->viommu_type &&
	    (!dev->dev->unit->ops->viommu_supported ||
	     !dev->dev->unit->ops->viommu_supported(dev->dev, vendor->viommu_type)))
		return -EINVAL;
	rc = core_hwpt_paging_alloc(domain->ctx, domain->ioas, dev, vendor->parent_flags, NULL,
				    &domain->parent);
	if (rc) {
		domain->parent = NULL;
		return rc == -EOPNOTSUPP ? -EINVAL : rc;
	}
	core_object_publish(domain->ctx, &domain->parent->common.obj);
	core_object_get(&domain->parent->common.obj);
	domain->rid = &domain->parent->common;
	return 0;
}

/* The last device has left: the next may have another IOMMU. */
static void end(struct legacy_domain *domain)
{
	if (domain->fault)
		legacy_faults_end(domain);
	if (domain->parent)
		legacy_let_go(domain->ctx, &domain->parent->common.obj);
	base_free(&domain->ctx->alloc, domain->hw_info, domain->hw_info_len);
	domain->parent = NULL;
	domain->rid = NULL;
	domain->hw_info = NULL;
	domain->hw_info_len = 0;
	domain->vendor = NULL;
	domain->blocked = false;
}

static int begin(struct legacy_domain *domain, struct core_device *dev)
{
	int rc;

	rc = find_vendor(domain, dev);
	if (!rc)
		rc = make_parent(domain, dev);
	if (rc)
		end(domain);
	return rc;
}

/*
 * A page table that has a handler is for devices that make requests, and the group is
 * attached as one. Nobody joins it while it is.
 */
static bool group_asks_pages(const struct legacy_domain *domain, const struct core_device *dev)
{
	struct iommu_group *group = dev->dev->group;
	struct iommu_device *hw;
	bool all = true;

	pthread_mutex_lock(&group->attach_lock);
	LIST_FOREACH(hw, &group->devices, group_link)
		all = all && domain->vendor->asks_pages(domain, hw);
	pthread_mutex_unlock(&group->attach_lock);
	return all;
}

static int attach(struct legacy_domain *domain, struct core_device *dev)
{
	u32 id = domain->rid->obj.id;
	int rc;

	rc = core_device_attach(dev, IOMMU_NO_PASID, &id);
	if (rc || domain->fault || !LIST_EMPTY(&domain->devs) || !group_asks_pages(domain, dev))
		return rc;
	rc = legacy_faults_begin(domain);
	if (rc)
		core_device_detach(dev, IOMMU_NO_PASID);
	return rc;
}

static struct legacy_dev *dev_new(struct legacy_domain *domain, struct core_device *dev)
{
	struct legacy_dev *d = base_zalloc(&domain->ctx->alloc, sizeof(*d));

	if (!d)
		return NULL;
	d->domain = domain;
	d->dev = dev;
	LIST_INIT(&d->bindings);
	TAILQ_INIT(&d->requests);
	pthread_mutex_init(&d->lock, NULL);
	return d;
}

static void dev_free(struct legacy_dev *d)
{
	pthread_mutex_destroy(&d->lock);
	base_free(&d->domain->ctx->alloc, d, sizeof(*d));
}

/*
 * A device that is in a domain has no place in another, and neither has its group: what one of
 * them is attached to, all are. Attaching would not notice while a domain is blocked.
 */
static int check_free(const struct legacy_domain *domain, const struct core_device *dev)
{
	struct iommu_group *group = dev->dev->group;
	const struct legacy_domain *other;
	struct iommu_device *hw;
	int rc = 0;

	pthread_mutex_lock(&group->attach_lock);
	LIST_FOREACH(hw, &group->devices, group_link) {
		other = legacy_faults_watcher(hw);
		if (other && hw == dev->dev)
			rc = -EBUSY;
		else if (other && other != domain && !rc)
			rc = -EINVAL;
	}
	pthread_mutex_unlock(&group->attach_lock);
	return rc;
}

int legacy_domain_add(struct legacy_domain *domain, struct core_device *dev,
		      struct legacy_dev **out)
{
	struct legacy_dev *any = LIST_FIRST(&domain->devs), *d;
	int rc;

	if (any && any->dev->group != dev->group)
		return -EINVAL;
	rc = check_free(domain, dev);
	if (rc)
		return rc;
	if (domain->blocked)
		return -EIO;
	d = dev_new(domain, dev);
	if (!d)
		return -ENOMEM;
	rc = any ? 0 : begin(domain, dev);
	if (rc)
		goto err_free;
	rc = attach(domain, dev);
	if (rc)
		goto err_end;
	pthread_mutex_lock(&domain->fault_lock);
	LIST_INSERT_HEAD(&domain->devs, d, link);
	pthread_mutex_unlock(&domain->fault_lock);
	legacy_faults_watch(d);
	*out = d;
	return 0;

err_end:
	if (!any)
		end(domain);
err_free:
	dev_free(d);
	return rc;
}

void legacy_drop_table(struct legacy_domain *domain)
{
	struct legacy_dev *d;

	LIST_FOREACH(d, &domain->devs, link) {
		if (d->vdev)
			legacy_let_go(domain->ctx, &d->vdev->obj);
		d->vdev = NULL;
	}
	if (domain->viommu)
		legacy_let_go(domain->ctx, &domain->viommu->obj);
	domain->viommu = NULL;
}

/* The devices themselves are attached to @rid now, or to nothing. */
static void set_rid(struct legacy_domain *domain, struct core_hwpt *rid)
{
	struct core_hwpt *old = domain->rid;

	domain->rid = rid;
	if (old != &domain->parent->common)
		legacy_let_go(domain->ctx, &old->obj);
}

void legacy_domain_remove(struct legacy_dev *d)
{
	struct legacy_domain *domain = d->domain;

	legacy_unbind_all(d);
	legacy_faults_unwatch(d);
	pthread_mutex_lock(&domain->fault_lock);
	LIST_REMOVE(d, link);
	pthread_mutex_unlock(&domain->fault_lock);
	core_device_detach(d->dev, IOMMU_NO_PASID);
	legacy_dev_drop_handler(d);
	if (LIST_EMPTY(&domain->devs))
		set_rid(domain, &domain->parent->common);
	if (d->vdev)
		legacy_let_go(domain->ctx, &d->vdev->obj);
	if (LIST_EMPTY(&domain->devs)) {
		legacy_drop_table(domain);
		end(domain);
	}
	dev_free(d);
}

struct legacy_dev *legacy_domain_find(struct legacy_domain *domain, const struct iommu_device *hw)
{
	struct legacy_dev *d;

	LIST_FOREACH(d, &domain->devs, link)
		if (d->dev->dev == hw)
			return d;
	return NULL;
}

enum legacy_series legacy_series(const struct legacy_domain *domain)
{
	return domain->vendor->series;
}

bool legacy_carrier_counts(const struct legacy_domain *domain)
{
	return domain->revision == SIOMMU_2020_DRAFT;
}

bool legacy_is_blocked(const struct legacy_domain *domain)
{
	return domain->blocked;
}

void legacy_nesting_info(const struct legacy_domain *domain, struct iommu_nesting_info *info)
{
	const struct iommu_domain *parent = domain->parent->common.domain;
	u64 pasid_bits = U64_MAX;
	struct legacy_dev *d;

	LIST_FOREACH(d, &domain->devs, link)
		pasid_bits = min_u64(pasid_bits, d->dev->dev->max_pasid_log2);
	*info = (struct iommu_nesting_info){
		.argsz = sizeof(*info),
		.addr_width = (u16)(highest_bit(parent->aperture_last) + 1),
		.pasid_bits = (u16)pasid_bits,
	};
	domain->vendor->fill_info(domain, info);
	if (domain->vendor->bind && pasid_bits)
		info->features |= IOMMU_NESTING_FEAT_SYSWIDE_PASID;
	if (domain->fault)
		info->features |= IOMMU_NESTING_FEAT_PAGE_REQUEST;
}

/* The devices themselves, and what they were attached to ends, but for the parent. */
static void detach_all(struct legacy_domain *domain)
{
	struct legacy_dev *d;

	LIST_FOREACH(d, &domain->devs, link)
		core_device_detach(d->dev, IOMMU_NO_PASID);
	LIST_FOREACH(d, &domain->devs, link)
		legacy_faults_forget(d, IOMMU_NO_PASID);
	set_rid(domain, &domain->parent->common);
	legacy_drop_table(domain);
}

/*
 * Nothing is told to the guest but an error, and its devices reach nothing.
 */
static void block(struct legacy_domain *domain, const char *what, int rc)
{
	struct legacy_dev *d;

	LIST_FOREACH(d, &domain->devs, link)
		legacy_unbind_all(d);
	detach_all(domain);
	domain->blocked = true;
	LIST_FOREACH(d, &domain->devs, link)
		base_log(&domain->ctx->machine->log, LOG_ERR,
			 "iommu: %s: %s was not carried out (%s): its DMA is blocked; "
			 "take it out of its domain, or close its container, and start over",
			 d->dev->dev->name, what, strerrorname_np(-rc));
}

int legacy_replace_rid(struct legacy_domain *domain, struct core_hwpt *hwpt)
{
	struct legacy_dev *any = LIST_FIRST(&domain->devs), *d;
	u32 id = hwpt->obj.id;
	int rc;

	rc = core_device_replace(any->dev, IOMMU_NO_PASID, &id);
	if (rc)
		return rc;
	LIST_FOREACH(d, &domain->devs, link)
		legacy_faults_replaced(d);
	set_rid(domain, hwpt);
	return 0;
}

int legacy_set_pasid_table(struct legacy_domain *domain,
			   const struct iommu_pasid_table_config *config)
{
	return domain->vendor->set_table(domain, config);
}

/* With a gap, but with less memory: what the table took is given back before. */
static int go_back(struct legacy_domain *domain)
{
	u32 id = domain->parent->common.obj.id;
	struct legacy_dev *d;
	int rc = 0;

	detach_all(domain);
	LIST_FOREACH(d, &domain->devs, link) {
		rc = core_device_attach(d->dev, IOMMU_NO_PASID, &id);
		if (rc)
			break;
	}
	return rc;
}

void legacy_unset_pasid_table(struct legacy_domain *domain)
{
	int rc;

	if (!domain->parent || domain->rid == &domain->parent->common)
		return;
	if (!legacy_replace_rid(domain, &domain->parent->common)) {
		legacy_drop_table(domain);
		return;
	}
	rc = go_back(domain);
	if (rc)
		block(domain, "unbinding a table of PASIDs", rc);
}

/* All that the domain's devices have ever translated, which takes no memory to say. */
static void flush_all(struct legacy_domain *domain)
{
	struct legacy_dev *d;

	iommu_flush(domain->parent->common.domain, 0, U64_MAX);
	LIST_FOREACH(d, &domain->devs, link)
		iommu_flush_device(d->dev->dev, 0, U64_MAX);
}

int legacy_cache_invalidate(struct legacy_domain *domain,
			    const struct iommu_cache_invalidate_info *info)
{
	int rc;

	rc = domain->vendor->invalidate(domain, info);
	if (rc == -ENOMEM) {
		flush_all(domain);
		return 0;
	}
	if (!rc || rc == -EINVAL)
		return rc;
	block(domain, "an invalidation", rc);
	return -EIO;
}
