// SPDX-License-Identifier: MIT
/* GET_HW_INFO and HWPT_* commands. */
#include "call.h"
#include "core/device.h"
#include "core/eventq.h"
#include "core/hwpt.h"
#include "core/viommu.h"

/* Bounds on one batch, far above any real one. */
#define MAX_ENTRY_BYTES PAGE_BYTES
#define MAX_ENTRIES	(1u << 19)

/* Copy what the model reports, and zero what the caller has beyond that. */
static int copy_info(struct abi_call *call, struct iommu_hw_info *cmd, const void *data, u32 len)
{
	u32 n = (u32)min_u64(cmd->data_len, len);
	int rc;

	rc = task_copy_out(call->task, cmd->data_uptr, data, n);
	if (rc)
		return rc;
	return task_clear(call->task, cmd->data_uptr + n, cmd->data_len - n);
}

static u64 capabilities(struct iommu_device *dev)
{
	u64 caps = 0;

	if (iommu_capable(dev, IOMMU_CAP_DIRTY_TRACKING))
		caps |= IOMMU_HW_CAP_DIRTY_TRACKING;
	if (!iommu_capable(dev, IOMMU_CAP_PCI_ATS))
		caps |= IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED;
	if (!dev->pasid_bits)
		return caps;
	if (iommu_capable(dev, IOMMU_CAP_PASID_EXEC))
		caps |= IOMMU_HW_CAP_PCI_PASID_EXEC;
	if (iommu_capable(dev, IOMMU_CAP_PASID_PRIV))
		caps |= IOMMU_HW_CAP_PCI_PASID_PRIV;
	return caps;
}

int abi_get_hw_info(struct abi_call *call)
{
	struct iommu_hw_info *cmd = call->cmd;
	struct core_device *dev;
	const struct iommu_ops *ops;
	u32 type = IOMMU_HW_INFO_TYPE_DEFAULT;
	void *data = NULL;
	u32 len = 0;
	int rc;

	if (cmd->flags & ~(u32)IOMMU_HW_INFO_FLAG_INPUT_TYPE)
		return -EOPNOTSUPP;
	if (cmd->__reserved[0] || cmd->__reserved[1] || cmd->__reserved[2])
		return -EOPNOTSUPP;
	if (cmd->flags & IOMMU_HW_INFO_FLAG_INPUT_TYPE)
		type = cmd->in_data_type;
	dev = core_device_find(call->ctx, cmd->dev_id);
	if (!dev)
		return -ENOENT;
	ops = dev->dev->unit->ops;
	if (ops->untranslated)
		return -EOPNOTSUPP;
	if (ops->hw_info) {
		rc = ops->hw_info(dev->dev, &call->ctx->alloc, &type, &data, &len);
		if (rc)
			return rc;
	}
	rc = copy_info(call, cmd, data, len);
	base_free(&call->ctx->alloc, data, len);
	if (rc)
		return rc;
	cmd->out_data_type = type;
	cmd->data_len = len;
	cmd->out_capabilities = capabilities(dev->dev);
	cmd->out_max_pasid_log2 = (u8)dev->dev->max_pasid_log2;
	return abi_respond(call, sizeof(*cmd));
}

/* Make the HWPT that @pt, an IOAS, an HWPT or a vIOMMU, is to carry. */
static int alloc_on(struct abi_call *call, const struct iommu_hwpt_alloc *cmd,
		    struct core_device *dev, struct core_object *pt, struct core_hwpt **out)
{
	const struct iommu_user_data data = {
		.task = call->task,
		.type = cmd->data_type,
		.len = cmd->data_len,
		.uptr = cmd->data_uptr,
	};
	struct core_hwpt_paging *paging;
	struct core_viommu *viommu;
	int rc;

	switch (pt->ops->type) {
	case CORE_IOAS:
		rc = core_hwpt_paging_alloc(call->ctx, container_of(pt, struct core_ioas, obj), dev,
					    cmd->flags, data.len ? &data : NULL, &paging);
		if (!rc)
			*out = &paging->common;
		return rc;
	case CORE_HWPT_PAGING:
		return core_hwpt_nested_alloc(
			call->ctx, container_of(pt, struct core_hwpt_paging, common.obj), dev,
			cmd->flags, &data, out);
	case CORE_VIOMMU:
		viommu = container_of(pt, struct core_viommu, obj);
		if (viommu->hw->unit != dev->dev->unit)
			return -EINVAL;
		return core_hwpt_viommu_alloc(call->ctx, viommu, cmd->flags, &data, out);
	default:
		return -EINVAL;
	}
}

int abi_hwpt_alloc(struct abi_call *call)
{
	struct iommu_hwpt_alloc *cmd = call->cmd;
	struct core_fault *fault;
	struct core_device *dev;
	struct core_object *pt;
	struct core_hwpt *hwpt;
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	if ((cmd->data_type == IOMMU_HWPT_DATA_NONE) != !cmd->data_len)
		return -EINVAL;
	dev = core_device_find(call->ctx, cmd->dev_id);
	if (!dev)
		return -ENOENT;
	pt = core_object_find(call->ctx, cmd->pt_id, CORE_ANY);
	if (!pt)
		return -EINVAL;
	rc = alloc_on(call, cmd, dev, pt, &hwpt);
	if (rc)
		return rc;
	if (cmd->flags & IOMMU_HWPT_FAULT_ID_VALID) {
		fault = core_fault_find(call->ctx, cmd->fault_id);
		if (!fault) {
			rc = -ENOENT;
			goto err_undo;
		}
		core_hwpt_set_fault(hwpt, fault);
	}
	cmd->out_hwpt_id = hwpt->obj.id;
	rc = abi_respond(call, sizeof(*cmd));
	if (rc)
		goto err_undo;
	core_object_publish(call->ctx, &hwpt->obj);
	return 0;

err_undo:
	core_object_undo(call->ctx, &hwpt->obj);
	return rc;
}

int abi_hwpt_set_dirty_tracking(struct abi_call *call)
{
	struct iommu_hwpt_set_dirty_tracking *cmd = call->cmd;
	struct core_hwpt_paging *hwpt;

	if (cmd->flags & ~(u32)IOMMU_HWPT_DIRTY_TRACKING_ENABLE)
		return -EOPNOTSUPP;
	hwpt = core_hwpt_paging_find(call->ctx, cmd->hwpt_id);
	if (!hwpt)
		return -ENOENT;
	return core_hwpt_set_dirty_tracking(hwpt, cmd->flags & IOMMU_HWPT_DIRTY_TRACKING_ENABLE);
}

int abi_hwpt_get_dirty_bitmap(struct abi_call *call)
{
	struct iommu_hwpt_get_dirty_bitmap *cmd = call->cmd;
	const struct core_dirty_query query = {
		.iova = cmd->iova,
		.length = cmd->length,
		.page_bytes = cmd->page_size,
		.bitmap = cmd->data,
		.no_clear = cmd->flags & IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR,
	};
	struct core_hwpt_paging *hwpt;

	if ((cmd->flags & ~(u32)IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR) || cmd->__reserved)
		return -EOPNOTSUPP;
	hwpt = core_hwpt_paging_find(call->ctx, cmd->hwpt_id);
	if (!hwpt)
		return -ENOENT;
	return core_hwpt_get_dirty(call->ctx, hwpt, call->task, &query);
}

/* *@done counts the requests that were carried out, also on failure. */
static int invalidate(struct abi_call *call, const struct iommu_hwpt_invalidate *cmd, u32 *done)
{
	struct iommu_user_array array = {
		.task = call->task,
		.type = cmd->data_type,
		.entry_len = cmd->entry_len,
		.num = cmd->entry_num,
		.uptr = cmd->data_uptr,
	};
	struct core_object *pt;
	struct iommu_domain *domain;
	struct iommu_viommu *viommu;
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	if (cmd->entry_num && (!cmd->data_uptr || !cmd->entry_len ||
			       cmd->entry_len > MAX_ENTRY_BYTES || cmd->entry_num > MAX_ENTRIES))
		return -EINVAL;
	pt = core_object_find(call->ctx, cmd->hwpt_id, CORE_ANY);
	if (!pt)
		return -ENOENT;
	switch (pt->ops->type) {
	case CORE_HWPT_NESTED:
		domain = container_of(pt, struct core_hwpt, obj)->domain;
		if (!domain->ops->cache_invalidate_user)
			return -EOPNOTSUPP;
		rc = domain->ops->cache_invalidate_user(domain, &array);
		break;
	case CORE_VIOMMU:
		viommu = container_of(pt, struct core_viommu, obj)->hw;
		if (!viommu->ops->cache_invalidate)
			return -EOPNOTSUPP;
		rc = viommu->ops->cache_invalidate(viommu, &array);
		break;
	default:
		return -EINVAL;
	}
	*done = array.num;
	return rc;
}

int abi_hwpt_invalidate(struct abi_call *call)
{
	struct iommu_hwpt_invalidate *cmd = call->cmd;
	u32 done = 0;
	int rc;

	rc = invalidate(call, cmd, &done);
	cmd->entry_num = done;
	if (abi_respond(call, sizeof(*cmd)))
		return -EFAULT;
	return rc;
}
