/* SPDX-License-Identifier: MIT */
/*
 * Containers: an address space that groups share, with the ioctls of type1.
 *
 * A container has a context of its own, which nobody else sees, and once its type is set,
 * an IOAS there. It has groups before that, and is without a type again when the last
 * group has left.
 *
 * A nesting container (nesting.c) speaks the user API of 2020 besides: it has one group,
 * and that group's devices are attached by a domain of that API.
 */
#ifndef ABI_VFIO_CONTAINER_H
#define ABI_VFIO_CONTAINER_H

#include "abi/legacy.h"
#include "abi/type1.h"
#include "core/ioas.h"
#include "vfio.h"

/* Mappings of one container: as many as a kernel allows unless it is told otherwise. */
#define VFIO_MAX_MAPPINGS 65535

/**
 * struct vfio_member - a function of a group that is attached to the container's IOAS
 * @link: in container->members
 * @group: its group
 * @dev: the function
 * @legacy: in a nesting container: it, in the container's domain; else NULL
 */
struct vfio_member {
	LIST_ENTRY(vfio_member) link;
	struct vfio_group *group;
	struct core_device *dev;
	struct legacy_dev *legacy;
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
 * @pasids: of who first asked for a nesting container, with a reference; NULL until then.
 *	Set once
 * @domain: of a nesting container; NULL for others. Changes with both locks
 * @msis: doorbells that a guest has mapped, struct msi_binding
 * @nmsis: how many
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
	struct core_pasid_set *_Atomic pasids;
	struct legacy_domain *domain;
	struct itree msis;
	_Atomic u32 nmsis;
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

/* The unit of mappings: the smallest page. With a type set and ctx->lock. */
u64 type1_page_bytes(struct vfio_container *container);

/*
 * nesting.c: the locks for what changes a container's type or groups: that of its PASIDs,
 * if it has any, and ctx->lock.
 */
void vfio_container_lock(struct vfio_container *container);
void vfio_container_unlock(struct vfio_container *container);

/* It is about to get the type: have PASIDs. No lock is held. Return: 0 or -ENOMEM. */
int nesting_prepare(struct vfio_container *container, struct siommu_task *task) __must_check;

/*
 * It has got the type and an IOAS, and nothing is attached yet; it loses the type, and
 * nothing is attached any more. With both locks. Return: 0 or -ENOMEM.
 */
int nesting_begin(struct vfio_container *container) __must_check;
void nesting_end(struct vfio_container *container);

/* The container is closed; it has no type any more. No lock is held. */
void nesting_release(struct vfio_container *container);

/*
 * May it be an ioctl that nesting containers have beside type1's? Then do it: no lock is held.
 * -ENOTTY if the container's IOMMU has none such, or it is of another type.
 */
bool nesting_has_request(struct vfio_container *container, unsigned int request);
long nesting_ioctl(struct vfio_container *container, struct siommu_task *task,
		   unsigned int request, u64 arg);

/* What the IOMMU can do, in VFIO_IOMMU_GET_INFO. With ctx->lock. */
int nesting_put_cap(struct vfio_container *container, struct type1_caps *w) __must_check;

#endif
