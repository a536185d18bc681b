// SPDX-License-Identifier: MIT
/*
 * /dev/vfio/N: the file of a group, and the way to its functions.
 *
 * A group is put into a container, or given a context in place of one; then its functions
 * can be opened. They keep a group in its container: when the group's file is closed
 * first, that is undone with the last of them. With a context nothing is kept, as each
 * function has its own hold of the context.
 *
 * A function can be opened again while it is open: the descriptors share what is set up.
 */
#include <string.h>

#include "abi/type1.h"
#include "container.h"
#include "vfio.h"

/* The name of a device, with what follows it, and its end. */
#define NAME_BYTES 4096

#define TOKEN_OPTION "vf_token="

/**
 * struct group_file - the opening of a group; there is one at a time
 * @file: the descriptor
 * @bus: its bus
 * @group: the group, which stays while it is open
 */
struct group_file {
	struct mem_file file;
	struct vfio_bus *bus;
	struct vfio_group *group;
};

static struct group_file *to_group(struct mem_file *file)
{
	return container_of(file, struct group_file, file);
}

/**
 * struct shared_open - one more descriptor for an opening of a device
 * @file: the descriptor
 * @device: the opening, with a reference
 * @alloc: what it is charged to
 */
struct shared_open {
	struct mem_file file;
	struct mem_file *device;
	struct base_alloc *alloc;
};

static struct mem_file *shared_device(struct mem_file *file)
{
	return container_of(file, struct shared_open, file)->device;
}

static ssize_t shared_pread(struct mem_file *file, struct siommu_task *task, u64 ubuf, size_t n,
			    u64 offset)
{
	struct mem_file *device = shared_device(file);

	return device->ops->pread(device, task, ubuf, n, offset);
}

static ssize_t shared_pwrite(struct mem_file *file, struct siommu_task *task, u64 ubuf, size_t n,
			     u64 offset)
{
	struct mem_file *device = shared_device(file);

	return device->ops->pwrite(device, task, ubuf, n, offset);
}

static long shared_ioctl(struct mem_file *file, struct siommu_task *task, unsigned int request,
			 u64 arg)
{
	struct mem_file *device = shared_device(file);

	return device->ops->ioctl(device, task, request, arg);
}

static int shared_mmap(struct mem_file *file, u64 length, u64 offset, int prot,
		       struct mem_mapping *out)
{
	struct mem_file *device = shared_device(file);

	return device->ops->mmap(device, length, offset, prot, out);
}

static void shared_release(struct mem_file *file)
{
	struct shared_open *shared = container_of(file, struct shared_open, file);
	struct mem_file *device = shared->device;

	mem_file_destroy(&shared->file);
	base_free(shared->alloc, shared, sizeof(*shared));
	mem_file_put(device);
}

static const struct mem_file_ops shared_ops = {
	.name = "[vfio-device]",
	.polls_out = true,
	.polls_always = true,
	.pread = shared_pread,
	.pwrite = shared_pwrite,
	.ioctl = shared_ioctl,
	.mmap = shared_mmap,
	.release = shared_release,
};

/* With bus->lock. */
static int open_again(struct vfio_open *open, struct mem_file **out)
{
	struct base_alloc *alloc = &open->pci->bus->machine->alloc;
	struct shared_open *shared;

	shared = base_zalloc(alloc, sizeof(*shared));
	if (!shared)
		return -ENOMEM;
	/* Somebody may be closing it at this moment. */
	if (!mem_file_tryget(&open->file)) {
		base_free(alloc, shared, sizeof(*shared));
		return -EBUSY;
	}
	mem_file_init(&shared->file, &shared_ops);
	shared->device = &open->file;
	shared->alloc = alloc;
	*out = &shared->file;
	return 0;
}

static bool has_iommu(const struct vfio_group *group)
{
	return group->container || group->iommufd;
}

/* Nobody has claimed the group's DMA, so that it could be put into a container. */
static bool is_viable(struct group_file *f)
{
	bool viable;

	pthread_mutex_lock(&f->bus->machine->lock);
	viable = !f->group->group->group.owner;
	pthread_mutex_unlock(&f->bus->machine->lock);
	return viable;
}

static long get_status(struct group_file *f, struct siommu_task *task, u64 arg)
{
	struct vfio_group_status status;
	int rc;

	rc = task_copy_in(task, &status, arg, sizeof(status));
	if (rc)
		return rc;
	if (status.argsz < sizeof(status))
		return -EINVAL;
	status.flags = 0;
	pthread_mutex_lock(&f->bus->lock);
	if (has_iommu(f->group))
		status.flags = VFIO_GROUP_FLAGS_CONTAINER_SET | VFIO_GROUP_FLAGS_VIABLE;
	else if (is_viable(f))
		status.flags = VFIO_GROUP_FLAGS_VIABLE;
	pthread_mutex_unlock(&f->bus->lock);
	return task_copy_out(task, arg, &status, sizeof(status));
}

static void set_iommufd(struct vfio_group *group, struct core_ctx *ctx)
{
	pthread_mutex_lock(&group->bus->lock);
	group->iommufd = ctx;
	pthread_mutex_unlock(&group->bus->lock);
}

/* @file is NULL for one of somebody else's. With group->lock. */
static int set_container(struct vfio_group *group, struct mem_file *file)
{
	struct vfio_container *container = file ? vfio_container_of(file) : NULL;
	struct core_ctx *ctx = file ? abi_context_of(file) : NULL;
	int rc;

	if (has_iommu(group))
		return -EINVAL;
	if (container)
		return vfio_container_add(container, group);
	if (!ctx)
		return -EBADFD;
	rc = type1_compat_begin(ctx);
	if (rc)
		return rc;
	core_ctx_get(ctx);
	set_iommufd(group, ctx);
	return 0;
}

static long do_set_container(struct group_file *f, struct siommu_task *task, u64 arg)
{
	struct mem_file *file = NULL;
	s32 fd;
	int rc;

	rc = task_copy_in(task, &fd, arg, sizeof(fd));
	if (rc)
		return rc;
	rc = task->ops->get_file(task, fd, &file);
	if (rc && rc != -EBADFD)
		return rc;
	if (rc)
		file = NULL;
	pthread_mutex_lock(&f->group->lock);
	rc = set_container(f->group, file);
	pthread_mutex_unlock(&f->group->lock);
	if (file)
		mem_file_put(file);
	return rc;
}

/* With group->lock. Return: a context whose reference the caller has to put. */
static struct core_ctx *leave(struct vfio_group *group)
{
	struct core_ctx *ctx = group->iommufd;

	if (group->container)
		vfio_container_remove(group->container, group);
	if (ctx)
		set_iommufd(group, NULL);
	return ctx;
}

static long unset_container(struct group_file *f)
{
	struct core_ctx *ctx = NULL;
	int rc = 0;

	pthread_mutex_lock(&f->group->lock);
	if (!has_iommu(f->group))
		rc = -EINVAL;
	else if (f->group->container && f->group->users)
		rc = -EBUSY;
	else
		ctx = leave(f->group);
	pthread_mutex_unlock(&f->group->lock);
	if (ctx)
		core_ctx_put(ctx);
	return rc;
}

/*
 * A string of the caller's, as far as its end. -EINVAL if that is too far. Of another
 * process's memory pieces of a cache line are read, which is there if its first byte is.
 */
static int copy_name(struct siommu_task *task, char *name, u64 arg)
{
	const u64 line = task->space->direct ? 1 : 64;
	size_t done, n;
	int rc;

	for (done = 0; done < NAME_BYTES; done += n) {
		n = min_u64(line - ((arg + done) & (line - 1)), NAME_BYTES - done);
		rc = task_copy_in(task, name + done, arg + done, n);
		if (rc)
			return rc;
		if (memchr(name + done, '\0', n))
			return 0;
	}
	return -EINVAL;
}

/* What follows the name: spaces, and a token if there is one. */
static int parse_options(const char *text, u8 token[16], bool *has_token)
{
	int rc;

	*has_token = false;
	while (*text) {
		if (*text == ' ') {
			text++;
			continue;
		}
		if (*has_token || strncmp(text, TOKEN_OPTION, strlen(TOKEN_OPTION)))
			return -EINVAL;
		text += strlen(TOKEN_OPTION);
		rc = vfio_token_parse(text, token);
		if (rc)
			return rc;
		*has_token = true;
		text += VFIO_TOKEN_TEXT;
	}
	return 0;
}

/* The function that @name is for, and may be opened. With bus->lock. */
static int match(struct vfio_group *group, const char *name, struct siommu_pci **out)
{
	struct siommu_pci *pci;
	bool has_token;
	u8 token[16];
	int rc;

	TAILQ_FOREACH(pci, &group->functions, group_link) {
		size_t n = strlen(pci->address);

		if (!pci->unbound && !strncmp(name, pci->address, n) &&
		    (!name[n] || name[n] == ' '))
			break;
	}
	if (!pci)
		return -ENODEV;
	rc = parse_options(name + strlen(pci->address), token, &has_token);
	if (!rc)
		rc = vfio_token_check(pci, has_token ? token : NULL);
	if (!rc)
		*out = pci;
	return rc;
}

/*
 * The IOAS that functions of the group are attached to; 0 if the container sees to that. With
 * group->lock.
 */
static int get_ioas(struct vfio_group *group, struct core_ctx **ctx, u32 *pt_id)
{
	struct core_ioas *ioas;
	bool nests;

	if (!has_iommu(group))
		return -EINVAL;
	*ctx = group->container ? group->container->ctx : group->iommufd;
	pthread_mutex_lock(&(*ctx)->lock);
	ioas = group->container ? group->container->ioas : (*ctx)->vfio_ioas;
	nests = group->container && group->container->domain;
	if (ioas)
		*pt_id = nests ? 0 : ioas->obj.id;
	pthread_mutex_unlock(&(*ctx)->lock);
	if (!ioas)
		return group->container ? -EINVAL : -ENODEV;
	return 0;
}

/*
 * Find the function, and open it if it is open already. With bus->lock. Return: 1 if not:
 * it is kept as by an opening, until the caller lets go of it.
 */
static int find_device(struct vfio_group *group, const char *name, struct siommu_pci **pci,
		       struct mem_file **out)
{
	int rc;

	rc = match(group, name, pci);
	if (rc)
		return rc;
	if ((*pci)->bound && has_iommu(group))
		return open_again((*pci)->bound, out);
	(*pci)->opens++;
	return 1;
}

/* With group->lock. */
static int open_device(struct group_file *f, const char *name, struct mem_file **out)
{
	struct vfio_group *group = f->group;
	struct siommu_pci *pci = NULL;
	struct core_ctx *ctx;
	u32 pt_id;
	int rc;

	pthread_mutex_lock(&f->bus->lock);
	rc = find_device(group, name, &pci, out);
	pthread_mutex_unlock(&f->bus->lock);
	if (rc <= 0)
		return rc;
	rc = get_ioas(group, &ctx, &pt_id);
	if (!rc)
		rc = vfio_device_open(pci, group, ctx, pt_id, out);
	pthread_mutex_lock(&f->bus->lock);
	pci->opens--;
	pthread_mutex_unlock(&f->bus->lock);
	return rc;
}

static long get_device_fd(struct group_file *f, struct siommu_task *task, u64 arg)
{
	struct mem_file *file;
	char name[NAME_BYTES];
	int rc;

	rc = copy_name(task, name, arg);
	if (rc)
		return rc;
	pthread_mutex_lock(&f->group->lock);
	rc = open_device(f, name, &file);
	pthread_mutex_unlock(&f->group->lock);
	if (rc)
		return rc;
	rc = task->ops->install_file(task, file);
	if (rc < 0)
		mem_file_put(file);
	return rc;
}

static long group_ioctl(struct mem_file *file, struct siommu_task *task, unsigned int request,
			u64 arg)
{
	struct group_file *f = to_group(file);

	switch (request) {
	case VFIO_GROUP_GET_DEVICE_FD:
		return get_device_fd(f, task, arg);
	case VFIO_GROUP_GET_STATUS:
		return get_status(f, task, arg);
	case VFIO_GROUP_SET_CONTAINER:
		return do_set_container(f, task, arg);
	case VFIO_GROUP_UNSET_CONTAINER:
		return unset_container(f);
	default:
		return -ENOTTY;
	}
}

/* Nobody needs it any more: it can be opened again, and may go with its functions. */
static void end(struct vfio_bus *bus, struct vfio_group *group)
{
	pthread_mutex_lock(&bus->lock);
	group->opened = false;
	pthread_mutex_unlock(&bus->lock);
}

static void group_release(struct mem_file *file)
{
	struct group_file *f = to_group(file);
	struct vfio_group *group = f->group;
	struct vfio_bus *bus = f->bus;
	struct core_ctx *ctx = NULL;
	bool closed;

	pthread_mutex_lock(&group->lock);
	closed = group->container && group->users;
	group->closed = closed;
	if (!closed)
		ctx = leave(group);
	pthread_mutex_unlock(&group->lock);
	if (!closed)
		end(bus, group);
	if (ctx)
		core_ctx_put(ctx);
	mem_file_destroy(&f->file);
	base_free(&bus->machine->alloc, f, sizeof(*f));
}

void vfio_group_put_device(struct vfio_group *group)
{
	bool last;

	pthread_mutex_lock(&group->lock);
	group->users--;
	last = group->closed && !group->users;
	/* Closed, it is in a container, which has no context to be put. */
	if (last) {
		(void)leave(group);
		group->closed = false;
	}
	pthread_mutex_unlock(&group->lock);
	if (last)
		end(group->bus, group);
}

static const struct mem_file_ops group_ops = {
	.name = "[vfio-group]",
	.polls_out = true,
	.polls_always = true,
	.ioctl = group_ioctl,
	.release = group_release,
};

struct vfio_group *vfio_group_of(struct mem_file *file)
{
	return file->ops == &group_ops ? to_group(file)->group : NULL;
}

/* A group is there for those of its functions that VFIO drives. */
static bool has_function(const struct vfio_group *group)
{
	const struct siommu_pci *pci;

	TAILQ_FOREACH(pci, &group->functions, group_link)
		if (!pci->unbound)
			return true;
	return false;
}

int vfio_group_open(struct vfio_group *group, struct mem_file **out)
{
	struct vfio_bus *bus = group->bus;
	struct group_file *f;

	if (!has_function(group))
		return -ENODEV;
	if (group->cdev_users || group->opened)
		return -EBUSY;
	f = base_zalloc(&bus->machine->alloc, sizeof(*f));
	if (!f)
		return -ENOMEM;
	mem_file_init(&f->file, &group_ops);
	f->file.major = ABI_VFIO_GROUP_MAJOR;
	f->file.minor = group->number;
	f->bus = bus;
	f->group = group;
	group->opened = true;
	*out = &f->file;
	return 0;
}
