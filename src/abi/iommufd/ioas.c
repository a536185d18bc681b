// SPDX-License-Identifier: MIT
/* IOAS_* commands. The order of checks is part of the ABI. */
#include <linux/capability.h>
#include <unistd.h>

#include <softiommu/abi/iommufd-test.h>

#include "call.h"
#include "core/ioas.h"

int abi_ioas_alloc(struct abi_call *call)
{
	struct iommu_ioas_alloc *cmd = call->cmd;
	struct core_ioas *ioas;
	int rc;

	if (cmd->flags)
		return -EOPNOTSUPP;
	rc = core_ioas_alloc(call->ctx, &ioas);
	if (rc)
		return rc;
	cmd->out_ioas_id = ioas->obj.id;
	rc = abi_respond(call, sizeof(*cmd));
	if (rc) {
		core_object_undo(call->ctx, &ioas->obj);
		return rc;
	}
	core_object_publish(call->ctx, &ioas->obj);
	return 0;
}

int abi_ioas_iova_ranges(struct abi_call *call)
{
	struct iommu_ioas_iova_ranges *cmd = call->cmd;
	struct iommu_iova_range range;
	u32 room = cmd->num_iovas;
	struct itree_span span;
	struct core_ioas *ioas;
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	ioas = core_ioas_find(call->ctx, cmd->ioas_id);
	if (!ioas)
		return -ENOENT;
	cmd->num_iovas = 0;
	cmd->out_iova_alignment = ioas->alignment;
	itree_span_begin(&span, &ioas->reserved, 0, U64_MAX);
	do {
		if (span.used)
			continue;
		if (cmd->num_iovas < room) {
			range.start = span.start;
			range.last = span.last;
			rc = task_copy_out(call->task,
					   cmd->allowed_iovas + cmd->num_iovas * sizeof(range),
					   &range, sizeof(range));
			if (rc)
				return rc;
		}
		cmd->num_iovas++;
	} while (itree_span_next(&span));
	rc = abi_respond(call, sizeof(*cmd));
	if (rc)
		return rc;
	return cmd->num_iovas > room ? -EMSGSIZE : 0;
}

/* Read the caller's list; what was read before an error is left in @ranges. */
static int load_ranges(struct abi_call *call, u64 uptr, u32 n, struct itree *ranges)
{
	struct iommu_iova_range user;
	struct core_range *range;
	u32 i;
	int rc;

	for (i = 0; i < n; i++) {
		rc = task_copy_in(call->task, &user, uptr + i * sizeof(user), sizeof(user));
		if (rc)
			return rc;
		if (user.start >= user.last || itree_first(ranges, user.start, user.last))
			return -EINVAL;
		range = base_zalloc(&call->ctx->alloc, sizeof(*range));
		if (!range)
			return -ENOMEM;
		range->node.start = user.start;
		range->node.last = user.last;
		itree_insert(ranges, &range->node);
	}
	return 0;
}

int abi_ioas_allow_iovas(struct abi_call *call)
{
	struct iommu_ioas_allow_iovas *cmd = call->cmd;
	struct itree ranges = { 0 };
	struct core_ioas *ioas;
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	ioas = core_ioas_find(call->ctx, cmd->ioas_id);
	if (!ioas)
		return -ENOENT;
	rc = load_ranges(call, cmd->allowed_iovas, cmd->num_iovas, &ranges);
	if (!rc)
		rc = core_ioas_allow(call->ctx, ioas, &ranges);
	if (rc)
		core_ranges_free(call->ctx, &ranges);
	return rc;
}

#define MAP_FLAGS                                                                                  \
	(IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE)

/* What the three mapping commands ask of their common fields, in this order. */
static int check_map(u32 flags, u32 reserved, u64 iova, u64 length, struct core_map *map)
{
	if ((flags & ~(u32)MAP_FLAGS) || reserved)
		return -EOPNOTSUPP;
	if (iova == U64_MAX || length == U64_MAX)
		return -EOVERFLOW;
	if (!(flags & (IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE)))
		return -EINVAL;
	*map = (struct core_map){
		.iova = iova,
		.length = length,
		.fixed = flags & IOMMU_IOAS_MAP_FIXED_IOVA,
	};
	if (flags & IOMMU_IOAS_MAP_WRITEABLE)
		map->prot |= IOMMU_PROT_WRITE;
	if (flags & IOMMU_IOAS_MAP_READABLE)
		map->prot |= IOMMU_PROT_READ;
	return 0;
}

int abi_ioas_map(struct abi_call *call)
{
	struct iommu_ioas_map *cmd = call->cmd;
	struct core_ioas *ioas;
	struct core_map map;
	int rc;

	rc = check_map(cmd->flags, cmd->__reserved, cmd->iova, cmd->length, &map);
	if (rc)
		return rc;
	ioas = core_ioas_find(call->ctx, cmd->ioas_id);
	if (!ioas)
		return -ENOENT;
	rc = core_ioas_map_user(call->ctx, ioas, call->task, cmd->user_va, &map);
	if (rc)
		return rc;
	cmd->iova = map.iova;
	return abi_respond(call, sizeof(*cmd));
}

static int map_file_locked(struct abi_call *call, struct iommu_ioas_map_file *cmd,
			   struct core_source *source, struct core_map *map)
{
	struct core_ioas *ioas = core_ioas_find(call->ctx, cmd->ioas_id);
	int rc;

	if (!ioas)
		return -ENOENT;
	rc = core_ioas_map_file(call->ctx, ioas, call->task, source, cmd->start, map);
	if (rc)
		return rc;
	cmd->iova = map->iova;
	return abi_respond(call, sizeof(*cmd));
}

/* The descriptor is looked up, and let go, without the lock: see core_source. */
int abi_ioas_map_file(struct abi_call *call)
{
	struct iommu_ioas_map_file *cmd = call->cmd;
	struct core_source source;
	struct core_map map;
	int rc;

	rc = check_map(cmd->flags, 0, cmd->iova, cmd->length, &map);
	if (rc)
		return rc;
	pthread_mutex_lock(&call->ctx->lock);
	rc = core_ioas_find(call->ctx, cmd->ioas_id) ? 0 : -ENOENT;
	pthread_mutex_unlock(&call->ctx->lock);
	if (!rc)
		rc = core_ioas_check_file(cmd->start, cmd->length);
	if (!rc)
		rc = core_source_get(call->task, cmd->fd, &source);
	if (rc)
		return rc;
	pthread_mutex_lock(&call->ctx->lock);
	rc = map_file_locked(call, cmd, &source, &map);
	pthread_mutex_unlock(&call->ctx->lock);
	core_source_put(&source);
	return rc;
}

int abi_ioas_copy(struct abi_call *call)
{
	struct iommu_ioas_copy *cmd = call->cmd;
	struct core_ioas *src, *dst;
	struct core_map map;
	u64 iova;
	int rc;

	if (call->ctx->machine->test_interface && (cmd->flags & MOCK_FLAGS_ACCESS_SYZ)) {
		cmd->flags &= ~(u32)MOCK_FLAGS_ACCESS_SYZ;
		cmd->src_iova = abi_test_convert_iova(call->ctx, cmd->src_ioas_id, cmd->src_iova);
	}
	iova = cmd->src_iova == U64_MAX ? U64_MAX : cmd->dst_iova;
	rc = check_map(cmd->flags, 0, iova, cmd->length, &map);
	if (rc)
		return rc;
	src = core_ioas_find(call->ctx, cmd->src_ioas_id);
	if (!src)
		return -ENOENT;
	rc = core_ioas_check_copy(src, cmd->src_iova, cmd->length);
	if (rc)
		return rc;
	dst = core_ioas_find(call->ctx, cmd->dst_ioas_id);
	if (!dst)
		return -ENOENT;
	rc = core_ioas_copy(call->ctx, dst, src, cmd->src_iova, &map);
	if (rc)
		return rc;
	cmd->dst_iova = map.iova;
	return abi_respond(call, sizeof(*cmd));
}

int abi_ioas_unmap(struct abi_call *call)
{
	struct iommu_ioas_unmap *cmd = call->cmd;
	struct core_ioas *ioas = core_ioas_find(call->ctx, cmd->ioas_id);
	u64 unmapped = 0;
	int rc;

	if (!ioas)
		return -ENOENT;
	if (cmd->iova == 0 && cmd->length == U64_MAX) {
		rc = core_ioas_unmap_all(call->ctx, ioas, &unmapped);
	} else {
		if (cmd->iova == U64_MAX || cmd->length == U64_MAX)
			return -EOVERFLOW;
		rc = core_ioas_unmap(call->ctx, ioas, cmd->iova, cmd->length, &unmapped);
		if (!rc && !unmapped)
			rc = -ENOENT;
	}
	if (rc)
		return rc;
	cmd->length = unmapped;
	return abi_respond(call, sizeof(*cmd));
}

int abi_ioas_change_process(struct abi_call *call)
{
	struct iommu_ioas_change_process *cmd = call->cmd;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	return core_ctx_change_process(call->ctx, call->task);
}

int abi_ioas_noiommu_get_pa(struct abi_call *call)
{
	struct iommu_ioas_noiommu_get_pa *cmd = call->cmd;
	struct core_ioas *ioas;
	hpa_t hpa;
	u64 length = cmd->length;
	int rc;

	if (!call->task->ops->capable(call->task, CAP_SYS_RAWIO))
		return -EPERM;
	if (cmd->flags || cmd->__reserved)
		return -EOPNOTSUPP;
	if (!cmd->length)
		return -EINVAL;
	if (cmd->iova == U64_MAX)
		return -EOVERFLOW;
	ioas = core_ioas_find(call->ctx, cmd->ioas_id);
	if (!ioas)
		return -ENOENT;
	rc = core_ioas_get_phys(call->ctx, ioas, cmd->iova, &length, &hpa);
	if (rc)
		return rc;
	cmd->length = length;
	cmd->out_phys = hpa;
	return abi_respond(call, sizeof(*cmd));
}
