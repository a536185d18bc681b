// SPDX-License-Identifier: MIT
/*
 * /dev/vfio/vfio: which groups are in a container, and of which type it is.
 *
 * Setting the type attaches every function of its groups, so that what can be mapped is
 * known, and memory pinned, before any function is opened. A function that is opened is
 * bound and attached once more, which joins the attachment of its group.
 */
#include <string.h>

#include "abi/type1.h"
#include "container.h"
#include "core/device.h"
#include "core/door.h"

static const struct mem_file_ops container_ops;

struct vfio_container *vfio_container_of(struct mem_file *file)
{
	return file->ops == &container_ops ? container_of(file, struct vfio_container, file) : NULL;
}

/* Context: vfio_container_lock(), for all that changes what is attached. */
static int attach_function(struct vfio_container *c, struct vfio_group *group,
			   struct siommu_pci *pci)
{
	struct iommu_device *hw = pci->dev->dev;
	struct vfio_member *member;
	u32 pt_id = c->ioas->obj.id;
	int rc;

	if (hw->unit->ops->untranslated)
		return -ENODEV;
	member = base_zalloc(&c->ctx->alloc, sizeof(*member));
	if (!member)
		return -ENOMEM;
	member->group = group;
	rc = core_device_bind(c->ctx, hw, false, &member->dev);
	if (rc)
		goto err_free;
	/* Who nests has one group: a domain takes no device of another. */
	if (c->domain)
		rc = legacy_domain_add(c->domain, member->dev, &member->legacy);
	else
		rc = core_device_attach(member->dev, IOMMU_NO_PASID, &pt_id);
	if (rc)
		goto err_unbind;
	LIST_INSERT_HEAD(&c->members, member, link);
	return 0;

err_unbind:
	core_device_unbind(member->dev);
	/* Not the last reference: the container's file has one. */
	core_ctx_put(c->ctx);
err_free:
	base_free(&c->ctx->alloc, member, sizeof(*member));
	/* What it cannot reach is mapped already. */
	return rc == -EADDRINUSE ? -EINVAL : rc;
}

static void detach_group(struct vfio_container *c, struct vfio_group *group)
{
	struct vfio_member *member, *next;

	LIST_FOREACH_SAFE(member, &c->members, link, next) {
		if (member->group != group)
			continue;
		LIST_REMOVE(member, link);
		if (member->legacy)
			legacy_domain_remove(member->legacy);
		core_device_unbind(member->dev);
		core_ctx_put(c->ctx);
		base_free(&c->ctx->alloc, member, sizeof(*member));
	}
}

/* The function of the group after @pci, or the first for NULL. They stay, as it is opened. */
static struct siommu_pci *next_function(struct vfio_group *group, struct siommu_pci *pci)
{
	pthread_mutex_lock(&group->bus->lock);
	pci = pci ? TAILQ_NEXT(pci, group_link) : TAILQ_FIRST(&group->functions);
	pthread_mutex_unlock(&group->bus->lock);
	return pci;
}

static int attach_group(struct vfio_container *c, struct vfio_group *group)
{
	struct siommu_pci *pci = NULL;
	int rc = 0;

	while ((pci = next_function(group, pci))) {
		rc = attach_function(c, group, pci);
		if (rc) {
			detach_group(c, group);
			break;
		}
	}
	return rc;
}

/* Without groups there is no type, and nothing mapped. */
static void unset_type(struct vfio_container *c)
{
	if (c->domain)
		nesting_end(c);
	core_object_remove(c->ctx, &c->ioas->obj);
	c->ioas = NULL;
	c->tracking = false;
}

/* As the kernel: who has claimed the group's DMA already may not be told from others. */
static int claim(struct vfio_container *c, struct vfio_group *group)
{
	struct iommu_group *hw = &group->group->group;
	int rc = -EPERM;

	pthread_mutex_lock(&c->ctx->machine->lock);
	if (!hw->owner)
		rc = iommu_group_claim(hw, c->ctx);
	pthread_mutex_unlock(&c->ctx->machine->lock);
	return rc;
}

static void release(struct vfio_container *c, struct vfio_group *group)
{
	pthread_mutex_lock(&c->ctx->machine->lock);
	iommu_group_release(&group->group->group);
	pthread_mutex_unlock(&c->ctx->machine->lock);
}

static void set_container(struct vfio_group *group, struct vfio_container *c)
{
	pthread_mutex_lock(&group->bus->lock);
	group->container = c;
	pthread_mutex_unlock(&group->bus->lock);
}

int vfio_container_add(struct vfio_container *c, struct vfio_group *group)
{
	int rc;

	rc = claim(c, group);
	if (rc)
		return rc;
	vfio_container_lock(c);
	if (c->ioas)
		rc = attach_group(c, group);
	if (!rc)
		TAILQ_INSERT_HEAD(&c->groups, group, container_link);
	vfio_container_unlock(c);
	if (rc) {
		release(c, group);
		return rc;
	}
	mem_file_get(&c->file);
	set_container(group, c);
	return 0;
}

void vfio_container_remove(struct vfio_container *c, struct vfio_group *group)
{
	set_container(group, NULL);
	vfio_container_lock(c);
	TAILQ_REMOVE(&c->groups, group, container_link);
	if (c->ioas) {
		detach_group(c, group);
		if (TAILQ_EMPTY(&c->groups))
			unset_type(c);
	}
	vfio_container_unlock(c);
	release(c, group);
	mem_file_put(&c->file);
}

/* Does the type stand for what it did in 2020? Since 7.1 it has no meaning. */
static bool is_nesting(struct vfio_container *c, u64 type)
{
	return type == VFIO_TYPE1_NESTING_IOMMU && c->ctx->machine->iommu_2020 != SIOMMU_2020_OFF;
}

/* What type1 answers, with or without an IOAS. Context: ctx->lock. */
static int check_extension(struct vfio_container *c, u64 extension)
{
	switch (extension) {
	case VFIO_TYPE1_IOMMU:
	case VFIO_TYPE1v2_IOMMU:
	case VFIO_UNMAP_ALL:
		return 1;
	case VFIO_TYPE1_NESTING_IOMMU:
		return is_nesting(c, extension);
	case VFIO_DMA_CC_IOMMU:
		return c->ioas && type1_is_coherent(c->ioas);
	default:
		return 0;
	}
}

static int attach_all(struct vfio_container *c)
{
	struct vfio_group *group, *undo;
	int rc;

	TAILQ_FOREACH(group, &c->groups, container_link) {
		rc = attach_group(c, group);
		if (rc)
			goto err_detach;
	}
	return 0;

err_detach:
	TAILQ_FOREACH(undo, &c->groups, container_link) {
		if (undo == group)
			break;
		detach_group(c, undo);
	}
	return rc;
}

/* An address space of the type, with nothing attached. Context: vfio_container_lock(). */
static int begin_type(struct vfio_container *c, struct siommu_task *task, u64 type)
{
	int rc;

	rc = core_ioas_alloc(c->ctx, &c->ioas);
	if (rc)
		return rc;
	core_object_publish(c->ctx, &c->ioas->obj);
	c->ctx->careful = task->space->direct && task->space->ops->find_vma;
	c->v2 = type != VFIO_TYPE1_IOMMU;
	c->dma_avail = VFIO_MAX_MAPPINGS;
	rc = is_nesting(c, type) ? nesting_begin(c) : 0;
	if (rc)
		unset_type(c);
	return rc;
}

/* Context: vfio_container_lock(). */
static int set_type(struct vfio_container *c, struct siommu_task *task, u64 type)
{
	int rc;

	if (TAILQ_EMPTY(&c->groups) || c->ioas)
		return -EINVAL;
	if (type != VFIO_TYPE1_IOMMU && type != VFIO_TYPE1v2_IOMMU && !is_nesting(c, type))
		return -ENODEV;
	rc = begin_type(c, task, type);
	if (rc)
		return rc;
	rc = attach_all(c);
	if (rc)
		unset_type(c);
	return rc;
}

static long do_set_type(struct vfio_container *c, struct siommu_task *task, u64 type)
{
	int rc;

	rc = is_nesting(c, type) ? nesting_prepare(c, task) : 0;
	if (rc)
		return rc;
	vfio_container_lock(c);
	rc = set_type(c, task, type);
	vfio_container_unlock(c);
	return rc;
}

static long container_ioctl(struct mem_file *file, struct siommu_task *task, unsigned int request,
			    u64 arg)
{
	struct vfio_container *c = vfio_container_of(file);
	long rc;

	if (request == VFIO_GET_API_VERSION)
		return VFIO_API_VERSION;
	if (request == VFIO_SET_IOMMU)
		return do_set_type(c, task, arg);
	if (nesting_has_request(c, request))
		return nesting_ioctl(c, task, request, arg);
	pthread_mutex_lock(&c->ctx->lock);
	if (request == VFIO_CHECK_EXTENSION)
		rc = check_extension(c, arg);
	else
		rc = c->ioas ? type1_ioctl(c, task, request, arg) : -EINVAL;
	pthread_mutex_unlock(&c->ctx->lock);
	return rc;
}

/* No group is in it any more: each had a reference. */
static void container_release(struct mem_file *file)
{
	struct vfio_container *c = vfio_container_of(file);
	struct siommu_machine *machine = c->ctx->machine;

	mem_file_destroy(&c->file);
	nesting_release(c);
	core_ctx_close(c->ctx);
	base_free(&machine->alloc, c, sizeof(*c));
}

static const struct mem_file_ops container_ops = {
	.name = "/dev/vfio/vfio",
	.polls_out = true,
	.polls_always = true,
	.ioctl = container_ioctl,
	.release = container_release,
};

int vfio_container_open(struct siommu_machine *machine, struct mem_file **out)
{
	struct vfio_container *c;
	int rc;

	c = base_zalloc(&machine->alloc, sizeof(*c));
	if (!c)
		return -ENOMEM;
	rc = core_ctx_open(machine, &c->ctx);
	if (rc) {
		base_free(&machine->alloc, c, sizeof(*c));
		return rc;
	}
	/* What is locked counts for the process, as by mlock. */
	c->ctx->account = MEM_ACCOUNT_SPACE;
	TAILQ_INIT(&c->groups);
	LIST_INIT(&c->members);
	mem_file_init(&c->file, &container_ops);
	c->file.major = ABI_MISC_MAJOR;
	c->file.minor = ABI_VFIO_MINOR;
	*out = &c->file;
	return 0;
}
