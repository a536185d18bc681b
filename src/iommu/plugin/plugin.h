/* SPDX-License-Identifier: MIT */
/* What the adapter keeps beside a model's own structures, and what its files share. */
#ifndef PLUGIN_PLUGIN_H
#define PLUGIN_PLUGIN_H

#include "iommu/plugin.h"

/**
 * struct plugin_unit - a unit
 * @unit: the common part
 * @plugin: the model
 * @priv: the model's
 */
struct plugin_unit {
	struct iommu_unit unit;
	struct plugin *plugin;
	void *priv;
};

/**
 * struct plugin_device - a device
 * @dev: the common part
 * @priv: the model's
 */
struct plugin_device {
	struct iommu_device dev;
	void *priv;
};

/**
 * struct siommu_model_domain - a domain
 * @domain: the common part
 * @plugin: the model
 * @host: the memory that its addresses are in
 * @alloc: account of its context
 * @priv: the model's
 */
struct siommu_model_domain {
	struct iommu_domain domain;
	struct plugin *plugin;
	struct mem_host *host;
	struct base_alloc *alloc;
	void *priv;
};

static inline struct plugin_unit *to_plugin_unit(struct iommu_unit *unit)
{
	return container_of(unit, struct plugin_unit, unit);
}

static inline struct plugin_device *to_plugin_device(struct iommu_device *dev)
{
	return container_of(dev, struct plugin_device, dev);
}

static inline struct siommu_model_domain *to_plugin_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct siommu_model_domain, domain);
}

static inline struct plugin *plugin_of(struct iommu_device *dev)
{
	return to_plugin_unit(dev->unit)->plugin;
}

/* An account is a base_alloc under a name that says nothing of it. */
static inline struct siommu_account *plugin_account(struct base_alloc *alloc)
{
	return (struct siommu_account *)alloc;
}

/* Log a mistake of the model's. Return: -EIO. */
int plugin_blame(const struct plugin *plugin, const struct mem_host *host, const char *what);

/* What the model returned, as what the caller gets: 0, an errno, or -EIO for what is neither. */
int plugin_result(const struct plugin *plugin, const struct mem_host *host, int rc);

/* domain.c */
int plugin_alloc_paging(struct iommu_device *dev, struct base_alloc *alloc, u32 flags,
			const struct iommu_user_data *data, struct iommu_domain **out);
int plugin_alloc_nested(struct iommu_device *dev, struct base_alloc *alloc,
			struct iommu_domain *parent, u32 flags, const struct iommu_user_data *data,
			struct iommu_domain **out);

/* Fill in the tables of functions that domains of the model have. */
void plugin_domain_ops(struct plugin *plugin);

#endif
