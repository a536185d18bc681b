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

/*
 * Map @length bytes of @fd from @offset on; both whole pages. The mapping is
 * writable if the file can be opened so. *@hpa is where it is.
 */
int region_file_map(struct mem_host *host, int fd, u64 offset, u64 length, struct mem_region **out,
		    hpa_t *hpa) __must_check;

/*
 * Map the shared memory that @space shows as @vma here, all of it, or use the
 * mapping that is there already. *@hpa stands for @uva. -errno if that cannot
 * be done.
 */
int region_vma_get(struct mem_space *space, const struct mem_vma *vma, u64 uva,
		   struct mem_region **out, hpa_t *hpa) __must_check;

/* Undo any. @region may be NULL. */
void region_put(struct mem_host *host, struct mem_region *region);

/* The space ends: give back what it has. Nothing of it is used. */
void region_space_end(struct mem_space *space);

/* The region that @hpa is in, or NULL. Context: host->lock. */
struct mem_region *region_find(struct mem_host *host, hpa_t hpa);

#endif
