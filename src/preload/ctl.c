// SPDX-License-Identifier: MIT
/*
 * ioctl and mmap on contexts.
 *
 * Neither depends on a table: the type byte of the request, or the error that
 * mapping a pipe gives, leads to a look at the descriptor itself. So they work
 * on descriptors that came to this process by any way.
 */
#include <stdarg.h>

#include "raw.h"
#include "real.h"

/* Type byte of VFIO's and of all IOMMU user API requests. */
#define IOMMU_IOCTL_TYPE ';'

long ctl_ioctl(int fd, unsigned long request, unsigned long arg, bool *ours)
{
	struct door_call call = { .op = DOOR_IOCTL, .fd = fd, .a = (uint32_t)request, .b = arg };
	struct known k;

	*ours = preload_active && _IOC_TYPE(request) == IOMMU_IOCTL_TYPE &&
		known_check(fd, &k) != KNOWN_NONE;
	if (!*ours)
		return 0;
	call.dev = k.dev;
	call.ino = k.ino;
	return door_call(&call, NULL, NULL);
}

PRELOAD_API int ioctl(int fd, unsigned long request, ...)
{
	unsigned long arg;
	bool ours = false;
	va_list ap;
	long ret;

	va_start(ap, request);
	arg = va_arg(ap, unsigned long);
	va_end(ap);
	if (unlikely(_IOC_TYPE(request) == IOMMU_IOCTL_TYPE)) {
		ret = ctl_ioctl(fd, request, arg, &ours);
		if (ours)
			return (int)preload_return(ret);
	}
	return real()->ioctl(fd, request, arg);
}

/* A pipe could not be mapped; if it is a context, its offsets are the server's. */
long ctl_mmap(void *addr, size_t length, int prot, int flags, int fd, uint64_t offset)
{
	struct door_call call = {
		.op = DOOR_MMAP,
		.fd = fd,
		.a = length,
		.b = offset,
		.c = (uint64_t)(uint32_t)prot,
		.d = (uint64_t)(uint32_t)flags,
	};
	struct known k;
	long ret;
	int mfd;

	if (known_check(fd, &k) != KNOWN_CONTEXT)
		return -ENODEV;
	call.dev = k.dev;
	call.ino = k.ino;
	ret = door_call(&call, NULL, &mfd);
	if (ret < 0)
		return ret;
	if (mfd < 0)
		return -EMFILE;
	ret = raw6(SYS_mmap, (long)addr, (long)length, prot, flags, mfd, 0);
	raw_close(mfd);
	return ret;
}

static void *map(void *addr, size_t length, int prot, int flags, int fd, off_t offset,
		 void *(*map_it)(void *, size_t, int, int, int, off_t))
{
	int before = errno;
	void *p = map_it(addr, length, prot, flags, fd, offset);

	if (likely(p != MAP_FAILED || errno != ENODEV) || !preload_active)
		return p;
	errno = before;
	return (void *)preload_return(ctl_mmap(addr, length, prot, flags, fd, (uint64_t)offset));
}

PRELOAD_API void *mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	return map(addr, length, prot, flags, fd, offset, real()->mmap);
}

PRELOAD_API void *mmap64(void *addr, size_t length, int prot, int flags, int fd, off64_t offset)
{
	return map(addr, length, prot, flags, fd, offset, real()->mmap64);
}
