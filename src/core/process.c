// SPDX-License-Identifier: MIT
/*
 * IOAS_CHANGE_PROCESS: another process takes over the charge for all memory
 * that the context has pinned. Either all of it moves or nothing does.
 */
#include "core/ioas.h"

/* Call @fn for every page list of every area; several areas may share one. */
static void for_each_area(struct core_ctx *ctx, void (*fn)(struct mem_pages *, void *), void *arg)
{
	struct core_object *obj;
	struct core_area *area;
	u32 id;

	for (id = 1; (obj = idtable_next(&ctx->objects, &id)); id++) {
		struct core_ioas *ioas = container_of(obj, struct core_ioas, obj);

		if (obj->ops->type != CORE_IOAS)
			continue;
		for (area = area_first(ioas, 0, U64_MAX); area; area = area_next(area, 0, U64_MAX))
			fn(area->pages, arg);
	}
}

struct census {
	struct mem_space *to;
	bool only_files;
	u64 npages[3];
};

/*
 * Count each page list once. A list that was counted is told by its sign bit,
 * which a count of pages never reaches; the second round clears it again.
 */
#define COUNTED ((u64)1 << 63)

static void count(struct mem_pages *pages, void *arg)
{
	struct census *c = arg;

	if (pages->kind != MEM_PAGES_FILE)
		c->only_files = false;
	if (pages->space == c->to || (pages->npinned & COUNTED))
		return;
	c->npages[pages->account] += pages->npinned;
	pages->npinned |= COUNTED;
}

static void uncount(struct mem_pages *pages, void *arg)
{
	(void)arg;
	pages->npinned &= ~COUNTED;
}

static void move(struct mem_pages *pages, void *arg)
{
	struct census *c = arg;

	if (pages->space != c->to)
		mem_pages_move(pages, c->to);
}

int core_ctx_change_process(struct core_ctx *ctx, struct siommu_task *task)
{
	struct census c = { .to = task->space, .only_files = true };
	unsigned int mode;
	int rc;

	for_each_area(ctx, count, &c);
	for_each_area(ctx, uncount, &c);
	if (!c.only_files)
		return -EINVAL;
	for (mode = 0; mode < ARRAY_SIZE(c.npages); mode++) {
		rc = mem_charge(c.to, mode, c.npages[mode]);
		if (rc)
			goto err_uncharge;
	}
	for_each_area(ctx, move, &c);
	return 0;

err_uncharge:
	while (mode--)
		mem_uncharge(c.to, mode, c.npages[mode]);
	return rc;
}
