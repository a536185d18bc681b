// SPDX-License-Identifier: MIT
/*
 * Where page lists get host physical addresses from.
 *
 * A window makes a 64 GiB block of a client's address space appear at one run
 * of hpas from 2^47 up. All mappings of that client in the block share it, so
 * one page has one hpa, superpages line up, and a mapping costs nothing here. A
 * run that crosses blocks gets a window of its own. The number of windows of
 * one space is bounded, because the space above 2^47 is shared by all clients.
 *
 * A file is mapped into this process, once per client and as a whole, aligned so
 * that superpages line up. Memory that a client shares with others is such a
 * file too, if the system lets us open it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "region.h"

#define WINDOW_BYTES ((u64)64 << 30)
#define MAX_WINDOWS  128

#define HUGE_ALIGN ((u64)1 << 30)

struct mem_region *region_find(struct mem_host *host, hpa_t hpa)
{
	struct itree_node *n = itree_first(&host->regions, hpa, hpa);

	return n ? container_of(n, struct mem_region, node) : NULL;
}

/* A free run of @length hpas, a multiple of the window's alignment; next fit. */
static int find_hpas(struct mem_host *host, u64 length, u64 *start)
{
	u64 first = (u64)1 << HPA_REMOTE_LG2;
	u64 at = host->cursor;
	bool wrapped = false;

	for (;;) {
		struct itree_node *n;

		if (length - 1 > HPA_LAST - at) {
			if (wrapped)
				return -ENOMEM;
			wrapped = true;
			at = first;
			continue;
		}
		n = itree_first(&host->regions, at, at + length - 1);
		if (!n)
			break;
		at = align_up(n->last + 1, HUGE_ALIGN);
	}
	*start = at;
	host->cursor = at + length;
	return 0;
}

static struct mem_region *window_find(struct mem_space *space, u64 uva, u64 last)
{
	struct mem_region *r;

	LIST_FOREACH(r, &space->windows, link)
		if (uva >= r->uva && last - r->uva <= r->node.last - r->node.start)
			return r;
	return NULL;
}

static void window_free(struct mem_space *space, struct mem_region *r)
{
	LIST_REMOVE(r, link);
	space->nwindows--;
	itree_remove(&space->host->regions, &r->node);
	base_free(space->host->alloc, r, sizeof(*r));
}

static void drop_idle_windows(struct mem_space *space)
{
	struct mem_region *r, *next;

	LIST_FOREACH_SAFE(r, &space->windows, link, next)
		if (!r->refs)
			window_free(space, r);
}

static int window_new(struct mem_space *space, u64 uva, u64 last, struct mem_region **out)
{
	struct mem_host *host = space->host;
	u64 start = align_down(uva, WINDOW_BYTES);
	u64 length = WINDOW_BYTES;
	struct mem_region *r;
	int rc;

	if (last - start >= WINDOW_BYTES) {
		start = align_down(uva, HUGE_ALIGN);
		if (last - start >= HPA_LAST >> 1)
			return -ENOMEM;
		length = align_up(last - start + 1, HUGE_ALIGN);
	}
	if (space->nwindows >= MAX_WINDOWS)
		drop_idle_windows(space);
	if (space->nwindows >= MAX_WINDOWS)
		return -ENOMEM;
	r = base_zalloc(host->alloc, sizeof(*r));
	if (!r)
		return -ENOMEM;
	rc = find_hpas(host, length, &r->node.start);
	if (rc) {
		base_free(host->alloc, r, sizeof(*r));
		return rc;
	}
	r->node.last = r->node.start + length - 1;
	r->space = space;
	r->uva = start;
	itree_insert(&host->regions, &r->node);
	LIST_INSERT_HEAD(&space->windows, r, link);
	space->nwindows++;
	*out = r;
	return 0;
}

int region_window_get(struct mem_space *space, u64 uva, u64 last, struct mem_region **out,
		      hpa_t *hpa)
{
	struct mem_region *r;
	int rc = 0;

	pthread_mutex_lock(&space->host->lock);
	r = window_find(space, uva, last);
	if (!r)
		rc = window_new(space, uva, last, &r);
	if (!rc) {
		r->refs++;
		*out = r;
		*hpa = r->node.start + (uva - r->uva);
	}
	pthread_mutex_unlock(&space->host->lock);
	return rc;
}

/* Reserve addresses such that the one for @offset is congruent to it. */
static void *map_congruent(int fd, int prot, u64 offset, u64 length)
{
	u64 align = min_u64(roundup_pow2(length), HUGE_ALIGN);
	u64 want;
	char *p;

	if (align <= PAGE_BYTES)
		return mmap(NULL, length, prot, MAP_SHARED, fd, (off_t)offset);
	p = mmap(NULL, length + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
		 0);
	if (p == MAP_FAILED)
		return p;
	want = align_down((uintptr_t)p, align) + (offset & (align - 1));
	if (want < (uintptr_t)p)
		want += align;
	if (mmap((void *)want, length, prot, MAP_SHARED | MAP_FIXED, fd, (off_t)offset) ==
	    MAP_FAILED) {
		int err = errno;

		munmap(p, length + align);
		errno = err;
		return MAP_FAILED;
	}
	if (want != (uintptr_t)p)
		munmap(p, want - (uintptr_t)p);
	munmap((void *)(want + length), (uintptr_t)p + align - want);
	return (void *)want;
}

/*
 * A descriptor may have been opened for reading only although devices may write
 * the mapping: a kernel pins the pages whatever the descriptor says.
 */
static void *map_file(int fd, u64 offset, u64 length)
{
	void *p = map_congruent(fd, PROT_READ | PROT_WRITE, offset, length);
	char path[32];
	int rw;

	if (p != MAP_FAILED || (errno != EACCES && errno != EPERM))
		return p;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	rw = open(path, O_RDWR | O_CLOEXEC);
	if (rw >= 0) {
		p = map_congruent(rw, PROT_READ | PROT_WRITE, offset, length);
		close(rw);
	}
	return p == MAP_FAILED ? map_congruent(fd, PROT_READ, offset, length) : p;
}

/* Context: host->lock. */
static void use(struct mem_space *space, struct mem_region *r, const struct extent *need,
		struct mem_region **out, hpa_t *hpa)
{
	r->refs++;
	if (space->idle == r)
		space->idle = NULL;
	*out = r;
	*hpa = r->node.start + (need->offset - r->offset);
}

static bool covers(const struct mem_region *r, const struct extent *need)
{
	return r->dev == need->dev && r->ino == need->ino && need->offset >= r->offset &&
	       need->offset - r->offset + need->bytes - 1 <= r->node.last - r->node.start;
}

bool region_held_find(struct mem_space *space, const struct extent *need, struct mem_region **out,
		      hpa_t *hpa)
{
	struct mem_region *r;

	pthread_mutex_lock(&space->host->lock);
	LIST_FOREACH(r, &space->held, link) {
		if (covers(r, need)) {
			use(space, r, need, out, hpa);
			break;
		}
	}
	pthread_mutex_unlock(&space->host->lock);
	return r;
}

int region_held_add(struct mem_space *space, int fd, const struct extent *whole,
		    const struct extent *need, struct mem_region **out, hpa_t *hpa)
{
	struct mem_host *host = space->host;
	struct mem_region *r;
	void *p;
	int rc;

	r = base_zalloc(host->alloc, sizeof(*r));
	if (!r)
		return -ENOMEM;
	p = map_file(fd, whole->offset, whole->bytes);
	if (p == MAP_FAILED) {
		rc = errno == ENOMEM ? -ENOMEM : -EINVAL;
		base_free(host->alloc, r, sizeof(*r));
		return rc;
	}
	r->node.start = (uintptr_t)p;
	r->node.last = (uintptr_t)p + whole->bytes - 1;
	r->holder = space;
	r->dev = whole->dev;
	r->ino = whole->ino;
	r->offset = whole->offset;
	pthread_mutex_lock(&host->lock);
	itree_insert(&host->regions, &r->node);
	LIST_INSERT_HEAD(&space->held, r, link);
	use(space, r, need, out, hpa);
	pthread_mutex_unlock(&host->lock);
	return 0;
}

static void file_unmap(struct mem_host *host, struct mem_region *r)
{
	munmap((void *)(uintptr_t)r->node.start, r->node.last - r->node.start + 1);
	base_free(host->alloc, r, sizeof(*r));
}

/*
 * One mapping of a space's files is kept when nobody uses it: a client that maps
 * and unmaps the same memory would otherwise pay for it each time.
 * Context: host->lock. Return: a region that is to be unmapped, or NULL.
 */
static struct mem_region *held_put(struct mem_region *r)
{
	struct mem_region *old = r->holder->idle;

	if (--r->refs)
		return NULL;
	r->holder->idle = r;
	if (old) {
		LIST_REMOVE(old, link);
		itree_remove(&r->holder->host->regions, &old->node);
	}
	return old;
}

void region_put(struct mem_host *host, struct mem_region *r)
{
	struct mem_region *unmap = NULL;

	if (!r)
		return;
	pthread_mutex_lock(&host->lock);
	if (r->space)
		r->refs--;
	else
		unmap = held_put(r);
	pthread_mutex_unlock(&host->lock);
	if (unmap)
		file_unmap(host, unmap);
}

void region_space_end(struct mem_space *space)
{
	struct mem_host *host = space->host;
	struct mem_region *r;

	pthread_mutex_lock(&host->lock);
	while ((r = LIST_FIRST(&space->windows)))
		window_free(space, r);
	while ((r = LIST_FIRST(&space->held))) {
		LIST_REMOVE(r, link);
		itree_remove(&host->regions, &r->node);
		file_unmap(host, r);
	}
	pthread_mutex_unlock(&host->lock);
}
