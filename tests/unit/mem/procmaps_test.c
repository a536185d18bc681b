// SPDX-License-Identifier: MIT
/*
 * What is mapped where: the two ways to ask, by request and by reading the text,
 * agree about every mapping that this process has; and both are right.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mem/procmaps.h"
#include "unit.h"

static int open_maps(void)
{
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

	ASSERT_TRUE(fd >= 0);
	return fd;
}

/* Both ways, at one address. Return: what they say, if they agree. */
static int ask(int fd, u64 uva, struct mem_vma *vma)
{
	struct mem_vma other;
	int rc = procmaps_find(fd, uva, vma), rc_text = procmaps_find_text(fd, uva, &other);

	ASSERT_RC(rc, rc_text);
	if (rc)
		return rc;
	EXPECT_TRUE(uva >= vma->start && uva <= vma->last);
	EXPECT_EQ(vma->start, other.start);
	EXPECT_EQ(vma->last, other.last);
	EXPECT_EQ(vma->page_bytes, other.page_bytes);
	EXPECT_EQ(vma->dev, other.dev);
	EXPECT_EQ(vma->ino, other.ino);
	EXPECT_EQ(vma->offset, other.offset);
	EXPECT_EQ(vma->readable, other.readable);
	EXPECT_EQ(vma->writable, other.writable);
	EXPECT_EQ(vma->shared, other.shared);
	return 0;
}

/* The first and last byte of every mapping, and the bytes beside it. */
TEST(both_ways_agree_about_all_of_it)
{
	unsigned long long start, end;
	int fd = open_maps();
	FILE *maps = fopen("/proc/self/maps", "r");
	struct mem_vma vma;
	unsigned int n = 0;
	char line[8192];

	ASSERT_TRUE(maps);
	while (fgets(line, sizeof(line), maps)) {
		ASSERT_EQ(2, sscanf(line, "%llx-%llx", &start, &end));
		ask(fd, start, &vma);
		ask(fd, end - 1, &vma);
		ask(fd, end, &vma);
		ask(fd, start - 1, &vma);
		n++;
	}
	EXPECT_TRUE(n > 10);
	fclose(maps);
	close(fd);
}

TEST(nothing_there)
{
	int fd = open_maps();
	struct mem_vma vma;

	EXPECT_RC(-EFAULT, ask(fd, 0, &vma));
	EXPECT_RC(-EFAULT, ask(fd, (u64)1 << 62, &vma));
	EXPECT_RC(-EFAULT, ask(fd, U64_MAX - 5, &vma));
	close(fd);
}

TEST(a_file_in_the_middle)
{
	int fd = open_maps(), file = memfd_create("unit test, with spaces", MFD_CLOEXEC);
	struct mem_vma vma;
	struct stat st;
	u8 *p;

	ASSERT_TRUE(file >= 0 && !ftruncate(file, 8 * PAGE_BYTES) && !fstat(file, &st));
	p = mmap(NULL, 3 * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 4 * PAGE_BYTES);
	ASSERT_TRUE(p != MAP_FAILED);
	ASSERT_OK(ask(fd, (uintptr_t)p + PAGE_BYTES + 1, &vma));
	EXPECT_EQ((uintptr_t)p, vma.start);
	EXPECT_EQ((uintptr_t)p + 3 * PAGE_BYTES - 1, vma.last);
	EXPECT_EQ(4 * PAGE_BYTES, vma.offset);
	EXPECT_EQ(st.st_ino, vma.ino);
	EXPECT_EQ(st.st_dev, vma.dev);
	EXPECT_TRUE(vma.shared && vma.writable && vma.readable);
	munmap(p, 3 * PAGE_BYTES);
	p = mmap(NULL, PAGE_BYTES, PROT_READ, MAP_PRIVATE, file, 0);
	ASSERT_OK(ask(fd, (uintptr_t)p, &vma));
	EXPECT_TRUE(!vma.shared && !vma.writable);
	munmap(p, PAGE_BYTES);
	close(file);
	close(fd);
}

/* What a kernel cannot pin: a device's or its own pages, and what cannot be read. */
TEST(what_cannot_be_pinned)
{
	void *none = mmap(NULL, PAGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned long long start, end;
	int fd = open_maps(), name;
	FILE *maps = fopen("/proc/self/maps", "r");
	struct mem_vma vma;
	char line[8192];

	ASSERT_TRUE(maps && none != MAP_FAILED);
	EXPECT_RC(-EFAULT, ask(fd, (uintptr_t)none, &vma));
	while (fgets(line, sizeof(line), maps)) {
		name = 0;
		sscanf(line, "%llx-%llx %*s %*s %*s %*s %n", &start, &end, &name);
		if (!strcmp(line + name, "[vvar]\n") || !strcmp(line + name, "[vsyscall]\n"))
			EXPECT_RC(-EFAULT, ask(fd, start, &vma));
	}
	fclose(maps);
	munmap(none, PAGE_BYTES);
	close(fd);
}

/* The text comes in pieces of a page; lines lie across their ends. */
TEST(many_mappings)
{
	enum { N = 600 };
	u8 *p = mmap(NULL, 2 * N * PAGE_BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open_maps(), i;
	struct mem_vma vma;

	ASSERT_TRUE(p != MAP_FAILED);
	for (i = 0; i < N; i++)
		ASSERT_OK(mprotect(p + 2 * i * PAGE_BYTES, PAGE_BYTES, PROT_READ | PROT_WRITE));
	for (i = 0; i < N; i += 7) {
		u64 at = (uintptr_t)p + 2 * i * PAGE_BYTES;

		ASSERT_OK(ask(fd, at, &vma));
		EXPECT_TRUE(vma.start == at && vma.last == at + PAGE_BYTES - 1 && vma.writable);
	}
	munmap(p, 2 * N * PAGE_BYTES);
	close(fd);
}

TEST(hugetlb_pages)
{
	const size_t huge = 2 << 20;
	int fd = open_maps(), file;
	struct mem_vma vma;
	void *p;

	file = memfd_create("unit", MFD_CLOEXEC | MFD_HUGETLB);
	p = file < 0 ? MAP_FAILED : mmap(NULL, huge, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (p != MAP_FAILED) {
		EXPECT_OK(ask(fd, (uintptr_t)p, &vma));
		EXPECT_EQ(huge, vma.page_bytes);
		munmap(p, huge);
	}
	if (file >= 0)
		close(file);
	close(fd);
	if (p == MAP_FAILED)
		SKIP("no huge pages are reserved here");
}
