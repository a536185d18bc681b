// SPDX-License-Identifier: MIT
/*
 * The door for callers inside this process.
 *
 * A descriptor that a request returns is an eventfd, readable while its queue
 * is: it can be polled, and its number cannot be mistaken for another's. What is
 * behind it is looked up in the context it came from.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <linux/capability.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <softiommu/softiommu.h>

#include "abi/ioctl.h"
#include "core/door.h"
#include "core/machine.h"
#include "inproc.h"
#include "mem/self.h"

static struct inproc_task *to_inproc(struct siommu_task *task)
{
	return container_of(task, struct inproc_task, task);
}

static int trusted_in(struct siommu_task *task, void *dst, u64 src, size_t n)
{
	(void)task;
	memcpy(dst, (const void *)(uintptr_t)src, n);
	return 0;
}

static int trusted_out(struct siommu_task *task, u64 dst, const void *src, size_t n)
{
	(void)task;
	memcpy((void *)(uintptr_t)dst, src, n);
	return 0;
}

static int checked_in(struct siommu_task *task, void *dst, u64 src, size_t n)
{
	(void)task;
	return self_copy(dst, (const void *)(uintptr_t)src, n);
}

static int checked_out(struct siommu_task *task, u64 dst, const void *src, size_t n)
{
	(void)task;
	return self_copy((void *)(uintptr_t)dst, src, n);
}

static int open_fd(struct siommu_task *task, int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	(void)task;
	return copy < 0 ? -EBADF : copy;
}

/* With fds_lock. */
static struct inproc_fd *find_fd(struct siommu_machine *machine, struct siommu_ctx *ctx, int fd)
{
	struct inproc_fd *f;

	LIST_FOREACH(f, &machine->fds, link)
		if (f->fd == fd)
			return !ctx || f->ctx == ctx ? f : NULL;
	return NULL;
}

int inproc_file(struct siommu_machine *machine, struct siommu_ctx *ctx, int fd,
		struct mem_file **file, bool *checked)
{
	struct inproc_fd *f;

	pthread_mutex_lock(&machine->fds_lock);
	f = find_fd(machine, ctx, fd);
	if (f) {
		mem_file_get(f->file);
		*file = f->file;
		*checked = f->checked;
	}
	pthread_mutex_unlock(&machine->fds_lock);
	return f ? 0 : -EBADF;
}

static int get_file(struct siommu_task *task, int fd, struct mem_file **file)
{
	bool checked;

	if (!inproc_file(to_inproc(task)->machine, NULL, fd, file, &checked))
		return 0;
	return fcntl(fd, F_GETFD) < 0 ? -EBADF : -EBADFD;
}

/* An eventfd of 1 is readable, of 0 not; nobody else reads or writes it. */
static void set_readable(struct mem_file *file, bool readable)
{
	struct inproc_fd *f = file->door;
	u64 value = 1;

	if (f->readable == readable)
		return;
	f->readable = readable;
	if (readable)
		(void)!write(f->fd, &value, sizeof(value));
	else
		(void)!read(f->fd, &value, sizeof(value));
}

int inproc_install(struct siommu_machine *machine, struct siommu_ctx *ctx, bool checked,
		   struct mem_file *file)
{
	struct inproc_fd *f;
	int fd;

	f = base_zalloc(&machine->alloc, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->fd = eventfd(file->ops->polls_always, EFD_CLOEXEC | EFD_NONBLOCK);
	if (f->fd < 0) {
		base_free(&machine->alloc, f, sizeof(*f));
		return -EMFILE;
	}
	fd = f->fd; /* others can close it as soon as it is in the list */
	f->machine = machine;
	f->ctx = ctx;
	f->checked = checked;
	f->file = file;
	if (!file->ops->polls_always) {
		pthread_mutex_lock(&file->lock);
		file->door = f;
		file->set_readable = set_readable;
		pthread_mutex_unlock(&file->lock);
	}
	pthread_mutex_lock(&machine->fds_lock);
	LIST_INSERT_HEAD(&machine->fds, f, link);
	pthread_mutex_unlock(&machine->fds_lock);
	return fd;
}

static int install_file(struct siommu_task *task, struct mem_file *file)
{
	struct inproc_task *t = to_inproc(task);

	return inproc_install(t->machine, t->ctx, t->checked, file);
}

/* End a descriptor; its file's reference goes to the caller of this. NULL: none of ours. */
static struct mem_file *end_fd(struct siommu_machine *machine, struct siommu_ctx *ctx, int fd)
{
	struct mem_file *file;
	struct inproc_fd *f;

	pthread_mutex_lock(&machine->fds_lock);
	f = find_fd(machine, ctx, fd);
	if (f)
		LIST_REMOVE(f, link);
	pthread_mutex_unlock(&machine->fds_lock);
	if (!f)
		return NULL;
	file = f->file;
	mem_file_silence(file);
	close(f->fd);
	base_free(&machine->alloc, f, sizeof(*f));
	return file;
}

static void remove_file(struct siommu_task *task, int fd)
{
	(void)end_fd(to_inproc(task)->machine, NULL, fd);
}

int inproc_close(struct siommu_machine *machine, struct siommu_ctx *ctx, int fd)
{
	struct mem_file *file = end_fd(machine, ctx, fd);

	if (!file)
		return -EBADF;
	mem_file_put(file);
	return 0;
}

static bool trusted_capable(struct siommu_task *task, int cap)
{
	(void)task;
	(void)cap;
	return true;
}

static bool checked_capable(struct siommu_task *task, int cap)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	(void)task;
	if (syscall(SYS_capget, &header, data))
		return false;
	return data[CAP_TO_INDEX(cap)].effective & CAP_TO_MASK(cap);
}

static const struct siommu_task_ops trusted_ops = {
	.copy_in = trusted_in,
	.copy_out = trusted_out,
	.open_fd = open_fd,
	.get_file = get_file,
	.install_file = install_file,
	.remove_file = remove_file,
	.capable = trusted_capable,
};

static const struct siommu_task_ops checked_ops = {
	.copy_in = checked_in,
	.copy_out = checked_out,
	.open_fd = open_fd,
	.get_file = get_file,
	.install_file = install_file,
	.remove_file = remove_file,
	.capable = checked_capable,
};

int inproc_task(struct siommu_machine *machine, struct siommu_ctx *ctx, bool checked,
		struct inproc_task *out)
{
	*out = (struct inproc_task){
		.task = { .ops = checked ? &checked_ops : &trusted_ops },
		.machine = machine,
		.ctx = ctx,
		.checked = checked,
	};
	return machine_space(machine, checked, &out->task.space);
}

static struct inproc_task make_task(struct siommu_ctx *ctx)
{
	return (struct inproc_task){
		.task = {
			.ops = ctx->checked ? &checked_ops : &trusted_ops,
			.space = ctx->space,
		},
		.machine = ctx->machine,
		.ctx = ctx,
		.checked = ctx->checked,
	};
}

int siommu_open(struct siommu_machine *machine, unsigned int flags, struct siommu_ctx **out)
{
	struct base_alloc *alloc = machine_host(machine)->alloc;
	struct siommu_ctx *ctx;
	int rc;

	if (flags & ~(unsigned int)SIOMMU_OPEN_CHECKED)
		return -EINVAL;
	ctx = base_zalloc(alloc, sizeof(*ctx));
	if (!ctx)
		return -ENOMEM;
	ctx->machine = machine;
	ctx->checked = flags & SIOMMU_OPEN_CHECKED;
	rc = machine_space(machine, ctx->checked, &ctx->space);
	if (!rc)
		rc = core_ctx_open(machine, &ctx->core);
	if (!rc)
		ctx->core->careful = ctx->checked;
	if (rc) {
		base_free(alloc, ctx, sizeof(*ctx));
		return rc;
	}
	*out = ctx;
	return 0;
}

static int first_fd(struct siommu_ctx *ctx)
{
	struct inproc_fd *f;
	int fd = -1;

	pthread_mutex_lock(&ctx->machine->fds_lock);
	LIST_FOREACH(f, &ctx->machine->fds, link)
		if (f->ctx == ctx)
			fd = f->fd;
	pthread_mutex_unlock(&ctx->machine->fds_lock);
	return fd;
}

void siommu_close(struct siommu_ctx *ctx)
{
	int fd;

	if (!ctx)
		return;
	/* Its descriptors cannot be used without it: they end with it. */
	while ((fd = first_fd(ctx)) >= 0)
		(void)siommu_close_fd(ctx, fd);
	core_ctx_close(ctx->core);
	base_free(machine_host(ctx->machine)->alloc, ctx, sizeof(*ctx));
}

int siommu_ioctl(struct siommu_ctx *ctx, unsigned long request, void *arg)
{
	struct inproc_task task = make_task(ctx);

	return (int)abi_ioctl(ctx->core, &task.task, (unsigned int)request, (uintptr_t)arg);
}

ssize_t siommu_read(struct siommu_ctx *ctx, int fd, void *buf, size_t n)
{
	struct inproc_task task = make_task(ctx);
	struct mem_file *file;
	bool checked;
	ssize_t rc;

	if (inproc_file(ctx->machine, ctx, fd, &file, &checked))
		return -EBADF;
	rc = file->ops->read ? file->ops->read(file, &task.task, (uintptr_t)buf, n) : -EINVAL;
	mem_file_put(file);
	return rc;
}

ssize_t siommu_write(struct siommu_ctx *ctx, int fd, const void *buf, size_t n)
{
	struct inproc_task task = make_task(ctx);
	struct mem_file *file;
	bool checked;
	ssize_t rc;

	if (inproc_file(ctx->machine, ctx, fd, &file, &checked))
		return -EBADF;
	rc = file->ops->write ? file->ops->write(file, &task.task, (uintptr_t)buf, n) : -EINVAL;
	mem_file_put(file);
	return rc;
}

int siommu_close_fd(struct siommu_ctx *ctx, int fd)
{
	return inproc_close(ctx->machine, ctx, fd);
}

int siommu_mmap(struct siommu_ctx *ctx, size_t length, int prot, uint64_t offset, void **out)
{
	void *p;
	int fd, rc = 0;

	if (prot & PROT_EXEC)
		return -EPERM;
	fd = core_ctx_mmap_fd(ctx->core, length, offset);
	if (fd < 0)
		return fd;
	p = mmap(NULL, length, prot, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		rc = -errno;
	else
		*out = p;
	close(fd);
	return rc;
}
