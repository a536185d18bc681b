// SPDX-License-Identifier: MIT
/*
 * Taking areas away: unmap, split, and revocation by an exporter.
 *
 * An area that an access has pinned is first marked, so that nobody pins it
 * again, and its users are told; that runs without the context's lock, and
 * everything is looked up afresh afterwards. A user that does not let go makes
 * the unmap fail rather than wait for ever.
 *
 * Areas without such users are collected, and devices are waited for once, for
 * all of them: at the end, and before the lock is dropped. Of very many some are
 * let go in between, while they are still in the processor's caches.
 */
#include "core/access.h"
#include "core/hwpt.h"
#include "core/ioas.h"

#define MAX_TRIES 100
#define MAX_GONE  1024

/* Ask the accesses of @area to let go. The lock is dropped and taken again. */
static void evict(struct core_ctx *ctx, struct core_ioas *ioas, struct core_area *area)
{
	area->going = true;
	core_object_get(&ioas->obj);
	core_access_notify_unmap(ctx, ioas, area_iova(area), area_length(area));
	core_object_put(&ioas->obj);
}

/* Ends early at an area that accesses have pinned: *@busy. */
static int take_range(struct core_ctx *ctx, struct core_ioas *ioas, u64 *start, u64 last,
		      u64 *unmapped, struct core_gone *gone, struct core_area **busy)
{
	struct core_area *area;
	unsigned int n = 0;

	*busy = NULL;
	while ((area = area_first(ioas, *start, last))) {
		u64 first = area_iova(area), end = area_last(area);

		if (area->num_locks)
			return -EBUSY;
		if (first < *start || end > last)
			return -ENOENT;
		if (area->num_accesses) {
			*busy = area;
			return 0;
		}
		*unmapped += area_length(area);
		area_take(ctx, area, gone);
		if (++n % MAX_GONE == 0)
			area_let_go(ctx, ioas, gone);
		if (end == last)
			break;
		/* What others map behind us meanwhile is not ours to remove. */
		*start = end + 1;
	}
	return 0;
}

static int unmap_range(struct core_ctx *ctx, struct core_ioas *ioas, u64 start, u64 last,
		       u64 *unmapped)
{
	struct core_gone gone = SLIST_HEAD_INITIALIZER(gone);
	struct core_area *busy;
	unsigned int tries = 0;
	int rc;

	*unmapped = 0;
	for (;;) {
		rc = take_range(ctx, ioas, &start, last, unmapped, &gone, &busy);
		area_let_go(ctx, ioas, &gone);
		if (rc || !busy)
			return rc;
		if (area_iova(busy) != start)
			tries = 0;
		start = area_iova(busy);
		if (++tries > MAX_TRIES)
			return -EDEADLOCK;
		evict(ctx, ioas, busy);
	}
}

int core_ioas_unmap(struct core_ctx *ctx, struct core_ioas *ioas, u64 iova, u64 length,
		    u64 *unmapped)
{
	u64 last;
	int rc;

	*unmapped = 0;
	rc = range_last(iova, length, &last);
	if (rc)
		return rc;
	return unmap_range(ctx, ioas, iova, last, unmapped);
}

int core_ioas_unmap_all(struct core_ctx *ctx, struct core_ioas *ioas, u64 *unmapped)
{
	return unmap_range(ctx, ioas, 0, U64_MAX, unmapped);
}

/* Give one of the two halves its range; the page tables stay as they are. */
static void init_half(struct core_area *half, const struct core_area *whole, u64 iova, u64 last)
{
	half->ioas = whole->ioas;
	half->pages = whole->pages;
	half->start_byte = area_byte(whole, iova);
	half->prot = whole->prot;
	half->node.start = iova;
	half->node.last = last;
}

static int split(struct core_ctx *ctx, struct core_area *area, u64 last)
{
	struct core_ioas *ioas = area->ioas;
	struct core_area *left, *right;
	u64 cut = last + 1;
	int rc;

	if (area->going)
		return -EBUSY;
	if (area->pages->kind == MEM_PAGES_DMABUF)
		return -EOPNOTSUPP;
	if (!is_aligned(cut, ioas->alignment) || !is_aligned(area_byte(area, cut), ioas->alignment))
		return -EINVAL;
	left = base_zalloc(&ctx->alloc, sizeof(*left));
	right = base_zalloc(&ctx->alloc, sizeof(*right));
	if (!left || !right) {
		rc = -ENOMEM;
		goto err_free;
	}
	/* Neither pins nor large pages can be cut in two. */
	if (area->num_accesses || (area->filled && !ioas->no_large_pages)) {
		rc = -EINVAL;
		goto err_free;
	}
	init_half(left, area, area_iova(area), last);
	init_half(right, area, cut, area_last(area));
	area_split_pin(area, left, right);
	mem_pages_get(area->pages);
	itree_remove(&ioas->areas, &area->node);
	itree_insert(&ioas->areas, &left->node);
	itree_insert(&ioas->areas, &right->node);
	base_free(&ctx->alloc, area, sizeof(*area));
	return 0;

err_free:
	base_free(&ctx->alloc, left, sizeof(*left));
	base_free(&ctx->alloc, right, sizeof(*right));
	return rc;
}

int core_ioas_cut(struct core_ctx *ctx, struct core_ioas *ioas, u64 iova)
{
	struct core_area *area = area_first(ioas, iova, iova);

	if (!area || iova == area_iova(area) || iova == area_last(area))
		return 0;
	return split(ctx, area, iova);
}

static void revoke_area(struct core_area *area, void *dmabuf)
{
	struct mem_pages *pages = area->pages;

	if (pages->kind == MEM_PAGES_DMABUF && pages->import->dmabuf == dmabuf &&
	    !pages->import->revoked)
		area_unmap_all(area);
}

static void sync_area(struct core_area *area, void *dmabuf)
{
	if (area->pages->kind == MEM_PAGES_DMABUF && area->pages->import->dmabuf == dmabuf)
		area_sync(area->ioas);
}

/* An import that is still mapped, whose context is held; NULL if none is left. */
static struct core_ctx *next_import(struct mem_dmabuf *dmabuf)
{
	struct mem_dmabuf_import *import;
	struct core_ctx *ctx = NULL;

	pthread_mutex_lock(&dmabuf->lock);
	LIST_FOREACH(import, &dmabuf->imports, link) {
		if (!import->revoked && core_ctx_tryget(import->owner)) {
			ctx = import->owner;
			break;
		}
	}
	pthread_mutex_unlock(&dmabuf->lock);
	return ctx;
}

/*
 * Revoke what @ctx imported: all at once, because only after that may it count as
 * revoked for others. Page lists of @ctx, and imports, stay while its lock is held.
 */
static void revoke_in(struct core_ctx *ctx, struct mem_dmabuf *dmabuf)
{
	struct mem_dmabuf_import *import;

	pthread_mutex_lock(&ctx->lock);
	core_for_each_area(ctx, revoke_area, dmabuf);
	core_for_each_area(ctx, sync_area, dmabuf);
	pthread_mutex_lock(&dmabuf->lock);
	LIST_FOREACH(import, &dmabuf->imports, link)
		if (import->owner == ctx)
			import->revoked = true;
	pthread_mutex_unlock(&dmabuf->lock);
	pthread_mutex_unlock(&ctx->lock);
}

void core_dmabuf_revoke(struct mem_dmabuf *dmabuf, bool revoked)
{
	struct core_ctx *ctx;

	pthread_mutex_lock(&dmabuf->lock);
	dmabuf->revoked = revoked;
	pthread_mutex_unlock(&dmabuf->lock);
	/* Mappings that exist lose the memory for good, whichever way it goes. */
	while ((ctx = next_import(dmabuf))) {
		revoke_in(ctx, dmabuf);
		core_ctx_put(ctx);
	}
}
