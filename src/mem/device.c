// SPDX-License-Identifier: MIT
/* Which files are the memory of devices. There are few, so they are a list. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "mem/device.h"

int mem_device_add(struct mem_host *host, int fd)
{
	struct mem_device *device;
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	device = base_zalloc(host->alloc, sizeof(*device));
	if (!device)
		return -ENOMEM;
	device->fd = fd;
	device->dev = st.st_dev;
	device->ino = st.st_ino;
	pthread_mutex_lock(&host->lock);
	LIST_INSERT_HEAD(&host->devices, device, link);
	pthread_mutex_unlock(&host->lock);
	return 0;
}

void mem_device_remove(struct mem_host *host, int fd)
{
	struct mem_device *device;

	pthread_mutex_lock(&host->lock);
	LIST_FOREACH(device, &host->devices, link)
		if (device->fd == fd)
			break;
	if (device)
		LIST_REMOVE(device, link);
	pthread_mutex_unlock(&host->lock);
	if (device)
		base_free(host->alloc, device, sizeof(*device));
}

void mem_device_renew(struct mem_host *host, int fd)
{
	struct mem_device *device;
	struct stat st;

	if (fstat(fd, &st))
		return;
	pthread_mutex_lock(&host->lock);
	LIST_FOREACH(device, &host->devices, link) {
		if (device->fd == fd) {
			device->dev = st.st_dev;
			device->ino = st.st_ino;
		}
	}
	pthread_mutex_unlock(&host->lock);
}

/* Context: host->lock. */
static struct mem_device *find(struct mem_host *host, const struct mem_vma *vma)
{
	struct mem_device *device;

	if (!vma->shared || !vma->ino)
		return NULL;
	LIST_FOREACH(device, &host->devices, link)
		if (device->ino == vma->ino && device->dev == vma->dev)
			return device;
	return NULL;
}

bool mem_device_is(struct mem_host *host, const struct mem_vma *vma)
{
	bool found;

	pthread_mutex_lock(&host->lock);
	found = find(host, vma);
	pthread_mutex_unlock(&host->lock);
	return found;
}

/* A descriptor of the device's memory that @vma shows. */
static int open_device(struct mem_host *host, const struct mem_vma *vma, int *fd)
{
	struct mem_device *device;
	int rc = -ENOENT;

	pthread_mutex_lock(&host->lock);
	device = find(host, vma);
	if (device) {
		*fd = fcntl(device->fd, F_DUPFD_CLOEXEC, 0);
		rc = *fd < 0 ? -EMFILE : 0;
	}
	pthread_mutex_unlock(&host->lock);
	return rc;
}

/* Does the run that starts with @vma go on up to @last? */
static bool is_one_run(struct mem_space *space, const struct mem_vma *vma, u64 last)
{
	struct mem_vma at = *vma, next;

	while (at.last < last) {
		if (space->ops->find_vma(space, at.last + 1, &next))
			return false;
		if (!next.shared || next.dev != at.dev || next.ino != at.ino ||
		    next.offset + (at.last + 1 - next.start) !=
			    at.offset + (at.last + 1 - at.start))
			return false;
		at = next;
	}
	return true;
}

int mem_device_find(struct mem_space *space, u64 uva, u64 length, int *fd, u64 *offset)
{
	struct mem_vma vma;

	if (!space->ops->find_vma || space->ops->find_vma(space, uva, &vma) ||
	    !mem_device_is(space->host, &vma))
		return -ENOENT;
	if (!is_one_run(space, &vma, uva + length - 1))
		return -EFAULT;
	*offset = vma.offset + (uva - vma.start);
	return open_device(space->host, &vma, fd);
}
