// SPDX-License-Identifier: MIT
/*
 * Which descriptor numbers are ours.
 *
 * The table is a memory, not the truth: a number may have been closed or used
 * again by means that we do not see. So it only says where to look. Before a
 * call is made of it, fstat must show the inode that was remembered; and where
 * nothing is remembered, the mark on the open file tells (proto.h).
 *
 * A page of the table holds 512 numbers, and is made when one of them is first
 * needed. It is read and written without a lock: an entry is one word.
 */
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "raw.h"
#include "real.h"

#define PAGE_ENTRIES 512
#define PAGES	     2048

/* An entry is the inode, and the kind in its top bits; 0 for a number not ours. */
#define KIND_SHIFT 61
#define INO_MASK   ((UINT64_C(1) << KIND_SHIFT) - 1)

typedef _Atomic uint64_t entry_t;

static _Atomic(entry_t *) pages[PAGES];

/* All our descriptors are pipes, so they have one device. */
static _Atomic uint64_t pipe_dev;

static entry_t *find(int fd)
{
	entry_t *page;

	if (fd < 0 || fd >= PAGES * PAGE_ENTRIES)
		return NULL;
	page = atomic_load_explicit(&pages[fd / PAGE_ENTRIES], memory_order_acquire);
	return page ? &page[fd % PAGE_ENTRIES] : NULL;
}

static entry_t *find_or_make(int fd)
{
	entry_t *none = NULL;
	size_t bytes = PAGE_ENTRIES * sizeof(entry_t);
	long page;

	if (fd < 0 || fd >= PAGES * PAGE_ENTRIES)
		return NULL;
	if (atomic_load(&pages[fd / PAGE_ENTRIES]))
		return find(fd);
	page = raw6(SYS_mmap, 0, (long)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	if (page < 0 && page > -4096)
		return NULL;
	if (!atomic_compare_exchange_strong(&pages[fd / PAGE_ENTRIES], &none, (entry_t *)page))
		(void)raw2(SYS_munmap, page, bytes);
	return find(fd);
}

enum known_kind known_kind(int fd)
{
	entry_t *entry = find(fd);

	return entry ? (enum known_kind)(atomic_load_explicit(entry, memory_order_relaxed) >>
					 KIND_SHIFT)
		     : KNOWN_NONE;
}

/* The mark that the server put on the open file. */
static enum known_kind kind_by_mark(int fd)
{
	switch (raw2(SYS_fcntl, fd, F_GETSIG)) {
	case DOOR_TAG_CONTEXT:
		return KNOWN_CONTEXT;
	case DOOR_TAG_QUEUE:
		return KNOWN_QUEUE;
	case DOOR_TAG_DEVICE:
		return KNOWN_DEVICE;
	case DOOR_TAG_ATTRIBUTE:
		return KNOWN_ATTRIBUTE;
	case KVM_TAG:
		return KNOWN_KVM;
	default:
		return KNOWN_NONE;
	}
}

static void remember(int fd, const struct known *k)
{
	entry_t *entry;

	if (!image_is_mine())
		return;
	entry = find_or_make(fd);
	if (!entry)
		return;
	atomic_store(&pipe_dev, k->dev);
	atomic_store(entry, (uint64_t)k->kind << KIND_SHIFT | k->ino);
	atomic_store(&preload_live, true);
}

enum known_kind known_check(int fd, struct known *out)
{
	entry_t *entry = find(fd);
	uint64_t was = entry ? atomic_load_explicit(entry, memory_order_relaxed) : 0;
	struct stat st;

	out->kind = KNOWN_NONE;
	if (raw_fstat(fd, &st) || !S_ISFIFO(st.st_mode))
		return KNOWN_NONE;
	out->dev = st.st_dev;
	out->ino = st.st_ino;
	if (likely(was && (was & INO_MASK) == out->ino && out->dev == atomic_load(&pipe_dev))) {
		out->kind = (enum known_kind)(was >> KIND_SHIFT);
		return out->kind;
	}
	out->kind = kind_by_mark(fd);
	if (out->kind)
		remember(fd, out);
	return out->kind;
}

void known_discover(int fd)
{
	struct known k;

	(void)known_check(fd, &k);
}

enum known_kind known_forget(int fd)
{
	entry_t *entry = find(fd);

	if (!entry || !atomic_load_explicit(entry, memory_order_relaxed) || !image_is_mine())
		return KNOWN_NONE;
	return (enum known_kind)(atomic_exchange(entry, 0) >> KIND_SHIFT);
}

bool known_forget_range(unsigned int first, unsigned int last)
{
	unsigned int fd = first, end = PAGES * PAGE_ENTRIES;
	bool any = false;

	if (last < end)
		end = last + 1;
	while (fd < end) {
		if (!atomic_load(&pages[fd / PAGE_ENTRIES])) {
			fd = (fd / PAGE_ENTRIES + 1) * PAGE_ENTRIES;
			continue;
		}
		any |= known_forget((int)fd) != KNOWN_NONE;
		fd++;
	}
	return any;
}

/* A directory entry as SYS_getdents64 gives it. */
struct dirent_raw {
	uint64_t ino;
	int64_t next;
	uint16_t bytes;
	uint8_t type;
	char name[];
};

static int parse_number(const char *s)
{
	int n = 0;

	if (*s < '0' || *s > '9')
		return -1;
	for (; *s >= '0' && *s <= '9'; s++)
		n = n * 10 + (*s - '0');
	return n;
}

void known_scan(void)
{
	_Alignas(8) char buf[2048];
	struct dirent_raw *d;
	long dir, n, at;
	int fd;

	dir = raw4(SYS_openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (dir < 0)
		return;
	while ((n = raw3(SYS_getdents64, dir, buf, sizeof(buf))) > 0) {
		for (at = 0; at < n; at += d->bytes) {
			d = (struct dirent_raw *)(buf + at);
			fd = parse_number(d->name);
			if (fd >= 0 && fd != dir && kind_by_mark(fd))
				known_discover(fd);
		}
	}
	raw_close((int)dir);
}
