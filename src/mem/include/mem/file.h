/* SPDX-License-Identifier: MIT */
/*
 * Descriptors of our own: what a caller gets from open("/dev/iommu"), from
 * FAULT_QUEUE_ALLOC and the like. Whoever serves it makes a mem_file; the door turns
 * it into a number in the caller's descriptor table, forwards what is done to
 * it, shows readiness to poll, and drops its reference at the last close.
 */
#ifndef MEM_FILE_H
#define MEM_FILE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "base/types.h"

struct mem_file;
struct siommu_task;

/**
 * struct mem_mapping - what there is to be mapped of a file
 * @fd: a descriptor that the caller of mmap maps, with MAP_SHARED, and closes
 * @offset: where in it
 * @trap_start: first byte of the mapping that holds registers: the program may
 *	map them for reading only, and its stores there are to be given to pwrite
 * @trap_end: end of these; equal to @trap_start if there are none
 */
struct mem_mapping {
	int fd;
	u64 offset;
	u64 trap_start;
	u64 trap_end;
};

/**
 * struct mem_file_ops - behaviour of one kind of file
 * @name: what the kernel calls the same anonymous inode, for listings
 * @polls_out: poll says POLLOUT at all times
 * @polls_always: poll says that it is ready for everything, at all times
 * @raw_writes: what a program writes without the door's knowing, by a libc's own
 *	buffers say, is to be taken for a write at offset 0
 * @read: read(2) into the caller's memory at @ubuf; bytes or -errno; NULL is -EINVAL
 * @write: write(2) from the caller's memory; NULL is -EINVAL
 * @pread: the same for a file with offsets; it has neither @read nor @write then
 * @pwrite: the same
 * @ioctl: one ioctl; @arg is the caller's address or value; NULL is -ENOTTY
 * @mmap: @length bytes at @offset are to be mapped with @prot; 0 and @out, or
 *	-errno; NULL is -ENODEV
 * @release: the last reference is gone
 */
struct mem_file_ops {
	const char *name;
	bool polls_out;
	bool polls_always;
	bool raw_writes;
	ssize_t (*read)(struct mem_file *file, struct siommu_task *task, u64 ubuf, size_t n);
	ssize_t (*write)(struct mem_file *file, struct siommu_task *task, u64 ubuf, size_t n);
	ssize_t (*pread)(struct mem_file *file, struct siommu_task *task, u64 ubuf, size_t n,
			 u64 offset);
	ssize_t (*pwrite)(struct mem_file *file, struct siommu_task *task, u64 ubuf, size_t n,
			  u64 offset);
	long (*ioctl)(struct mem_file *file, struct siommu_task *task, unsigned int request,
		      u64 arg);
	int (*mmap)(struct mem_file *file, u64 length, u64 offset, int prot,
		    struct mem_mapping *out);
	void (*release)(struct mem_file *file);
};

/**
 * struct mem_file - one open file of ours
 * @ops: its kind
 * @major: of the device node that it is an opening of; 0 for none
 * @minor: the same
 * @refs: references; the door's counts as one
 * @lock: covers what follows; a leaf lock
 * @set_readable: installed by the door: make poll say POLLIN, or stop saying it.
 *	Called with @lock and the owner's lock held; must not block or call back
 * @door: the door's own pointer
 */
struct mem_file {
	const struct mem_file_ops *ops;
	u32 major;
	u32 minor;
	_Atomic unsigned int refs;
	pthread_mutex_t lock;
	void (*set_readable)(struct mem_file *file, bool readable);
	void *door;
};

static inline void mem_file_init(struct mem_file *file, const struct mem_file_ops *ops)
{
	file->ops = ops;
	file->major = 0;
	file->minor = 0;
	atomic_store(&file->refs, 1);
	pthread_mutex_init(&file->lock, NULL);
	file->set_readable = NULL;
	file->door = NULL;
}

/*
 * For the owner, when the memory goes. That may be long after the release: the
 * owner may go on to say what there is to read when nobody can read it any more.
 */
static inline void mem_file_destroy(struct mem_file *file)
{
	pthread_mutex_destroy(&file->lock);
}

static inline void mem_file_get(struct mem_file *file)
{
	atomic_fetch_add(&file->refs, 1);
}

/* For who knows a file only by hearsay: false if it is being released. */
static inline bool __must_check mem_file_tryget(struct mem_file *file)
{
	unsigned int refs = atomic_load(&file->refs);

	while (refs)
		if (atomic_compare_exchange_weak(&file->refs, &refs, refs + 1))
			return true;
	return false;
}

static inline void mem_file_put(struct mem_file *file)
{
	if (atomic_fetch_sub(&file->refs, 1) == 1)
		file->ops->release(file);
}

/* For the owner: there is something to read, or nothing any more. */
static inline void mem_file_show_readable(struct mem_file *file, bool readable)
{
	pthread_mutex_lock(&file->lock);
	if (file->set_readable)
		file->set_readable(file, readable);
	pthread_mutex_unlock(&file->lock);
}

/* For the door: when this has returned, @set_readable is not called any more. */
static inline void mem_file_silence(struct mem_file *file)
{
	pthread_mutex_lock(&file->lock);
	file->set_readable = NULL;
	pthread_mutex_unlock(&file->lock);
}

#endif
