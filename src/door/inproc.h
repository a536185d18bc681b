/* SPDX-License-Identifier: MIT */
/* A context as this process holds it. */
#ifndef DOOR_INPROC_H
#define DOOR_INPROC_H

#include <softiommu/context.h>

#include "core/ctx.h"

struct inproc_fd;

/**
 * struct siommu_ctx - a context opened in this process
 * @core: the context itself
 * @machine: where it lives
 * @space: the caller's address space
 * @checked: opened with SIOMMU_OPEN_CHECKED
 * @lock: covers @fds; a leaf lock
 * @fds: struct inproc_fd
 */
struct siommu_ctx {
	struct core_ctx *core;
	struct siommu_machine *machine;
	struct mem_space *space;
	bool checked;
	pthread_mutex_t lock;
	LIST_HEAD(, inproc_fd) fds;
};

#endif
