// SPDX-License-Identifier: MIT
/* softiommu/vfio.h: files by their descriptors, for callers in this process. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <softiommu/softiommu.h>

#include "abi/file.h"
#include "inproc.h"

int siommu_vfio_open(struct siommu_machine *machine, const char *path, unsigned int flags)
{
	struct mem_file *file;
	int rc, fd;

	if (flags & ~(unsigned int)SIOMMU_OPEN_CHECKED)
		return -EINVAL;
	rc = abi_open(machine, path, O_RDWR, &file);
	if (rc)
		return rc;
	fd = inproc_install(machine, NULL, flags & SIOMMU_OPEN_CHECKED, file);
	if (fd < 0)
		mem_file_put(file);
	return fd;
}

int siommu_vfio_context(struct siommu_ctx *ctx)
{
	struct mem_file *file;
	int rc, fd;

	rc = abi_context_file(ctx->core, &file);
	if (rc)
		return rc;
	fd = inproc_install(ctx->machine, NULL, ctx->checked, file);
	if (fd < 0)
		mem_file_put(file);
	return fd;
}

/* The file of a descriptor, with a reference, and a task to call it with. */
static int begin(struct siommu_machine *machine, int fd, struct mem_file **file,
		 struct inproc_task *task)
{
	bool checked;
	int rc;

	rc = inproc_file(machine, NULL, fd, file, &checked);
	if (rc)
		return rc;
	rc = inproc_task(machine, NULL, checked, task);
	if (rc)
		mem_file_put(*file);
	return rc;
}

long siommu_vfio_ioctl(struct siommu_machine *machine, int fd, unsigned long request, void *arg)
{
	struct inproc_task task;
	struct mem_file *file;
	long rc;

	rc = begin(machine, fd, &file, &task);
	if (rc)
		return rc;
	rc = -ENOTTY;
	if (file->ops->ioctl)
		rc = file->ops->ioctl(file, &task.task, (unsigned int)request, (uintptr_t)arg);
	mem_file_put(file);
	return rc;
}

/* Who has an offset takes it; a stream is read and written where it is. */
static ssize_t transfer(struct siommu_machine *machine, int fd, uintptr_t buf, size_t n, u64 offset,
			bool writes)
{
	const struct mem_file_ops *ops;
	struct inproc_task task;
	struct mem_file *file;
	ssize_t rc;

	rc = begin(machine, fd, &file, &task);
	if (rc)
		return rc;
	ops = file->ops;
	rc = -EINVAL;
	if (writes ? ops->pwrite : ops->pread)
		rc = (writes ? ops->pwrite : ops->pread)(file, &task.task, buf, n, offset);
	else if (writes ? ops->write : ops->read)
		rc = (writes ? ops->write : ops->read)(file, &task.task, buf, n);
	mem_file_put(file);
	return rc;
}

ssize_t siommu_vfio_read(struct siommu_machine *machine, int fd, void *buf, size_t n,
			 uint64_t offset)
{
	return transfer(machine, fd, (uintptr_t)buf, n, offset, false);
}

ssize_t siommu_vfio_write(struct siommu_machine *machine, int fd, const void *buf, size_t n,
			  uint64_t offset)
{
	return transfer(machine, fd, (uintptr_t)buf, n, offset, true);
}

static int map(const struct mem_mapping *m, size_t length, int prot, void **out)
{
	void *p;

	if ((prot & PROT_WRITE) && m->trap_start != m->trap_end)
		return -EACCES;
	p = mmap(NULL, length, prot, MAP_SHARED, m->fd, (off_t)m->offset);
	if (p == MAP_FAILED)
		return -errno;
	*out = p;
	return 0;
}

int siommu_vfio_mmap(struct siommu_machine *machine, int fd, size_t length, int prot,
		     uint64_t offset, void **out)
{
	struct mem_mapping mapping;
	struct mem_file *file;
	bool checked;
	int rc;

	rc = inproc_file(machine, NULL, fd, &file, &checked);
	if (rc)
		return rc;
	rc = -ENODEV;
	if (file->ops->mmap)
		rc = file->ops->mmap(file, length, offset, prot, &mapping);
	mem_file_put(file);
	if (rc)
		return rc;
	rc = map(&mapping, length, prot, out);
	close(mapping.fd);
	return rc;
}

int siommu_vfio_close(struct siommu_machine *machine, int fd)
{
	return inproc_close(machine, NULL, fd);
}
