/* SPDX-License-Identifier: MIT */
/* Host physical addresses for page lists: see region.c. */
#ifndef MEM_REGION_H
#define MEM_REGION_H

#include "mem/space.h"

/*
 * A window for [uva, last] of @space; *@hpa stands for @uva.
 * Return: 0; -ENOMEM if there is no room.
 */
int region_window_get(struct mem_space *space, u64 uva, u64 last, struct mem_region **out,
		      hpa_t *hpa) __must_check;

/* A run of bytes of a file. */
struct extent {
	u64 dev;
	u64 ino;
	u64 offset;
	u64 bytes;
};

/*
 * Use a mapping of @need that @space has here already; *@hpa stands for its
 * first byte. Return: false if there is none.
 */
bool region_held_find(struct mem_space *space, const struct extent *need, struct mem_region **out,
		      hpa_t *hpa) __must_check;

/*
 * Map @whole, bytes of the file @fd, for @space, or only @need, a part of it, if
 * that is very much, and use it for @need. It is writable if the file can be
 * opened so. Return: 0, -ENOMEM, -EINVAL.
 */
int region_held_add(struct mem_space *space, int fd, const struct extent *whole,
		    const struct extent *need, struct mem_region **out, hpa_t *hpa) __must_check;

/* Undo any. @region may be NULL. */
void region_put(struct mem_host *host, struct mem_region *region);

/* The space ends: give back what it has. Nothing of it is used. */
void region_space_end(struct mem_space *space);

/* The region that @hpa is in, or NULL. Context: host->lock. */
struct mem_region *region_find(struct mem_host *host, hpa_t hpa);

/*
 * guard.c: a file was mapped, is mapped no more; do pages of it show something
 * else by now; the host ends. Context: host->lock.
 */
int guard_add(struct mem_host *host, struct mem_region *region, int fd) __must_check;
void guard_remove(struct mem_region *region);
bool guard_is_torn(const struct mem_region *region);
void guard_end(struct mem_host *host);

#endif
