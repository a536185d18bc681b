/* SPDX-License-Identifier: MIT */
/*
 * A context: one open /dev/iommu, inside this process.
 *
 * The ABI is the kernel's: siommu_ioctl() takes the requests and structures of
 * softiommu/abi/iommufd.h. Descriptors that requests return (fault queues,
 * event queues) are real descriptors that can be polled; they are read, written
 * and closed with the functions below.
 */
#ifndef SOFTIOMMU_CONTEXT_H
#define SOFTIOMMU_CONTEXT_H

#include <softiommu/api.h>

SIOMMU_BEGIN_DECLS

/**
 * enum siommu_open_flags - how a context treats its caller
 * @SIOMMU_OPEN_CHECKED: trust no address: every pointer in a request is tested,
 *	a bad one gives EFAULT, and capabilities and RLIMIT_MEMLOCK of this
 *	process count, as in a kernel. Without it, pointers are used as they are
 *	(a bad one is a crash, as with any library), locked memory is not
 *	limited, and calls are several times faster.
 */
enum siommu_open_flags {
	SIOMMU_OPEN_CHECKED = 1 << 0,
};

/**
 * siommu_open() - Open a context, as open("/dev/iommu") would
 * @machine: the machine; it outlives the context
 * @flags: enum siommu_open_flags
 * @out: the context; ended with siommu_close()
 *
 * Context: Any thread.
 * Return: 0; -EINVAL for unknown flags; -ENOMEM.
 */
SIOMMU_API int siommu_open(struct siommu_machine *machine, unsigned int flags,
			   struct siommu_ctx **out);

/**
 * siommu_close() - Close a context
 * @ctx: the context; NULL is fine
 *
 * Its descriptors are closed. Everything in it goes, unless a device is still
 * bound or an access not destroyed: then the last of these ends it. The caller
 * uses @ctx no more. Cannot fail.
 *
 * Context: No other call on @ctx is running.
 */
SIOMMU_API void siommu_close(struct siommu_ctx *ctx);

/**
 * siommu_ioctl() - One request
 * @ctx: the context
 * @request: an IOMMU_* request, or a VFIO type1 one
 * @arg: its structure, or its value where the request takes one
 *
 * Context: Any thread; requests on one context run one after another.
 * Return: 0 or the request's value; -errno, with the kernel's meaning.
 */
SIOMMU_API int siommu_ioctl(struct siommu_ctx *ctx, unsigned long request, void *arg);

/**
 * siommu_read() - read(2) on a descriptor that a request returned
 * @ctx: the context
 * @fd: the descriptor
 * @buf: where to
 * @n: bytes of room
 *
 * Return: bytes; 0 when nothing is queued; -EBADF; -errno of the queue.
 */
SIOMMU_API ssize_t siommu_read(struct siommu_ctx *ctx, int fd, void *buf, size_t n);

/**
 * siommu_write() - write(2) on a descriptor that a request returned
 * @ctx: the context
 * @fd: the descriptor
 * @buf: what
 * @n: how many bytes
 *
 * Return: bytes taken; -EBADF; -errno of the queue.
 */
SIOMMU_API ssize_t siommu_write(struct siommu_ctx *ctx, int fd, const void *buf, size_t n);

/**
 * siommu_close_fd() - close(2) on a descriptor that a request returned
 * @ctx: the context it came from
 * @fd: the descriptor
 *
 * Return: 0, or -EBADF.
 */
SIOMMU_API int siommu_close_fd(struct siommu_ctx *ctx, int fd);

/**
 * siommu_mmap() - mmap(2) of what a vIOMMU offers
 * @ctx: the context
 * @length: bytes; must be what the request said
 * @prot: PROT_READ, PROT_WRITE
 * @offset: the offset that the request returned
 * @out: the mapping; ended with munmap(2)
 *
 * Return: 0; -EINVAL for a length that is not whole pages; -EPERM for
 * PROT_EXEC; -ENXIO if nothing is offered there; -errno of mmap.
 */
SIOMMU_API int siommu_mmap(struct siommu_ctx *ctx, size_t length, int prot, uint64_t offset,
			   void **out);

SIOMMU_END_DECLS

#endif
