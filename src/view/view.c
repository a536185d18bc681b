// SPDX-License-Identifier: MIT
/*
 * A user's words for devices, spaces and PASIDs: what is kept.
 *
 * Each number is found both ways, so each thing is in two maps. A PASID's pair of numbers
 * is apart from its attachments, because devices that share PASIDs share the pair while
 * each is attached to a space of its own.
 */
#include <stdlib.h>
#include <string.h>

#include "view_impl.h"

static struct view_device *device_by_id(struct siommu_view *view, u32 dev_id)
{
	struct itree_node *n = view_find(&view->devices_by_id, dev_id);

	return n ? container_of(n, struct view_device, by_id) : NULL;
}

struct view_device *view_device_find(struct siommu_view *view, u64 label)
{
	struct itree_node *n = view_find(&view->devices_by_label, label);

	return n ? container_of(n, struct view_device, by_label) : NULL;
}

static struct view_space *space_by_id(struct siommu_view *view, u32 pt_id)
{
	struct itree_node *n = view_find(&view->spaces_by_id, pt_id);

	return n ? container_of(n, struct view_space, by_id) : NULL;
}

static struct view_space *space_by_cookie(struct siommu_view *view, u64 cookie)
{
	struct itree_node *n = view_find(&view->spaces_by_cookie, cookie);

	return n ? container_of(n, struct view_space, by_cookie) : NULL;
}

struct view_attach *view_attach_find(const struct view_device *device, u32 vpasid)
{
	struct itree_node *n = view_find(&device->attaches, vpasid);

	return n ? container_of(n, struct view_attach, by_vpasid) : NULL;
}

static struct view_pair *pair_by_vpasid(const struct view_pairs *pairs, u32 vpasid)
{
	struct itree_node *n = view_find(&pairs->by_vpasid, vpasid);

	return n ? container_of(n, struct view_pair, by_vpasid) : NULL;
}

static struct view_pair *pair_by_ppasid(const struct view_pairs *pairs, u32 ppasid)
{
	struct itree_node *n = view_find(&pairs->by_ppasid, ppasid);

	return n ? container_of(n, struct view_pair, by_ppasid) : NULL;
}

int siommu_view_create(const struct siommu_view_params *params, struct siommu_view **out)
{
	struct siommu_view_params p = { 0 };
	struct siommu_view *view;

	if (params && params->size < offsetofend(struct siommu_view_params, quota))
		return -EINVAL;
	if (params)
		memcpy(&p, params, min_u64(params->size, sizeof(p)));
	if (p.should_fail && p.should_fail(p.should_fail_arg))
		return -ENOMEM;
	/* Its account is inside it, so it cannot pay for itself. */
	view = calloc(1, sizeof(*view));
	if (!view)
		return -ENOMEM;
	view->alloc.limit = p.quota;
	view->alloc.should_fail = p.should_fail;
	view->alloc.should_fail_arg = p.should_fail_arg;
	pthread_mutex_init(&view->lock, NULL);
	*out = view;
	return 0;
}

/*
 * Attachments
 */

static void set_space(struct view_space **at, struct view_space *space)
{
	if (space)
		space->users++;
	if (*at)
		(*at)->users--;
	*at = space;
}

static void pair_put(struct siommu_view *view, struct view_pairs *pairs, struct view_pair *pair)
{
	if (--pair->users)
		return;
	view_remove(&pairs->by_vpasid, &pair->by_vpasid);
	view_remove(&pairs->by_ppasid, &pair->by_ppasid);
	base_free(&view->alloc, pair, sizeof(*pair));
}

/* The pair of both numbers, perhaps a new one, with one more user. */
static int pair_get(struct siommu_view *view, struct view_pairs *pairs, u32 vpasid, u32 ppasid,
		    struct view_pair **out)
{
	struct view_pair *pair = pair_by_vpasid(pairs, vpasid);

	if (pair != pair_by_ppasid(pairs, ppasid))
		return -EEXIST;
	if (!pair) {
		pair = base_zalloc(&view->alloc, sizeof(*pair));
		if (!pair)
			return -ENOMEM;
		view_insert(&pairs->by_vpasid, &pair->by_vpasid, vpasid);
		view_insert(&pairs->by_ppasid, &pair->by_ppasid, ppasid);
	}
	pair->users++;
	*out = pair;
	return 0;
}

static int attach_new(struct siommu_view *view, struct view_device *device, u32 vpasid, u32 ppasid,
		      struct view_space *space)
{
	struct view_attach *attach;
	int rc;

	attach = base_zalloc(&view->alloc, sizeof(*attach));
	if (!attach)
		return -ENOMEM;
	rc = pair_get(view, device->pairs, vpasid, ppasid, &attach->pair);
	if (rc) {
		base_free(&view->alloc, attach, sizeof(*attach));
		return rc;
	}
	set_space(&attach->space, space);
	view_insert(&device->attaches, &attach->by_vpasid, vpasid);
	return 0;
}

static void attach_end(struct siommu_view *view, struct view_device *device,
		       struct view_attach *attach)
{
	view_remove(&device->attaches, &attach->by_vpasid);
	pair_put(view, device->pairs, attach->pair);
	set_space(&attach->space, NULL);
	base_free(&view->alloc, attach, sizeof(*attach));
}

static int attach_pasid(struct siommu_view *view, u64 label, u32 vpasid, u32 ppasid, u32 pt_id)
{
	struct view_device *device = view_device_find(view, label);
	struct view_space *space = space_by_id(view, pt_id);
	struct view_attach *attach;

	if (!device || !space)
		return -ENOENT;
	if (device->what.pasids == SIOMMU_VIEW_PASIDS_GUEST)
		return -EINVAL;
	attach = view_attach_find(device, vpasid);
	if (!attach)
		return attach_new(view, device, vpasid, ppasid, space);
	if (attach->pair->by_ppasid.start != ppasid)
		return -EEXIST;
	set_space(&attach->space, space);
	return 0;
}

int siommu_view_attach_pasid(struct siommu_view *view, uint64_t label, uint32_t vpasid,
			     uint32_t ppasid, uint32_t pt_id)
{
	int rc;

	if (vpasid >= SIOMMU_VIEW_PASIDS || !ppasid || ppasid >= SIOMMU_VIEW_PASIDS)
		return -EINVAL;
	pthread_mutex_lock(&view->lock);
	rc = attach_pasid(view, label, vpasid, ppasid, pt_id);
	pthread_mutex_unlock(&view->lock);
	return rc;
}

void siommu_view_detach_pasid(struct siommu_view *view, uint64_t label, uint32_t vpasid)
{
	struct view_device *device;
	struct view_attach *attach;

	pthread_mutex_lock(&view->lock);
	device = view_device_find(view, label);
	attach = device ? view_attach_find(device, vpasid) : NULL;
	if (attach)
		attach_end(view, device, attach);
	pthread_mutex_unlock(&view->lock);
}

int siommu_view_attach(struct siommu_view *view, uint64_t label, uint32_t pt_id)
{
	struct view_device *device;
	struct view_space *space;

	pthread_mutex_lock(&view->lock);
	device = view_device_find(view, label);
	space = space_by_id(view, pt_id);
	if (device && space)
		set_space(&device->space, space);
	pthread_mutex_unlock(&view->lock);
	return device && space ? 0 : -ENOENT;
}

void siommu_view_detach(struct siommu_view *view, uint64_t label)
{
	struct view_device *device;

	pthread_mutex_lock(&view->lock);
	device = view_device_find(view, label);
	if (device)
		set_space(&device->space, NULL);
	pthread_mutex_unlock(&view->lock);
}

/*
 * Devices and spaces
 */

static const struct view_format *const formats[] = {
	&view_smmuv3,
	&view_vtd,
};

static const struct view_format *format_find(u32 type)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(formats); i++)
		if (formats[i]->type == type)
			return formats[i];
	return NULL;
}

static int device_new(struct siommu_view *view, const struct siommu_view_device *what,
		      const struct view_format *format)
{
	struct view_device *device;

	if (device_by_id(view, what->dev_id) || view_device_find(view, what->label))
		return -EEXIST;
	device = base_zalloc(&view->alloc, sizeof(*device));
	if (!device)
		return -ENOMEM;
	device->what = *what;
	device->format = format;
	device->pairs = what->pasids == SIOMMU_VIEW_PASIDS_SHARED ? &view->shared : &device->own;
	view_insert(&view->devices_by_id, &device->by_id, what->dev_id);
	view_insert(&view->devices_by_label, &device->by_label, what->label);
	return 0;
}

int siommu_view_add_device(struct siommu_view *view, const struct siommu_view_device *device)
{
	const struct view_format *format;
	struct siommu_view_device what = { 0 };
	int rc;

	if (device->size < offsetofend(struct siommu_view_device, ats))
		return -EINVAL;
	memcpy(&what, device, min_u64(device->size, sizeof(what)));
	format = format_find(what.inv_type);
	if (!format && what.inv_type != SIOMMU_VIEW_NO_INV)
		return -EINVAL;
	if (format && what.virt_id > format->max_virt_id)
		return -EINVAL;
	if (what.pasids > SIOMMU_VIEW_PASIDS_GUEST)
		return -EINVAL;
	pthread_mutex_lock(&view->lock);
	rc = device_new(view, &what, format);
	pthread_mutex_unlock(&view->lock);
	return rc;
}

static void device_end(struct siommu_view *view, struct view_device *device)
{
	struct itree_node *n;

	while ((n = itree_first(&device->attaches.tree, 0, U64_MAX)))
		attach_end(view, device, container_of(n, struct view_attach, by_vpasid));
	set_space(&device->space, NULL);
	view_remove(&view->devices_by_id, &device->by_id);
	view_remove(&view->devices_by_label, &device->by_label);
	base_free(&view->alloc, device, sizeof(*device));
}

void siommu_view_remove_device(struct siommu_view *view, uint64_t label)
{
	struct view_device *device;

	pthread_mutex_lock(&view->lock);
	device = view_device_find(view, label);
	if (device)
		device_end(view, device);
	pthread_mutex_unlock(&view->lock);
}

static int space_new(struct siommu_view *view, u32 pt_id, u64 cookie, bool guest)
{
	struct view_space *space;

	if (space_by_id(view, pt_id) || space_by_cookie(view, cookie))
		return -EEXIST;
	space = base_zalloc(&view->alloc, sizeof(*space));
	if (!space)
		return -ENOMEM;
	space->guest = guest;
	view_insert(&view->spaces_by_id, &space->by_id, pt_id);
	view_insert(&view->spaces_by_cookie, &space->by_cookie, cookie);
	return 0;
}

int siommu_view_add_space(struct siommu_view *view, uint32_t pt_id, uint64_t cookie,
			  unsigned int flags)
{
	int rc;

	if (flags & ~(unsigned int)SIOMMU_VIEW_SPACE_GUEST)
		return -EINVAL;
	pthread_mutex_lock(&view->lock);
	rc = space_new(view, pt_id, cookie, flags & SIOMMU_VIEW_SPACE_GUEST);
	pthread_mutex_unlock(&view->lock);
	return rc;
}

static void space_end(struct siommu_view *view, struct view_space *space)
{
	view_remove(&view->spaces_by_id, &space->by_id);
	view_remove(&view->spaces_by_cookie, &space->by_cookie);
	base_free(&view->alloc, space, sizeof(*space));
}

int siommu_view_remove_space(struct siommu_view *view, uint64_t cookie)
{
	struct view_space *space;
	int rc = 0;

	pthread_mutex_lock(&view->lock);
	space = space_by_cookie(view, cookie);
	if (!space)
		rc = -ENOENT;
	else if (space->users)
		rc = -EBUSY;
	else
		space_end(view, space);
	pthread_mutex_unlock(&view->lock);
	return rc;
}

void siommu_view_destroy(struct siommu_view *view)
{
	struct itree_node *n;

	if (!view)
		return;
	while ((n = itree_first(&view->devices_by_id.tree, 0, U64_MAX)))
		device_end(view, container_of(n, struct view_device, by_id));
	while ((n = itree_first(&view->spaces_by_id.tree, 0, U64_MAX)))
		space_end(view, container_of(n, struct view_space, by_id));
	pthread_mutex_destroy(&view->lock);
	free(view);
}

/*
 * One number for another
 */

int siommu_view_label(struct siommu_view *view, uint32_t dev_id, uint64_t *label)
{
	struct view_device *device;

	pthread_mutex_lock(&view->lock);
	device = device_by_id(view, dev_id);
	if (device)
		*label = device->what.label;
	pthread_mutex_unlock(&view->lock);
	return device ? 0 : -ENOENT;
}

int siommu_view_dev_id(struct siommu_view *view, uint64_t label, uint32_t *dev_id)
{
	struct view_device *device;

	pthread_mutex_lock(&view->lock);
	device = view_device_find(view, label);
	if (device)
		*dev_id = device->what.dev_id;
	pthread_mutex_unlock(&view->lock);
	return device ? 0 : -ENOENT;
}

int siommu_view_cookie(struct siommu_view *view, uint32_t pt_id, uint64_t *cookie)
{
	struct view_space *space;

	pthread_mutex_lock(&view->lock);
	space = space_by_id(view, pt_id);
	if (space)
		*cookie = space->by_cookie.start;
	pthread_mutex_unlock(&view->lock);
	return space ? 0 : -ENOENT;
}

int siommu_view_pt_id(struct siommu_view *view, uint64_t cookie, uint32_t *pt_id)
{
	struct view_space *space;

	pthread_mutex_lock(&view->lock);
	space = space_by_cookie(view, cookie);
	if (space)
		*pt_id = (u32)space->by_id.start;
	pthread_mutex_unlock(&view->lock);
	return space ? 0 : -ENOENT;
}

/* A guest's own PASIDs are the device's. */
static bool is_guests(const struct view_device *device, u32 pasid)
{
	return device->what.pasids == SIOMMU_VIEW_PASIDS_GUEST && pasid < SIOMMU_VIEW_PASIDS;
}

int siommu_view_ppasid(struct siommu_view *view, uint64_t label, uint32_t vpasid, uint32_t *ppasid)
{
	struct view_device *device;
	struct view_pair *pair;
	int rc = 0;

	pthread_mutex_lock(&view->lock);
	device = view_device_find(view, label);
	pair = device ? pair_by_vpasid(device->pairs, vpasid) : NULL;
	if (pair)
		*ppasid = (u32)pair->by_ppasid.start;
	else if (device && is_guests(device, vpasid))
		*ppasid = vpasid;
	else
		rc = -ENOENT;
	pthread_mutex_unlock(&view->lock);
	return rc;
}

int siommu_view_vpasid(struct siommu_view *view, uint64_t label, uint32_t ppasid, uint32_t *vpasid)
{
	struct view_device *device;
	struct view_pair *pair;
	int rc = 0;

	pthread_mutex_lock(&view->lock);
	device = view_device_find(view, label);
	pair = device ? pair_by_ppasid(device->pairs, ppasid) : NULL;
	if (pair)
		*vpasid = (u32)pair->by_vpasid.start;
	else if (device && is_guests(device, ppasid))
		*vpasid = ppasid;
	else
		rc = -ENOENT;
	pthread_mutex_unlock(&view->lock);
	return rc;
}

/*
 * Faults
 */

/* Where a request goes, and whose PASID it has. NULL if it goes nowhere. */
static const struct view_space *fault_space(const struct view_device *device, u32 pasid,
					    u32 *vpasid)
{
	struct view_pair *pair = pair_by_ppasid(device->pairs, pasid);
	struct view_attach *attach;

	if (is_guests(device, pasid)) {
		*vpasid = pasid;
		return device->space;
	}
	attach = pair ? view_attach_find(device, (u32)pair->by_vpasid.start) : NULL;
	if (!attach)
		return NULL;
	*vpasid = (u32)pair->by_vpasid.start;
	return attach->space;
}

static int translate_fault(struct siommu_view *view, const struct iommu_hwpt_pgfault *record,
			   struct siommu_view_fault *out)
{
	const struct view_device *device = device_by_id(view, record->dev_id);
	const struct view_space *space;
	u32 vpasid = 0;

	if (!device)
		return -ENODEV;
	if (record->flags & IOMMU_PGFAULT_FLAGS_PASID_VALID)
		space = fault_space(device, record->pasid, &vpasid);
	else
		space = device->space;
	if (!space)
		return -ENOENT;
	*out = (struct siommu_view_fault){
		.label = device->what.label,
		.space = space->by_cookie.start,
		.addr = record->addr,
		.flags = record->flags &
			 (IOMMU_PGFAULT_FLAGS_PASID_VALID | IOMMU_PGFAULT_FLAGS_LAST_PAGE),
		.vpasid = vpasid,
		.perm = record->perm & (IOMMU_PGFAULT_PERM_READ | IOMMU_PGFAULT_PERM_WRITE |
					IOMMU_PGFAULT_PERM_EXEC | IOMMU_PGFAULT_PERM_PRIV),
		.group = record->grpid,
		.cookie = record->cookie,
	};
	return 0;
}

int siommu_view_fault(struct siommu_view *view, const struct iommu_hwpt_pgfault *record,
		      struct siommu_view_fault *out)
{
	const struct iommu_hwpt_pgfault copy = *record;
	int rc;

	pthread_mutex_lock(&view->lock);
	rc = translate_fault(view, &copy, out);
	pthread_mutex_unlock(&view->lock);
	return rc;
}
