// SPDX-License-Identifier: MIT
/*
 * I/O address spaces: placement, mapping, reserved and allowed ranges.
 *
 * Mapping builds everything that can fail first - the page list, the area, the
 * page tables - and only then lets the area be found.
 */
#include <fcntl.h>
#include <string.h>
#include <syslog.h>
#include <linux/capability.h>
#include <unistd.h>

#include "core/access.h"
#include "core/device.h"
#include "core/hwpt.h"
#include "core/ioas.h"

/* Automatic placement aligns as for a transparent huge page, not further. */
#define MAX_AUTO_ALIGN ((u64)2 << 20)

struct core_area *area_first(struct core_ioas *ioas, u64 start, u64 last)
{
	struct itree_node *n = itree_first(&ioas->areas, start, last);

	return n ? container_of(n, struct core_area, node) : NULL;
}

struct core_area *area_next(struct core_area *area, u64 start, u64 last)
{
	struct itree_node *n = itree_next(&area->ioas->areas, &area->node, start, last);

	return n ? container_of(n, struct core_area, node) : NULL;
}

void core_for_each_area(struct core_ctx *ctx, void (*fn)(struct core_area *area, void *arg),
			void *arg)
{
	struct core_object *obj;
	struct core_area *area;
	u32 id;

	for (id = 1; (obj = idtable_next(&ctx->objects, &id)); id++) {
		struct core_ioas *ioas = container_of(obj, struct core_ioas, obj);

		if (obj->ops->type != CORE_IOAS)
			continue;
		for (area = area_first(ioas, 0, U64_MAX); area; area = area_next(area, 0, U64_MAX))
			fn(area, arg);
	}
}

void area_walk_begin(struct area_walk *walk, struct core_ioas *ioas, u64 iova, u64 last)
{
	walk->iova = iova;
	walk->end = last;
	walk->complete = false;
	walk->area = area_first(ioas, iova, iova);
	if (!walk->area)
		return;
	walk->last = min_u64(area_last(walk->area), last);
	walk->complete = walk->last == last;
}

void area_walk_next(struct area_walk *walk)
{
	struct core_area *area = walk->area;

	walk->area = NULL;
	if (walk->complete)
		return;
	walk->iova = area_last(area) + 1;
	area = area_first(area->ioas, walk->iova, walk->iova);
	if (!area)
		return;
	walk->area = area;
	walk->last = min_u64(area_last(area), walk->end);
	walk->complete = walk->last == walk->end;
}

static void ioas_destroy(struct core_ctx *ctx, struct core_object *obj)
{
	struct core_ioas *ioas = container_of(obj, struct core_ioas, obj);
	u64 unmapped;

	/* No page table and no access is left, so nothing can refuse. */
	if (core_ioas_unmap_all(ctx, ioas, &unmapped))
		base_log(&ctx->machine->log, LOG_ERR, "ioas: areas of %u are stuck", obj->id);
	core_ranges_free(ctx, &ioas->reserved);
	core_ranges_free(ctx, &ioas->allowed);
	core_object_free(ctx, obj);
}

static void ioas_show(struct core_object *obj, FILE *out)
{
	struct core_ioas *ioas = container_of(obj, struct core_ioas, obj);

	fprintf(out, "alignment %u%s", ioas->alignment,
		ioas->no_large_pages ? ", no large pages" : "");
}

static const struct core_object_ops ioas_ops = {
	.type = CORE_IOAS,
	.size = sizeof(struct core_ioas),
	.name = "IOAS",
	.destroy = ioas_destroy,
	.show = ioas_show,
};

int core_ioas_alloc(struct core_ctx *ctx, struct core_ioas **out)
{
	struct core_ioas *ioas;
	struct core_object *obj;
	int rc;

	rc = core_object_new(ctx, &ioas_ops, &obj);
	if (rc)
		return rc;
	ioas = container_of(obj, struct core_ioas, obj);
	TAILQ_INIT(&ioas->hwpts);
	LIST_INIT(&ioas->accesses);
	ioas->alignment = 1;
	*out = ioas;
	return 0;
}

/*
 * The lowest IOVA in [start, last] that is a multiple of @align plus the offset
 * in the page, with room for @length bytes.
 */
static bool fit(u64 start, u64 last, u64 length, u64 align, u64 in_page, u64 *iova)
{
	u64 at;

	if (__builtin_add_overflow(start, align - 1, &at))
		return false;
	at = align_down(at, align) | in_page;
	if (at >= last || last - at < length - 1)
		return false;
	*iova = at;
	return true;
}

/*
 * Below hint.start there is no hole for a request like the one that set it, nor
 * for one that asks for more. A range that is freed can only change that for
 * places that reach into it.
 */
static void hole_freed(struct core_ioas *ioas, u64 start)
{
	u64 reach = ioas->hint.length - 1;

	ioas->hint.start = min_u64(ioas->hint.start, start > reach ? start - reach : 0);
}

static u64 hole_hint(const struct core_ioas *ioas, u64 length, u64 align)
{
	if (length < ioas->hint.length || align < ioas->hint.align)
		return 0;
	return ioas->hint.start;
}

/* The lowest place between areas and reserved ranges in [start, last]. */
static bool find_hole(struct core_ioas *ioas, u64 start, u64 last, u64 length, u64 align,
		      u64 in_page, u64 *iova)
{
	while (fit(start, last, length, align, in_page, iova)) {
		/* The offset in a page is found from where the hole begins. */
		u64 from = in_page ? start : *iova;
		struct itree_node *a, *r;
		u64 busy = 0;

		a = itree_first(&ioas->areas, from, *iova + length - 1);
		r = itree_first(&ioas->reserved, from, *iova + length - 1);
		if (!a && !r)
			return true;
		if (a)
			busy = max_u64(busy, a->last);
		if (r)
			busy = max_u64(busy, r->last);
		if (busy >= last)
			return false;
		start = busy + 1;
	}
	return false;
}

/*
 * Choose an IOVA: never 0, keeping the offset in the page and as much of the
 * alignment of @addr, the memory's own address, as lets huge pages be used.
 */
static int choose_iova(struct core_ioas *ioas, u64 addr, u64 length, u64 *iova)
{
	u64 in_page = addr & (PAGE_BYTES - 1);
	u64 first = PAGE_BYTES, last = U64_MAX - PAGE_BYTES;
	struct itree_span span;
	bool found = false;
	u64 align;

	if (length >= U64_MAX / 2)
		return -EOVERFLOW;
	align = roundup_pow2(length);
	if (addr)
		align = min_u64(align, (u64)1 << lowest_bit(addr));
	align = min_u64(align, MAX_AUTO_ALIGN);
	if (align < ioas->alignment)
		return -EINVAL;
	if (!in_page)
		first = max_u64(first, hole_hint(ioas, length, align));
	if (itree_empty(&ioas->allowed)) {
		found = find_hole(ioas, first, last, length, align, in_page, iova);
	} else {
		/* Allowed ranges that touch are one. */
		itree_span_begin(&span, &ioas->allowed, first, last);
		do {
			found = span.used && find_hole(ioas, span.start, span.last, length, align,
						       in_page, iova);
		} while (!found && itree_span_next(&span));
	}
	if (!found)
		return -ENOSPC;
	/* With an offset a hole has one place only, which depends on where it begins. */
	if (!in_page)
		ioas->hint = (struct core_hint){
			.start = *iova,
			.length = length,
			.align = align,
		};
	return 0;
}

static int check_iova(struct core_ioas *ioas, u64 iova, u64 length)
{
	u64 last;
	int rc;

	if (!is_aligned(iova, ioas->alignment))
		return -EINVAL;
	rc = range_last(iova, length, &last);
	if (rc)
		return rc;
	if (itree_first(&ioas->reserved, iova, last))
		return -EINVAL;
	if (itree_first(&ioas->areas, iova, last))
		return -EEXIST;
	return 0;
}

/* Where the memory of @pages would be if it had an address: for alignment. */
static u64 natural_address(struct mem_pages *pages, u64 byte)
{
	return pages->base + byte;
}

static int place(struct core_ioas *ioas, struct mem_pages *pages, u64 byte, struct core_map *map)
{
	if (!map->length || !is_aligned(map->length, ioas->alignment))
		return -EINVAL;
	if (map->fixed)
		return check_iova(ioas, map->iova, map->length);
	return choose_iova(ioas, natural_address(pages, byte), map->length, &map->iova);
}

/* Make the area and put it into every page table of @ioas. */
static int add_area(struct core_ctx *ctx, struct core_ioas *ioas, struct mem_pages *pages, u64 byte,
		    u64 iova, u64 length, unsigned int prot, struct core_area **out)
{
	struct core_area *area;
	int rc;

	if ((prot & IOMMU_PROT_WRITE) && !pages->writable)
		return -EPERM;
	if (!is_aligned(byte & (PAGE_BYTES - 1), ioas->alignment))
		return -EINVAL;
	area = base_zalloc(&ctx->alloc, sizeof(*area));
	if (!area)
		return -ENOMEM;
	area->ioas = ioas;
	area->pages = pages;
	area->start_byte = byte;
	area->prot = prot;
	area->node.start = iova;
	area->node.last = iova + length - 1;
	rc = area_hold(area);
	if (rc) {
		base_free(&ctx->alloc, area, sizeof(*area));
		return rc;
	}
	mem_pages_get(pages);
	itree_insert(&ioas->areas, &area->node);
	*out = area;
	return 0;
}

static void area_free(struct core_ctx *ctx, struct core_area *area)
{
	mem_pages_put(area->pages, &ctx->alloc);
	base_free(&ctx->alloc, area, sizeof(*area));
}

void area_take(struct core_ctx *ctx, struct core_area *area, struct core_gone *gone)
{
	hole_freed(area->ioas, area_iova(area));
	itree_remove(&area->ioas->areas, &area->node);
	if (!area->filled) {
		area_free(ctx, area);
		return;
	}
	area_unmap_all(area);
	SLIST_INSERT_HEAD(gone, area, gone_link);
}

void area_let_go(struct core_ctx *ctx, struct core_ioas *ioas, struct core_gone *gone)
{
	struct core_area *area;

	if (SLIST_EMPTY(gone))
		return;
	area_sync(ioas);
	while ((area = SLIST_FIRST(gone))) {
		SLIST_REMOVE_HEAD(gone, gone_link);
		area_unpin(area);
		area_free(ctx, area);
	}
}

/* One area that shows @pages from @byte on; takes over the reference. */
static int map_pages(struct core_ctx *ctx, struct core_ioas *ioas, struct mem_pages *pages,
		     u64 byte, struct core_map *map)
{
	struct core_area *area;
	struct core_map placed = *map;
	int rc;

	rc = place(ioas, pages, byte, &placed);
	if (!rc)
		rc = add_area(ctx, ioas, pages, byte, placed.iova, placed.length, placed.prot,
			      &area);
	mem_pages_put(pages, &ctx->alloc);
	if (!rc)
		*map = placed;
	return rc;
}

static enum mem_account account_mode(struct core_ctx *ctx, struct siommu_task *task)
{
	return task->ops->capable(task, CAP_IPC_LOCK) ? MEM_ACCOUNT_NONE : ctx->account;
}

int core_ioas_map_user(struct core_ctx *ctx, struct core_ioas *ioas, struct siommu_task *task,
		       u64 uva, struct core_map *map)
{
	struct mem_pages *pages;
	int rc;

	rc = mem_pages_user(&ctx->alloc, task, account_mode(ctx, task), uva, map->length,
			    map->prot & IOMMU_PROT_WRITE, &pages);
	if (rc)
		return rc;
	return map_pages(ctx, ioas, pages, uva - pages->base, map);
}

int core_source_get(struct siommu_task *task, int fd, struct core_source *source)
{
	int rc = task->ops->get_file(task, fd, &source->file);

	source->fd = -1;
	if (rc != -EBADFD)
		return rc;
	source->file = NULL;
	source->fd = task->ops->open_fd(task, fd);
	if (source->fd < 0)
		return source->fd;
	/* What was opened as a path only is no open file. */
	if (fcntl(source->fd, F_GETFL) & O_PATH) {
		close(source->fd);
		return -EBADF;
	}
	return 0;
}

void core_source_put(struct core_source *source)
{
	if (source->file)
		mem_file_put(source->file);
	if (source->fd >= 0)
		close(source->fd);
}

int core_ioas_check_file(u64 start, u64 length)
{
	u64 last;

	return range_last(start, length, &last);
}

static int pages_from_source(struct core_ctx *ctx, struct siommu_task *task,
			     struct core_source *source, u64 start, const struct core_map *map,
			     struct mem_pages **pages)
{
	bool writable = map->prot & IOMMU_PROT_WRITE;
	struct mem_dmabuf *dmabuf;
	int rc;

	if (source->file) {
		dmabuf = mem_dmabuf_from_file(source->file);
		if (!dmabuf)
			return -EINVAL;
		return mem_pages_dmabuf(&ctx->alloc, task, dmabuf, ctx, start, map->length,
					writable, pages);
	}
	rc = mem_pages_file(&ctx->alloc, task, account_mode(ctx, task), source->fd, start,
			    map->length, writable, pages);
	if (!rc)
		source->fd = -1;
	return rc;
}

int core_ioas_map_file(struct core_ctx *ctx, struct core_ioas *ioas, struct siommu_task *task,
		       struct core_source *source, u64 start, struct core_map *map)
{
	struct mem_pages *pages;
	int rc;

	rc = pages_from_source(ctx, task, source, start, map, &pages);
	if (rc)
		return rc;
	return map_pages(ctx, ioas, pages, start - pages->base, map);
}

int core_ioas_map_device(struct core_ctx *ctx, struct core_ioas *ioas, struct siommu_task *task,
			 int fd, u64 start, struct core_map *map)
{
	struct mem_pages *pages;
	int rc;

	rc = mem_pages_file(&ctx->alloc, task, MEM_ACCOUNT_NONE, fd, start, map->length,
			    map->prot & IOMMU_PROT_WRITE, &pages);
	if (rc) {
		close(fd);
		return rc;
	}
	return map_pages(ctx, ioas, pages, start - pages->base, map);
}

int core_ioas_check_copy(struct core_ioas *src, u64 iova, u64 length)
{
	struct area_walk walk;
	u64 last;
	int rc;

	rc = range_last(iova, length, &last);
	if (rc)
		return rc;
	for_each_contig_area(&walk, src, iova, last)
		;
	return walk.complete ? 0 : -ENOENT;
}

int core_ioas_copy(struct core_ctx *ctx, struct core_ioas *dst, struct core_ioas *src, u64 src_iova,
		   struct core_map *map)
{
	struct core_map placed = *map;
	struct core_area *area, *done;
	u64 last = src_iova + map->length - 1;
	struct core_gone gone = SLIST_HEAD_INITIALIZER(gone);
	struct area_walk walk;
	u64 at;
	int rc;

	area = area_first(src, src_iova, src_iova);
	rc = place(dst, area->pages, area_byte(area, src_iova), &placed);
	if (rc)
		return rc;
	at = placed.iova;
	for_each_contig_area(&walk, src, src_iova, last) {
		u64 bytes = walk.last - walk.iova + 1;

		rc = add_area(ctx, dst, walk.area->pages, area_byte(walk.area, walk.iova), at,
			      bytes, placed.prot, &done);
		if (rc)
			goto err_undo;
		at += bytes;
	}
	*map = placed;
	return 0;

err_undo:
	while (at != placed.iova && (area = area_first(dst, placed.iova, at - 1)))
		area_take(ctx, area, &gone);
	area_let_go(ctx, dst, &gone);
	return rc;
}

void core_ranges_free(struct core_ctx *ctx, struct itree *ranges)
{
	while (ranges->root) {
		struct itree_node *n = ranges->root;

		itree_remove(ranges, n);
		base_free(&ctx->alloc, container_of(n, struct core_range, node),
			  sizeof(struct core_range));
	}
}

int core_ioas_reserve(struct core_ctx *ctx, struct core_ioas *ioas, u64 start, u64 last,
		      const void *owner)
{
	struct core_range *range;

	if (itree_first(&ioas->areas, start, last) || itree_first(&ioas->allowed, start, last))
		return -EADDRINUSE;
	range = base_zalloc(&ctx->alloc, sizeof(*range));
	if (!range)
		return -ENOMEM;
	range->node.start = start;
	range->node.last = last;
	range->owner = owner;
	itree_insert(&ioas->reserved, &range->node);
	return 0;
}

void core_ioas_unreserve(struct core_ctx *ctx, struct core_ioas *ioas, const void *owner)
{
	struct itree_node *n, *next;

	for (n = itree_first(&ioas->reserved, 0, U64_MAX); n; n = next) {
		struct core_range *range = container_of(n, struct core_range, node);

		next = itree_next(&ioas->reserved, n, 0, U64_MAX);
		if (range->owner != owner)
			continue;
		hole_freed(ioas, n->start);
		itree_remove(&ioas->reserved, n);
		base_free(&ctx->alloc, range, sizeof(*range));
	}
}

int core_ioas_reserve_device(struct core_ctx *ctx, struct core_ioas *ioas, struct core_device *dev)
{
	struct iommu_resv_region *resv;
	int rc;

	LIST_FOREACH(resv, &dev->dev->resv, link) {
		if (resv->type == IOMMU_RESV_DIRECT_RELAXABLE)
			continue;
		rc = core_ioas_reserve(ctx, ioas, resv->start, resv->last, dev);
		if (rc) {
			core_ioas_unreserve(ctx, ioas, dev);
			return rc;
		}
	}
	return 0;
}

int core_ioas_allow(struct core_ctx *ctx, struct core_ioas *ioas, struct itree *ranges)
{
	struct itree_node *n;
	struct itree old;

	for (n = itree_first(ranges, 0, U64_MAX); n; n = itree_next(ranges, n, 0, U64_MAX))
		if (itree_first(&ioas->reserved, n->start, n->last))
			return -EADDRINUSE;
	old = ioas->allowed;
	ioas->allowed = *ranges;
	*ranges = (struct itree){ 0 };
	ioas->hint.start = 0;
	core_ranges_free(ctx, &old);
	return 0;
}

/* Everything that is mapped would also be possible with @alignment. */
static int check_alignment(struct core_ioas *ioas, u64 alignment)
{
	struct core_area *area;

	for (area = area_first(ioas, 0, U64_MAX); area; area = area_next(area, 0, U64_MAX))
		if (!is_aligned(area_iova(area) | area_length(area) | area->start_byte, alignment))
			return -EADDRINUSE;
	return 0;
}

static u64 hwpt_alignment(struct core_hwpt_paging *hwpt)
{
	return (u64)1 << lowest_bit(hwpt->common.domain->pgsize_bitmap);
}

/* Recompute the alignment from all that asks for one. */
static int update_alignment(struct core_ioas *ioas)
{
	u64 alignment = ioas->no_large_pages ? PAGE_BYTES : 1;
	struct core_hwpt_paging *hwpt;
	struct core_access *access;
	int rc;

	TAILQ_FOREACH(hwpt, &ioas->hwpts, link)
		alignment = max_u64(alignment, hwpt_alignment(hwpt));
	LIST_FOREACH(access, &ioas->accesses, link)
		alignment = max_u64(alignment, access->alignment);
	if (alignment > ioas->alignment) {
		rc = check_alignment(ioas, alignment);
		if (rc)
			return rc;
	}
	ioas->alignment = alignment;
	return 0;
}

int core_ioas_set_large_pages(struct core_ctx *ctx, struct core_ioas *ioas, bool enable)
{
	int rc;

	(void)ctx;
	if (ioas->no_large_pages == !enable)
		return 0;
	if (!enable && !TAILQ_EMPTY(&ioas->hwpts) && !itree_empty(&ioas->areas))
		return -EINVAL;
	ioas->no_large_pages = !enable;
	rc = update_alignment(ioas);
	if (rc)
		ioas->no_large_pages = enable;
	return rc;
}

/* Take the areas before @end out of @hwpt, which is not in ioas->hwpts. */
static void empty_hwpt(struct core_ioas *ioas, struct core_hwpt_paging *hwpt,
		       const struct core_area *end)
{
	struct core_area *area;

	for (area = area_first(ioas, 0, U64_MAX); area != end; area = area_next(area, 0, U64_MAX))
		area_unmap(area, hwpt);
	iommu_sync(hwpt->common.domain);
	if (!TAILQ_EMPTY(&ioas->hwpts))
		return;
	for (area = area_first(ioas, 0, U64_MAX); area != end; area = area_next(area, 0, U64_MAX))
		area_unpin(area);
}

int core_ioas_add_hwpt(struct core_ctx *ctx, struct core_ioas *ioas, struct core_hwpt_paging *hwpt)
{
	struct iommu_domain *domain = hwpt->common.domain;
	u64 alignment = max_u64(hwpt_alignment(hwpt), ioas->alignment);
	struct core_area *area;
	int rc;

	if (alignment > PAGE_BYTES)
		return -EINVAL;
	if (alignment != ioas->alignment) {
		rc = check_alignment(ioas, alignment);
		if (rc)
			return rc;
	}
	if (domain->aperture_start) {
		rc = core_ioas_reserve(ctx, ioas, 0, domain->aperture_start - 1, domain);
		if (rc)
			goto err_unreserve;
	}
	if (domain->aperture_last != U64_MAX) {
		rc = core_ioas_reserve(ctx, ioas, domain->aperture_last + 1, U64_MAX, domain);
		if (rc)
			goto err_unreserve;
	}
	for (area = area_first(ioas, 0, U64_MAX); area; area = area_next(area, 0, U64_MAX)) {
		rc = area_fill(area, hwpt);
		if (rc)
			goto err_unfill;
	}
	ioas->alignment = alignment;
	TAILQ_INSERT_TAIL(&ioas->hwpts, hwpt, link);
	hwpt->listed = true;
	return 0;

err_unfill:
	empty_hwpt(ioas, hwpt, area);
err_unreserve:
	core_ioas_unreserve(ctx, ioas, domain);
	return rc;
}

void core_ioas_remove_hwpt(struct core_ctx *ctx, struct core_ioas *ioas,
			   struct core_hwpt_paging *hwpt)
{
	TAILQ_REMOVE(&ioas->hwpts, hwpt, link);
	hwpt->listed = false;
	empty_hwpt(ioas, hwpt, NULL);
	core_ioas_unreserve(ctx, ioas, hwpt->common.domain);
	/* With less to ask for it, the alignment can only fall. */
	if (update_alignment(ioas))
		base_log(&ctx->machine->log, LOG_ERR, "ioas: alignment of %u is stuck", ioas->obj.id);
}

int core_ioas_add_access(struct core_ctx *ctx, struct core_ioas *ioas, struct core_access *access)
{
	int rc;

	(void)ctx;
	LIST_INSERT_HEAD(&ioas->accesses, access, link);
	rc = update_alignment(ioas);
	if (rc)
		LIST_REMOVE(access, link);
	return rc;
}

void core_ioas_remove_access(struct core_ctx *ctx, struct core_ioas *ioas,
			     struct core_access *access)
{
	LIST_REMOVE(access, link);
	if (update_alignment(ioas))
		base_log(&ctx->machine->log, LOG_ERR, "ioas: alignment of %u is stuck", ioas->obj.id);
}

int core_ioas_get_phys(struct core_ctx *ctx, struct core_ioas *ioas, u64 iova, u64 *length,
		       hpa_t *hpa)
{
	struct core_area *area = area_first(ioas, iova, iova);
	struct core_hwpt_paging *hwpt = TAILQ_FIRST(&ioas->hwpts);
	struct iommu_domain *domain;

	(void)ctx;
	if (!area)
		return -ENOENT;
	if (mem_pages_revoked(area->pages))
		return -EINVAL;
	if (!hwpt || !hwpt->common.domain->owner->untranslated)
		return -EOPNOTSUPP;
	domain = hwpt->common.domain;
	*hpa = domain->ops->iova_to_hpa(domain, iova);
	/* A page list is one run of addresses, so the area's end is the only limit. */
	*length = min_u64(*length, area_last(area) - iova + 1);
	return 0;
}
