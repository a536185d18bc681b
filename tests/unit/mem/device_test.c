// SPDX-License-Identifier: MIT
/* Memory of devices: found where it is mapped, and not pinned. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mem/device.h"
#include "mem/pages.h"
#include "unit.h"

#define PAGES 4

static struct base_alloc account;
static struct base_log no_log;
static struct mem_host host;
static struct mem_space *space;
static int bar, other;

static int file(void)
{
	int fd = memfd_create("device", MFD_CLOEXEC);

	ASSERT_TRUE(fd >= 0 && !ftruncate(fd, PAGES * PAGE_BYTES));
	return fd;
}

static void begin(void)
{
	mem_host_init(&host, &account, &no_log);
	ASSERT_EQ(0, mem_space_self(&host, true, &space));
	bar = file();
	other = file();
	ASSERT_EQ(0, mem_device_add(&host, bar));
}

static void end(void)
{
	mem_device_remove(&host, bar);
	close(bar);
	close(other);
	mem_space_put(space);
	mem_host_destroy(&host);
	EXPECT_EQ(0, account.blocks);
}

/* Room for all pages and one more, where nothing is yet. */
static u8 *reserve(void)
{
	u8 *p = mmap(NULL, (PAGES + 1) * PAGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_TRUE(p != MAP_FAILED);
	return p;
}

static void put(u8 *at, int fd, u64 page, u64 npages, int prot, int flags)
{
	ASSERT_TRUE(mmap(at, npages * PAGE_BYTES, prot, flags | MAP_FIXED, fd,
			 (off_t)(page * PAGE_BYTES)) == at);
}

static int find(const u8 *at, u64 npages, u64 *offset)
{
	struct stat want, have;
	int fd = -1;
	int rc = mem_device_find(space, (uintptr_t)at, npages * PAGE_BYTES, &fd, offset);

	if (rc)
		return rc;
	EXPECT_EQ(0, fstat(fd, &have));
	EXPECT_EQ(0, fstat(bar, &want));
	EXPECT_EQ(want.st_ino, have.st_ino);
	EXPECT_TRUE(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	return 0;
}

TEST(found_where_it_is_mapped)
{
	u8 *p;
	u64 offset;

	begin();
	p = reserve();
	put(p, bar, 0, 4, PROT_READ | PROT_WRITE, MAP_SHARED);
	EXPECT_RC(0, find(p, 4, &offset));
	EXPECT_EQ(0, offset);
	EXPECT_RC(0, find(p + PAGE_BYTES, 2, &offset));
	EXPECT_EQ(PAGE_BYTES, offset);
	/* It ends there. */
	EXPECT_RC(-EFAULT, find(p + PAGE_BYTES, 4, &offset));
	EXPECT_RC(-ENOENT, find(p + 4 * PAGE_BYTES, 1, &offset));
	munmap(p, 5 * PAGE_BYTES);
	end();
}

TEST(pieces_of_it_are_one_run_in_its_order_only)
{
	u8 *p;
	u64 offset;

	begin();
	p = reserve();
	put(p, bar, 1, 1, PROT_READ, MAP_SHARED);
	put(p + PAGE_BYTES, bar, 2, 2, PROT_READ | PROT_WRITE, MAP_SHARED);
	EXPECT_RC(0, find(p, 3, &offset));
	EXPECT_EQ(PAGE_BYTES, offset);
	put(p + PAGE_BYTES, bar, 3, 1, PROT_READ, MAP_SHARED);
	EXPECT_RC(0, find(p, 1, &offset));
	EXPECT_RC(-EFAULT, find(p, 2, &offset));
	put(p + PAGE_BYTES, other, 2, 1, PROT_READ, MAP_SHARED);
	EXPECT_RC(-EFAULT, find(p, 2, &offset));
	put(p + PAGE_BYTES, bar, 2, 1, PROT_READ, MAP_PRIVATE);
	EXPECT_RC(-EFAULT, find(p, 2, &offset));
	munmap(p, 5 * PAGE_BYTES);
	end();
}

TEST(other_memory_is_not_it)
{
	u8 *p;
	u64 offset;

	begin();
	p = reserve();
	EXPECT_RC(-ENOENT, find(p, 1, &offset));
	put(p, other, 0, 4, PROT_READ, MAP_SHARED);
	EXPECT_RC(-ENOENT, find(p, 1, &offset));
	put(p, bar, 0, 4, PROT_READ, MAP_PRIVATE);
	EXPECT_RC(-ENOENT, find(p, 1, &offset));
	put(p, bar, 0, 4, PROT_READ, MAP_SHARED);
	mem_device_remove(&host, bar);
	EXPECT_RC(-ENOENT, find(p, 1, &offset));
	munmap(p, 5 * PAGE_BYTES);
	end();
}

TEST(it_cannot_be_pinned)
{
	struct siommu_task task = { 0 };
	struct mem_pages *pages;
	struct mem_pin pin;
	u8 *p;

	begin();
	task.space = space;
	p = reserve();
	put(p, other, 0, 2, PROT_READ | PROT_WRITE, MAP_SHARED);
	put(p + 2 * PAGE_BYTES, bar, 0, 1, PROT_READ | PROT_WRITE, MAP_SHARED);
	ASSERT_EQ(0, mem_pages_user(&account, &task, MEM_ACCOUNT_NONE, (uintptr_t)p, 3 * PAGE_BYTES,
				    false, &pages));
	EXPECT_RC(-EFAULT, mem_pages_pin(pages, &pin, 0, 2));
	EXPECT_RC(-EFAULT, mem_pages_pin(pages, &pin, 2, 2));
	ASSERT_EQ(0, mem_pages_pin(pages, &pin, 0, 1));
	mem_pages_unpin(pages, &pin);
	mem_pages_put(pages, &account);
	munmap(p, 5 * PAGE_BYTES);
	end();
}

TEST(what_is_no_file_is_refused)
{
	begin();
	EXPECT_RC(-EBADF, mem_device_add(&host, -1));
	mem_device_remove(&host, other);
	end();
}
