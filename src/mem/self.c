// SPDX-License-Identifier: MIT
/*
 * The space of this very process. Trusted, it is plain memcpy and every address
 * is taken as good. Checked, copies go through the kernel, which reports a bad
 * address instead of raising a signal, and addresses are looked up before they
 * are pinned.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#include "mem/procmaps.h"
#include "mem/self.h"

struct self_space {
	struct mem_space space;
	int maps_fd; /* checked only */
};

int self_copy(void *dst, const void *src, size_t n)
{
	struct iovec local, remote;
	pid_t pid = getpid();

	/* The kernel writes the first and reads the second; either may be bad. */
	while (n) {
		ssize_t done;

		local.iov_base = dst;
		remote.iov_base = (void *)src;
		local.iov_len = remote.iov_len = n;
		done = process_vm_readv(pid, &local, 1, &remote, 1, 0);
		if (done <= 0)
			return -EFAULT;
		dst = (char *)dst + done;
		src = (const char *)src + done;
		n -= (size_t)done;
	}
	return 0;
}

static int trusted_read(struct mem_space *space, u64 uva, void *buf, size_t n)
{
	(void)space;
	memcpy(buf, (const void *)(uintptr_t)uva, n);
	return 0;
}

static int trusted_write(struct mem_space *space, u64 uva, const void *buf, size_t n)
{
	(void)space;
	memcpy((void *)(uintptr_t)uva, buf, n);
	return 0;
}

static int checked_read(struct mem_space *space, u64 uva, void *buf, size_t n)
{
	(void)space;
	return self_copy(buf, (const void *)(uintptr_t)uva, n);
}

static int checked_write(struct mem_space *space, u64 uva, const void *buf, size_t n)
{
	(void)space;
	return self_copy((void *)(uintptr_t)uva, buf, n);
}

static int checked_find_vma(struct mem_space *space, u64 uva, struct mem_vma *vma)
{
	return procmaps_find(container_of(space, struct self_space, space)->maps_fd, uva, vma);
}

static u64 unlimited(struct mem_space *space)
{
	(void)space;
	return U64_MAX;
}

static u64 memlock_limit(struct mem_space *space)
{
	struct rlimit lim;

	(void)space;
	if (getrlimit(RLIMIT_MEMLOCK, &lim) || lim.rlim_cur == RLIM_INFINITY)
		return U64_MAX;
	return lim.rlim_cur;
}

static void self_release(struct mem_space *space)
{
	struct self_space *self = container_of(space, struct self_space, space);

	if (self->maps_fd >= 0)
		close(self->maps_fd);
	base_free(space->host->alloc, self, sizeof(*self));
}

static const struct mem_space_ops trusted_ops = {
	.read = trusted_read,
	.write = trusted_write,
	.memlock_limit = unlimited,
	.release = self_release,
};

static const struct mem_space_ops checked_ops = {
	.read = checked_read,
	.write = checked_write,
	.find_vma = checked_find_vma,
	.memlock_limit = memlock_limit,
	.release = self_release,
};

int mem_space_self(struct mem_host *host, bool checked, struct mem_space **out)
{
	struct self_space *self;
	int rc;

	self = base_zalloc(host->alloc, sizeof(*self));
	if (!self)
		return -ENOMEM;
	self->maps_fd = -1;
	if (checked) {
		self->maps_fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
		if (self->maps_fd < 0) {
			rc = -errno;
			goto err_free;
		}
	}
	rc = mem_space_init(&self->space, checked ? &checked_ops : &trusted_ops, host, getuid());
	if (rc)
		goto err_close;
	self->space.direct = true;
	*out = &self->space;
	return 0;

err_close:
	if (self->maps_fd >= 0)
		close(self->maps_fd);
err_free:
	base_free(host->alloc, self, sizeof(*self));
	return rc;
}
