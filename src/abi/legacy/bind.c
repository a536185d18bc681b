// SPDX-License-Identifier: MIT
/*
 * Guests' page tables that are bound to PASIDs: the same for all IOMMUs that have such.
 *
 * A binding is a nested HWPT and the attachment of a PASID to it. It is for all devices of a
 * domain or for none of them; the library's callers can also bind one device at a time, and
 * since a PASID of a group has one table, who comes later gets the same one. What attaching
 * would not notice is looked at before: who owns the PASID, and whether it is in use.
 */
#include <string.h>

#include "legacy.h"

static struct legacy_binding *find_binding(const struct legacy_dev *d, u32 hpasid)
{
	struct legacy_binding *b;

	LIST_FOREACH(b, &d->bindings, link)
		if (b->hpasid == hpasid)
			return b;
	return NULL;
}

/* Page requests find the binding gone, and those that found it before are answered. */
static void unbind(struct legacy_dev *d, struct legacy_binding *b)
{
	struct core_ctx *ctx = d->domain->ctx;

	pthread_mutex_lock(&d->lock);
	LIST_REMOVE(b, link);
	pthread_mutex_unlock(&d->lock);
	core_device_detach(d->dev, b->hpasid);
	legacy_faults_forget(d, b->hpasid);
	legacy_let_go(ctx, &b->hwpt->obj);
	base_free(&ctx->alloc, b, sizeof(*b));
}

void legacy_unbind_all(struct legacy_dev *d)
{
	struct legacy_binding *b, *next;

	LIST_FOREACH_SAFE(b, &d->bindings, link, next)
		unbind(d, b);
}

/* Is @d one of those that a call is for? */
static bool meant(const struct legacy_dev *d, const struct legacy_dev *dev)
{
	return !dev || d == dev;
}

/*
 * What attaching would not notice: it knows no owners, and can replace. Nobody owns a
 * PASID that is out of range.
 */
static int check_bind(struct legacy_domain *domain, struct legacy_dev *dev,
		      const struct legacy_bind *bind)
{
	struct legacy_dev *d;
	int rc;

	LIST_FOREACH(d, &domain->devs, link) {
		if (!meant(d, dev))
			continue;
		rc = domain->vendor->check_bind(d, bind);
		if (rc)
			return rc;
		if (!core_pasid_owned(domain->pasids, bind->data.hpasid))
			return -EINVAL;
		/* What others of the context have attached is not ours to undo. */
		if (find_binding(d, (u32)bind->data.hpasid) ||
		    core_device_attached(d->dev, (u32)bind->data.hpasid))
			return -EBUSY;
	}
	return 0;
}

/* By another name, perhaps. */
static bool same_table(const struct iommu_gpasid_bind_data *a,
		       const struct iommu_gpasid_bind_data *b)
{
	return a->gpgd == b->gpgd && a->addr_width == b->addr_width &&
	       !memcmp(&a->vendor, &b->vendor, sizeof(a->vendor));
}

/*
 * The nested HWPT, which the caller is a user of. A PASID of a group has one table, so who
 * comes later gets the same, or none.
 */
static int get_table(struct legacy_domain *domain, struct legacy_dev *dev,
		     const struct legacy_bind *bind, struct core_hwpt **out)
{
	struct legacy_binding *b;
	struct legacy_dev *d;
	int rc;

	LIST_FOREACH(d, &domain->devs, link) {
		b = find_binding(d, (u32)bind->data.hpasid);
		if (!b)
			continue;
		if (!same_table(&b->data, &bind->data))
			return -EBUSY;
		*out = b->hwpt;
		core_object_get(&b->hwpt->obj);
		return 0;
	}
	rc = domain->vendor->bind(domain, dev ? dev : LIST_FIRST(&domain->devs), bind, out);
	if (!rc)
		core_object_get(&(*out)->obj);
	return rc;
}

/* In the list before the first page request can come. */
static int bind_one(struct legacy_dev *d, const struct legacy_bind *bind, struct core_hwpt *hwpt)
{
	struct core_ctx *ctx = d->domain->ctx;
	struct legacy_binding *b;
	u32 id = hwpt->obj.id;
	int rc;

	b = base_zalloc(&ctx->alloc, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->data = bind->data;
	b->hpasid = (u32)bind->data.hpasid;
	b->gpasid = (u32)(bind->data.flags & IOMMU_SVA_GPASID_VAL ? bind->data.gpasid
								  : bind->data.hpasid);
	memcpy(b->label, bind->label, sizeof(b->label));
	b->hwpt = hwpt;
	core_object_get(&hwpt->obj);
	pthread_mutex_lock(&d->lock);
	LIST_INSERT_HEAD(&d->bindings, b, link);
	pthread_mutex_unlock(&d->lock);
	rc = core_device_attach(d->dev, b->hpasid, &id);
	if (rc)
		unbind(d, b);
	return rc;
}

int legacy_bind_gpasid(struct legacy_domain *domain, struct legacy_dev *dev,
		       const struct legacy_bind *bind)
{
	struct legacy_dev *d, *undo;
	struct core_hwpt *hwpt;
	int rc;

	rc = check_bind(domain, dev, bind);
	if (!rc)
		rc = get_table(domain, dev, bind, &hwpt);
	if (rc)
		return rc;
	LIST_FOREACH(d, &domain->devs, link) {
		if (!meant(d, dev))
			continue;
		rc = bind_one(d, bind, hwpt);
		if (rc)
			goto out_undo;
	}
out_put:
	legacy_let_go(domain->ctx, &hwpt->obj);
	return rc;

out_undo:
	LIST_FOREACH(undo, &domain->devs, link) {
		if (undo == d)
			break;
		if (meant(undo, dev))
			unbind(undo, find_binding(undo, (u32)bind->data.hpasid));
	}
	goto out_put;
}

void legacy_unbind_gpasid(struct legacy_domain *domain, struct legacy_dev *dev, u32 pasid)
{
	struct legacy_binding *b;
	struct legacy_dev *d;

	LIST_FOREACH(d, &domain->devs, link) {
		b = meant(d, dev) ? find_binding(d, pasid) : NULL;
		if (b)
			unbind(d, b);
	}
}
