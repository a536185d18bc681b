// SPDX-License-Identifier: MIT
/*
 * vIOMMUs, virtual devices and hardware queues.
 *
 * The model owns the substance; the objects here tie it to the graph: a vIOMMU
 * keeps its nest parent, a virtual device or queue keeps its vIOMMU. A virtual
 * device ends with its device, whatever the user does, and then leaves its id
 * taken, so that a late DESTROY cannot hit something new.
 */
#include <fcntl.h>
#include <unistd.h>

#include "core/door.h"
#include "core/viommu.h"

static void viommu_destroy(struct core_ctx *ctx, struct core_object *obj)
{
	struct core_viommu *viommu = container_of(obj, struct core_viommu, obj);

	if (viommu->hw)
		viommu->hw->ops->destroy(viommu->hw);
	core_object_put(&viommu->hwpt->common.obj);
	pthread_mutex_destroy(&viommu->veventq_lock);
	core_object_free(ctx, obj);
}

/*
 * Somebody maps what the vIOMMU offers. A seal against writing is refused while
 * writable mappings exist, in whatever process; it is only tried when the
 * vIOMMU is about to go, so it does no harm when it is granted.
 */
static bool viommu_busy(struct core_ctx *ctx, struct core_object *obj)
{
	struct core_mmap *m;

	LIST_FOREACH(m, &ctx->mmaps, link)
		if (m->owner == obj && fcntl(m->fd, F_ADD_SEALS, F_SEAL_WRITE) && errno == EBUSY)
			return true;
	return false;
}

static void viommu_show(struct core_object *obj, FILE *out)
{
	struct core_viommu *viommu = container_of(obj, struct core_viommu, obj);

	fprintf(out, "type %#x on HWPT %u", viommu->type, viommu->hwpt->common.obj.id);
}

static const struct core_object_ops viommu_ops = {
	.type = CORE_VIOMMU,
	.size = sizeof(struct core_viommu),
	.name = "vIOMMU",
	.busy = viommu_busy,
	.destroy = viommu_destroy,
	.show = viommu_show,
};

static int sink_event(void *arg, u32 type, const void *data, size_t len)
{
	return core_veventq_report(arg, type, data, len);
}

/* The lowest free range of offsets; the first page is left out, as 0 means none. */
static u64 find_offset(struct core_ctx *ctx, u64 bytes)
{
	u64 offset = PAGE_BYTES;
	struct core_mmap *m;
	bool moved;

	do {
		moved = false;
		LIST_FOREACH(m, &ctx->mmaps, link) {
			if (offset < m->offset + m->bytes && m->offset < offset + bytes) {
				offset = m->offset + m->bytes;
				moved = true;
			}
		}
	} while (moved);
	return offset;
}

static int sink_mmap_add(void *arg, int fd, u64 bytes, u64 *offset)
{
	struct core_viommu *viommu = arg;
	struct core_mmap *m;

	m = base_zalloc(&viommu->ctx->alloc, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->fd = fd;
	m->bytes = bytes;
	m->offset = find_offset(viommu->ctx, bytes);
	m->owner = &viommu->obj;
	LIST_INSERT_HEAD(&viommu->ctx->mmaps, m, link);
	*offset = m->offset;
	return 0;
}

static void sink_mmap_remove(void *arg, u64 offset)
{
	struct core_viommu *viommu = arg;
	struct core_mmap *m, *next;

	LIST_FOREACH_SAFE(m, &viommu->ctx->mmaps, link, next) {
		if (m->offset != offset)
			continue;
		LIST_REMOVE(m, link);
		base_free(&viommu->ctx->alloc, m, sizeof(*m));
	}
}

static const struct iommu_viommu_sink viommu_sink = {
	.event = sink_event,
	.mmap_add = sink_mmap_add,
	.mmap_remove = sink_mmap_remove,
};

int core_ctx_mmap_fd(struct core_ctx *ctx, u64 length, u64 offset)
{
	struct core_mmap *m;
	int fd = -ENXIO;

	if (!is_aligned(length, PAGE_BYTES))
		return -EINVAL;
	pthread_mutex_lock(&ctx->lock);
	LIST_FOREACH(m, &ctx->mmaps, link) {
		if (m->offset != offset || m->bytes != length)
			continue;
		fd = fcntl(m->fd, F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			fd = -errno;
		break;
	}
	pthread_mutex_unlock(&ctx->lock);
	return fd;
}

int core_viommu_alloc(struct core_ctx *ctx, struct core_device *dev, struct core_hwpt_paging *hwpt,
		      const struct iommu_user_data *data, struct core_viommu **out)
{
	const struct iommu_ops *ops = dev->dev->unit->ops;
	struct core_viommu *viommu;
	struct core_object *obj;
	int rc;

	rc = core_object_new(ctx, &viommu_ops, &obj);
	if (rc)
		return rc;
	viommu = container_of(obj, struct core_viommu, obj);
	viommu->ctx = ctx;
	viommu->type = data->type;
	viommu->hwpt = hwpt;
	core_object_get(&hwpt->common.obj);
	pthread_mutex_init(&viommu->veventq_lock, NULL);
	LIST_INIT(&viommu->veventqs);
	rc = ops->viommu_alloc(dev->dev, &ctx->alloc, data->type, hwpt->common.domain,
			       data->len ? data : NULL, &viommu_sink, viommu, &viommu->hw);
	if (rc) {
		viommu->hw = NULL;
		core_object_undo(ctx, &viommu->obj);
		return rc;
	}
	*out = viommu;
	return 0;
}

static void vdevice_destroy(struct core_ctx *ctx, struct core_object *obj)
{
	struct core_vdevice *vdev = container_of(obj, struct core_vdevice, obj);

	iommu_vdevice_remove(vdev->viommu->hw, &vdev->hw);
	vdev->dev->vdev = NULL;
	core_object_put(&vdev->viommu->obj);
	core_object_free(ctx, obj);
}

static void vdevice_show(struct core_object *obj, FILE *out)
{
	struct core_vdevice *vdev = container_of(obj, struct core_vdevice, obj);

	fprintf(out, "%#llx of vIOMMU %u is device %u", (unsigned long long)vdev->hw.node.start,
		vdev->viommu->obj.id, vdev->dev->obj.id);
}

static const struct core_object_ops vdevice_ops = {
	.type = CORE_VDEVICE,
	.size = sizeof(struct core_vdevice),
	.name = "vDEVICE",
	.destroy = vdevice_destroy,
	.show = vdevice_show,
};

int core_vdevice_alloc(struct core_ctx *ctx, struct core_viommu *viommu, struct core_device *dev,
		       u64 virt_id, struct core_vdevice **out)
{
	struct core_vdevice *vdev;
	struct core_object *obj;
	int rc;

	if (viommu->hw->unit != dev->dev->unit)
		return -EINVAL;
	if (dev->vdev)
		return -EEXIST;
	rc = core_object_new(ctx, &vdevice_ops, &obj);
	if (rc)
		return rc;
	vdev = container_of(obj, struct core_vdevice, obj);
	rc = iommu_vdevice_add(viommu->hw, &vdev->hw, dev->dev, virt_id);
	if (rc) {
		core_object_abort(ctx, obj);
		return rc;
	}
	vdev->viommu = viommu;
	core_object_get(&viommu->obj);
	vdev->dev = dev;
	dev->vdev = vdev;
	*out = vdev;
	return 0;
}

/* The page range that holds the queue. */
static void queue_pages(u64 iova, u64 length, u64 *start, u64 *bytes)
{
	*start = align_down(iova, PAGE_BYTES);
	*bytes = align_up(iova - *start + length, PAGE_BYTES);
}

static void hw_queue_destroy(struct core_ctx *ctx, struct core_object *obj)
{
	struct core_hw_queue *q = container_of(obj, struct core_hw_queue, obj);
	u64 start, bytes;

	if (q->hw) {
		if (q->hw->prev)
			core_object_put(q->hw->prev->core);
		q->viommu->hw->ops->hw_queue_free(q->hw);
	}
	if (q->access) {
		queue_pages(q->iova, q->length, &start, &bytes);
		core_access_unpin(q->access, start, bytes);
		core_access_destroy(q->access);
	}
	core_object_put(&q->viommu->obj);
	core_object_free(ctx, obj);
}

static void hw_queue_show(struct core_object *obj, FILE *out)
{
	struct core_hw_queue *q = container_of(obj, struct core_hw_queue, obj);

	fprintf(out, "of vIOMMU %u at %#llx, %llu bytes", q->viommu->obj.id,
		(unsigned long long)q->iova, (unsigned long long)q->length);
}

static const struct core_object_ops hw_queue_ops = {
	.type = CORE_HW_QUEUE,
	.size = sizeof(struct core_hw_queue),
	.name = "HW queue",
	.destroy = hw_queue_destroy,
	.show = hw_queue_show,
};

/* Hold the queue's memory against unmap. It must be one run of host addresses. */
static int hold_queue(struct core_ctx *ctx, struct core_hw_queue *q, hpa_t *hpa)
{
	struct core_access *access;
	u64 start, bytes, npages, i;
	u64 *hpas;
	int rc;

	if (q->length > U64_MAX - 2 * PAGE_BYTES)
		return -ERANGE;
	queue_pages(q->iova, q->length, &start, &bytes);
	npages = bytes >> PAGE_LG2;
	hpas = base_zalloc_array(&ctx->alloc, npages, sizeof(*hpas));
	if (!hpas)
		return -ENOMEM;
	rc = core_access_create(ctx, NULL, NULL, &access);
	if (rc)
		goto out_free;
	rc = core_access_attach(access, q->viommu->hwpt->ioas);
	if (!rc)
		rc = core_access_pin(access, start, bytes, false, hpas);
	if (rc) {
		core_access_destroy(access);
		goto out_free;
	}
	q->access = access;
	for (i = 1; i < npages; i++)
		if (hpas[i] != hpas[i - 1] + PAGE_BYTES)
			rc = -EFAULT;
	*hpa = hpas[0] + (q->iova - start);
out_free:
	base_free(&ctx->alloc, hpas, npages * sizeof(*hpas));
	return rc;
}

int core_hw_queue_alloc(struct core_ctx *ctx, struct core_viommu *viommu, u32 type, u32 index,
			u64 iova, u64 length, struct core_hw_queue **out)
{
	const struct iommu_viommu_ops *ops = viommu->hw->ops;
	hpa_t hpa = HPA_NONE;
	struct core_hw_queue *q;
	struct core_object *obj;
	int rc;

	if (!ops->hw_queue_alloc || !ops->hw_queue_supported ||
	    !ops->hw_queue_supported(viommu->hw, type))
		return -EOPNOTSUPP;
	rc = core_object_new(ctx, &hw_queue_ops, &obj);
	if (rc)
		return rc;
	q = container_of(obj, struct core_hw_queue, obj);
	q->viommu = viommu;
	core_object_get(&viommu->obj);
	q->iova = iova;
	q->length = length;
	rc = hold_queue(ctx, q, &hpa);
	if (!rc)
		rc = ops->hw_queue_alloc(viommu->hw, type, index, iova, length, hpa, &q->hw);
	if (rc) {
		q->hw = NULL;
		core_object_undo(ctx, &q->obj);
		return rc;
	}
	q->hw->core = &q->obj;
	/* The queue before it must outlive it. */
	if (q->hw->prev)
		core_object_get(q->hw->prev->core);
	*out = q;
	return 0;
}
