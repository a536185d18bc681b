// SPDX-License-Identifier: MIT
/*
 * softiommu/legacy.h for callers in this process: the engine's calls (abi/legacy.h) with
 * their locks around them, the PASIDs' and then the context's.
 *
 * What has to do with faults is called while a device waits, so without these. It finds
 * its device in a list of the domain's own, and a device leaves that list before it
 * leaves the engine.
 */
#include <softiommu/legacy.h>

#include "abi/legacy.h"
#include "inproc.h"

/**
 * struct domain_dev - a device in a domain
 * @link: in domain->devs
 * @core: the device
 * @dev: what the engine has of it
 */
struct domain_dev {
	LIST_ENTRY(domain_dev) link;
	struct core_device *core;
	struct legacy_dev *dev;
};

/**
 * struct siommu_domain - a domain, as its maker holds it
 * @legacy: the engine's
 * @ctx: the context, with a reference
 * @pasids: what the process owns, with a reference
 * @checked: callers' pointers are not trusted
 * @devs_lock: held while one of @devs is called about faults
 * @devs: struct domain_dev; changed locked and with @devs_lock
 */
struct siommu_domain {
	struct legacy_domain *legacy;
	struct core_ctx *ctx;
	struct core_pasid_set *pasids;
	bool checked;
	pthread_mutex_t devs_lock;
	LIST_HEAD(, domain_dev) devs;
};

static void lock(struct siommu_domain *domain)
{
	pthread_mutex_lock(&domain->pasids->lock);
	pthread_mutex_lock(&domain->ctx->lock);
}

static void unlock(struct siommu_domain *domain)
{
	pthread_mutex_unlock(&domain->ctx->lock);
	pthread_mutex_unlock(&domain->pasids->lock);
}

/* Locked. */
static int create_legacy(struct siommu_domain *domain, u32 ioas_id)
{
	struct core_ioas *ioas = core_ioas_find(domain->ctx, ioas_id);

	return ioas ? legacy_domain_create(domain->ctx, ioas, domain->pasids, &domain->legacy)
		    : -ENOENT;
}

int siommu_domain_create(struct siommu_ctx *ctx, uint32_t ioas_id, struct siommu_domain **out)
{
	struct core_ctx *core = ctx->core;
	struct siommu_domain *domain;
	int rc;

	if (ctx->machine->iommu_2020 == SIOMMU_2020_OFF)
		return -EOPNOTSUPP;
	domain = base_zalloc(&core->alloc, sizeof(*domain));
	if (!domain)
		return -ENOMEM;
	domain->ctx = core;
	domain->checked = ctx->checked;
	LIST_INIT(&domain->devs);
	rc = core_pasid_set_get(ctx->machine, ctx->space, &domain->pasids);
	if (rc)
		goto err_free;
	lock(domain);
	rc = create_legacy(domain, ioas_id);
	unlock(domain);
	if (rc)
		goto err_set;
	core_ctx_get(core);
	pthread_mutex_init(&domain->devs_lock, NULL);
	*out = domain;
	return 0;

err_set:
	core_pasid_set_put(domain->pasids);
err_free:
	base_free(&core->alloc, domain, sizeof(*domain));
	return rc;
}

void siommu_domain_destroy(struct siommu_domain *domain)
{
	struct core_ctx *ctx;

	if (!domain)
		return;
	ctx = domain->ctx;
	lock(domain);
	legacy_domain_destroy(domain->legacy);
	unlock(domain);
	core_pasid_set_put(domain->pasids);
	pthread_mutex_destroy(&domain->devs_lock);
	base_free(&ctx->alloc, domain, sizeof(*domain));
	core_ctx_put(ctx);
}

/* Locked, or with devs_lock. */
static struct domain_dev *find(struct siommu_domain *domain, struct siommu_bound *bound)
{
	struct domain_dev *d;

	LIST_FOREACH(d, &domain->devs, link)
		if (d->core == (struct core_device *)bound)
			return d;
	return NULL;
}

static int add(struct siommu_domain *domain, struct core_device *core)
{
	struct domain_dev *d;
	int rc;

	if (core->ctx != domain->ctx)
		return -EINVAL;
	if (core_device_attached(core, IOMMU_NO_PASID))
		return -EBUSY;
	d = base_zalloc(&domain->ctx->alloc, sizeof(*d));
	if (!d)
		return -ENOMEM;
	rc = legacy_domain_add(domain->legacy, core, &d->dev);
	if (rc) {
		base_free(&domain->ctx->alloc, d, sizeof(*d));
		return rc;
	}
	d->core = core;
	pthread_mutex_lock(&domain->devs_lock);
	LIST_INSERT_HEAD(&domain->devs, d, link);
	pthread_mutex_unlock(&domain->devs_lock);
	return 0;
}

int siommu_domain_add(struct siommu_domain *domain, struct siommu_bound *bound)
{
	int rc;

	lock(domain);
	rc = add(domain, (struct core_device *)bound);
	unlock(domain);
	return rc;
}

void siommu_domain_remove(struct siommu_domain *domain, struct siommu_bound *bound)
{
	struct domain_dev *d;

	lock(domain);
	d = find(domain, bound);
	if (d) {
		pthread_mutex_lock(&domain->devs_lock);
		LIST_REMOVE(d, link);
		pthread_mutex_unlock(&domain->devs_lock);
		legacy_domain_remove(d->dev);
		base_free(&domain->ctx->alloc, d, sizeof(*d));
	}
	unlock(domain);
}

int siommu_domain_nesting_info(struct siommu_domain *domain, struct iommu_nesting_info *info)
{
	int rc = -ENODEV;

	lock(domain);
	if (!LIST_EMPTY(&domain->devs)) {
		legacy_nesting_info(domain->legacy, info);
		rc = 0;
	}
	unlock(domain);
	return rc;
}

int siommu_pasid_alloc(struct siommu_domain *domain, uint32_t min, uint32_t max)
{
	u32 pasid;
	int rc;

	if (min > max)
		return -EINVAL;
	pthread_mutex_lock(&domain->pasids->lock);
	rc = core_pasid_alloc(domain->pasids, min, max, &pasid);
	pthread_mutex_unlock(&domain->pasids->lock);
	return rc ? rc : (int)pasid;
}

void siommu_pasid_free(struct siommu_domain *domain, uint32_t min, uint32_t max)
{
	pthread_mutex_lock(&domain->pasids->lock);
	core_pasid_free(domain->pasids, min, max);
	pthread_mutex_unlock(&domain->pasids->lock);
}

typedef int (*gpasid_fn)(struct legacy_domain *domain, struct legacy_dev *dev,
			 struct siommu_task *task, u64 uptr, u64 room);

static int call_gpasid(struct siommu_domain *domain, struct siommu_bound *bound, const void *udata,
		       gpasid_fn fn)
{
	struct domain_dev *d = NULL;
	struct inproc_task task;
	int rc;

	rc = inproc_task(domain->ctx->machine, NULL, domain->checked, &task);
	if (rc)
		return rc;
	lock(domain);
	if (bound)
		d = find(domain, bound);
	if (bound && !d)
		rc = -EINVAL;
	else
		rc = fn(domain->legacy, d ? d->dev : NULL, &task.task, (uintptr_t)udata,
			LEGACY_NO_ROOM_GIVEN);
	unlock(domain);
	return rc;
}

int siommu_uapi_sva_bind_gpasid(struct siommu_domain *domain, struct siommu_bound *bound,
				const void *udata)
{
	return call_gpasid(domain, bound, udata, legacy_uapi_bind_gpasid);
}

int siommu_uapi_sva_unbind_gpasid(struct siommu_domain *domain, struct siommu_bound *bound,
				  const void *udata)
{
	return call_gpasid(domain, bound, udata, legacy_uapi_unbind_gpasid);
}

void siommu_sva_unbind_gpasid(struct siommu_domain *domain, struct siommu_bound *bound,
			      uint32_t pasid)
{
	struct domain_dev *d = NULL;

	lock(domain);
	if (bound)
		d = find(domain, bound);
	if (d || !bound)
		legacy_unbind_gpasid(domain->legacy, d ? d->dev : NULL, pasid);
	unlock(domain);
}

typedef int (*domain_fn)(struct legacy_domain *domain, struct siommu_task *task, u64 uptr,
			 u64 room);

static int call_domain(struct siommu_domain *domain, const void *udata, domain_fn fn)
{
	struct inproc_task task;
	int rc;

	rc = inproc_task(domain->ctx->machine, NULL, domain->checked, &task);
	if (rc)
		return rc;
	lock(domain);
	rc = fn(domain->legacy, &task.task, (uintptr_t)udata, LEGACY_NO_ROOM_GIVEN);
	unlock(domain);
	return rc;
}

int siommu_uapi_attach_pasid_table(struct siommu_domain *domain, const void *udata)
{
	return call_domain(domain, udata, legacy_uapi_set_pasid_table);
}

void siommu_detach_pasid_table(struct siommu_domain *domain)
{
	lock(domain);
	legacy_unset_pasid_table(domain->legacy);
	unlock(domain);
}

int siommu_uapi_cache_invalidate(struct siommu_domain *domain, const void *udata)
{
	return call_domain(domain, udata, legacy_uapi_cache_invalidate);
}

int siommu_register_device_fault_handler(struct siommu_domain *domain, struct siommu_bound *bound,
					 int (*handler)(void *arg, const struct iommu_fault *fault),
					 void *arg)
{
	struct domain_dev *d;
	int rc;

	pthread_mutex_lock(&domain->devs_lock);
	d = find(domain, bound);
	rc = d ? legacy_dev_set_handler(d->dev, handler, arg) : -EINVAL;
	pthread_mutex_unlock(&domain->devs_lock);
	return rc;
}

int siommu_unregister_device_fault_handler(struct siommu_domain *domain, struct siommu_bound *bound)
{
	struct domain_dev *d;
	int rc;

	pthread_mutex_lock(&domain->devs_lock);
	d = find(domain, bound);
	rc = d ? legacy_dev_unset_handler(d->dev) : -EINVAL;
	pthread_mutex_unlock(&domain->devs_lock);
	return rc;
}

int siommu_page_response(struct siommu_domain *domain, struct siommu_bound *bound,
			 const struct iommu_page_response *response)
{
	struct domain_dev *d;
	int rc;

	pthread_mutex_lock(&domain->devs_lock);
	d = find(domain, bound);
	rc = d ? legacy_page_response(d->dev, response) : -EINVAL;
	pthread_mutex_unlock(&domain->devs_lock);
	return rc;
}

int siommu_uapi_page_response(struct siommu_domain *domain, struct siommu_bound *bound,
			      const void *udata)
{
	struct inproc_task task;
	struct domain_dev *d;
	int rc;

	rc = inproc_task(domain->ctx->machine, NULL, domain->checked, &task);
	if (rc)
		return rc;
	pthread_mutex_lock(&domain->devs_lock);
	d = find(domain, bound);
	rc = d ? legacy_uapi_page_response(d->dev, &task.task, (uintptr_t)udata) : -EINVAL;
	pthread_mutex_unlock(&domain->devs_lock);
	return rc;
}
