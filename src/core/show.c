// SPDX-License-Identifier: MIT
/*
 * The objects of a machine as a tree for people: each context, its objects by
 * id, and under an IOAS its ranges and its areas.
 */
#include <time.h>

#include "core/access.h"
#include "core/ioas.h"
#include "core/show.h"

/* Areas beyond these are counted, not listed. */
#define MAX_AREAS 32

static void show_bytes(FILE *out, u64 bytes)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB", "PiB" };
	unsigned int unit = 0;

	while (unit + 1 < ARRAY_SIZE(units) && bytes && !(bytes % 1024)) {
		bytes /= 1024;
		unit++;
	}
	fprintf(out, "%llu %s", (unsigned long long)bytes, units[unit]);
}

static void show_area(const struct core_area *area, FILE *out)
{
	static const char *const kinds[] = {
		[MEM_PAGES_USER] = "user memory at",
		[MEM_PAGES_FILE] = "file at byte",
		[MEM_PAGES_DMABUF] = "dma-buf at byte",
	};

	fprintf(out, "    |    |- [%#14llx, %#14llx] %c%c ", (unsigned long long)area_iova(area),
		(unsigned long long)area_last(area), area->prot & IOMMU_PROT_READ ? 'r' : '-',
		area->prot & IOMMU_PROT_WRITE ? 'w' : '-');
	show_bytes(out, area_length(area));
	fprintf(out, ", %s %#llx%s\n", kinds[area->pages->kind],
		(unsigned long long)(area->pages->base + area->start_byte),
		area->filled ? ", pinned" : "");
}

static void show_ranges(const struct itree *t, const char *what, FILE *out)
{
	struct itree_span span;

	itree_span_begin(&span, t, 0, U64_MAX);
	do {
		if (span.used)
			fprintf(out, "    |    |- [%#14llx, %#14llx] %s\n",
				(unsigned long long)span.start, (unsigned long long)span.last,
				what);
	} while (itree_span_next(&span));
}

static void show_ioas(struct core_ioas *ioas, FILE *out)
{
	struct core_area *area;
	u64 n = 0;

	show_ranges(&ioas->reserved, "reserved", out);
	show_ranges(&ioas->allowed, "allowed", out);
	for (area = area_first(ioas, 0, U64_MAX); area; area = area_next(area, 0, U64_MAX))
		if (n++ < MAX_AREAS)
			show_area(area, out);
	if (n > MAX_AREAS)
		fprintf(out, "    |    |- and %llu more areas\n",
			(unsigned long long)(n - MAX_AREAS));
}

void core_ctx_show(struct core_ctx *ctx, FILE *out)
{
	struct timespec until;
	struct core_object *obj;
	size_t bytes;
	u32 id;

	/* A caller that stalls in the middle of a call must not stall the reader. */
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec++;
	if (pthread_mutex_timedlock(&ctx->lock, &until)) {
		fprintf(out, "  context, busy\n");
		return;
	}
	bytes = atomic_load(&ctx->alloc.bytes);
	fprintf(out, "  context, %zu bytes of %zu%s\n", bytes, ctx->alloc.limit,
		ctx->alloc.limit ? "" : " (no quota)");
	for (id = 1; (obj = idtable_next(&ctx->objects, &id)); id++) {
		fprintf(out, "    |- %u: %s", id, obj->ops->name);
		if (obj->ops->show) {
			fprintf(out, ", ");
			obj->ops->show(obj, out);
		}
		fprintf(out, "\n");
		if (obj->ops->type == CORE_IOAS)
			show_ioas(container_of(obj, struct core_ioas, obj), out);
	}
	pthread_mutex_unlock(&ctx->lock);
}

void siommu_machine_show(struct siommu_machine *m, FILE *out)
{
	struct core_ctx *ctx, *next;

	fprintf(out, "machine%s\n", m->test_interface ? " with the mock IOMMU" : "");
	/* A context's lock comes before the machine's: hold one context at a time. */
	pthread_mutex_lock(&m->lock);
	ctx = LIST_FIRST(&m->contexts);
	if (ctx)
		ctx->refs++;
	pthread_mutex_unlock(&m->lock);
	for (; ctx; ctx = next) {
		core_ctx_show(ctx, out);
		pthread_mutex_lock(&m->lock);
		next = LIST_NEXT(ctx, link);
		if (next)
			next->refs++;
		pthread_mutex_unlock(&m->lock);
		core_ctx_put(ctx);
	}
}
