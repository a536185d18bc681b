/* SPDX-License-Identifier: MIT */
/*
 * Memory of devices that programs can map: BARs, each the memory file of a model.
 *
 * It is not memory that can be pinned: a kernel has no pages behind it. So a page list of
 * a caller's addresses refuses it, and who can map it for other devices all the same, as
 * VFIO containers can, asks here which file it is.
 */
#ifndef MEM_DEVICE_H
#define MEM_DEVICE_H

#include "mem/space.h"

/**
 * struct mem_device - the memory of a device
 * @link: in host->devices
 * @fd: the file; its maker's, who keeps it open
 * @dev: its device
 * @ino: its inode
 */
struct mem_device {
	LIST_ENTRY(mem_device) link;
	int fd;
	u64 dev;
	u64 ino;
};

/* Before anybody can map it, and when nobody does any more. Return: 0; -ENOMEM; -EBADF. */
int mem_device_add(struct mem_host *host, int fd) __must_check;
void mem_device_remove(struct mem_host *host, int fd);

/* Another file has the number @fd now. */
void mem_device_renew(struct mem_host *host, int fd);

/* Is that what is mapped there? */
bool mem_device_is(struct mem_host *host, const struct mem_vma *vma);

/*
 * Are the @length bytes at @uva a run of one device's memory? Then *@fd is a new
 * descriptor of its file, which starts at *@offset there. That some pages of it may be
 * mapped for reading only does not matter. Return: 0; -ENOENT if nothing is known to be at
 * @uva or it is something else; -EFAULT if only the beginning is; -EMFILE.
 */
int mem_device_find(struct mem_space *space, u64 uva, u64 length, int *fd,
		    u64 *offset) __must_check;

#endif
