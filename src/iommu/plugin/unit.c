// SPDX-License-Identifier: MIT
/*
 * Registered models, their units and devices, and requests of these.
 *
 * A model is trusted as the library is: it is code in this process. What is checked of
 * its answers is what would otherwise be found far from where it went wrong.
 */
#include <string.h>
#include <syslog.h>

#include <softiommu/abi/iommufd.h>

#include "plugin.h"

/* As far down as an errno goes. */
#define LAST_ERRNO 4095

/* Data types of one user are copied to a buffer of their size. */
#define MAX_DATA PAGE_BYTES

/* An answer that holds for all addresses there are. */
#define ALL_LG2 64

int plugin_blame(const struct plugin *plugin, const struct mem_host *host, const char *what)
{
	base_log(host->log, LOG_ERR, "iommu: model %s: %s", plugin->model.name, what);
	return -EIO;
}

int plugin_result(const struct plugin *plugin, const struct mem_host *host, int rc)
{
	if (rc > 0 || rc < -LAST_ERRNO)
		return plugin_blame(plugin, host, "what it returned is no errno");
	return rc;
}

static bool size_fits(const struct siommu_model_data *data, bool needed)
{
	return needed ? data->size && data->size <= MAX_DATA : !data->size;
}

static bool data_fits(const struct siommu_model_data *data, bool needed)
{
	return size_fits(data, needed) && (!needed || data->min <= data->size);
}

/* Everything that a program may do with a paging domain, or none of it. */
static bool paging_complete(const struct siommu_model_ops *fns)
{
	return fns->domain_free && fns->attach && fns->map && fns->unmap && fns->lookup;
}

static bool has_parts(const struct siommu_model_ops *fns)
{
	return fns->unit_create && fns->unit_destroy && fns->device_create && fns->device_destroy &&
	       fns->translate;
}

/* Flags, structures and functions that belong together. */
static bool is_consistent(const struct siommu_model *model, const struct siommu_model_ops *fns)
{
	const unsigned int known = SIOMMU_MODEL_NEST_PARENT | SIOMMU_MODEL_PASID;
	bool nests = fns->domain_alloc_nested;

	if (model->flags & ~known || (model->flags & SIOMMU_MODEL_NEST_PARENT) != nests)
		return false;
	if (nests && !fns->domain_alloc_paging)
		return false;
	if (fns->invalidate && !nests)
		return false;
	if (model->paging.size && !fns->domain_alloc_paging)
		return false;
	if (fns->hw_info && model->hw_info.type == IOMMU_HW_INFO_TYPE_NONE)
		return false;
	return data_fits(&model->paging, model->paging.size) && data_fits(&model->nested, nests) &&
	       data_fits(&model->invalidation, fns->invalidate) &&
	       size_fits(&model->hw_info, fns->hw_info);
}

/* Copy what may be older or newer than this library; members that it lacks are zero. */
static int read_model(const struct siommu_model *from, struct plugin *plugin)
{
	const struct siommu_model_ops *ops;

	if (from->size < offsetofend(struct siommu_model, ops))
		return -EINVAL;
	memcpy(&plugin->model, from, min_u64(from->size, sizeof(plugin->model)));
	ops = plugin->model.ops;
	if (!ops || ops->size < offsetofend(struct siommu_model_ops, reason_name))
		return -EINVAL;
	memcpy(&plugin->fns, ops, min_u64(ops->size, sizeof(plugin->fns)));
	plugin->model.ops = &plugin->fns;
	if (!plugin->model.name || !*plugin->model.name || !plugin->model.summary ||
	    !plugin->model.options || !has_parts(&plugin->fns))
		return -EINVAL;
	if (plugin->fns.domain_alloc_paging && !paging_complete(&plugin->fns))
		return -EINVAL;
	return is_consistent(&plugin->model, &plugin->fns) ? 0 : -EINVAL;
}

static void unit_destroy(struct iommu_unit *common)
{
	struct plugin_unit *unit = to_plugin_unit(common);
	struct base_alloc *alloc = common->alloc;

	unit->plugin->fns.unit_destroy(unit->priv);
	iommu_unit_end(common);
	base_free(alloc, unit, sizeof(*unit));
}

int plugin_unit_create(struct plugin *plugin, struct mem_host *host, const char *options,
		       char *error, size_t n, struct iommu_unit **out)
{
	struct plugin_unit *unit = base_zalloc(host->alloc, sizeof(*unit));
	int rc;

	if (!unit)
		return -ENOMEM;
	unit->plugin = plugin;
	rc = iommu_unit_init(&unit->unit, &plugin->ops, host);
	if (rc)
		goto err_free;
	rc = plugin->fns.unit_create(plugin_account(host->alloc), options, error, n, &unit->priv);
	rc = plugin_result(plugin, host, rc);
	if (rc)
		goto err_unit;
	*out = &unit->unit;
	return 0;

err_unit:
	iommu_unit_end(&unit->unit);
err_free:
	base_free(host->alloc, unit, sizeof(*unit));
	return rc;
}

/* What these need of a model is not part of the contract. */
static bool asks_too_much(const struct iommu_device_desc *desc)
{
	return desc->ats || desc->page_requests || desc->stall;
}

static int device_create(struct iommu_unit *unit, struct iommu_group *group,
			 const struct iommu_device_desc *desc, struct iommu_device **out)
{
	struct plugin *plugin = to_plugin_unit(unit)->plugin;
	struct siommu_model_device wanted = {
		.name = desc->name,
		.requester = desc->requester,
		.pasid_bits = plugin->model.flags & SIOMMU_MODEL_PASID ? desc->pasid_bits : 0,
	};
	unsigned int most = wanted.pasid_bits;
	struct plugin_device *dev;
	int rc;

	if (asks_too_much(desc))
		return -EINVAL;
	dev = base_zalloc(unit->alloc, sizeof(*dev));
	if (!dev)
		return -ENOMEM;
	rc = iommu_device_init(&dev->dev, unit, group, desc->name);
	if (rc)
		goto err_free;
	rc = plugin->fns.device_create(to_plugin_unit(unit)->priv, &wanted, &dev->priv);
	rc = plugin_result(plugin, unit->host, rc);
	if (rc)
		goto err_device;
	dev->dev.requester = desc->requester;
	dev->dev.pasid_bits = (unsigned int)min_u64(wanted.pasid_bits, most);
	dev->dev.max_pasid_log2 = dev->dev.pasid_bits;
	*out = &dev->dev;
	return 0;

err_device:
	iommu_device_destroy(&dev->dev);
err_free:
	base_free(unit->alloc, dev, sizeof(*dev));
	return rc;
}

static void device_destroy(struct iommu_device *common)
{
	struct plugin_device *dev = to_plugin_device(common);
	struct base_alloc *alloc = common->unit->alloc;

	plugin_of(common)->fns.device_destroy(dev->priv);
	iommu_device_destroy(common);
	base_free(alloc, dev, sizeof(*dev));
}

static int hw_info(struct iommu_device *dev, struct base_alloc *alloc, u32 *type, void **data,
		   u32 *len)
{
	const struct plugin *plugin = plugin_of(dev);
	const struct siommu_model_data *info = &plugin->model.hw_info;
	void *buffer;
	int rc;

	if (*type != IOMMU_HW_INFO_TYPE_DEFAULT && *type != info->type)
		return -EOPNOTSUPP;
	buffer = base_zalloc(alloc, info->size);
	if (!buffer)
		return -ENOMEM;
	rc = plugin->fns.hw_info(to_plugin_device(dev)->priv, buffer);
	rc = plugin_result(plugin, dev->unit->host, rc);
	if (rc) {
		base_free(alloc, buffer, info->size);
		return rc;
	}
	*type = info->type;
	*data = buffer;
	*len = info->size;
	return 0;
}

static bool capable(struct iommu_device *dev, enum iommu_cap cap)
{
	static const enum siommu_model_cap caps[] = {
		[IOMMU_CAP_CACHE_COHERENCY] = SIOMMU_CAP_CACHE_COHERENCY,
		[IOMMU_CAP_ENFORCE_CACHE_COHERENCY] = SIOMMU_CAP_ENFORCE_COHERENCY,
		[IOMMU_CAP_PASID_EXEC] = SIOMMU_CAP_PASID_EXEC,
		[IOMMU_CAP_PASID_PRIV] = SIOMMU_CAP_PASID_PRIV,
	};
	const struct plugin *plugin = plugin_of(dev);

	if (cap == IOMMU_CAP_DIRTY_TRACKING || cap == IOMMU_CAP_PCI_ATS)
		return false;
	if (!plugin->fns.capable)
		return cap == IOMMU_CAP_CACHE_COHERENCY;
	return plugin->fns.capable(to_plugin_device(dev)->priv, caps[cap]);
}

static int refuse(const struct dma_port *port, const struct dma_request *req,
		  const struct siommu_model_reply *answer, struct dma_reply *reply)
{
	const u32 flags = answer->flags & (SIOMMU_FAULT_STAGE2 | SIOMMU_FAULT_SILENT);

	reply->fault = (struct siommu_fault){
		.iova = req->iova,
		.ipa = answer->ipa,
		.access = req->access,
		.flags = flags | (port->flags & SIOMMU_PORT_PASID ? SIOMMU_FAULT_PASID : 0),
		.pasid = port->pasid,
		.reason = answer->reason,
	};
	memcpy(reply->fault.record, answer->record, sizeof(answer->record));
	return -EFAULT;
}

/*
 * An answer that allows less than was asked for, is for less than a page, or is another
 * byte's of its page, is a refusal: the TLB must not have it.
 */
static bool is_answer(const struct dma_request *req, const struct siommu_model_reply *answer,
		      u32 perms)
{
	const u64 need = siommu_dma_need(req->access);

	return (perms & need) == need && answer->lg2 >= PAGE_LG2 &&
	       is_aligned(answer->address ^ req->iova, PAGE_BYTES);
}

static int translate(struct iommu_device *dev, struct dma_port *port, const struct dma_request *req,
		     struct dma_reply *reply)
{
	const unsigned int all = SIOMMU_DMA_READ | SIOMMU_DMA_WRITE | SIOMMU_DMA_EXEC;
	const struct siommu_model_request request = {
		.iova = req->iova,
		.access = req->access,
		.has_pasid = port->flags & SIOMMU_PORT_PASID,
		.pasid = port->pasid,
		.peek = req->peek,
		.step = req->step,
		.step_arg = req->step_arg,
	};
	struct siommu_model_reply answer = { 0 };
	int rc;

	if (req->ats)
		return -EOPNOTSUPP;
	rc = plugin_of(dev)->fns.translate(to_plugin_device(dev)->priv, &port->port, &request,
					   &answer);
	reply->perms = dma_perms(answer.user & all, answer.priv & all);
	if (rc || !is_answer(req, &answer, reply->perms))
		return refuse(port, req, &answer, reply);
	reply->hpa = answer.address;
	reply->lg2 = (unsigned int)min_u64(answer.lg2, ALL_LG2);
	reply->span_lg2 = (unsigned int)min_u64(max_u64(answer.span_lg2, answer.lg2), ALL_LG2);
	return 0;
}

static void fill_ops(struct plugin *plugin)
{
	const struct siommu_model_ops *fns = &plugin->fns;

	plugin->ops = (struct iommu_ops){
		.name = plugin->model.name,
		.hw_info = fns->hw_info ? hw_info : NULL,
		.capable = capable,
		.domain_alloc_paging = plugin_alloc_paging,
		.domain_alloc_nested = fns->domain_alloc_nested ? plugin_alloc_nested : NULL,
		.blocked_domain = &plugin->blocked,
		.unit_destroy = unit_destroy,
		.device_create = device_create,
		.device_destroy = device_destroy,
		.translate = translate,
		.reason_name = fns->reason_name,
	};
	plugin_domain_ops(plugin);
}

int plugin_create(struct base_alloc *alloc, const struct siommu_model *model, struct plugin **out)
{
	struct plugin *plugin = base_zalloc(alloc, sizeof(*plugin));
	int rc;

	if (!plugin)
		return -ENOMEM;
	rc = read_model(model, plugin);
	if (rc) {
		base_free(alloc, plugin, sizeof(*plugin));
		return rc;
	}
	plugin->alloc = alloc;
	fill_ops(plugin);
	*out = plugin;
	return 0;
}

void plugin_destroy(struct plugin *plugin)
{
	base_free(plugin->alloc, plugin, sizeof(*plugin));
}
