/* SPDX-License-Identifier: MIT */
/*
 * Models from outside of the library (softiommu/model.h), as units like any other:
 * an adapter that is the only one who knows of them.
 */
#ifndef IOMMU_PLUGIN_H
#define IOMMU_PLUGIN_H

#include <softiommu/model.h>

#include "iommu/iommu.h"

/**
 * struct plugin - a model that a machine was given
 * @link: in the machine's list
 * @alloc: account that pays for this
 * @model: what it is; model.ops is &@fns
 * @fns: its functions; those that an older model does not know of are NULL
 * @ops: what the layers above see
 * @paging_ops: of its paging domains
 * @nested_ops: of its nested domains
 * @blocked: what devices translate with that are attached to nothing
 */
struct plugin {
	LIST_ENTRY(plugin) link;
	struct base_alloc *alloc;
	struct siommu_model model;
	struct siommu_model_ops fns;
	struct iommu_ops ops;
	struct iommu_domain_ops paging_ops;
	struct iommu_domain_ops nested_ops;
	struct iommu_domain blocked;
};

/* Return: 0; -EINVAL, see siommu_model_register(); -ENOMEM. */
int plugin_create(struct base_alloc *alloc, const struct siommu_model *model,
		  struct plugin **out) __must_check;

/* It has no units. */
void plugin_destroy(struct plugin *plugin);

/* As unit_create of struct iommu_model. */
int plugin_unit_create(struct plugin *plugin, struct mem_host *host, const char *options,
		       char *error, size_t n, struct iommu_unit **out) __must_check;

#endif
