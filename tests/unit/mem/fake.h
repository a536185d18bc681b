/* SPDX-License-Identifier: MIT */
/*
 * A caller in another process, as the memory layer sees one: a space that is
 * not this process, with one stretch of memory at FAKE_BASE, and a task in it.
 */
#ifndef UNIT_MEM_FAKE_H
#define UNIT_MEM_FAKE_H

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mem/pages.h"
#include "unit.h"

/* Far from anything that this process has. */
#define FAKE_BASE ((u64)0x123400000000)

/**
 * struct fake - the other process
 * @space: its address space
 * @task: a call of it
 * @memory: what is at FAKE_BASE, mapped here
 * @bytes: how much
 * @fd: a memfd behind it that @space may open, or -1
 * @limit: its RLIMIT_MEMLOCK
 * @gone: it has exited
 * @readonly: it mapped the memory without write permission
 * @copies: bytes that were read or written through it
 * @released: its space was released
 */
struct fake {
	struct mem_space space;
	struct siommu_task task;
	u8 *memory;
	u64 bytes;
	int fd;
	u64 limit;
	bool gone;
	bool readonly;
	u64 copies;
	bool released;
};

static struct base_alloc account;
static struct mem_host host;

static inline struct fake *to_fake(struct mem_space *space)
{
	return container_of(space, struct fake, space);
}

static inline void *fake_at(struct fake *f, u64 uva, size_t n)
{
	if (f->gone || uva < FAKE_BASE || uva - FAKE_BASE > f->bytes ||
	    n > f->bytes - (uva - FAKE_BASE))
		return NULL;
	return f->memory + (uva - FAKE_BASE);
}

static inline int fake_read(struct mem_space *space, u64 uva, void *buf, size_t n)
{
	void *p = fake_at(to_fake(space), uva, n);

	if (!p)
		return -EFAULT;
	to_fake(space)->copies += n;
	memcpy(buf, p, n);
	return 0;
}

static inline int fake_write(struct mem_space *space, u64 uva, const void *buf, size_t n)
{
	void *p = fake_at(to_fake(space), uva, n);

	if (!p)
		return -EFAULT;
	to_fake(space)->copies += n;
	memcpy(p, buf, n);
	return 0;
}

static inline int fake_find_vma(struct mem_space *space, u64 uva, struct mem_vma *vma)
{
	struct fake *f = to_fake(space);
	struct stat st;

	if (!fake_at(f, uva, 1))
		return -EFAULT;
	*vma = (struct mem_vma){
		.start = FAKE_BASE,
		.last = FAKE_BASE + f->bytes - 1,
		.page_bytes = PAGE_BYTES,
		.readable = true,
		.writable = !f->readonly,
	};
	if (f->fd >= 0 && !fstat(f->fd, &st)) {
		vma->shared = true;
		vma->dev = st.st_dev;
		vma->ino = st.st_ino;
	}
	return 0;
}

static inline int fake_open_vma(struct mem_space *space, const struct mem_vma *vma)
{
	(void)vma;
	return to_fake(space)->fd >= 0 ? dup(to_fake(space)->fd) : -ENOENT;
}

static inline u64 fake_limit(struct mem_space *space)
{
	return to_fake(space)->limit;
}

static inline void fake_release(struct mem_space *space)
{
	to_fake(space)->released = true;
}

static const struct mem_space_ops fake_space_ops = {
	.read = fake_read,
	.write = fake_write,
	.find_vma = fake_find_vma,
	.open_vma = fake_open_vma,
	.memlock_limit = fake_limit,
	.release = fake_release,
};

static inline int fake_copy_in(struct siommu_task *task, void *dst, u64 src, size_t n)
{
	return fake_read(task->space, src, dst, n);
}

static inline int fake_copy_out(struct siommu_task *task, u64 dst, const void *src, size_t n)
{
	return fake_write(task->space, dst, src, n);
}

static const struct siommu_task_ops fake_task_ops = {
	.copy_in = fake_copy_in,
	.copy_out = fake_copy_out,
};

/* The memory is private if @fd is -1. The space has one reference. */
static inline void fake_init(struct fake *f, u32 uid, u64 npages, int fd)
{
	*f = (struct fake){ .bytes = npages << PAGE_LG2, .fd = fd, .limit = U64_MAX };
	f->memory = mmap(NULL, f->bytes, PROT_READ | PROT_WRITE,
			 fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);
	ASSERT_TRUE(f->memory != MAP_FAILED);
	ASSERT_OK(mem_space_init(&f->space, &fake_space_ops, &host, uid));
	f->task = (struct siommu_task){ .ops = &fake_task_ops, .space = &f->space };
}

static inline void fake_end(struct fake *f)
{
	mem_space_put(&f->space);
	EXPECT_TRUE(f->released);
	munmap(f->memory, f->bytes);
}

static inline int new_memfd(u64 bytes)
{
	int fd = memfd_create("unit", MFD_CLOEXEC);

	ASSERT_TRUE(fd >= 0 && !ftruncate(fd, (off_t)bytes));
	return fd;
}

static inline void host_setup(void)
{
	static struct base_log silent;

	memset(&account, 0, sizeof(account));
	mem_host_init(&host, &account, &silent);
}

static inline void host_teardown(void)
{
	EXPECT_TRUE(LIST_EMPTY(&host.pinned) && LIST_EMPTY(&host.users));
	EXPECT_TRUE(itree_empty(&host.regions));
	EXPECT_EQ(0, account.blocks);
	EXPECT_EQ(0, account.bytes);
	mem_host_destroy(&host);
}

__attribute__((constructor)) static void fake_register(void)
{
	unit.setup = host_setup;
	unit.teardown = host_teardown;
}

#endif
