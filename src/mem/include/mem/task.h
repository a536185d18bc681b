/* SPDX-License-Identifier: MIT */
/*
 * The caller of an ioctl, and the one interface in which the doors differ.
 *
 * A kernel has "current", copy_from_user() and fget(); we have a task. The
 * in-process door answers with plain copies, the server with reads of another
 * process. Everything below the doors is written once, against this.
 *
 * A task lives for one call and is used by one thread.
 */
#ifndef MEM_TASK_H
#define MEM_TASK_H

#include "base/types.h"
#include "mem/file.h"

struct mem_space;
struct siommu_task;

/**
 * struct siommu_task_ops - what a door provides
 * @copy_in: copy @n bytes from the caller's address @src; 0 or -EFAULT
 * @copy_out: copy @n bytes to the caller's address @dst; 0 or -EFAULT
 * @open_fd: a descriptor in this process for the same open file as the caller's
 *	@fd; the callee of open_fd owns it and closes it. -EBADF if there is none
 * @get_file: our file behind the caller's descriptor, with a reference taken.
 *	-EBADF if there is no such descriptor, -EBADFD if it is not one of ours
 * @install_file: give the caller a descriptor (close-on-exec) for @file.
 *	The number, and the door holds the file's initial reference from now on;
 *	-EMFILE or -ENOMEM, and nothing has changed
 * @remove_file: take back what install_file gave, in the same call: the number
 *	is closed and the initial reference returns to the caller of this
 * @capable: the caller has this capability (CAP_* of linux/capability.h)
 */
struct siommu_task_ops {
	int (*copy_in)(struct siommu_task *task, void *dst, u64 src, size_t n);
	int (*copy_out)(struct siommu_task *task, u64 dst, const void *src, size_t n);
	int (*open_fd)(struct siommu_task *task, int fd);
	int (*get_file)(struct siommu_task *task, int fd, struct mem_file **file);
	int (*install_file)(struct siommu_task *task, struct mem_file *file);
	void (*remove_file)(struct siommu_task *task, int fd);
	bool (*capable)(struct siommu_task *task, int cap);
};

/**
 * struct siommu_task - the caller
 * @ops: the door's functions
 * @space: the address space it runs in; the task holds no reference of its own,
 *	the door keeps the space alive during the call
 */
struct siommu_task {
	const struct siommu_task_ops *ops;
	struct mem_space *space;
};

static inline int __must_check task_copy_in(struct siommu_task *task, void *dst, u64 src, size_t n)
{
	return n ? task->ops->copy_in(task, dst, src, n) : 0;
}

static inline int __must_check task_copy_out(struct siommu_task *task, u64 dst, const void *src,
					     size_t n)
{
	return n ? task->ops->copy_out(task, dst, src, n) : 0;
}

/*
 * Copy a structure that may have grown on either side: @usize bytes at @src
 * into @ksize bytes at @dst. What the caller left out reads as zero; what it
 * has beyond @ksize must be zero.
 *
 * Return: 0; -E2BIG for a tail that is not zero; -EFAULT.
 */
int __must_check task_copy_struct_in(struct siommu_task *task, void *dst, size_t ksize, u64 src,
				     u64 usize);

/* Write @n zero bytes at the caller's @dst. Return: 0 or -EFAULT. */
int __must_check task_clear(struct siommu_task *task, u64 dst, u64 n);

#endif
