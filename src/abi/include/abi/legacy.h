/* SPDX-License-Identifier: MIT */
/*
 * The IOMMU user API of 2020, on today's objects (softiommu/abi/iommu-2020.h).
 *
 * What a kernel of that time called an IOMMU domain in nesting mode is here a legacy
 * domain: an IOAS, one HWPT on it that is a nest parent, and the devices that are attached
 * to that. A guest's page table for a PASID becomes a nested HWPT that the PASID is
 * attached to; a guest's table of PASIDs a vIOMMU, and a nested HWPT that the devices
 * themselves are attached to.
 *
 * Carriers - containers of VFIO (src/abi/vfio), and the library's own calls (src/door) -
 * check their own headers and hand down addresses of the caller's; what comes back they
 * return as it is.
 *
 * Locks: "locked" below means with the lock of the domain's PASID set and the context's,
 * in this order. What faults need is in legacy_dev and taken by whoever reports one.
 */
#ifndef ABI_LEGACY_H
#define ABI_LEGACY_H

#include <softiommu/abi/iommu-2020.h>

#include "core/device.h"
#include "core/ioas.h"
#include "core/pasid.h"

struct legacy_dev;
struct legacy_domain;

/* Which series of VFIO's gave the numbers of a container's ioctls their meaning. */
enum legacy_series {
	LEGACY_INTEL, /* PASID_REQUEST, NESTING_OP: page tables for PASIDs */
	LEGACY_ARM,   /* SET_PASID_TABLE, CACHE_INVALIDATE, SET_MSI_BINDING */
};

/*
 * A domain on @ioas of @ctx, for devices to be added. @pasids is whose PASIDs may be bound;
 * the caller's reference, which outlives the domain. Locked. Return: 0; -ENOMEM.
 */
int legacy_domain_create(struct core_ctx *ctx, struct core_ioas *ioas,
			 struct core_pasid_set *pasids, struct legacy_domain **out) __must_check;

/* It has no devices any more. Locked. */
void legacy_domain_destroy(struct legacy_domain *domain);

/*
 * A device, which is bound to the context and attached to nothing, gets the domain's
 * translation: the IOAS. All devices are behind one IOMMU, and of one group. Locked.
 * Return: 0; -EINVAL if its IOMMU cannot nest in a way that the API knows, it is of another
 * group, or its group is in another domain; -EBUSY if it is in one itself; -EIO if this one
 * is blocked; -EAGAIN if there cannot be a thread; -ENOMEM; -errno of attaching.
 */
int legacy_domain_add(struct legacy_domain *domain, struct core_device *dev,
		      struct legacy_dev **out) __must_check;

/* Unbind and detach it. Locked. */
void legacy_domain_remove(struct legacy_dev *dev);

/* The domain's device that is @hw, or NULL. Locked. */
struct legacy_dev *legacy_domain_find(struct legacy_domain *domain, const struct iommu_device *hw);

/* Once it has a device. */
enum legacy_series legacy_series(const struct legacy_domain *domain);
void legacy_nesting_info(const struct legacy_domain *domain, struct iommu_nesting_info *info);

/*
 * Bytes that a carrier's argsz leaves for the structure behind its header, where that
 * counts: in the first drafts. LEGACY_NO_ROOM_GIVEN otherwise.
 */
#define LEGACY_NO_ROOM_GIVEN U64_MAX
bool legacy_carrier_counts(const struct legacy_domain *domain);

/*
 * The generic layer: structures of the caller's at @uptr. @room: legacy_carrier_counts().
 * @dev NULL: all of the domain, or none on failure. Locked. Return: 0; -EFAULT; -EINVAL;
 * -E2BIG in drafts; -ENODEV if the domain's IOMMU does not do this; what follows the
 * checks.
 *
 * Bind: -EBUSY if the PASID is bound; -EINVAL for one that the set does not own.
 * Unbind: the checks of the structure, but nothing else, can fail.
 * Invalidate: -EIO if it was not carried out; then all DMA of the devices is blocked.
 */
int legacy_uapi_bind_gpasid(struct legacy_domain *domain, struct legacy_dev *dev,
			    struct siommu_task *task, u64 uptr, u64 room) __must_check;
int legacy_uapi_unbind_gpasid(struct legacy_domain *domain, struct legacy_dev *dev,
			      struct siommu_task *task, u64 uptr, u64 room) __must_check;
int legacy_uapi_set_pasid_table(struct legacy_domain *domain, struct siommu_task *task, u64 uptr,
				u64 room) __must_check;
int legacy_uapi_cache_invalidate(struct legacy_domain *domain, struct siommu_task *task, u64 uptr,
				 u64 room) __must_check;

/* The calls that cannot fail, for callers of our own. Locked. */
void legacy_unbind_gpasid(struct legacy_domain *domain, struct legacy_dev *dev, u32 pasid);
void legacy_unset_pasid_table(struct legacy_domain *domain);

/* An invalidation was not carried out, and nothing was told to the guest. Locked. */
bool legacy_is_blocked(const struct legacy_domain *domain);

/*
 * Faults. None of these takes a context's lock; the caller keeps the device in its domain.
 *
 * The handler is called by whoever reports a fault, with locks of the IOMMU's held: it may
 * not call back. -errno, such as -ENOSPC, means that it was not taken: a page request is
 * answered "invalid" then.
 */
typedef int (*legacy_fault_fn)(void *arg, const struct iommu_fault *fault);

/* Return: 0, or -EBUSY if there is one. */
int legacy_dev_set_handler(struct legacy_dev *dev, legacy_fault_fn fn, void *arg) __must_check;

/* Return: 0, or -EBUSY while requests wait for a response. */
int legacy_dev_unset_handler(struct legacy_dev *dev) __must_check;

/* The same, for who closes and cannot wait: what waits is answered "invalid". */
void legacy_dev_drop_handler(struct legacy_dev *dev);

/*
 * Answer a group of page requests. Return: 0; -EINVAL for a version, flag or code that is
 * not known, and if nothing like it waits: it was answered before, or too late.
 */
int legacy_page_response(struct legacy_dev *dev,
			 const struct iommu_page_response *response) __must_check;

/* The same for a structure of the caller's. -EFAULT too. */
int legacy_uapi_page_response(struct legacy_dev *dev, struct siommu_task *task,
			      u64 uptr) __must_check;

#endif
