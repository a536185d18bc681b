/* SPDX-License-Identifier: MIT */
/* What the files of the view share. */
#ifndef VIEW_IMPL_H
#define VIEW_IMPL_H

#include <pthread.h>

#include <softiommu/abi/iommufd.h>
#include <softiommu/view.h>

#include "base/alloc.h"
#include "base/itree.h"

/**
 * struct view_map - finds by a number: an interval tree of single values
 * @tree: its nodes begin and end with the number
 */
struct view_map {
	struct itree tree;
};

/**
 * struct view_space - an address space that has a name
 * @by_id: in view->spaces_by_id: iommufd's number
 * @by_cookie: in view->spaces_by_cookie: the user's
 * @users: what is attached to it
 * @guest: the guest says what is to be invalidated
 */
struct view_space {
	struct itree_node by_id;
	struct itree_node by_cookie;
	size_t users;
	bool guest;
};

/**
 * struct view_pair - a guest's PASID and the device's
 * @by_vpasid: in pairs->by_vpasid
 * @by_ppasid: in pairs->by_ppasid
 * @users: attachments that have it
 */
struct view_pair {
	struct itree_node by_vpasid;
	struct itree_node by_ppasid;
	size_t users;
};

/* Pairs, of one device or of all that share: no number is in two of them. */
struct view_pairs {
	struct view_map by_vpasid;
	struct view_map by_ppasid;
};

/**
 * struct view_attach - a PASID of a device that is attached
 * @by_vpasid: in device->attaches
 * @pair: its numbers
 * @space: where to
 */
struct view_attach {
	struct itree_node by_vpasid;
	struct view_pair *pair;
	struct view_space *space;
};

/**
 * struct view_device - a device that has a name
 * @by_id: in view->devices_by_id: iommufd's number
 * @by_label: in view->devices_by_label: the user's
 * @what: what it was named with
 * @format: how its IOMMU takes invalidations; NULL if it does not
 * @space: where requests without a PASID go; NULL for nowhere
 * @pairs: its PASIDs: @own, or view->shared
 * @own: PASIDs of its own
 * @attaches: struct view_attach by vPASID
 */
struct view_device {
	struct itree_node by_id;
	struct itree_node by_label;
	struct siommu_view_device what;
	const struct view_format *format;
	struct view_space *space;
	struct view_pairs *pairs;
	struct view_pairs own;
	struct view_map attaches;
};

/**
 * struct siommu_view - the words of one user
 * @alloc: what it may use; pays for all but the view itself
 * @lock: protects all of it
 * @devices_by_id: struct view_device
 * @devices_by_label: struct view_device
 * @spaces_by_id: struct view_space
 * @spaces_by_cookie: struct view_space
 * @shared: PASIDs of the devices that share theirs
 */
struct siommu_view {
	struct base_alloc alloc;
	pthread_mutex_t lock;
	struct view_map devices_by_id;
	struct view_map devices_by_label;
	struct view_map spaces_by_id;
	struct view_map spaces_by_cookie;
	struct view_pairs shared;
};

/**
 * struct view_target - what an invalidation is about, in iommufd's words
 * @pt_id: the nested HWPT; 0 where the format is not about one
 * @pasid: the PASID, if @has_pasid
 * @has_pasid: it is not the device's own space
 * @viommu_id: the device's
 * @virt_id: the device's
 * @ats: the device keeps translations
 */
struct view_target {
	u32 pt_id;
	u32 pasid;
	bool has_pasid;
	u32 viommu_id;
	u64 virt_id;
	bool ats;
};

/* Bytes of room for the entries of one request. */
#define VIEW_ENTRIES_BYTES 640

/**
 * struct view_format - how an IOMMU takes invalidations
 * @type: of enum iommu_hwpt_invalidate_data_type
 * @per_space: a request is about one space; otherwise it can be about a device
 * @pasid_cache: what PASIDs mean is cached, and can be invalidated
 * @max_virt_id: highest number that a vDEVICE may have
 * @compose: write the entries of a request that is valid, and which object, type and
 *	size they have
 */
struct view_format {
	u32 type;
	bool per_space;
	bool pasid_cache;
	u64 max_virt_id;
	void (*compose)(const struct view_target *target, const struct siommu_view_inv *inv,
			u64 *entries, struct iommu_hwpt_invalidate *cmd);
};

extern const struct view_format view_vtd;
extern const struct view_format view_smmuv3;

static inline struct itree_node *view_find(const struct view_map *map, u64 number)
{
	return itree_first(&map->tree, number, number);
}

static inline void view_insert(struct view_map *map, struct itree_node *node, u64 number)
{
	node->start = node->last = number;
	itree_insert(&map->tree, node);
}

static inline void view_remove(struct view_map *map, struct itree_node *node)
{
	itree_remove(&map->tree, node);
}

/* Context: view->lock. Return: NULL if it has no name. */
struct view_device *view_device_find(struct siommu_view *view, u64 label);

/* Context: view->lock. Return: NULL if it is not attached. */
struct view_attach *view_attach_find(const struct view_device *device, u32 vpasid);

/* The first and the last page that a range touches. */
static inline void view_pages(u64 addr, u64 length, u64 *first, u64 *last)
{
	if (range_last(addr, length, last)) {
		*first = 0;
		*last = U64_MAX / PAGE_BYTES;
		return;
	}
	*first = addr / PAGE_BYTES;
	*last /= PAGE_BYTES;
}

#endif
