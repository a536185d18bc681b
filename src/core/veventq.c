// SPDX-License-Identifier: MIT
/*
 * Queues of a vIOMMU's events: IOMMU_VEVENTQ_ALLOC.
 *
 * Every event has a sequence number, and so has every lost one: a reader sees
 * losses as gaps. When the latest events were lost there is no next one to show
 * the gap, so a record that says "lost" stands at the tail until one comes.
 */
#include <string.h>

#include <softiommu/abi/iommufd.h>

#include "core/viommu.h"

static struct core_veventq *from_file(struct mem_file *file)
{
	return container_of(file, struct core_veventq, file);
}

static size_t event_bytes(size_t len)
{
	return sizeof(struct core_vevent) + len;
}

/* Context: q->lock. */
static void show_readable(struct core_veventq *q)
{
	mem_file_show_readable(&q->file, !TAILQ_EMPTY(&q->events));
}

static void drop(struct core_veventq *q, struct core_vevent *event)
{
	TAILQ_REMOVE(&q->events, event, link);
	if (event == &q->lost)
		return;
	q->nevents--;
	base_free(&q->ctx->alloc, event, event_bytes(event->len));
}

/* Hand the first event to the reader. Return: bytes, 0 if it does not fit, or -errno. */
static ssize_t read_one(struct core_veventq *q, struct siommu_task *task, u64 ubuf, size_t room)
{
	struct core_vevent *event = TAILQ_FIRST(&q->events);
	struct iommufd_vevent_header header = {
		.flags = event->flags,
		.sequence = event->sequence,
	};
	size_t bytes = sizeof(header) + event->len;
	int rc;

	if (bytes > room)
		return 0;
	rc = task_copy_out(task, ubuf, &header, sizeof(header));
	if (!rc)
		rc = task_copy_out(task, ubuf + sizeof(header), event->data, event->len);
	if (rc)
		return rc;
	drop(q, event);
	return (ssize_t)bytes;
}

static ssize_t veventq_read(struct mem_file *file, struct siommu_task *task, u64 ubuf, size_t n)
{
	struct core_veventq *q = from_file(file);
	ssize_t rc = 0, done = 0;

	if (n < sizeof(struct iommufd_vevent_header))
		return -EINVAL;
	pthread_mutex_lock(&q->lock);
	while (!TAILQ_EMPTY(&q->events)) {
		rc = read_one(q, task, ubuf + (size_t)done, n - (size_t)done);
		if (rc <= 0)
			break;
		done += rc;
	}
	if (!done && !rc && !TAILQ_EMPTY(&q->events))
		rc = -EINVAL;
	show_readable(q);
	pthread_mutex_unlock(&q->lock);
	return done ? done : rc;
}

static void veventq_release(struct mem_file *file)
{
	struct core_veventq *q = from_file(file);
	struct core_ctx *ctx = q->ctx;

	pthread_mutex_lock(&ctx->lock);
	core_object_put(&q->obj);
	pthread_mutex_unlock(&ctx->lock);
	core_ctx_put(ctx);
}

static const struct mem_file_ops veventq_file_ops = {
	.name = "iommufd-viommu-event",
	.read = veventq_read,
	.release = veventq_release,
};

/* Context: viommu->veventq_lock. */
static struct core_veventq *find_type(struct core_viommu *viommu, u32 type)
{
	struct core_veventq *q;

	LIST_FOREACH(q, &viommu->veventqs, link)
		if (q->type == type)
			return q;
	return NULL;
}

/* Put @event, or the mark that one was lost, at the tail. Context: q->lock. */
static void append(struct core_veventq *q, struct core_vevent *event)
{
	if (TAILQ_LAST(&q->events, vevent_list) == &q->lost)
		TAILQ_REMOVE(&q->events, &q->lost, link);
	event->sequence = q->sequence;
	q->sequence = (q->sequence + 1) & INT32_MAX;
	TAILQ_INSERT_TAIL(&q->events, event, link);
}

int core_veventq_report(struct core_viommu *viommu, u32 type, const void *data, size_t len)
{
	struct core_vevent *event = NULL;
	struct core_veventq *q;
	int rc = 0;

	pthread_mutex_lock(&viommu->veventq_lock);
	q = find_type(viommu, type);
	if (!q) {
		pthread_mutex_unlock(&viommu->veventq_lock);
		return -EOPNOTSUPP;
	}
	pthread_mutex_lock(&q->lock);
	if (q->nevents < q->depth) {
		event = base_zalloc(&q->ctx->alloc, event_bytes(len));
		if (!event)
			rc = -ENOMEM;
	}
	if (event) {
		event->len = (u32)len;
		memcpy(event->data, data, len);
		q->nevents++;
	}
	append(q, event ? event : &q->lost);
	show_readable(q);
	pthread_mutex_unlock(&q->lock);
	pthread_mutex_unlock(&viommu->veventq_lock);
	return rc;
}

static void veventq_destroy(struct core_ctx *ctx, struct core_object *obj)
{
	struct core_veventq *q = container_of(obj, struct core_veventq, obj);

	pthread_mutex_lock(&q->viommu->veventq_lock);
	LIST_REMOVE(q, link);
	pthread_mutex_unlock(&q->viommu->veventq_lock);
	core_object_put(&q->viommu->obj);
	while (!TAILQ_EMPTY(&q->events))
		drop(q, TAILQ_FIRST(&q->events));
	mem_file_destroy(&q->file);
	pthread_mutex_destroy(&q->lock);
	core_object_free(ctx, obj);
}

static void veventq_show(struct core_object *obj, FILE *out)
{
	struct core_veventq *q = container_of(obj, struct core_veventq, obj);

	pthread_mutex_lock(&q->lock);
	fprintf(out, "of vIOMMU %u, %u of %u events", q->viommu->obj.id, q->nevents, q->depth);
	pthread_mutex_unlock(&q->lock);
}

static const struct core_object_ops veventq_ops = {
	.type = CORE_VEVENTQ,
	.size = sizeof(struct core_veventq),
	.name = "event queue",
	.destroy = veventq_destroy,
	.show = veventq_show,
};

int core_veventq_alloc(struct core_ctx *ctx, struct siommu_task *task, struct core_viommu *viommu,
		       u32 type, u32 depth, struct core_veventq **out, int *fd)
{
	struct core_veventq *q;
	struct core_object *obj;
	int rc;

	/* Queues are only added and removed with the context's lock held. */
	if (find_type(viommu, type))
		return -EEXIST;
	rc = core_object_new(ctx, &veventq_ops, &obj);
	if (rc)
		return rc;
	q = container_of(obj, struct core_veventq, obj);
	q->ctx = ctx;
	q->type = type;
	q->depth = depth;
	q->viommu = viommu;
	core_object_get(&viommu->obj);
	pthread_mutex_init(&q->lock, NULL);
	TAILQ_INIT(&q->events);
	q->lost.flags = IOMMU_VEVENTQ_FLAG_LOST_EVENTS;
	/* Events may come as soon as the queue can be found. */
	mem_file_init(&q->file, &veventq_file_ops);
	pthread_mutex_lock(&viommu->veventq_lock);
	LIST_INSERT_HEAD(&viommu->veventqs, q, link);
	pthread_mutex_unlock(&viommu->veventq_lock);
	rc = core_eventq_open(ctx, task, &q->obj, &q->file, fd);
	if (rc) {
		core_object_undo(ctx, &q->obj);
		return rc;
	}
	*out = q;
	return 0;
}
