// SPDX-License-Identifier: MIT
/*
 * Nested domains, and the vIOMMU.
 *
 * A nested domain is a device table entry as the guest wrote it. What it says of
 * the guest's tables goes into the device's own entry; what it says of host
 * tables must be empty, since those are the parent's.
 *
 * Linux 7.3 checks such an entry the way it is done here, but has no function by
 * which a user could hand one over, so the unit has to be made with nested=on.
 * Its vIOMMU is an object and no more. There is no way to invalidate yet in
 * either: a guest's change is seen for certain after the HWPT was replaced.
 */
#include <string.h>

#include "amd.h"

static struct amd_nested *to_nested(struct iommu_domain *domain)
{
	return container_of(domain, struct amd_nested, domain);
}

static int nested_attach(struct iommu_domain *domain, struct iommu_device *common,
			 struct iommu_domain *old)
{
	struct amd_nested *nested = to_nested(domain);
	struct amd_device *dev = to_amd_device(common);
	const u64 *guest = nested->dte;
	u64 q[4] = { 0 };

	(void)old;
	if (!amd_compatible(to_amd_domain(domain->parent), to_amd_unit(common->unit)) ||
	    !(to_amd_unit(common->unit)->efr & EFR_GT))
		return -EINVAL;
	amd_host_dte(to_amd_domain(domain->parent), q);
	q[0] |= DTE0_GV | (guest[0] & (DTE0_PPR | DTE0_GIOV | DTE0_GLX | DTE0_GCR3));
	q[1] |= (guest[1] & (DTE1_GCR3 | DTE1_GCR3H)) | nested->id | (dev->ats ? DTE1_I : 0);
	q[2] |= guest[2] & DTE2_GPM;
	amd_dte_write(&dev->dte, q);
	return 0;
}

static void nested_free(struct iommu_domain *domain)
{
	struct amd_nested *nested = to_nested(domain);

	amd_domain_id_put(nested->unit, nested->id);
	base_free(nested->alloc, nested, sizeof(*nested));
}

static const struct iommu_domain_ops nested_ops = {
	.attach_dev = nested_attach,
	.free = nested_free,
};

/* What a guest may have written, as far as it is looked at. */
static int check_dte(const struct amd_unit *unit, const u64 q[4])
{
	u64 glx = (q[0] & DTE0_GLX) >> DTE0_GLX_SHIFT;
	u64 levels = (q[2] & DTE2_GPM) >> DTE2_GPM_SHIFT;

	if (q[0] & (DTE0_MODE | DTE0_ROOT))
		return -EINVAL;
	if (q[0] & DTE0_V && q[0] & DTE0_GV && !amd_dte_gcr3(q))
		return -EINVAL;
	if (levels > 1 || glx > AMD_GLX_MAX)
		return -EINVAL;
	if (levels == 1 && amd_guest_levels(unit) < 5)
		return -EOPNOTSUPP;
	return 0;
}

static int nested_new(struct amd_unit *unit, struct base_alloc *alloc, const struct iommu_ops *ops,
		      const struct iommu_user_data *data, struct iommu_domain **out)
{
	struct iommu_hwpt_amd_guest guest;
	struct amd_nested *nested;
	int rc;

	if (data->type != IOMMU_HWPT_DATA_AMD_GUEST)
		return -EOPNOTSUPP;
	rc = iommu_copy_user_data(&guest, sizeof(guest),
				  offsetofend(struct iommu_hwpt_amd_guest, dte),
				  IOMMU_HWPT_DATA_AMD_GUEST, data);
	if (!rc)
		rc = check_dte(unit, (const u64 *)guest.dte);
	if (rc)
		return rc;
	nested = base_zalloc(alloc, sizeof(*nested));
	if (!nested)
		return -ENOMEM;
	nested->id = amd_domain_id_get(unit);
	if (!nested->id) {
		base_free(alloc, nested, sizeof(*nested));
		return -ENOMEM;
	}
	nested->alloc = alloc;
	nested->unit = unit;
	memcpy(nested->dte, guest.dte, sizeof(nested->dte));
	nested->domain.ops = &nested_ops;
	nested->domain.owner = ops;
	nested->domain.type = IOMMU_DOMAIN_NESTED;
	*out = &nested->domain;
	return 0;
}

int amd_alloc_nested(struct iommu_device *dev, struct base_alloc *alloc,
		     struct iommu_domain *parent, u32 flags, const struct iommu_user_data *data,
		     struct iommu_domain **out)
{
	(void)parent;
	if (flags)
		return -EOPNOTSUPP;
	return nested_new(to_amd_unit(dev->unit), alloc, dev->unit->ops, data, out);
}

static int viommu_alloc_nested(struct iommu_viommu *viommu, u32 flags,
			       const struct iommu_user_data *data, struct iommu_domain **out)
{
	if (flags)
		return -EOPNOTSUPP;
	return nested_new(to_amd_unit(viommu->unit), viommu->alloc, viommu->unit->ops, data, out);
}

static void viommu_destroy(struct iommu_viommu *viommu)
{
	pthread_mutex_destroy(&viommu->lock);
	base_free(viommu->alloc, viommu, sizeof(*viommu));
}

static const struct iommu_viommu_ops viommu_ops = {
	.destroy = viommu_destroy,
};

static const struct iommu_viommu_ops viommu_nested_ops = {
	.destroy = viommu_destroy,
	.alloc_domain_nested = viommu_alloc_nested,
};

/* Linux does not look at the type. */
bool amd_viommu_supported(struct iommu_device *dev, u32 type)
{
	(void)dev;
	return type != IOMMU_VIOMMU_TYPE_DEFAULT;
}

int amd_viommu_alloc(struct iommu_device *dev, struct base_alloc *alloc, u32 type,
		     struct iommu_domain *parent, const struct iommu_user_data *data,
		     const struct iommu_viommu_sink *sink, void *sink_arg,
		     struct iommu_viommu **out)
{
	const bool nested = dev->unit->ops->domain_alloc_nested;
	struct iommu_viommu *viommu;

	(void)type;
	(void)data;
	viommu = base_zalloc(alloc, sizeof(*viommu));
	if (!viommu)
		return -ENOMEM;
	iommu_viommu_init(viommu, nested ? &viommu_nested_ops : &viommu_ops, dev, alloc, parent,
			  sink, sink_arg);
	*out = viommu;
	return 0;
}
