// SPDX-License-Identifier: MIT
/*
 * A user's words for devices, spaces and PASIDs: invalidations.
 *
 * Where a request is about one space, a device takes as many requests as it has spaces.
 * They are found one by one, in the order of their vPASIDs, so that no lock is held while
 * one is carried out and no memory is needed to remember them. What is attached meanwhile
 * has nothing cached yet that the caller could mean.
 */
#include "view_impl.h"

#define WHAT	  (SIOMMU_VIEW_INV_TLB | SIOMMU_VIEW_INV_PASID_CACHE)
#define ALL_FLAGS (WHAT | SIOMMU_VIEW_INV_PASID | SIOMMU_VIEW_INV_ASID | SIOMMU_VIEW_INV_LEAF)

#define MAX_ASID 0xffff

static int check(const struct siommu_view_inv *inv)
{
	if (inv->granularity > SIOMMU_VIEW_INV_RANGE || inv->flags & ~(u32)ALL_FLAGS ||
	    !(inv->flags & WHAT))
		return -EINVAL;
	if (inv->flags & SIOMMU_VIEW_INV_ASID && inv->asid > MAX_ASID)
		return -EINVAL;
	if (inv->granularity == SIOMMU_VIEW_INV_DEVICE && inv->flags & SIOMMU_VIEW_INV_PASID)
		return -EINVAL;
	if (inv->granularity == SIOMMU_VIEW_INV_RANGE &&
	    (!inv->length || inv->flags & SIOMMU_VIEW_INV_PASID_CACHE))
		return -EINVAL;
	return 0;
}

static void target_init(struct view_target *target, const struct view_device *device)
{
	*target = (struct view_target){
		.viommu_id = device->what.viommu_id,
		.virt_id = device->what.virt_id,
		.ats = device->what.ats,
	};
}

/* The one space that @inv is about. */
static int find_space(const struct view_device *device, const struct siommu_view_inv *inv,
		      struct view_target *target)
{
	const struct view_space *space = device->space;
	const struct view_attach *attach;

	target_init(target, device);
	target->has_pasid = inv->flags & SIOMMU_VIEW_INV_PASID;
	if (target->has_pasid && device->what.pasids == SIOMMU_VIEW_PASIDS_GUEST) {
		if (inv->vpasid >= SIOMMU_VIEW_PASIDS)
			return -ENOENT;
		target->pasid = inv->vpasid;
	} else if (target->has_pasid) {
		attach = view_attach_find(device, inv->vpasid);
		if (!attach)
			return -ENOENT;
		target->pasid = (u32)attach->pair->by_ppasid.start;
		space = attach->space;
	}
	if (!device->format->per_space)
		return 0;
	if (!space || !space->guest)
		return -EINVAL;
	target->pt_id = (u32)space->by_id.start;
	return 0;
}

/*
 * The next of a device's spaces: @step 0 is its own one, and 1 + n the first of a vPASID
 * from n on. Return: is there one?
 */
static bool next_space(const struct view_device *device, u64 *step, struct view_target *target)
{
	const struct view_attach *attach;
	struct itree_node *n;

	target_init(target, device);
	if (!*step) {
		*step = 1;
		if (device->space && device->space->guest) {
			target->pt_id = (u32)device->space->by_id.start;
			return true;
		}
	}
	while ((n = itree_first(&device->attaches.tree, *step - 1, U64_MAX))) {
		attach = container_of(n, struct view_attach, by_vpasid);
		*step = n->start + 2;
		if (!attach->space->guest)
			continue;
		target->pt_id = (u32)attach->space->by_id.start;
		target->pasid = (u32)attach->pair->by_ppasid.start;
		target->has_pasid = true;
		return true;
	}
	return false;
}

/* Context: view->lock. Return: 1: @target is to be done; 0: nothing is left; -errno. */
static int next_target(struct siommu_view *view, const struct siommu_view_inv *inv, u64 *step,
		       const struct view_format **format, struct view_target *target)
{
	const struct view_device *device = view_device_find(view, inv->label);
	const bool first = !*step;
	int rc;

	/* One that went in between has nothing cached any more. */
	if (!device)
		return first ? -ENOENT : 0;
	if (!device->format)
		return -EOPNOTSUPP;
	*format = device->format;
	if (inv->granularity == SIOMMU_VIEW_INV_DEVICE && device->format->per_space)
		return next_space(device, step, target);
	*step = 1;
	if (!first)
		return 0;
	if (inv->granularity == SIOMMU_VIEW_INV_DEVICE) {
		target_init(target, device);
		return 1;
	}
	rc = find_space(device, inv, target);
	return rc ? rc : 1;
}

static int issue_one(const struct view_format *format, const struct view_target *target,
		     const struct siommu_view_inv *inv, siommu_view_issue_fn issue, void *arg)
{
	u64 entries[VIEW_ENTRIES_BYTES / sizeof(u64)];
	struct iommu_hwpt_invalidate cmd = {
		.size = sizeof(cmd),
		.data_uptr = (uintptr_t)entries,
		.data_type = format->type,
	};

	if (!(inv->flags & SIOMMU_VIEW_INV_TLB) && !format->pasid_cache)
		return 0;
	format->compose(target, inv, entries, &cmd);
	return issue(arg, &cmd);
}

int siommu_view_invalidate(struct siommu_view *view, const struct siommu_view_inv *user,
			   siommu_view_issue_fn issue, void *arg)
{
	const struct siommu_view_inv inv = *user;
	const struct view_format *format;
	struct view_target target;
	u64 step = 0;
	int rc;

	rc = check(&inv);
	if (rc)
		return rc;
	for (;;) {
		pthread_mutex_lock(&view->lock);
		rc = next_target(view, &inv, &step, &format, &target);
		pthread_mutex_unlock(&view->lock);
		if (rc <= 0)
			return rc;
		rc = issue_one(format, &target, &inv, issue, arg);
		if (rc)
			return rc;
	}
}
