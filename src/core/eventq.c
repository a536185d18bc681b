// SPDX-License-Identifier: MIT
/*
 * The descriptor of a queue. While it is open it is a user of the object and
 * keeps the context, as an open file does in a kernel.
 */
#include "core/eventq.h"

int core_eventq_open(struct core_ctx *ctx, struct siommu_task *task, struct core_object *obj,
		     struct mem_file *file, int *fd)
{
	int rc;

	rc = task->ops->install_file(task, file);
	if (rc < 0)
		return rc;
	core_object_get(obj);
	core_ctx_get(ctx);
	*fd = rc;
	return 0;
}

void core_eventq_undo(struct core_ctx *ctx, struct siommu_task *task, struct core_object *obj,
		      int fd)
{
	task->ops->remove_file(task, fd);
	core_object_put(obj);
	core_object_undo(ctx, obj);
	/* The caller's own reference is left. */
	core_ctx_put(ctx);
}
