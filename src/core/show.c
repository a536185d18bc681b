// SPDX-License-Identifier: MIT
/*
 * A machine as a tree for people: each IOMMU that was asked for, the devices
 * behind it and its latest faults; the PCI functions; then each context, its
 * objects by id, and under an IOAS its ranges and its areas.
 */
#include <time.h>

#include "core/access.h"
#include "core/device.h"
#include "core/ioas.h"
#include "core/show.h"

/* Areas and faults beyond these are counted, not listed. */
#define MAX_AREAS  32
#define MAX_FAULTS 8

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

static void show_attachments(struct iommu_group *group, FILE *out)
{
	static const char *const types[] = {
		[IOMMU_DOMAIN_BLOCKED] = "blocked",
		[IOMMU_DOMAIN_PAGING] = "a paging domain",
		[IOMMU_DOMAIN_NESTED] = "a nested domain",
	};
	struct iommu_attach_handle *handle;
	struct itree_node *node;

	pthread_mutex_lock(&group->lock);
	for (node = itree_first(&group->handles, 0, U64_MAX); node;
	     node = itree_next(&group->handles, node, 0, U64_MAX)) {
		handle = container_of(node, struct iommu_attach_handle, node);
		if (node->start == IOMMU_NO_PASID)
			fprintf(out, ", attached to %s", types[handle->domain->type]);
		else
			fprintf(out, ", PASID %u to %s", (u32)node->start,
				types[handle->domain->type]);
	}
	pthread_mutex_unlock(&group->lock);
}

/* Context: the group's attach_lock. */
static void show_device(struct iommu_device *dev, FILE *out)
{
	struct dma_port *port;
	unsigned int ports = 0;

	fprintf(out, "    |- %s, %02x:%02x.%u (%#x), ", dev->name, dev->requester >> 8 & 0xff,
		dev->requester >> 3 & 0x1f, dev->requester & 7, dev->requester);
	if (dev->group->id & MACHINE_OWN_GROUPS)
		fprintf(out, "group of its own");
	else
		fprintf(out, "group %u", dev->group->id);
	if (dev->pasid_bits)
		fprintf(out, ", PASIDs of %u bits", dev->pasid_bits);
	show_attachments(dev->group, out);
	/* Somebody may wait for an access or a pin, with the ports' lock. */
	if (!pthread_mutex_trylock(&dev->ports_lock)) {
		LIST_FOREACH(port, &dev->ports, link)
			ports++;
		pthread_mutex_unlock(&dev->ports_lock);
		fprintf(out, ", %u ports", ports);
	}
	fprintf(out, "\n");
}

static void show_faults(struct siommu_unit *unit, FILE *out)
{
	struct siommu_fault faults[MAX_FAULTS];
	unsigned int i, n;
	u64 count;

	n = siommu_unit_faults(unit, faults, MAX_FAULTS, &count);
	if (count > n)
		fprintf(out, "    |- faults: the last %u of %llu\n", n, (unsigned long long)count);
	for (i = 0; i < n; i++) {
		const struct siommu_fault *f = &faults[i];
		const char *text = siommu_fault_text(unit, f->reason);

		fprintf(out, "    |- fault %#x%s%s: %s", f->reason, text ? ", " : "",
			text ? text : "", f->device);
		if (f->flags & SIOMMU_FAULT_PASID)
			fprintf(out, ", PASID %u", f->pasid);
		fprintf(out, ", %s%s of %#llx",
			f->access & SIOMMU_DMA_PRIV ? "privileged " : "",
			f->access & SIOMMU_DMA_WRITE  ? "write"
			: f->access & SIOMMU_DMA_EXEC ? "execute"
						      : "read",
			(unsigned long long)f->iova);
		if (f->flags & SIOMMU_FAULT_STAGE2)
			fprintf(out, ", at %#llx of stage 2", (unsigned long long)f->ipa);
		fprintf(out, "\n");
	}
}

/* Context: the machine's lock. */
static void show_unit(struct siommu_machine *m, struct siommu_unit *unit, FILE *out)
{
	struct iommu_device *dev;
	struct siommu_group *g;

	fprintf(out, "  IOMMU %s, %s\n", unit->unit->name, unit->unit->ops->name);
	TAILQ_FOREACH(g, &m->groups, link) {
		/* Whoever attaches may wait for devices: do not wait for him. */
		if (pthread_mutex_trylock(&g->group.attach_lock)) {
			fprintf(out, "    |- a group that is being attached\n");
			continue;
		}
		LIST_FOREACH(dev, &g->group.devices, group_link)
			if (dev->unit == unit->unit)
				show_device(dev, out);
		pthread_mutex_unlock(&g->group.attach_lock);
	}
	show_faults(unit, out);
}

void siommu_machine_show(struct siommu_machine *m, FILE *out)
{
	void (*bus_show)(struct vfio_bus *bus, FILE *out);
	struct core_ctx *ctx, *next;
	struct siommu_unit *unit;
	struct vfio_bus *bus;

	fprintf(out, "machine%s\n", m->test_interface ? " with the mock IOMMU" : "");
	pthread_mutex_lock(&m->lock);
	TAILQ_FOREACH(unit, &m->units, link)
		show_unit(m, unit, out);
	bus = m->bus;
	bus_show = m->bus_show;
	pthread_mutex_unlock(&m->lock);
	core_pasid_show(&m->pasids, out);
	if (bus)
		bus_show(bus, out);
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
