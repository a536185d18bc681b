// SPDX-License-Identifier: MIT
/* Commands that are about any object, or about the context. */
#include <linux/capability.h>

#include "call.h"
#include "core/ioas.h"

int abi_destroy(struct abi_call *call)
{
	struct iommu_destroy *cmd = call->cmd;

	return core_object_destroy(call->ctx, cmd->id);
}

static int rlimit_mode(struct abi_call *call, struct iommu_option *cmd)
{
	struct core_ctx *ctx = call->ctx;

	if (cmd->object_id)
		return -EOPNOTSUPP;
	switch (cmd->op) {
	case IOMMU_OPTION_OP_GET:
		cmd->val64 = ctx->account == MEM_ACCOUNT_SPACE;
		return 0;
	case IOMMU_OPTION_OP_SET:
		if (!call->task->ops->capable(call->task, CAP_SYS_RESOURCE))
			return -EPERM;
		if (ctx->objects.nused)
			return -EBUSY;
		if (cmd->val64 > 1)
			return -EINVAL;
		ctx->account = cmd->val64 ? MEM_ACCOUNT_SPACE : MEM_ACCOUNT_USER;
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

static int huge_pages(struct abi_call *call, struct iommu_option *cmd)
{
	struct core_ioas *ioas = core_ioas_find(call->ctx, cmd->object_id);

	if (!ioas)
		return -ENOENT;
	switch (cmd->op) {
	case IOMMU_OPTION_OP_GET:
		cmd->val64 = !ioas->no_large_pages;
		return 0;
	case IOMMU_OPTION_OP_SET:
		if (cmd->val64 > 1)
			return -EINVAL;
		return core_ioas_set_large_pages(call->ctx, ioas, cmd->val64);
	default:
		return -EOPNOTSUPP;
	}
}

int abi_option(struct abi_call *call)
{
	struct iommu_option *cmd = call->cmd;
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	switch (cmd->option_id) {
	case IOMMU_OPTION_RLIMIT_MODE:
		rc = rlimit_mode(call, cmd);
		break;
	case IOMMU_OPTION_HUGE_PAGES:
		rc = huge_pages(call, cmd);
		break;
	default:
		return -EOPNOTSUPP;
	}
	if (rc)
		return rc;
	return task_copy_out(call->task, call->uptr + offsetof(struct iommu_option, val64),
			     &cmd->val64, sizeof(cmd->val64));
}

int abi_vfio_ioas(struct abi_call *call)
{
	struct iommu_vfio_ioas *cmd = call->cmd;
	struct core_ctx *ctx = call->ctx;
	struct core_ioas *ioas;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	switch (cmd->op) {
	case IOMMU_VFIO_IOAS_GET:
		if (!ctx->vfio_ioas)
			return -ENODEV;
		cmd->ioas_id = ctx->vfio_ioas->obj.id;
		return abi_respond(call, sizeof(*cmd));
	case IOMMU_VFIO_IOAS_SET:
		ioas = core_ioas_find(ctx, cmd->ioas_id);
		if (!ioas)
			return -ENOENT;
		ctx->vfio_ioas = ioas;
		return 0;
	case IOMMU_VFIO_IOAS_CLEAR:
		ctx->vfio_ioas = NULL;
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}
