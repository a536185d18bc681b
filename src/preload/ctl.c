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
#include "traps.h"

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
	long ret = 0;

	va_start(ap, request);
	arg = va_arg(ap, unsigned long);
	va_end(ap);
	if (unlikely(_IOC_TYPE(request) == IOMMU_IOCTL_TYPE))
		ret = ctl_ioctl(fd, request, arg, &ours);
	else if (unlikely(KVM_MAYBE_OURS(request)))
		ret = kvm_ioctl(fd, request, arg, &ours);
	if (ours)
		return (int)preload_return(ret);
	return real()->ioctl(fd, request, arg);
}

/*
 * Map @mfd, of which registers are what @reply says. They are for reading only from the
 * first moment.
 */
static long map_parts(void *addr, size_t length, int prot, int flags, int mfd,
		      const struct door_reply *reply)
{
	const uint64_t from = reply->v[0], to = reply->v[1];
	const bool some = to > from;
	long p, ret = 0;

	p = raw6(SYS_mmap, (long)addr, (long)length, some ? traps_prot(prot) : prot, flags, mfd,
		 (long)reply->v[2]);
	if ((p < 0 && p > -4096) || !some || !(prot & PROT_WRITE))
		return p;
	if (from)
		ret = raw3(SYS_mprotect, p, from, prot);
	if (!ret && to < length)
		ret = raw3(SYS_mprotect, p + (long)to, length - to, prot);
	if (!ret)
		return p;
	(void)raw2(SYS_munmap, p, length);
	return ret;
}

/* A pipe could not be mapped; if it is ours, its offsets are the server's. */
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
	struct door_reply reply;
	struct known k;
	long ret, p;
	int mfd;

	if (known_check(fd, &k) == KNOWN_NONE || k.kind == KNOWN_KVM)
		return -ENODEV;
	call.dev = k.dev;
	call.ino = k.ino;
	ret = door_call(&call, &reply, &mfd);
	if (ret < 0)
		return ret;
	if (mfd < 0)
		return -EMFILE;
	p = map_parts(addr, length, prot, flags, mfd, &reply);
	raw_close(mfd);
	if (p < 0 && p > -4096)
		return p;
	ctl_mapped(p, length);
	if (reply.v[1] <= reply.v[0])
		return p;
	ret = traps_add((uint64_t)p + reply.v[0], (uint64_t)p + reply.v[1], offset + reply.v[0], fd,
			&k, prot & PROT_WRITE);
	if (ret < 0) {
		(void)raw2(SYS_munmap, p, length);
		return ret;
	}
	return p;
}

void ctl_mapped(long address, size_t n)
{
	uint64_t start = (uint64_t)address;

	if (unlikely(atomic_load_explicit(&traps_live, memory_order_relaxed)))
		traps_remove(start, (start + n + 4095) & ~UINT64_C(4095));
}

static void *map(void *addr, size_t length, int prot, int flags, int fd, off_t offset,
		 void *(*map_it)(void *, size_t, int, int, int, off_t))
{
	int before = errno, saved;
	void *p = map_it(addr, length, prot, flags, fd, offset);
	long ret;

	if (likely(p != MAP_FAILED)) {
		ctl_mapped((long)p, length);
		return p;
	}
	if (errno != ENODEV || !preload_active)
		return p;
	saved = errno;
	ret = ctl_mmap(addr, length, prot, flags, fd, (uint64_t)offset);
	errno = ret == -ENODEV ? saved : before;
	return (void *)preload_return(ret);
}

PRELOAD_API void *mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	return map(addr, length, prot, flags, fd, offset, real()->mmap);
}

PRELOAD_API void *mmap64(void *addr, size_t length, int prot, int flags, int fd, off64_t offset)
{
	return map(addr, length, prot, flags, fd, offset, real()->mmap64);
}
