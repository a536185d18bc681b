// SPDX-License-Identifier: MIT
/*
 * IOAS_CHANGE_PROCESS: another process takes over the charge for all memory
 * that the context has pinned. Either all of it moves or nothing does.
 */
#include "core/ioas.h"

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

static void count(struct core_area *area, void *arg)
{
	struct mem_pages *pages = area->pages;
	struct census *c = arg;

	if (pages->kind != MEM_PAGES_FILE)
		c->only_files = false;
	if (pages->space == c->to || (pages->npinned & COUNTED))
		return;
	c->npages[pages->account] += pages->npinned;
	pages->npinned |= COUNTED;
}

static void uncount(struct core_area *area, void *arg)
{
	(void)arg;
	area->pages->npinned &= ~COUNTED;
}

static void move(struct core_area *area, void *arg)
{
	struct census *c = arg;

	if (area->pages->space != c->to)
		mem_pages_move(area->pages, c->to);
}

int core_ctx_change_process(struct core_ctx *ctx, struct siommu_task *task)
{
	struct census c = { .to = task->space, .only_files = true };
	unsigned int mode;
	int rc;

	core_for_each_area(ctx, count, &c);
	core_for_each_area(ctx, uncount, &c);
	if (!c.only_files)
		return -EINVAL;
	for (mode = 0; mode < ARRAY_SIZE(c.npages); mode++) {
		rc = mem_charge(c.to, mode, c.npages[mode]);
		if (rc)
			goto err_uncharge;
	}
	core_for_each_area(ctx, move, &c);
	return 0;

err_uncharge:
	while (mode--)
		mem_uncharge(c.to, mode, c.npages[mode]);
	return rc;
}
