// SPDX-License-Identifier: MIT
/* FAULT_QUEUE_ALLOC, VIOMMU_ALLOC and what hangs off a vIOMMU. */
#include "call.h"
#include "core/device.h"
#include "core/eventq.h"
#include "core/viommu.h"

/* Bound on a queue's depth, far above any hardware's. */
#define MAX_VEVENTQ_DEPTH (1u << 19)

/* Write back and publish, or undo. */
static int finish(struct abi_call *call, size_t size, struct core_object *obj)
{
	int rc = abi_respond(call, size);

	if (rc)
		core_object_undo(call->ctx, obj);
	else
		core_object_publish(call->ctx, obj);
	return rc;
}

static int finish_queue(struct abi_call *call, size_t size, struct core_object *obj, int fd)
{
	int rc = abi_respond(call, size);

	if (rc)
		core_eventq_undo(call->ctx, call->task, obj, fd);
	else
		core_object_publish(call->ctx, obj);
	return rc;
}

int abi_fault_alloc(struct abi_call *call)
{
	struct iommu_fault_alloc *cmd = call->cmd;
	struct core_fault *fault;
	int rc, fd;

	if (cmd->flags)
		return -EOPNOTSUPP;
	rc = core_fault_alloc(call->ctx, call->task, &fault, &fd);
	if (rc)
		return rc;
	cmd->out_fault_id = fault->obj.id;
	cmd->out_fault_fd = (u32)fd;
	return finish_queue(call, sizeof(*cmd), &fault->obj, fd);
}

int abi_veventq_alloc(struct abi_call *call)
{
	struct iommu_veventq_alloc *cmd = call->cmd;
	struct core_viommu *viommu;
	struct core_veventq *q;
	int rc, fd;

	if (cmd->flags || cmd->__reserved || cmd->type == IOMMU_VEVENTQ_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	if (!cmd->veventq_depth || cmd->veventq_depth > MAX_VEVENTQ_DEPTH)
		return -EINVAL;
	viommu = core_viommu_find(call->ctx, cmd->viommu_id);
	if (!viommu)
		return -ENOENT;
	rc = core_veventq_alloc(call->ctx, call->task, viommu, cmd->type, cmd->veventq_depth, &q,
				&fd);
	if (rc)
		return rc;
	cmd->out_veventq_id = q->obj.id;
	cmd->out_veventq_fd = (u32)fd;
	return finish_queue(call, sizeof(*cmd), &q->obj, fd);
}

int abi_viommu_alloc(struct abi_call *call)
{
	struct iommu_viommu_alloc *cmd = call->cmd;
	const struct iommu_user_data data = {
		.task = call->task,
		.type = cmd->type,
		.len = cmd->data_len,
		.uptr = cmd->data_uptr,
	};
	const struct iommu_ops *ops;
	struct core_hwpt_paging *hwpt;
	struct core_viommu *viommu;
	struct core_device *dev;
	int rc;

	if (cmd->flags || cmd->type == IOMMU_VIOMMU_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	dev = core_device_find(call->ctx, cmd->dev_id);
	if (!dev)
		return -ENOENT;
	ops = dev->dev->unit->ops;
	if (!ops->viommu_alloc || !ops->viommu_supported ||
	    !ops->viommu_supported(dev->dev, cmd->type))
		return -EOPNOTSUPP;
	hwpt = core_hwpt_paging_find(call->ctx, cmd->hwpt_id);
	if (!hwpt)
		return -ENOENT;
	if (!hwpt->nest_parent)
		return -EINVAL;
	rc = core_viommu_alloc(call->ctx, dev, hwpt, &data, &viommu);
	if (rc)
		return rc;
	cmd->out_viommu_id = viommu->obj.id;
	return finish(call, sizeof(*cmd), &viommu->obj);
}

int abi_vdevice_alloc(struct abi_call *call)
{
	struct iommu_vdevice_alloc *cmd = call->cmd;
	struct core_viommu *viommu;
	struct core_vdevice *vdev;
	struct core_device *dev;
	int rc;

	viommu = core_viommu_find(call->ctx, cmd->viommu_id);
	dev = core_device_find(call->ctx, cmd->dev_id);
	if (!viommu || !dev)
		return -ENOENT;
	rc = core_vdevice_alloc(call->ctx, viommu, dev, cmd->virt_id, &vdev);
	if (rc)
		return rc;
	cmd->out_vdevice_id = vdev->obj.id;
	return finish(call, sizeof(*cmd), &vdev->obj);
}

int abi_hw_queue_alloc(struct abi_call *call)
{
	struct iommu_hw_queue_alloc *cmd = call->cmd;
	struct core_viommu *viommu;
	struct core_hw_queue *q;
	u64 last;
	int rc;

	if (cmd->flags || cmd->type == IOMMU_HW_QUEUE_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	rc = range_last(cmd->nesting_parent_iova, cmd->length, &last);
	if (rc)
		return rc;
	viommu = core_viommu_find(call->ctx, cmd->viommu_id);
	if (!viommu)
		return -ENOENT;
	rc = core_hw_queue_alloc(call->ctx, viommu, cmd->type, cmd->index, cmd->nesting_parent_iova,
				 cmd->length, &q);
	if (rc)
		return rc;
	cmd->out_hw_queue_id = q->obj.id;
	return finish(call, sizeof(*cmd), &q->obj);
}
