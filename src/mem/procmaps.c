// SPDX-License-Identifier: MIT
/*
 * A mapping counts as memory that can be pinned if it can be read and is not a
 * window on a device or on the kernel: those are what get_user_pages() refuses
 * too. The text does not tell the size of pages: hugetlbfs is known by its name
 * in the path, and behind a memfd by its device.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "mem/procmaps.h"

/* The kernel's struct procmap_query, for headers that are too old to have it. */
struct query {
	u64 size;
	u64 flags;
	u64 addr;
	u64 start;
	u64 end;
	u64 vma_flags;
	u64 page_bytes;
	u64 offset;
	u64 ino;
	u32 dev_major;
	u32 dev_minor;
	u32 name_size;
	u32 build_id_size;
	u64 name_addr;
	u64 build_id_addr;
};

#define QUERY	       _IOWR('f', 17, struct query)
#define QUERY_READABLE (1u << 0)
#define QUERY_WRITABLE (1u << 1)
#define QUERY_SHARED   (1u << 3)

#define HUGETLB_BYTES ((u64)2 << 20)

/* Device memory and the kernel's own pages cannot be pinned. */
static bool is_special(const char *name)
{
	if (!strncmp(name, "/dev/", 5))
		return strncmp(name, "/dev/shm/", 9) && strncmp(name, "/dev/zero", 9) &&
		       strncmp(name, "/dev/hugepages/", 15);
	return !strcmp(name, "[vvar]") || !strcmp(name, "[vvar_vclock]") ||
	       !strcmp(name, "[vsyscall]");
}

/* -ENOTTY if this kernel has no such request. */
static int find_query(int fd, u64 uva, struct mem_vma *vma)
{
	char name[64] = "";
	struct query q = {
		.size = sizeof(q),
		.addr = uva,
		.name_size = sizeof(name),
		.name_addr = (uintptr_t)name,
	};

	if (ioctl(fd, QUERY, &q) < 0) {
		if (errno == ENAMETOOLONG) {
			/* A long path: no special mapping has one. */
			q.name_size = 0;
			q.name_addr = 0;
			if (ioctl(fd, QUERY, &q) < 0)
				return -EFAULT;
		} else {
			return errno == ENOTTY || errno == EINVAL ? -ENOTTY : -EFAULT;
		}
	}
	if (!(q.vma_flags & QUERY_READABLE) || is_special(name))
		return -EFAULT;
	vma->start = q.start;
	vma->last = q.end - 1;
	vma->page_bytes = q.page_bytes;
	vma->dev = q.ino ? makedev(q.dev_major, q.dev_minor) : 0;
	vma->ino = q.ino;
	vma->offset = q.offset;
	vma->readable = true;
	vma->writable = q.vma_flags & QUERY_WRITABLE;
	vma->shared = q.vma_flags & QUERY_SHARED;
	return 0;
}

/* Is it the device of memfds that are made of huge pages? */
static bool is_huge_memfd(u64 dev)
{
	int fd = memfd_create("hugetlb", MFD_CLOEXEC | MFD_HUGETLB);
	struct stat st = { 0 };
	bool same;

	if (fd < 0)
		return false;
	same = !fstat(fd, &st) && st.st_dev == dev;
	close(fd);
	return same;
}

/* Parse one line; false if it does not cover @uva. */
static bool parse_line(const char *line, u64 uva, struct mem_vma *vma, bool *special)
{
	unsigned long long start, end, offset, ino;
	unsigned int dev_major, dev_minor;
	char perms[5] = "";
	int name = 0;

	if (sscanf(line, "%llx-%llx %4s %llx %x:%x %llu %n", &start, &end, perms, &offset,
		   &dev_major, &dev_minor, &ino, &name) < 7)
		return false;
	if (uva < start || uva >= end)
		return false;
	*special = perms[0] != 'r' || is_special(line + name);
	vma->start = start;
	vma->last = end - 1;
	vma->dev = ino ? makedev(dev_major, dev_minor) : 0;
	vma->page_bytes = PAGE_BYTES;
	if (strstr(line + name, "hugepage") ||
	    (!strncmp(line + name, "/memfd:", 7) && is_huge_memfd(vma->dev)))
		vma->page_bytes = HUGETLB_BYTES;
	vma->ino = ino;
	vma->offset = offset;
	vma->readable = perms[0] == 'r';
	vma->writable = perms[1] == 'w';
	vma->shared = perms[3] == 's';
	return true;
}

int procmaps_find_text(int fd, u64 uva, struct mem_vma *vma)
{
	char buf[8192];
	size_t have = 0;
	off_t pos = 0;
	bool special;

	for (;;) {
		ssize_t n = pread(fd, buf + have, sizeof(buf) - 1 - have, pos);
		char *line = buf, *nl;

		if (n <= 0)
			return -EFAULT;
		pos += n;
		have += (size_t)n;
		buf[have] = '\0';
		while ((nl = memchr(line, '\n', have - (size_t)(line - buf)))) {
			*nl = '\0';
			if (parse_line(line, uva, vma, &special))
				return special ? -EFAULT : 0;
			line = nl + 1;
		}
		have -= (size_t)(line - buf);
		/* A line longer than the buffer cannot occur: paths are 4096 at most. */
		memmove(buf, line, have);
	}
}

int procmaps_find(int fd, u64 uva, struct mem_vma *vma)
{
	int rc = find_query(fd, uva, vma);

	return rc == -ENOTTY ? procmaps_find_text(fd, uva, vma) : rc;
}
