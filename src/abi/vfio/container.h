/* SPDX-License-Identifier: MIT */
/*
 * Containers: an address space that groups share, with the ioctls of type1.
 *
 * A container has a context of its own, which nobody else sees, and once its type is set,
 * an IOAS there. It has groups before that, and is without a type again when the last
 * group has left.
 */
#ifndef ABI_VFIO_CONTAINER_H
#define ABI_VFIO_CONTAINER_H

#include "core/ioas.h"
#include "vfio.h"

/* Mappings of one container: as many as a kernel allows unless it is told otherwise. */
#define VFIO_MAX_MAPPINGS 65535

/* A function of a group that is attached to the container's IOAS. */
struct vfio_member {
	LIST_ENTRY(vfio_member) link;
	struct vfio_group *group;
	struct core_device *dev;
};

/**
 * struct vfio_container - an opening of /dev/vfio/vfio
 * @file: the descriptor; each group in it has a reference
 * @ctx: its context
 * @groups: struct vfio_group; this and what follows under ctx->lock
 * @ioas: what is mapped; NULL without a type
 * @members: struct vfio_member
 * @v2: it may not unmap what covers mappings in part
 * @tracking: dirty pages are asked for
 * @dma_avail: mappings that it may still have
 */
struct vfio_container {
	struct mem_file file;
	struct core_ctx *ctx;
	TAILQ_HEAD(, vfio_group) groups;
	struct core_ioas *ioas;
	LIST_HEAD(, vfio_member) members;
	bool v2;
	bool tracking;
	u32 dma_avail;
};

/* The container that a file is, or NULL. */
struct vfio_container *vfio_container_of(struct mem_file *file);

/*
 * A group comes, which is in none, and has a reference on the file from now on; it goes.
 * With group->lock. Return: 0; -EPERM if another owns its DMA; -errno of attaching.
 */
int vfio_container_add(struct vfio_container *container, struct vfio_group *group) __must_check;
void vfio_container_remove(struct vfio_container *container, struct vfio_group *group);

/* type1.c: with a type set and ctx->lock. -ENOTTY if unknown. */
long type1_ioctl(struct vfio_container *container, struct siommu_task *task, unsigned int request,
		 u64 arg);

#endif
