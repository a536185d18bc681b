/* SPDX-License-Identifier: MIT */
/*
 * I/O address spaces: which IOVA means which memory.
 *
 * An IOAS is a set of areas, each a range of IOVA that shows a slice of a page
 * list. Every page table (HWPT) of the IOAS has all areas in it; an access
 * reaches them by software. Reserved ranges can hold no area; allowed ranges
 * can never become reserved and are where automatic placement looks.
 *
 * Context: ctx->lock, for everything here.
 */
#ifndef CORE_IOAS_H
#define CORE_IOAS_H

#include "core/ctx.h"
#include "mem/pages.h"

struct core_access;
struct core_device;
struct core_hwpt_paging;

/**
 * struct core_hint - where automatic placement of whole pages need not look again
 * @start: nothing below it fits a request with at least this
 * @length: number of bytes,
 * @align: and at least this alignment
 */
struct core_hint {
	u64 start;
	u64 length;
	u64 align;
};

/**
 * struct core_ioas - an I/O address space
 * @obj: the object
 * @areas: struct core_area by IOVA; they do not overlap
 * @allowed: struct core_range
 * @reserved: struct core_range; may overlap each other
 * @hwpts: page tables that show the areas, oldest first
 * @accesses: struct core_access
 * @hint: for automatic placement
 * @alignment: every area is aligned to this, a power of two
 * @no_large_pages: map everything in units of PAGE_BYTES
 */
struct core_ioas {
	struct core_object obj;
	struct itree areas;
	struct itree allowed;
	struct itree reserved;
	TAILQ_HEAD(, core_hwpt_paging) hwpts;
	LIST_HEAD(, core_access) accesses;
	struct core_hint hint;
	u32 alignment;
	bool no_large_pages;
};

/* A reserved or allowed range; @owner says who reserved it. */
struct core_range {
	struct itree_node node;
	const void *owner;
};

/**
 * struct core_area - one mapping
 * @node: the IOVA
 * @gone_link: in a list of areas that were taken out of their IOAS
 * @pin: its hold on the pages, while any page table shows it
 * @ioas: where it is
 * @pages: what it shows
 * @start_byte: byte of @pages that the first IOVA shows
 * @prot: IOMMU_PROT_READ, _WRITE
 * @filled: page tables show it, and @pin is linked
 * @going: an unmap has begun: no new access may pin it
 * @num_accesses: pins of accesses
 * @num_locks: those that unmap cannot break
 *
 * There is one of these for every mapping: it is kept under 128 bytes.
 */
struct core_area {
	union {
		struct itree_node node;
		SLIST_ENTRY(core_area) gone_link;
	};
	struct mem_pin pin;
	struct core_ioas *ioas;
	struct mem_pages *pages;
	u64 start_byte;
	u8 prot;
	bool filled;
	bool going;
	u32 num_accesses;
	u32 num_locks;
};
_Static_assert(sizeof(struct core_area) <= 120, "an area grew");

static inline u64 area_iova(const struct core_area *area)
{
	return area->node.start;
}

static inline u64 area_last(const struct core_area *area)
{
	return area->node.last;
}

static inline u64 area_length(const struct core_area *area)
{
	return area->node.last - area->node.start + 1;
}

/* The byte of its page list that an IOVA of the area shows. */
static inline u64 area_byte(const struct core_area *area, u64 iova)
{
	return area->start_byte + (iova - area->node.start);
}

/* The first area that touches a range, and the one after @area that does. */
struct core_area *area_first(struct core_ioas *ioas, u64 start, u64 last);
struct core_area *area_next(struct core_area *area, u64 start, u64 last);

/* Call @fn for every area of the context; several may show one page list. */
void core_for_each_area(struct core_ctx *ctx, void (*fn)(struct core_area *area, void *arg),
			void *arg);

/**
 * struct area_walk - areas that cover a range without a gap
 * @area: the current one; NULL when the walk has ended
 * @iova: where it is entered
 * @last: last IOVA of it that belongs to the range
 * @end: last IOVA of the whole range
 *
 * A walk that ends with @complete unset has met a gap.
 */
struct area_walk {
	struct core_area *area;
	u64 iova;
	u64 last;
	u64 end;
	bool complete;
};

void area_walk_begin(struct area_walk *walk, struct core_ioas *ioas, u64 iova, u64 last);
void area_walk_next(struct area_walk *walk);

#define for_each_contig_area(walk, ioas, iova, last)                                               \
	for (area_walk_begin(walk, ioas, iova, last); (walk)->area; area_walk_next(walk))

int core_ioas_alloc(struct core_ctx *ctx, struct core_ioas **out) __must_check;

static inline struct core_ioas *core_ioas_find(struct core_ctx *ctx, u32 id)
{
	return core_find(ctx, id, CORE_IOAS, struct core_ioas, obj);
}

/* How a mapping is to be made. */
struct core_map {
	u64 iova;     /* in, with @fixed; out */
	u64 length;
	unsigned int prot;
	bool fixed;
};

/**
 * struct core_source - the open file behind a caller's descriptor
 * @file: one of ours, with a reference; NULL for another
 * @fd: another one, as our own descriptor; -1 once a mapping has taken it over
 *
 * Context: got and put without ctx->lock: letting a file go may need it.
 */
struct core_source {
	struct mem_file *file;
	int fd;
};

/* Return: 0, or -EBADF. */
int core_source_get(struct siommu_task *task, int fd, struct core_source *source) __must_check;
void core_source_put(struct core_source *source);

/* Can @length bytes from @start on be asked of a file? -EINVAL, -EOVERFLOW. */
int core_ioas_check_file(u64 start, u64 length) __must_check;

/* Is all of a range mapped? 0; -EINVAL, -EOVERFLOW, -ENOENT. */
int core_ioas_check_copy(struct core_ioas *src, u64 iova, u64 length) __must_check;

/*
 * Map memory of the caller, a file, or what another range shows.
 * Return: 0; -EINVAL, -EOVERFLOW, -EEXIST, -ENOSPC, -EPERM, -EFAULT, -ENOMEM,
 * and for files -ENODEV. What to copy has passed core_ioas_check_copy().
 */
int core_ioas_map_user(struct core_ctx *ctx, struct core_ioas *ioas, struct siommu_task *task,
		       u64 uva, struct core_map *map) __must_check;
int core_ioas_map_file(struct core_ctx *ctx, struct core_ioas *ioas, struct siommu_task *task,
		       struct core_source *source, u64 start, struct core_map *map) __must_check;

/*
 * Map memory of a device that mem_device_find() has found. Nobody is charged for it. @fd
 * is the callee's, also on failure.
 */
int core_ioas_map_device(struct core_ctx *ctx, struct core_ioas *ioas, struct siommu_task *task,
			 int fd, u64 start, struct core_map *map) __must_check;
int core_ioas_copy(struct core_ctx *ctx, struct core_ioas *dst, struct core_ioas *src, u64 src_iova,
		   struct core_map *map) __must_check;

/*
 * Unmap every area in a range, whole areas only. *@unmapped counts bytes, also
 * on failure. The lock is dropped around call-backs of accesses.
 */
int core_ioas_unmap(struct core_ctx *ctx, struct core_ioas *ioas, u64 iova, u64 length,
		    u64 *unmapped) __must_check;
int core_ioas_unmap_all(struct core_ctx *ctx, struct core_ioas *ioas, u64 *unmapped) __must_check;

/* Split areas so that one ends at @iova; for VFIO type1. */
int core_ioas_cut(struct core_ctx *ctx, struct core_ioas *ioas, u64 iova) __must_check;

int core_ioas_reserve(struct core_ctx *ctx, struct core_ioas *ioas, u64 start, u64 last,
		      const void *owner) __must_check;
void core_ioas_unreserve(struct core_ctx *ctx, struct core_ioas *ioas, const void *owner);

/* Reserve what @dev cannot reach, as its own. -EADDRINUSE if anything is there. */
int core_ioas_reserve_device(struct core_ctx *ctx, struct core_ioas *ioas,
			     struct core_device *dev) __must_check;

/* Replace the allowed ranges by @n of @ranges ({start, last} pairs). */
int core_ioas_allow(struct core_ctx *ctx, struct core_ioas *ioas, struct itree *ranges) __must_check;
void core_ranges_free(struct core_ctx *ctx, struct itree *ranges);

int core_ioas_set_large_pages(struct core_ctx *ctx, struct core_ioas *ioas,
			      bool enable) __must_check;

/* A page table joins the IOAS, filled with all areas, or leaves it. */
int core_ioas_add_hwpt(struct core_ctx *ctx, struct core_ioas *ioas,
		       struct core_hwpt_paging *hwpt) __must_check;
void core_ioas_remove_hwpt(struct core_ctx *ctx, struct core_ioas *ioas,
			   struct core_hwpt_paging *hwpt);

int core_ioas_add_access(struct core_ctx *ctx, struct core_ioas *ioas,
			 struct core_access *access) __must_check;
void core_ioas_remove_access(struct core_ctx *ctx, struct core_ioas *ioas,
			     struct core_access *access);

/* Host address of an IOVA for a device without an IOMMU. */
int core_ioas_get_phys(struct core_ctx *ctx, struct core_ioas *ioas, u64 iova, u64 *length,
		       hpa_t *hpa) __must_check;

/* Charge all pinned memory of the context to the caller from now on. */
int core_ctx_change_process(struct core_ctx *ctx, struct siommu_task *task) __must_check;

/*
 * The exporter takes a dma-buf away, or gives it back to new mappings.
 * Context: without any context's lock.
 */
void core_dmabuf_revoke(struct mem_dmabuf *dmabuf, bool revoked);

/* Areas that are in no IOAS any more, whose memory devices may still reach. */
SLIST_HEAD(core_gone, core_area);

/* Take an area out of its IOAS and all page tables; nobody has it pinned. */
void area_take(struct core_ctx *ctx, struct core_area *area, struct core_gone *gone);

/* See to it that no device reaches what was taken out of @ioas, and free it. */
void area_let_go(struct core_ctx *ctx, struct core_ioas *ioas, struct core_gone *gone);

/*
 * area.c: putting an area into page tables, and taking it out of one, or of all.
 * After that area_sync(), or iommu_sync() if it was one, is to be called before
 * area_unpin(), once for any number of areas.
 */
int area_fill(struct core_area *area, struct core_hwpt_paging *hwpt) __must_check;
int area_hold(struct core_area *area) __must_check;
void area_unmap(struct core_area *area, struct core_hwpt_paging *hwpt);
void area_unmap_all(struct core_area *area);
void area_sync(struct core_ioas *ioas);
void area_unpin(struct core_area *area);

/* Hand the hold of @area to its two halves. */
void area_split_pin(struct core_area *area, struct core_area *left, struct core_area *right);

#endif
