/* SPDX-License-Identifier: MIT */
/*
 * Descriptors of our own: what a caller gets from FAULT_QUEUE_ALLOC and the
 * like. The core makes a mem_file; the door turns it into a number in the
 * caller's descriptor table, forwards reads and writes, shows readiness to
 * poll, and drops its reference at the last close.
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
 * struct mem_file_ops - behaviour of one kind of file
 * @name: what the kernel calls the same anonymous inode, for listings
 * @polls_out: poll says POLLOUT at all times
 * @read: read(2) into the caller's memory at @ubuf; bytes or -errno; NULL is -EINVAL
 * @write: write(2) from the caller's memory; NULL is -EINVAL
 * @release: the last reference is gone
 */
struct mem_file_ops {
	const char *name;
	bool polls_out;
	ssize_t (*read)(struct mem_file *file, struct siommu_task *task, u64 ubuf, size_t n);
	ssize_t (*write)(struct mem_file *file, struct siommu_task *task, u64 ubuf, size_t n);
	void (*release)(struct mem_file *file);
};

/**
 * struct mem_file - one open file of ours
 * @ops: its kind
 * @refs: references; the door's counts as one
 * @lock: covers what follows; a leaf lock
 * @set_readable: installed by the door: make poll say POLLIN, or stop saying it.
 *	Called with @lock and the owner's lock held; must not block or call back
 * @door: the door's own pointer
 */
struct mem_file {
	const struct mem_file_ops *ops;
	_Atomic unsigned int refs;
	pthread_mutex_t lock;
	void (*set_readable)(struct mem_file *file, bool readable);
	void *door;
};

static inline void mem_file_init(struct mem_file *file, const struct mem_file_ops *ops)
{
	file->ops = ops;
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
