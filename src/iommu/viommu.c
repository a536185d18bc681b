// SPDX-License-Identifier: MIT
/* The part of a vIOMMU that is the same for all models: its virtual devices. */
#include "iommu/iommu.h"

void iommu_viommu_init(struct iommu_viommu *viommu, const struct iommu_viommu_ops *ops,
		       struct iommu_device *dev, struct base_alloc *alloc,
		       struct iommu_domain *parent, const struct iommu_viommu_sink *sink,
		       void *sink_arg)
{
	viommu->ops = ops;
	viommu->unit = dev->unit;
	viommu->alloc = alloc;
	viommu->parent = parent;
	viommu->sink = sink;
	viommu->sink_arg = sink_arg;
	pthread_mutex_init(&viommu->lock, NULL);
}

struct iommu_device *iommu_vdevice_find(struct iommu_viommu *viommu, u64 virt_id)
{
	struct itree_node *n = itree_first(&viommu->vdevs, virt_id, virt_id);

	return n ? container_of(n, struct iommu_vdevice, node)->dev : NULL;
}

int iommu_vdevice_add(struct iommu_viommu *viommu, struct iommu_vdevice *vdev,
		      struct iommu_device *dev, u64 virt_id)
{
	int rc = 0;

	vdev->node.start = vdev->node.last = virt_id;
	vdev->dev = dev;
	pthread_mutex_lock(&viommu->lock);
	if (iommu_vdevice_find(viommu, virt_id))
		rc = -EEXIST;
	else if (viommu->ops->vdevice_init)
		rc = viommu->ops->vdevice_init(viommu, dev, virt_id);
	if (!rc)
		itree_insert(&viommu->vdevs, &vdev->node);
	pthread_mutex_unlock(&viommu->lock);
	return rc;
}

void iommu_vdevice_remove(struct iommu_viommu *viommu, struct iommu_vdevice *vdev)
{
	pthread_mutex_lock(&viommu->lock);
	itree_remove(&viommu->vdevs, &vdev->node);
	pthread_mutex_unlock(&viommu->lock);
}

int iommu_vdevice_id(struct iommu_viommu *viommu, struct iommu_device *dev, u64 *virt_id)
{
	struct itree_node *n;
	int rc = -ENOENT;

	pthread_mutex_lock(&viommu->lock);
	for (n = itree_first(&viommu->vdevs, 0, U64_MAX); n;
	     n = itree_next(&viommu->vdevs, n, 0, U64_MAX)) {
		if (container_of(n, struct iommu_vdevice, node)->dev == dev) {
			*virt_id = n->start;
			rc = 0;
			break;
		}
	}
	pthread_mutex_unlock(&viommu->lock);
	return rc;
}
