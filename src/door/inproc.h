/* SPDX-License-Identifier: MIT */
/* What this process holds of the library: contexts and descriptors. */
#ifndef DOOR_INPROC_H
#define DOOR_INPROC_H

#include <softiommu/context.h>

#include "core/ctx.h"

/**
 * struct inproc_fd - a descriptor
 * @link: in machine->fds
 * @machine: where it is known
 * @ctx: the context that it came from and ends with; NULL if it stands for itself
 * @file: what it does
 * @fd: an eventfd, whose number cannot be mistaken
 * @checked: its callers' pointers are not trusted
 * @readable: the eventfd is
 */
struct inproc_fd {
	LIST_ENTRY(inproc_fd) link;
	struct siommu_machine *machine;
	struct siommu_ctx *ctx;
	struct mem_file *file;
	int fd;
	bool checked;
	bool readable;
};

/**
 * struct inproc_task - a call
 * @task: the caller
 * @machine: where
 * @ctx: the context that is called; NULL for other files
 * @checked: its pointers are not trusted
 */
struct inproc_task {
	struct siommu_task task;
	struct siommu_machine *machine;
	struct siommu_ctx *ctx;
	bool checked;
};

/* A call from this process. Return: 0, or -ENOMEM. */
int inproc_task(struct siommu_machine *machine, struct siommu_ctx *ctx, bool checked,
		struct inproc_task *out) __must_check;

/* The file behind a descriptor, with a reference; of @ctx only unless that is NULL. 0 or -EBADF. */
int inproc_file(struct siommu_machine *machine, struct siommu_ctx *ctx, int fd,
		struct mem_file **file, bool *checked) __must_check;

/* A descriptor for @file, whose reference it takes. Return: it, -EMFILE or -ENOMEM. */
int inproc_install(struct siommu_machine *machine, struct siommu_ctx *ctx, bool checked,
		   struct mem_file *file) __must_check;

/* Return: 0, or -EBADF. */
int inproc_close(struct siommu_machine *machine, struct siommu_ctx *ctx, int fd);

/**
 * struct siommu_ctx - a context opened in this process
 * @core: the context itself
 * @machine: where it lives
 * @space: the caller's address space
 * @checked: opened with SIOMMU_OPEN_CHECKED
 */
struct siommu_ctx {
	struct core_ctx *core;
	struct siommu_machine *machine;
	struct mem_space *space;
	bool checked;
};

#endif
