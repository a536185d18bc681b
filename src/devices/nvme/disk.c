// SPDX-License-Identifier: MIT
/*
 * Where the bytes of a namespace are: in memory, in a file, or on a block device. They go
 * through the host's page cache; what the driver was told is durable has been through
 * fdatasync() or RWF_DSYNC.
 *
 * The kernel says once that something of a file could not be written back, to whoever asks
 * first. That may be a write that is to be durable, and what is lost another one before
 * it: so the next flush fails as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "nvme.h"

static int complain(const struct pci_params *params, const char *path, int rc)
{
	if (params->error_bytes)
		snprintf(params->error, params->error_bytes, "%s: %s", path, strerror(-rc));
	return rc;
}

/* How large is what was opened? */
static int size_of(int fd, u64 *bytes)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (S_ISBLK(st.st_mode))
		return ioctl(fd, BLKGETSIZE64, bytes) ? -errno : 0;
	if (!S_ISREG(st.st_mode))
		return -ENOTBLK;
	*bytes = (u64)st.st_size;
	return 0;
}

/* A file that is smaller than was asked for grows; a device cannot. */
static int grow(int fd, u64 bytes, u64 *have)
{
	if (*have >= bytes)
		return 0;
	if (ftruncate(fd, (off_t)bytes))
		return -errno;
	*have = bytes;
	return 0;
}

static int open_file(struct nvme_disk *disk, const char *path, u64 bytes)
{
	int flags = O_CLOEXEC | (disk->ro ? O_RDONLY : O_RDWR);
	int fd, rc;

	if (bytes && !disk->ro)
		flags |= O_CREAT;
	fd = open(path, flags, 0644);
	if (fd < 0)
		return -errno;
	rc = size_of(fd, &disk->bytes);
	if (!rc && !disk->ro)
		rc = grow(fd, bytes, &disk->bytes);
	if (rc) {
		close(fd);
		return rc;
	}
	disk->fd = fd;
	return 0;
}

int nvme_disk_open(struct nvme_disk *disk, const struct pci_params *params, const char *path,
		   u64 bytes, bool ro)
{
	int rc;

	*disk = (struct nvme_disk){ .fd = -1, .ro = ro };
	if (*path) {
		rc = open_file(disk, path, bytes);
		return rc ? complain(params, path, rc) : 0;
	}
	disk->memory = base_zalloc_sparse(params->alloc, bytes);
	if (!disk->memory)
		return -ENOMEM;
	disk->bytes = bytes;
	return 0;
}

void nvme_disk_close(struct nvme_disk *disk, struct base_alloc *alloc)
{
	base_free_sparse(alloc, disk->memory, disk->bytes);
	if (disk->fd >= 0)
		close(disk->fd);
}

int nvme_disk_read(const struct nvme_disk *disk, u64 at, void *buf, size_t n)
{
	u8 *to = buf;

	if (disk->memory) {
		memcpy(buf, disk->memory + at, n);
		return 0;
	}
	while (n) {
		ssize_t got = pread(disk->fd, to, n, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		/* Somebody has made the file shorter. */
		if (got <= 0)
			return got ? -errno : -EIO;
		to += got;
		at += (u64)got;
		n -= (size_t)got;
	}
	return 0;
}

/* Return: the error that errno has. */
static int note_loss(struct nvme_disk *disk)
{
	const int rc = -errno;

	atomic_store(&disk->lost, rc);
	return rc;
}

static int sync_file(struct nvme_disk *disk)
{
	return fdatasync(disk->fd) ? note_loss(disk) : 0;
}

static ssize_t write_once(const struct nvme_disk *disk, u64 at, const void *buf, size_t n,
			  bool *durable)
{
	const struct iovec iov = { (void *)buf, n };
	ssize_t done;

	if (!*durable)
		return pwrite(disk->fd, buf, n, (off_t)at);
	done = pwritev2(disk->fd, &iov, 1, (off_t)at, RWF_DSYNC);
	if (done >= 0 || errno != EOPNOTSUPP)
		return done;
	/* A filesystem that cannot: it is flushed afterwards. */
	*durable = false;
	return pwrite(disk->fd, buf, n, (off_t)at);
}

int nvme_disk_write(struct nvme_disk *disk, u64 at, const void *buf, size_t n, bool durable)
{
	bool directly = durable;
	const u8 *from = buf;

	if (disk->memory) {
		memcpy(disk->memory + at, buf, n);
		return 0;
	}
	while (n) {
		ssize_t done = write_once(disk, at, from, n, &directly);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return directly ? note_loss(disk) : -errno;
		if (!done)
			return -EIO;
		from += done;
		at += (u64)done;
		n -= (size_t)done;
	}
	return durable && !directly ? sync_file(disk) : 0;
}

int nvme_disk_flush(struct nvme_disk *disk)
{
	if (disk->memory || disk->ro)
		return 0;
	(void)sync_file(disk);
	return atomic_exchange(&disk->lost, 0);
}

/* Whole pages are given back. */
static void zero_memory(u8 *at, u64 n)
{
	u64 first = align_up((uintptr_t)at, PAGE_BYTES), end = (uintptr_t)at + n;
	u64 pages_end = align_down(end, PAGE_BYTES);

	if (first >= pages_end ||
	    madvise((void *)(uintptr_t)first, pages_end - first, MADV_DONTNEED)) {
		memset(at, 0, n);
		return;
	}
	memset(at, 0, first - (uintptr_t)at);
	memset((void *)(uintptr_t)pages_end, 0, end - pages_end);
}

static int zero_by_writing(struct nvme_disk *disk, u64 at, u64 n)
{
	static const u8 zeros[65536];
	int rc = 0;

	while (n && !rc) {
		u64 bytes = min_u64(n, sizeof(zeros));

		rc = nvme_disk_write(disk, at, zeros, bytes, false);
		at += bytes;
		n -= bytes;
	}
	return rc;
}

static int zero_file(struct nvme_disk *disk, u64 at, u64 n, bool give_up)
{
	int mode = give_up ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;

	if (!fallocate(disk->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)n))
		return 0;
	/* Not every filesystem can, nor does it every range of a device. */
	return zero_by_writing(disk, at, n);
}

int nvme_disk_zero(struct nvme_disk *disk, u64 at, u64 n, bool give_up, bool durable)
{
	int rc;

	if (disk->memory) {
		zero_memory(disk->memory + at, n);
		return 0;
	}
	rc = zero_file(disk, at, n, give_up);
	return !rc && durable ? sync_file(disk) : rc;
}

void nvme_disk_discard(const struct nvme_disk *disk, u64 at, u64 n)
{
	if (disk->memory) {
		zero_memory(disk->memory + at, n);
		return;
	}
	/* It is advice: where it cannot be followed, everything stays as it is. */
	(void)!fallocate(disk->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)n);
}
