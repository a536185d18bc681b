// SPDX-License-Identifier: MIT
/*
 * The mock's vIOMMU: invalidates the caches of virtual devices, offers two
 * pages for mmap, and has two queues that must be made in order.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mock.h"

#define MMAP_BYTES (2 * PAGE_BYTES)

struct mock_hw_queue {
	struct iommu_hw_queue common;
	u32 index;
};

/**
 * struct mock_viommu - the vIOMMU
 * @common: the part all models have
 * @mmap_fd: memory that the user may map; -1 without user data
 * @mmap_offset: where
 * @queues: made so far
 */
struct mock_viommu {
	struct iommu_viommu common;
	int mmap_fd;
	u64 mmap_offset;
	struct mock_hw_queue *queues[IOMMU_TEST_HW_QUEUE_MAX];
};

static struct mock_viommu *to_mock(struct iommu_viommu *viommu)
{
	return container_of(viommu, struct mock_viommu, common);
}

int mock_viommu_find(struct mock_viommu *viommu, struct iommu_device *dev, u64 *virt_id)
{
	return iommu_vdevice_id(&viommu->common, dev, virt_id);
}

int mock_viommu_event(struct mock_viommu *viommu, u64 virt_id)
{
	struct iommu_viommu_event_selftest event = { .virt_id = (u32)virt_id };

	return viommu->common.sink->event(viommu->common.sink_arg, IOMMU_VEVENTQ_TYPE_SELFTEST,
					  &event, sizeof(event));
}

static int alloc_nested(struct iommu_viommu *common, u32 flags, const struct iommu_user_data *data,
			struct iommu_domain **out)
{
	struct mock_nested *nested;
	int rc;

	if (flags & ~(u32)IOMMU_HWPT_ALLOC_PASID)
		return -EOPNOTSUPP;
	rc = mock_nested_new(common->alloc, data, &nested);
	if (rc)
		return rc;
	nested->viommu = to_mock(common);
	*out = &nested->domain;
	return 0;
}

static int invalidate_one(struct iommu_viommu *common,
			  const struct iommu_viommu_invalidate_selftest *cmd)
{
	struct iommu_device *dev;
	struct mock_device *mock;
	unsigned int i;

	if (cmd->flags & ~(u32)IOMMU_TEST_INVALIDATE_FLAG_ALL)
		return -EOPNOTSUPP;
	if (cmd->cache_id > MOCK_DEV_CACHE_ID_MAX)
		return -EINVAL;
	dev = iommu_vdevice_find(common, cmd->vdev_id);
	if (!dev)
		return -EINVAL;
	mock = to_mock_device(dev);
	if (!(cmd->flags & IOMMU_TEST_INVALIDATE_FLAG_ALL)) {
		mock->cache[cmd->cache_id] = 0;
		return 0;
	}
	for (i = 0; i < MOCK_DEV_CACHE_NUM; i++)
		mock->cache[i] = 0;
	return 0;
}

static int cache_invalidate(struct iommu_viommu *common, struct iommu_user_array *array)
{
	struct iommu_viommu_invalidate_selftest *cmds;
	u32 want = array->num, done = 0;
	int rc;

	/* An empty array asks whether the type is known. */
	if (!want && array->type == IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST)
		return 0;
	cmds = base_zalloc_array(common->alloc, want ? want : 1, sizeof(*cmds));
	if (!cmds) {
		array->num = 0;
		return -ENOMEM;
	}
	rc = iommu_copy_user_array(cmds, sizeof(*cmds), IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST,
				   array);
	pthread_mutex_lock(&common->lock);
	while (!rc && done < want) {
		rc = invalidate_one(common, &cmds[done]);
		done += !rc;
	}
	pthread_mutex_unlock(&common->lock);
	base_free(common->alloc, cmds, (want ? want : 1) * sizeof(*cmds));
	array->num = done;
	return rc;
}

static bool hw_queue_supported(struct iommu_viommu *common, u32 type)
{
	(void)common;
	return type == IOMMU_HW_QUEUE_TYPE_SELFTEST;
}

static int hw_queue_alloc(struct iommu_viommu *common, u32 type, u32 index, u64 iova, u64 length,
			  hpa_t hpa, struct iommu_hw_queue **out)
{
	struct mock_viommu *viommu = to_mock(common);
	struct mock_hw_queue *q;

	(void)type;
	(void)length;
	if (index >= IOMMU_TEST_HW_QUEUE_MAX)
		return -EINVAL;
	if (viommu->queues[index])
		return -EEXIST;
	if (index && !viommu->queues[index - 1])
		return -EIO;
	/* What the core says must be what the page table says. */
	if (hpa != common->parent->ops->iova_to_hpa(common->parent, iova))
		return -EFAULT;
	q = base_zalloc(common->alloc, sizeof(*q));
	if (!q)
		return -ENOMEM;
	q->common.viommu = common;
	q->index = index;
	if (index)
		q->common.prev = &viommu->queues[index - 1]->common;
	viommu->queues[index] = q;
	*out = &q->common;
	return 0;
}

static void hw_queue_free(struct iommu_hw_queue *common)
{
	struct mock_hw_queue *q = container_of(common, struct mock_hw_queue, common);
	struct base_alloc *alloc = common->viommu->alloc;

	to_mock(common->viommu)->queues[q->index] = NULL;
	base_free(alloc, q, sizeof(*q));
}

static void viommu_destroy(struct iommu_viommu *common)
{
	struct mock_viommu *viommu = to_mock(common);

	if (viommu->mmap_fd >= 0) {
		common->sink->mmap_remove(common->sink_arg, viommu->mmap_offset);
		close(viommu->mmap_fd);
	}
	pthread_mutex_destroy(&common->lock);
	base_free(common->alloc, viommu, sizeof(*viommu));
}

static const struct iommu_viommu_ops viommu_ops = {
	.destroy = viommu_destroy,
	.alloc_domain_nested = alloc_nested,
	.cache_invalidate = cache_invalidate,
	.hw_queue_supported = hw_queue_supported,
	.hw_queue_alloc = hw_queue_alloc,
	.hw_queue_free = hw_queue_free,
};

bool mock_viommu_supported(struct iommu_device *dev, u32 type)
{
	(void)dev;
	return type == IOMMU_VIOMMU_TYPE_SELFTEST;
}

/* Two pages, the first word of which is what the user said. */
static int offer_mmap(struct mock_viommu *viommu, u32 in_data)
{
	struct iommu_viommu *common = &viommu->common;
	int fd, rc;

	fd = memfd_create("mock-viommu", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -ENOMEM;
	if (ftruncate(fd, MMAP_BYTES) ||
	    pwrite(fd, &in_data, sizeof(in_data), 0) != (ssize_t)sizeof(in_data)) {
		rc = -ENOMEM;
		goto err_close;
	}
	rc = common->sink->mmap_add(common->sink_arg, fd, MMAP_BYTES, &viommu->mmap_offset);
	if (rc)
		goto err_close;
	viommu->mmap_fd = fd;
	return 0;

err_close:
	close(fd);
	return rc;
}

/* Echo what the user sent, and tell where the pages are. */
static int answer_user(struct mock_viommu *viommu, const struct iommu_user_data *data)
{
	const size_t min_len = offsetofend(struct iommu_viommu_selftest, out_data);
	struct iommu_viommu_selftest user;
	int rc;

	rc = iommu_copy_user_data(&user, sizeof(user), min_len, IOMMU_VIOMMU_TYPE_SELFTEST, data);
	if (rc)
		return rc;
	rc = offer_mmap(viommu, user.in_data);
	if (rc)
		return rc;
	user.out_data = user.in_data;
	user.out_mmap_length = MMAP_BYTES;
	user.out_mmap_offset = viommu->mmap_offset;
	return iommu_copy_to_user_data(data, &user, sizeof(user), min_len,
				       IOMMU_VIOMMU_TYPE_SELFTEST);
}

int mock_viommu_alloc(struct iommu_device *dev, struct base_alloc *alloc, u32 type,
		      struct iommu_domain *parent, const struct iommu_user_data *data,
		      const struct iommu_viommu_sink *sink, void *sink_arg,
		      struct iommu_viommu **out)
{
	struct mock_viommu *viommu;
	int rc;

	(void)type;
	viommu = base_zalloc(alloc, sizeof(*viommu));
	if (!viommu)
		return -ENOMEM;
	iommu_viommu_init(&viommu->common, &viommu_ops, dev, alloc, parent, sink, sink_arg);
	viommu->mmap_fd = -1;
	if (data) {
		rc = answer_user(viommu, data);
		if (rc) {
			viommu_destroy(&viommu->common);
			return rc;
		}
	}
	*out = &viommu->common;
	return 0;
}
