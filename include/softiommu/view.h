/* SPDX-License-Identifier: MIT */
/*
 * What a user calls its devices, address spaces and PASIDs: an optional layer for VMMs.
 *
 * iommufd numbers devices and page tables itself, and a fault that it reports has the
 * PASID that the device used. The first designs of it (2021) had a user's own words
 * instead: a 64-bit label for a device, a 64-bit cookie for an address space, and the
 * guest's PASIDs. A view keeps such words, and translates with them:
 *
 *	struct iommu_hwpt_pgfault, as read from a fault queue -> label, cookie, vPASID
 *	an invalidation of a label's vPASID -> struct iommu_hwpt_invalidate
 *
 * It makes no call and holds no descriptor, so it serves any iommufd: a kernel's, or this
 * library's through either door. It is told what the user does:
 *
 *	siommu_view_create(NULL, &view);
 *	siommu_view_add_device(view, &device);		   after VFIO_DEVICE_BIND_IOMMUFD
 *	siommu_view_add_space(view, hwpt, cookie, flags);  after IOMMU_HWPT_ALLOC
 *	siommu_view_attach_pasid(view, label, vpasid, ppasid, hwpt);
 *							   before VFIO_DEVICE_ATTACH_IOMMUFD_PT
 *	...
 *	read(fault_fd, &record, sizeof(record));
 *	siommu_view_fault(view, &record, &fault);
 *	...
 *	siommu_view_invalidate(view, &inv, issue, &iommufd);
 *
 *	int issue(void *arg, struct iommu_hwpt_invalidate *cmd)
 *	{
 *		return ioctl(*(int *)arg, IOMMU_HWPT_INVALIDATE, cmd) ? -errno : 0;
 *	}
 *
 * A PASID that the user has not declared is never shown: its fault gives an error.
 *
 * All calls may be made from any thread. They take the view's own lock and no other, and
 * do not hold it in call-backs.
 */
#ifndef SOFTIOMMU_VIEW_H
#define SOFTIOMMU_VIEW_H

#include <stdbool.h>

#include <softiommu/api.h>

SIOMMU_BEGIN_DECLS

/* Of <linux/iommufd.h>, or softiommu/abi/iommufd.h. */
struct iommu_hwpt_invalidate;
struct iommu_hwpt_pgfault;

struct siommu_view;

/* PASIDs have 20 bits. */
#define SIOMMU_VIEW_PASIDS ((uint32_t)1 << 20)

/**
 * struct siommu_view_params - how to make a view
 * @size: sizeof(struct siommu_view_params) of the caller
 * @quota: most bytes of memory that it may use, since a guest decides how many PASIDs it
 *	has; 0 for no limit
 * @should_fail: asked before each allocation; true makes it fail. For tests; else NULL
 * @should_fail_arg: passed to @should_fail
 */
struct siommu_view_params {
	size_t size;
	size_t quota;
	bool (*should_fail)(void *arg);
	void *should_fail_arg;
};

/**
 * siommu_view_create() - Make a view
 * @params: how; NULL for defaults
 * @out: the view; ended with siommu_view_destroy(). One for each iommufd
 *
 * Return: 0; -EINVAL for a @size that is not known; -ENOMEM.
 */
SIOMMU_API int siommu_view_create(const struct siommu_view_params *params,
				  struct siommu_view **out);

/**
 * siommu_view_destroy() - End a view
 * @view: the view, with whatever is in it; no other call on it runs. NULL is fine. Cannot
 *	fail
 */
SIOMMU_API void siommu_view_destroy(struct siommu_view *view);

/**
 * enum siommu_view_pasids - whose the PASIDs of a device are
 * @SIOMMU_VIEW_PASIDS_OWN: the device's: two devices may use one number for different
 *	things
 * @SIOMMU_VIEW_PASIDS_SHARED: all devices' that say so: a vPASID is the same pPASID on
 *	each of them, as instructions of the CPU that carry a PASID need it
 * @SIOMMU_VIEW_PASIDS_GUEST: the guest's, which has the table of PASIDs in its memory
 *	(SMMUv3, AMD): they are passed as they are, and belong to what is attached to the
 *	device itself
 */
enum siommu_view_pasids {
	SIOMMU_VIEW_PASIDS_OWN,
	SIOMMU_VIEW_PASIDS_SHARED,
	SIOMMU_VIEW_PASIDS_GUEST,
};

/* @inv_type of a device whose IOMMU takes no invalidations from users. */
#define SIOMMU_VIEW_NO_INV UINT32_MAX

/**
 * struct siommu_view_device - a device, and what the user calls it
 * @size: sizeof(struct siommu_view_device) of the caller
 * @dev_id: iommufd's number
 * @inv_type: what its IOMMU takes invalidations as: IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
 *	IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3 or SIOMMU_VIEW_NO_INV
 * @label: the user's number
 * @pasids: enum siommu_view_pasids
 * @viommu_id: SMMUv3: the vIOMMU that it has a vDEVICE in
 * @virt_id: SMMUv3: its StreamID there
 * @ats: SMMUv3: it keeps translations; else nothing is invalidated in it
 */
struct siommu_view_device {
	size_t size;
	uint32_t dev_id;
	uint32_t inv_type;
	uint64_t label;
	uint32_t pasids;
	uint32_t viommu_id;
	uint64_t virt_id;
	bool ats;
};

/**
 * siommu_view_add_device() - Name a device
 * @view: the view
 * @device: the device; copied
 *
 * Return: 0; -EINVAL for a @size, @pasids, @inv_type or @virt_id that cannot be; -EEXIST
 * if @dev_id or @label is taken; -ENOMEM.
 */
SIOMMU_API int siommu_view_add_device(struct siommu_view *view,
				      const struct siommu_view_device *device);

/**
 * siommu_view_remove_device() - Forget a device, and what is attached to it
 * @view: the view
 * @label: the device; one that is not there is fine. Cannot fail
 */
SIOMMU_API void siommu_view_remove_device(struct siommu_view *view, uint64_t label);

/**
 * enum siommu_view_space_flags - kinds of address spaces
 * @SIOMMU_VIEW_SPACE_GUEST: a nested HWPT: the guest changes its tables, and says what is
 *	to be invalidated. Of an IOAS and a paging HWPT nothing ever is
 */
enum siommu_view_space_flags {
	SIOMMU_VIEW_SPACE_GUEST = 1 << 0,
};

/**
 * siommu_view_add_space() - Name an address space
 * @view: the view
 * @pt_id: iommufd's number: an HWPT, or an IOAS
 * @cookie: the user's number
 * @flags: enum siommu_view_space_flags
 *
 * Return: 0; -EINVAL for unknown @flags; -EEXIST if @pt_id or @cookie is taken; -ENOMEM.
 */
SIOMMU_API int siommu_view_add_space(struct siommu_view *view, uint32_t pt_id, uint64_t cookie,
				     unsigned int flags);

/**
 * siommu_view_remove_space() - Forget an address space
 * @view: the view
 * @cookie: the space
 *
 * Return: 0; -ENOENT; -EBUSY while a device is attached to it.
 */
SIOMMU_API int siommu_view_remove_space(struct siommu_view *view, uint64_t cookie);

/**
 * siommu_view_attach() - Say where requests of a device without a PASID go
 * @view: the view
 * @label: the device
 * @pt_id: the space, which takes the place of one before
 *
 * Return: 0; -ENOENT for a device or a space that has no name.
 */
SIOMMU_API int siommu_view_attach(struct siommu_view *view, uint64_t label, uint32_t pt_id);

/**
 * siommu_view_detach() - Say that they go nowhere
 * @view: the view
 * @label: the device; one that is not there is fine. Cannot fail
 */
SIOMMU_API void siommu_view_detach(struct siommu_view *view, uint64_t label);

/**
 * siommu_view_attach_pasid() - Say where requests with a PASID go, and whose PASID it is
 * @view: the view
 * @label: the device
 * @vpasid: the guest's PASID, below SIOMMU_VIEW_PASIDS
 * @ppasid: the PASID that the device uses, from 1 on
 * @pt_id: the space, which takes the place of one before
 *
 * Faults and invalidations of @vpasid are of @pt_id from now on. Where that takes the place
 * of another, carry out no invalidations of it until the device is attached: they would not
 * reach what it still uses.
 *
 * Return: 0; -EINVAL for a PASID that cannot be, or a device whose PASIDs are the
 * guest's; -ENOENT for a device or a space that has no name; -EEXIST if @vpasid is
 * another PASID or @ppasid another's, on this device or wherever PASIDs are shared with
 * it; -ENOMEM. On failure nothing has changed.
 */
SIOMMU_API int siommu_view_attach_pasid(struct siommu_view *view, uint64_t label, uint32_t vpasid,
					uint32_t ppasid, uint32_t pt_id);

/**
 * siommu_view_detach_pasid() - Undo it; both numbers can be used again
 * @view: the view
 * @label: the device; one that is not there is fine
 * @vpasid: the guest's PASID; one that is not attached is fine. Cannot fail
 */
SIOMMU_API void siommu_view_detach_pasid(struct siommu_view *view, uint64_t label, uint32_t vpasid);

/**
 * siommu_view_label() - What the user calls a device of iommufd's
 * @view: the view
 * @dev_id: the device
 * @label: the user's number
 *
 * Return: 0, or -ENOENT; as for the five below.
 */
SIOMMU_API int siommu_view_label(struct siommu_view *view, uint32_t dev_id, uint64_t *label);

/* The other way round. */
SIOMMU_API int siommu_view_dev_id(struct siommu_view *view, uint64_t label, uint32_t *dev_id);

/* What the user calls a space of iommufd's, and the other way round. */
SIOMMU_API int siommu_view_cookie(struct siommu_view *view, uint32_t pt_id, uint64_t *cookie);
SIOMMU_API int siommu_view_pt_id(struct siommu_view *view, uint64_t cookie, uint32_t *pt_id);

/*
 * Which PASID of the device is a guest's, and the other way round. Of PASIDs that are
 * shared also those that only other devices have attached.
 */
SIOMMU_API int siommu_view_ppasid(struct siommu_view *view, uint64_t label, uint32_t vpasid,
				  uint32_t *ppasid);
SIOMMU_API int siommu_view_vpasid(struct siommu_view *view, uint64_t label, uint32_t ppasid,
				  uint32_t *vpasid);

/**
 * struct siommu_view_fault - a page request in the user's words
 * @label: the device
 * @space: cookie of the address space
 * @addr: the address that is missing
 * @flags: IOMMU_PGFAULT_FLAGS_*: PASID_VALID: there is @vpasid; LAST_PAGE: the group can
 *	be answered
 * @vpasid: the guest's PASID
 * @perm: IOMMU_PGFAULT_PERM_*: what the device wants to do
 * @group: the device's number for the group
 * @cookie: for struct iommu_hwpt_page_response, on the queue that it came from
 */
struct siommu_view_fault {
	uint64_t label;
	uint64_t space;
	uint64_t addr;
	uint32_t flags;
	uint32_t vpasid;
	uint32_t perm;
	uint32_t group;
	uint32_t cookie;
};

/**
 * siommu_view_fault() - Say in the user's words what a device asks for
 * @view: the view
 * @record: as read from a fault queue. It may hold anything; flags that are not known are
 *	ignored, as long as they are
 * @out: the same
 *
 * If this fails, the guest cannot be told: the group is to be answered
 * IOMMUFD_PAGE_RESP_INVALID, by @record's cookie.
 *
 * Return: 0; -ENODEV for a device that has no name; -ENOENT if nothing is attached there:
 * in particular for a PASID that was not declared.
 */
SIOMMU_API int siommu_view_fault(struct siommu_view *view, const struct iommu_hwpt_pgfault *record,
				 struct siommu_view_fault *out);

/**
 * enum siommu_view_granularity - how much is to be forgotten
 * @SIOMMU_VIEW_INV_DEVICE: of all guest's spaces that the device is attached to
 * @SIOMMU_VIEW_INV_SPACE: of one: of @vpasid, or without it of the device's own
 * @SIOMMU_VIEW_INV_RANGE: of that one a range
 */
enum siommu_view_granularity {
	SIOMMU_VIEW_INV_DEVICE,
	SIOMMU_VIEW_INV_SPACE,
	SIOMMU_VIEW_INV_RANGE,
};

/**
 * enum siommu_view_inv_flags - what is to be forgotten, and what else is known
 * @SIOMMU_VIEW_INV_TLB: translations, in the IOMMU and in the device
 * @SIOMMU_VIEW_INV_PASID_CACHE: what PASIDs mean; not with a range. SMMUv3 only: VT-d's
 *	table of PASIDs is the kernel's, and there is nothing to do
 * @SIOMMU_VIEW_INV_PASID: there is @vpasid
 * @SIOMMU_VIEW_INV_ASID: there is @asid; SMMUv3 only, ignored elsewhere, and with
 *	SIOMMU_VIEW_INV_DEVICE
 * @SIOMMU_VIEW_INV_LEAF: entries of upper levels have not changed
 */
enum siommu_view_inv_flags {
	SIOMMU_VIEW_INV_TLB = 1 << 0,
	SIOMMU_VIEW_INV_PASID_CACHE = 1 << 1,
	SIOMMU_VIEW_INV_PASID = 1 << 2,
	SIOMMU_VIEW_INV_ASID = 1 << 3,
	SIOMMU_VIEW_INV_LEAF = 1 << 4,
};

/**
 * struct siommu_view_inv - an invalidation in the user's words
 * @label: the device
 * @granularity: enum siommu_view_granularity
 * @flags: enum siommu_view_inv_flags; one of the first two at least
 * @vpasid: the guest's PASID
 * @asid: SMMUv3's number for the space, at most 65535; without it, all of them
 * @addr: first byte
 * @length: bytes, not 0. What this touches is rounded to whole pages, and a range that
 *	passes the end of addresses is all of them
 */
struct siommu_view_inv {
	uint64_t label;
	uint32_t granularity;
	uint32_t flags;
	uint32_t vpasid;
	uint32_t asid;
	uint64_t addr;
	uint64_t length;
};

/**
 * siommu_view_issue_fn - carry out one request
 * @arg: the caller's
 * @cmd: complete, for IOMMU_HWPT_INVALIDATE; good until this returns
 *
 * Return: 0, or -errno, which ends the invalidation.
 */
typedef int (*siommu_view_issue_fn)(void *arg, struct iommu_hwpt_invalidate *cmd);

/**
 * siommu_view_invalidate() - Forget what the guest has changed
 * @view: the view
 * @inv: what
 * @issue: called for each request that it takes: often one, none if there is nothing to
 *	forget
 * @arg: passed to @issue
 *
 * More may be forgotten than was said.
 *
 * Return: 0; -EINVAL for an invalidation that cannot be, or, where requests are about
 * spaces (VT-d), of one that is not the guest's; -ENOENT for a device that has no name, or a
 * PASID that was not declared; -EOPNOTSUPP for SIOMMU_VIEW_NO_INV: all before anything was
 * issued. What @issue returned: then the translations may still be in use, and the guest
 * must not be told that they are not.
 */
SIOMMU_API int siommu_view_invalidate(struct siommu_view *view, const struct siommu_view_inv *inv,
				      siommu_view_issue_fn issue, void *arg);

SIOMMU_END_DECLS

#endif
