/* SPDX-License-Identifier: MIT */
/*
 * VFIO type1, which there is twice: on containers, and on iommufd descriptors that stand
 * in for one. What both tell of an I/O address space.
 */
#ifndef ABI_TYPE1_H
#define ABI_TYPE1_H

#include <softiommu/abi/vfio.h>

#include "mem/task.h"

struct core_ctx;
struct core_ioas;

/**
 * struct type1_caps - a chain of capabilities, in the order in which it is written
 * @task: the caller
 * @uptr: its structure
 * @argsz: bytes of it
 * @used: bytes that all of it needs so far
 * @last: offset of the latest capability; 0 for none
 *
 * What does not fit is counted only.
 */
struct type1_caps {
	struct siommu_task *task;
	u64 uptr;
	u32 argsz;
	u32 used;
	u32 last;
};

/*
 * A capability of @n bytes begins at w->used; chain it to the one before, unless it lies
 * behind the caller's room.
 */
int type1_begin_cap(struct type1_caps *w, u32 n, u32 *offset) __must_check;

/* Write @n bytes of the current capability at @offset, if they fit. */
int type1_put(struct type1_caps *w, u32 offset, const void *data, u32 n) __must_check;

int type1_put_dma_avail(struct type1_caps *w, u32 avail) __must_check;
int type1_put_iova_ranges(struct type1_caps *w, struct core_ioas *ioas) __must_check;

/* Sizes of pages that all page tables of it have, of those that VFIO knows. */
u64 type1_page_sizes(struct core_ioas *ioas);

/* Is all DMA coherent, whatever a device asks for? */
bool type1_is_coherent(struct core_ioas *ioas);

/* A context stands in for a container: have an IOAS for it. Takes its lock. 0, -ENOMEM. */
int type1_compat_begin(struct core_ctx *ctx) __must_check;

#endif
