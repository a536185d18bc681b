/* SPDX-License-Identifier: MIT */
/*
 * VFIO inside this process: the descriptors that programs get from /dev/vfio, without
 * a server. The ABI is the kernel's, as linux/vfio.h declares it.
 *
 * A descriptor here is a real one, so its number cannot be mistaken, but what it does
 * is done by the functions below. They also take what requests return: devices from
 * VFIO_GROUP_GET_DEVICE_FD, migration data. A context gets a number for
 * VFIO_DEVICE_BIND_IOMMUFD and VFIO_GROUP_SET_CONTAINER from siommu_vfio_context().
 */
#ifndef SOFTIOMMU_VFIO_H
#define SOFTIOMMU_VFIO_H

#include <sys/types.h>

#include <softiommu/api.h>

SIOMMU_BEGIN_DECLS

/**
 * siommu_vfio_open() - Open a VFIO file
 * @machine: the machine; it outlives the descriptor
 * @path: "/dev/vfio/vfio", "/dev/vfio/N" or "/dev/vfio/devices/vfioN"
 * @flags: enum siommu_open_flags: how calls on it treat their pointers
 *
 * Context: Any thread.
 * Return: a descriptor, ended with siommu_vfio_close(); -ENOENT; -EBUSY for a group
 * that is open; -EINVAL; -EMFILE; -ENOMEM.
 */
SIOMMU_API int siommu_vfio_open(struct siommu_machine *machine, const char *path,
				unsigned int flags);

/**
 * siommu_vfio_context() - A descriptor for a context
 * @ctx: the context; it is not closed before the descriptor
 *
 * Return: a descriptor, ended with siommu_vfio_close(); -EMFILE; -ENOMEM.
 */
SIOMMU_API int siommu_vfio_context(struct siommu_ctx *ctx);

/**
 * siommu_vfio_ioctl() - One request
 * @machine: the machine
 * @fd: the descriptor
 * @request: VFIO_*
 * @arg: its structure, or its value where it takes one
 *
 * Context: Any thread.
 * Return: as ioctl(2), with -errno for errors; -EBADF for a number that is none of ours.
 */
SIOMMU_API long siommu_vfio_ioctl(struct siommu_machine *machine, int fd, unsigned long request,
				  void *arg);

/**
 * siommu_vfio_read() - pread(2) of a region, or read(2) of what has no offsets
 * @machine: the machine
 * @fd: the descriptor
 * @buf: where to
 * @n: bytes
 * @offset: where from
 *
 * Return: bytes, or -errno.
 */
SIOMMU_API ssize_t siommu_vfio_read(struct siommu_machine *machine, int fd, void *buf, size_t n,
				    uint64_t offset);

/**
 * siommu_vfio_write() - pwrite(2) of a region, or write(2) of what has no offsets
 * @machine: the machine
 * @fd: the descriptor
 * @buf: what
 * @n: bytes
 * @offset: where to
 *
 * Return: bytes, or -errno.
 */
SIOMMU_API ssize_t siommu_vfio_write(struct siommu_machine *machine, int fd, const void *buf,
				     size_t n, uint64_t offset);

/**
 * siommu_vfio_mmap() - mmap(2) of a region
 * @machine: the machine
 * @fd: the descriptor
 * @length: bytes
 * @prot: PROT_READ, PROT_WRITE
 * @offset: where
 * @out: the mapping; ended with munmap(2)
 *
 * There is nobody here to catch stores to registers: what has them can be mapped for
 * reading only.
 *
 * Return: 0; -EACCES for writing to registers; -EINVAL; -errno of mmap.
 */
SIOMMU_API int siommu_vfio_mmap(struct siommu_machine *machine, int fd, size_t length, int prot,
				uint64_t offset, void **out);

/**
 * siommu_vfio_close() - close(2)
 * @machine: the machine
 * @fd: the descriptor
 *
 * Return: 0, or -EBADF.
 */
SIOMMU_API int siommu_vfio_close(struct siommu_machine *machine, int fd);

SIOMMU_END_DECLS

#endif
