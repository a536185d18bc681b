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
 * that superpages line up, while any of it is pinned. Memory that a client shares
 * with others is such a file too, if the system lets us open it.
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

/* Mapped files: of one space, and of one file that is mapped as a whole. */
#define HELD_MAX_BYTES	((u64)1 << 40)
#define WHOLE_MAX_BYTES ((u64)64 << 30)

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
static void use(struct mem_region *r, const struct extent *need, struct mem_region **out,
		hpa_t *hpa)
{
	r->refs++;
	*out = r;
	*hpa = r->node.start + (need->offset - r->offset);
}

static bool covers(const struct mem_region *r, const struct extent *need)
{
	return !guard_is_torn(r) && r->dev == need->dev && r->ino == need->ino &&
	       need->offset >= r->offset &&
	       need->offset - r->offset + need->bytes - 1 <= r->node.last - r->node.start;
}

bool region_held_find(struct mem_space *space, const struct extent *need, struct mem_region **out,
		      hpa_t *hpa)
{
	struct mem_region *r;

	pthread_mutex_lock(&space->host->lock);
	LIST_FOREACH(r, &space->held, link) {
		if (covers(r, need)) {
			use(r, need, out, hpa);
			break;
		}
	}
	pthread_mutex_unlock(&space->host->lock);
	return r;
}

/*
 * Map all of it, since other mappings will want the rest; but no more than a
 * space can have, or than is asked for when a file is huge: addresses here are
 * everybody's. Context: host->lock. Return: false if there is no room.
 */
static bool reserve(struct mem_space *space, const struct extent *whole,
		    const struct extent *need, const struct extent **chosen)
{
	u64 room = HELD_MAX_BYTES - space->held_bytes;

	*chosen = whole->bytes <= WHOLE_MAX_BYTES && whole->bytes <= room ? whole : need;
	if ((*chosen)->bytes > room)
		return false;
	space->held_bytes += (*chosen)->bytes;
	return true;
}

static void unreserve(struct mem_space *space, u64 bytes)
{
	pthread_mutex_lock(&space->host->lock);
	space->held_bytes -= bytes;
	pthread_mutex_unlock(&space->host->lock);
}

int region_held_add(struct mem_space *space, int fd, const struct extent *whole,
		    const struct extent *need, struct mem_region **out, hpa_t *hpa)
{
	struct mem_host *host = space->host;
	const struct extent *chosen;
	struct mem_region *r;
	bool has_room;
	void *p;
	int rc;

	r = base_zalloc(host->alloc, sizeof(*r));
	if (!r)
		return -ENOMEM;
	pthread_mutex_lock(&host->lock);
	has_room = reserve(space, whole, need, &chosen);
	pthread_mutex_unlock(&host->lock);
	if (!has_room) {
		rc = -ENOMEM;
		goto err_free;
	}
	p = map_file(fd, chosen->offset, chosen->bytes);
	if (p == MAP_FAILED) {
		rc = errno == ENOMEM ? -ENOMEM : -EINVAL;
		goto err_unreserve;
	}
	r->node.start = (uintptr_t)p;
	r->node.last = (uintptr_t)p + chosen->bytes - 1;
	/* Page lists may move to another space, and still use this one's mapping. */
	r->holder = space;
	mem_space_get(space);
	r->dev = chosen->dev;
	r->ino = chosen->ino;
	r->offset = chosen->offset;
	pthread_mutex_lock(&host->lock);
	rc = guard_add(host, r, fd);
	if (!rc) {
		itree_insert(&host->regions, &r->node);
		LIST_INSERT_HEAD(&space->held, r, link);
		use(r, need, out, hpa);
	}
	pthread_mutex_unlock(&host->lock);
	if (rc)
		goto err_unmap;
	return 0;

err_unmap:
	munmap(p, chosen->bytes);
	mem_space_put(space);
err_unreserve:
	unreserve(space, chosen->bytes);
err_free:
	base_free(host->alloc, r, sizeof(*r));
	return rc;
}

/* The last page list has let go of it. */
static void file_unmap(struct mem_host *host, struct mem_region *r)
{
	u64 bytes = r->node.last - r->node.start + 1;

	munmap((void *)(uintptr_t)r->node.start, bytes);
	unreserve(r->holder, bytes);
	mem_space_put(r->holder);
	base_free(host->alloc, r, sizeof(*r));
}

void region_put(struct mem_host *host, struct mem_region *r)
{
	bool unmap;

	if (!r)
		return;
	pthread_mutex_lock(&host->lock);
	r->refs--;
	unmap = !r->space && !r->refs;
	if (unmap) {
		LIST_REMOVE(r, link);
		itree_remove(&host->regions, &r->node);
		guard_remove(r);
	}
	pthread_mutex_unlock(&host->lock);
	if (unmap)
		file_unmap(host, r);
}

void region_space_end(struct mem_space *space)
{
	struct mem_region *r;

	pthread_mutex_lock(&space->host->lock);
	while ((r = LIST_FIRST(&space->windows)))
		window_free(space, r);
	pthread_mutex_unlock(&space->host->lock);
}
