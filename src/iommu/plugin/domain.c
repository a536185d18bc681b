// SPDX-License-Identifier: MIT
/*
 * Domains of registered models.
 *
 * What a user passes is copied here, once, into memory that the model may look at and
 * not change, and is gone when the model has answered. What the model answers is a
 * complete domain or an errno; a success without a domain is a mistake of the model,
 * and an error for whoever asked.
 */
#include "plugin.h"

static int blame(const struct siommu_model_domain *d, const char *what)
{
	return plugin_blame(d->plugin, d->host, what);
}

/* The part that is the library's. @type says which functions it has. */
static struct siommu_model_domain *domain_new(struct iommu_device *dev, struct base_alloc *alloc,
					      enum iommu_domain_type type)
{
	struct plugin *plugin = plugin_of(dev);
	struct siommu_model_domain *d = base_zalloc(alloc, sizeof(*d));

	if (!d)
		return NULL;
	d->plugin = plugin;
	d->host = dev->unit->host;
	d->alloc = alloc;
	d->domain.ops = type == IOMMU_DOMAIN_NESTED ? &plugin->nested_ops : &plugin->paging_ops;
	d->domain.owner = &plugin->ops;
	d->domain.type = type;
	return d;
}

/*
 * A copy of what the user passed, as long as @kind says, with zeros for what is missing.
 * NULL in *@copy if there is nothing. Return: 0; as iommu_copy_user_data(); -ENOMEM.
 */
static int copy_data(struct base_alloc *alloc, const struct siommu_model_data *kind,
		     const struct iommu_user_data *data, void **copy)
{
	void *buffer;
	int rc;

	*copy = NULL;
	if (!data)
		return 0;
	if (!kind->size)
		return -EOPNOTSUPP;
	buffer = base_zalloc(alloc, kind->size);
	if (!buffer)
		return -ENOMEM;
	rc = iommu_copy_user_data(buffer, kind->size, kind->min, kind->type, data);
	if (rc) {
		base_free(alloc, buffer, kind->size);
		return rc;
	}
	*copy = buffer;
	return 0;
}

static struct siommu_model_domain_request request_for(struct siommu_model_domain *d, u32 flags,
						      const struct siommu_model_data *kind,
						      const void *data)
{
	return (struct siommu_model_domain_request){
		.self = d,
		.account = plugin_account(d->alloc),
		.flags = flags,
		.data_type = data ? kind->type : 0,
		.data = data,
	};
}

/* What the model returned, as what the caller gets. */
static int judge(struct siommu_model_domain *d, int rc)
{
	rc = plugin_result(d->plugin, d->host, rc);
	if (rc)
		return rc;
	return d->priv ? 0 : blame(d, "it made a domain, and gave none");
}

static int take_geometry(struct siommu_model_domain *d,
			 const struct siommu_model_geometry *geometry)
{
	if (!geometry->page_sizes || lowest_bit(geometry->page_sizes) < PAGE_LG2 ||
	    geometry->first > geometry->last)
		return blame(d, "it made a domain that can map nothing");
	d->domain.pgsize_bitmap = geometry->page_sizes;
	d->domain.aperture_start = geometry->first;
	d->domain.aperture_last = geometry->last;
	d->domain.cache_coherent = geometry->cache_coherent;
	return 0;
}

static int make_paging(struct siommu_model_domain *d, struct iommu_device *dev, u32 flags,
		       const void *data)
{
	const struct plugin *plugin = d->plugin;
	const struct siommu_model_domain_request request =
		request_for(d, flags, &plugin->model.paging, data);
	struct siommu_model_geometry geometry = { 0 };
	int rc;

	rc = plugin->fns.domain_alloc_paging(to_plugin_device(dev)->priv, &request, &geometry,
					     &d->priv);
	rc = judge(d, rc);
	if (rc)
		return rc;
	rc = take_geometry(d, &geometry);
	if (rc)
		plugin->fns.domain_free(d->priv);
	return rc;
}

int plugin_alloc_paging(struct iommu_device *dev, struct base_alloc *alloc, u32 flags,
			const struct iommu_user_data *data, struct iommu_domain **out)
{
	const struct plugin *plugin = plugin_of(dev);
	struct siommu_model_domain *d;
	void *copy;
	int rc;

	if (!plugin->fns.domain_alloc_paging || flags & ~plugin->model.flags)
		return -EOPNOTSUPP;
	rc = copy_data(alloc, &plugin->model.paging, data, &copy);
	if (rc)
		return rc;
	d = domain_new(dev, alloc, IOMMU_DOMAIN_PAGING);
	rc = d ? make_paging(d, dev, flags, copy) : -ENOMEM;
	base_free(alloc, copy, plugin->model.paging.size);
	if (rc) {
		base_free(alloc, d, sizeof(*d));
		return rc;
	}
	*out = &d->domain;
	return 0;
}

static int make_nested(struct siommu_model_domain *d, struct iommu_device *dev,
		       struct siommu_model_domain *parent, u32 flags, const void *data)
{
	const struct plugin *plugin = d->plugin;
	const struct siommu_model_domain_request request =
		request_for(d, flags, &plugin->model.nested, data);

	return judge(d, plugin->fns.domain_alloc_nested(to_plugin_device(dev)->priv, parent->priv,
							&request, &d->priv));
}

int plugin_alloc_nested(struct iommu_device *dev, struct base_alloc *alloc,
			struct iommu_domain *parent, u32 flags, const struct iommu_user_data *data,
			struct iommu_domain **out)
{
	const struct plugin *plugin = plugin_of(dev);
	struct siommu_model_domain *d;
	void *copy;
	int rc;

	if (flags & ~(plugin->model.flags & SIOMMU_MODEL_PASID))
		return -EOPNOTSUPP;
	rc = copy_data(alloc, &plugin->model.nested, data, &copy);
	if (rc)
		return rc;
	d = domain_new(dev, alloc, IOMMU_DOMAIN_NESTED);
	rc = d ? make_nested(d, dev, to_plugin_domain(parent), flags, copy) : -ENOMEM;
	base_free(alloc, copy, plugin->model.nested.size);
	if (rc) {
		base_free(alloc, d, sizeof(*d));
		return rc;
	}
	*out = &d->domain;
	return 0;
}

/* The model's pointer for a domain; NULL for blocked. */
static void *priv_of(struct iommu_domain *domain)
{
	return !domain || domain->type == IOMMU_DOMAIN_BLOCKED ? NULL
							       : to_plugin_domain(domain)->priv;
}

static int set_dev_pasid(struct iommu_domain *domain, struct iommu_device *dev, u32 pasid,
			 struct iommu_domain *old)
{
	const struct plugin *plugin = plugin_of(dev);
	int rc;

	/* There are no page requests. */
	if (domain->fault_handler)
		return -ENODEV;
	rc = plugin->fns.attach(to_plugin_device(dev)->priv, pasid, priv_of(domain), priv_of(old));
	return plugin_result(plugin, dev->unit->host, rc);
}

static int attach_dev(struct iommu_domain *domain, struct iommu_device *dev,
		      struct iommu_domain *old)
{
	return set_dev_pasid(domain, dev, IOMMU_NO_PASID, old);
}

static void domain_free(struct iommu_domain *domain)
{
	struct siommu_model_domain *d = to_plugin_domain(domain);

	d->plugin->fns.domain_free(d->priv);
	base_free(d->alloc, d, sizeof(*d));
}

static int map(struct iommu_domain *domain, u64 iova, hpa_t hpa, u64 len, unsigned int prot)
{
	const struct siommu_model_domain *d = to_plugin_domain(domain);
	int rc = d->plugin->fns.map(d->priv, iova, hpa, len,
				    prot & (IOMMU_PROT_READ | IOMMU_PROT_WRITE));

	return plugin_result(d->plugin, d->host, rc);
}

static void unmap(struct iommu_domain *domain, u64 iova, u64 len)
{
	const struct siommu_model_domain *d = to_plugin_domain(domain);

	d->plugin->fns.unmap(d->priv, iova, len);
}

static void sync_domain(struct iommu_domain *domain)
{
	const struct siommu_model_domain *d = to_plugin_domain(domain);

	d->plugin->fns.sync(d->priv);
}

static hpa_t iova_to_hpa(struct iommu_domain *domain, u64 iova)
{
	const struct siommu_model_domain *d = to_plugin_domain(domain);
	struct siommu_model_page page = { .address = HPA_NONE };

	return d->plugin->fns.lookup(d->priv, iova, &page) ? page.address : HPA_NONE;
}

static int invalidate_one(struct siommu_model_domain *d, void *entry,
			  struct iommu_user_array *array, u32 index)
{
	const struct siommu_model_data *kind = &d->plugin->model.invalidation;
	u64 first = 0, last = U64_MAX;
	int rc;

	rc = iommu_copy_user_entry(entry, kind->size, kind->min, kind->type, array, index);
	if (rc)
		return rc;
	rc = plugin_result(d->plugin, d->host,
			   d->plugin->fns.invalidate(d->priv, entry, &first, &last));
	if (rc)
		return rc;
	/* A range that is none says nothing of what has changed. */
	if (first > last) {
		iommu_gather(&d->domain, 0, U64_MAX);
		return blame(d, "what it wants to be forgotten ends before it begins");
	}
	iommu_gather(&d->domain, first, last);
	return 0;
}

static int cache_invalidate_user(struct iommu_domain *domain, struct iommu_user_array *array)
{
	struct siommu_model_domain *d = to_plugin_domain(domain);
	const struct siommu_model_data *kind = &d->plugin->model.invalidation;
	u32 want = array->num, done = 0;
	void *entry;
	int rc = 0;

	array->num = 0;
	/* No entries are a way to ask whether the type is known. */
	if (array->type != kind->type)
		return -EINVAL;
	entry = base_zalloc(d->alloc, kind->size);
	if (!entry)
		return -ENOMEM;
	while (!rc && done < want) {
		rc = invalidate_one(d, entry, array, done);
		done += !rc;
	}
	base_free(d->alloc, entry, kind->size);
	array->num = done;
	iommu_sync(domain);
	return rc;
}

void plugin_domain_ops(struct plugin *plugin)
{
	const struct siommu_model_ops *fns = &plugin->fns;

	plugin->paging_ops = (struct iommu_domain_ops){
		.attach_dev = attach_dev,
		.set_dev_pasid = set_dev_pasid,
		.free = domain_free,
		.map = map,
		.unmap = unmap,
		.sync = fns->sync ? sync_domain : NULL,
		.iova_to_hpa = iova_to_hpa,
	};
	plugin->nested_ops = (struct iommu_domain_ops){
		.attach_dev = attach_dev,
		.set_dev_pasid = set_dev_pasid,
		.free = domain_free,
		.cache_invalidate_user = fns->invalidate ? cache_invalidate_user : NULL,
	};
	plugin->blocked = (struct iommu_domain){
		.ops = &plugin->nested_ops,
		.owner = &plugin->ops,
		.type = IOMMU_DOMAIN_BLOCKED,
	};
}
