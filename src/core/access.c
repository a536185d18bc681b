// SPDX-License-Identifier: MIT
/*
 * Accesses.
 *
 * A pin remembers, per area it touches, its hold on the page list; unpinning
 * therefore needs no look-up of areas. Call-backs run without the context's
 * lock: the access counts them, and destroying or moving it waits for them.
 */
#include "core/access.h"

static void access_show(struct core_object *obj, FILE *out)
{
	struct core_access *access = container_of(obj, struct core_access, obj);

	if (access->ioas)
		fprintf(out, "to IOAS %u", access->ioas->obj.id);
	else
		fprintf(out, "to nothing");
}

static const struct core_object_ops access_ops = {
	.type = CORE_ACCESS,
	.size = sizeof(struct core_access),
	.name = "access",
	.destroy = core_object_free,
	.show = access_show,
};

static bool is_internal(struct core_access *access)
{
	return !access->ops;
}

int core_access_create(struct core_ctx *ctx, const struct siommu_access_ops *ops, void *arg,
		       struct core_access **out)
{
	struct core_access *access;
	struct core_object *obj;
	int rc;

	rc = core_object_new(ctx, &access_ops, &obj);
	if (rc)
		return rc;
	access = container_of(obj, struct core_access, obj);
	access->ctx = ctx;
	access->ops = ops;
	access->arg = arg;
	access->alignment = !ops || ops->needs_pin ? PAGE_BYTES : 1;
	/* The driver is a user until it destroys the access. */
	core_object_get(&access->obj);
	core_object_publish(ctx, &access->obj);
	if (ops)
		core_ctx_get(ctx);
	*out = access;
	return 0;
}

/* Run the call-back without the lock. */
static void call_unmap(struct core_ctx *ctx, struct core_access *access, u64 iova, u64 length)
{
	if (is_internal(access) || !access->ops->unmap)
		return;
	access->busy++;
	pthread_mutex_unlock(&ctx->lock);
	access->ops->unmap(access->arg, iova, length);
	pthread_mutex_lock(&ctx->lock);
	if (!--access->busy)
		pthread_cond_broadcast(&ctx->idle);
}

void core_access_notify_unmap(struct core_ctx *ctx, struct core_ioas *ioas, u64 iova, u64 length)
{
	struct core_access *access, *next;

	LIST_FOREACH_SAFE(access, &ioas->accesses, link, next) {
		/* Nothing of @next goes away while it counts as busy. */
		if (next)
			next->busy++;
		call_unmap(ctx, access, iova, length);
		if (next && !--next->busy)
			pthread_cond_broadcast(&ctx->idle);
	}
}

/* Leave the IOAS, with everything unpinned. Waits for call-backs. */
static void leave(struct core_access *access)
{
	struct core_ctx *ctx = access->ctx;
	struct core_ioas *ioas = access->ioas;

	access->moving = true;
	call_unmap(ctx, access, 0, U64_MAX);
	while (access->busy)
		pthread_cond_wait(&ctx->idle, &ctx->lock);
	access->moving = false;
	access->ioas = NULL;
	core_ioas_remove_access(ctx, ioas, access);
	core_object_put(&ioas->obj);
}

static int join(struct core_access *access, struct core_ioas *ioas)
{
	int rc;

	rc = core_ioas_add_access(access->ctx, ioas, access);
	if (rc)
		return rc;
	core_object_get(&ioas->obj);
	access->ioas = ioas;
	return 0;
}

int core_access_attach(struct core_access *access, struct core_ioas *ioas)
{
	return access->ioas ? -EINVAL : join(access, ioas);
}

int core_access_replace(struct core_access *access, u32 ioas_id)
{
	struct core_ctx *ctx = access->ctx;
	struct core_ioas *old = access->ioas;
	struct core_access hold = { 0 };
	struct core_ioas *ioas;
	int rc;

	if (!old)
		return -ENOENT;
	if (access->moving)
		return -EBUSY;
	ioas = core_ioas_find(ctx, ioas_id);
	if (!ioas)
		return -ENOENT;
	if (ioas == old)
		return 0;
	/* A stand-in keeps the new one fit for the access while the old one is left. */
	hold.alignment = access->alignment;
	rc = core_ioas_add_access(ctx, ioas, &hold);
	if (rc)
		return rc;
	core_object_get(&ioas->obj);
	leave(access);
	rc = join(access, ioas);
	/* Somebody who tells the accesses of the new one may have it as his next. */
	while (hold.busy)
		pthread_cond_wait(&ctx->idle, &ctx->lock);
	core_ioas_remove_access(ctx, ioas, &hold);
	core_object_put(&ioas->obj);
	return rc;
}

void core_access_detach(struct core_access *access)
{
	if (access->ioas && !access->moving)
		leave(access);
}

void core_access_destroy(struct core_access *access)
{
	core_access_detach(access);
	while (access->busy)
		pthread_cond_wait(&access->ctx->idle, &access->ctx->lock);
	core_object_remove(access->ctx, &access->obj);
}

static bool allowed(const struct core_area *area, bool write)
{
	return area->prot & (write ? IOMMU_PROT_WRITE : IOMMU_PROT_READ);
}

/* Pages are handed out whole, so areas must meet at page boundaries. */
static bool walk_is_aligned(const struct area_walk *walk)
{
	if (!is_aligned(area_byte(walk->area, walk->iova), PAGE_BYTES))
		return false;
	return walk->complete || is_aligned(area_byte(walk->area, walk->last) + 1, PAGE_BYTES);
}

static void unpin_parts(struct core_access *access, struct core_pin *pin, u32 nparts)
{
	u32 i;

	for (i = 0; i < nparts; i++) {
		struct core_pin_part *part = &pin->parts[i];

		part->area->num_accesses--;
		if (is_internal(access))
			part->area->num_locks--;
		mem_pages_unpin(part->pages, &part->pin);
	}
}

static int pin_part(struct core_access *access, struct core_pin_part *part,
		    const struct area_walk *walk, bool write)
{
	struct core_area *area = walk->area;
	u64 first = area_byte(area, walk->iova) >> PAGE_LG2;
	u64 last = area_byte(area, walk->last) >> PAGE_LG2;
	int rc;

	if (area->going || !walk_is_aligned(walk))
		return -EINVAL;
	if (!allowed(area, write) || (write && !area->pages->writable))
		return -EPERM;
	if (area->pages->kind == MEM_PAGES_DMABUF)
		return -EINVAL;
	rc = mem_pages_pin(area->pages, &part->pin, first, last);
	if (rc)
		return rc;
	part->area = area;
	part->pages = area->pages;
	area->num_accesses++;
	if (is_internal(access))
		area->num_locks++;
	return 0;
}

static size_t pin_bytes(u32 nparts)
{
	return sizeof(struct core_pin) + nparts * sizeof(struct core_pin_part);
}

int core_access_pin(struct core_access *access, u64 iova, u64 length, bool write, u64 *hpas)
{
	struct core_ctx *ctx = access->ctx;
	struct core_ioas *ioas = access->ioas;
	struct area_walk walk;
	struct core_pin *pin;
	u32 nparts = 0, n = 0;
	u64 last;
	int rc;

	rc = range_last(iova, length, &last);
	if (rc)
		return rc;
	if (!ioas || access->moving)
		return -ENOENT;
	for_each_contig_area(&walk, ioas, iova, last)
		nparts++;
	pin = base_zalloc(&ctx->alloc, pin_bytes(nparts));
	if (!pin)
		return -ENOMEM;
	pin->nparts = nparts;
	for_each_contig_area(&walk, ioas, iova, last) {
		u64 byte = align_down(area_byte(walk.area, walk.iova), PAGE_BYTES);
		u64 end = area_byte(walk.area, walk.last);

		rc = pin_part(access, &pin->parts[n], &walk, write);
		if (rc)
			goto err_unpin;
		n++;
		for (; byte <= end; byte += PAGE_BYTES)
			*hpas++ = mem_pages_hpa(walk.area->pages, byte);
	}
	if (!walk.complete) {
		rc = -ENOENT;
		goto err_unpin;
	}
	pin->node.start = iova;
	pin->node.last = last;
	itree_insert(&access->pins, &pin->node);
	return 0;

err_unpin:
	unpin_parts(access, pin, n);
	base_free(&ctx->alloc, pin, pin_bytes(nparts));
	return rc;
}

void core_access_unpin(struct core_access *access, u64 iova, u64 length)
{
	u64 last = iova + length - 1;
	struct itree_node *n;

	for (n = itree_first(&access->pins, iova, iova); n;
	     n = itree_next(&access->pins, n, iova, iova)) {
		struct core_pin *pin = container_of(n, struct core_pin, node);

		if (n->start != iova || n->last != last)
			continue;
		itree_remove(&access->pins, n);
		unpin_parts(access, pin, pin->nparts);
		base_free(&access->ctx->alloc, pin, pin_bytes(pin->nparts));
		return;
	}
}

int core_access_rw(struct core_access *access, u64 iova, void *buf, size_t length, bool write)
{
	struct area_walk walk;
	u64 last;
	int rc;

	rc = range_last(iova, length, &last);
	if (rc)
		return rc;
	if (!access->ioas || access->moving)
		return -ENOENT;
	for_each_contig_area(&walk, access->ioas, iova, last) {
		u64 byte = area_byte(walk.area, walk.iova);
		size_t n = walk.last - walk.iova + 1;

		if (walk.area->going)
			return -EINVAL;
		if (!allowed(walk.area, write))
			return -EPERM;
		if (write)
			rc = mem_pages_write(walk.area->pages, byte, buf, n);
		else
			rc = mem_pages_read(walk.area->pages, byte, buf, n);
		if (rc)
			return rc;
		buf = (u8 *)buf + n;
	}
	return walk.complete ? 0 : -ENOENT;
}
