/* SPDX-License-Identifier: MIT */
/*
 * The IOMMU user API of 2020 without a carrier: for who writes one, as VFIO was one, and
 * for tests. The structures are those of softiommu/abi/iommu-2020.h; what a call reads
 * through a pointer to void is the caller's, with its argsz.
 *
 * A domain is what devices translate with: an I/O address space of a context, and over it
 * what a guest binds - page tables for PASIDs (VT-d), or a table of PASIDs (SMMUv3).
 *
 * PASIDs are given out for the whole machine. Those of a process belong to it, through
 * whichever of its domains and containers it got them.
 */
#ifndef SOFTIOMMU_LEGACY_H
#define SOFTIOMMU_LEGACY_H

#include <softiommu/api.h>

SIOMMU_BEGIN_DECLS

struct iommu_fault;
struct iommu_nesting_info;
struct iommu_page_response;
struct siommu_domain;

/**
 * siommu_domain_create() - Make a domain
 * @ctx: the context; outlives the domain
 * @ioas_id: its I/O address space, which the domain keeps from being destroyed
 * @out: the domain; ended with siommu_domain_destroy()
 *
 * Context: Any thread, as for all calls here; takes the locks of the process's PASIDs and
 * of the context.
 * Return: 0; -ENOENT for an unknown id; -EOPNOTSUPP if the machine does not serve this
 * API; -ENOMEM.
 */
SIOMMU_API int siommu_domain_create(struct siommu_ctx *ctx, uint32_t ioas_id,
				    struct siommu_domain **out);

/**
 * siommu_domain_destroy() - End a domain
 * @domain: the domain, without devices; NULL is fine. Cannot fail
 */
SIOMMU_API void siommu_domain_destroy(struct siommu_domain *domain);

/**
 * siommu_domain_add() - Have a device translate with a domain
 * @domain: the domain
 * @bound: the device, bound to the domain's context and attached to nothing; stays bound
 *	until it is removed
 *
 * Return: 0; -EINVAL if its IOMMU cannot nest in a way that this API knows, if it is bound
 * to another context, not in the group of the domain's other devices, or if its group has
 * devices in another domain; -EBUSY if it is attached, or in a domain; -EIO if the domain is
 * blocked; -EAGAIN if no thread can be made for page requests; -ENOMEM; -errno of
 * siommu_device_attach().
 */
SIOMMU_API int siommu_domain_add(struct siommu_domain *domain, struct siommu_bound *bound);

/**
 * siommu_domain_remove() - Take a device out of its domain
 * @domain: the domain
 * @bound: the device. What is bound to its PASIDs is unbound, and page requests that
 *	wait are answered. Cannot fail. Devices of a group share their translations: it
 *	reaches memory as long as another of them is in the domain
 */
SIOMMU_API void siommu_domain_remove(struct siommu_domain *domain, struct siommu_bound *bound);

/**
 * siommu_domain_nesting_info() - What the domain's IOMMU can do
 * @domain: the domain
 * @info: where to
 *
 * Return: 0; -ENODEV for a domain without devices.
 */
SIOMMU_API int siommu_domain_nesting_info(struct siommu_domain *domain,
					  struct iommu_nesting_info *info);

/**
 * siommu_pasid_alloc() - Own a PASID
 * @domain: any domain of the process
 * @min: lowest
 * @max: highest
 *
 * Return: the PASID; -EINVAL if @min is above @max; -ENOSPC if none is free, or the
 * process has as many as it may; -ENOMEM.
 */
SIOMMU_API int siommu_pasid_alloc(struct siommu_domain *domain, uint32_t min, uint32_t max);

/**
 * siommu_pasid_free() - Free PASIDs
 * @domain: any domain of the process
 * @min: lowest
 * @max: highest. Of these all that the process owns are freed; what is bound to them is
 *	unbound first, in all its domains and containers. Cannot fail
 */
SIOMMU_API void siommu_pasid_free(struct siommu_domain *domain, uint32_t min, uint32_t max);

/**
 * siommu_uapi_sva_bind_gpasid() - Bind a guest's page table to a PASID
 * @domain: the domain
 * @bound: the device; NULL: all of the domain's, or none on failure
 * @udata: struct iommu_gpasid_bind_data
 *
 * Return: 0; -ENODEV if the IOMMU does not do this; -EFAULT; -EINVAL for what the
 * structure's rules, the IOMMU or its owner refuse; -E2BIG in the draft revision;
 * -EBUSY if the PASID is bound already; -EIO if the domain is blocked; -ENOMEM.
 */
SIOMMU_API int siommu_uapi_sva_bind_gpasid(struct siommu_domain *domain,
					   struct siommu_bound *bound, const void *udata);

/**
 * siommu_uapi_sva_unbind_gpasid() - Undo it
 * @domain: the domain
 * @bound: the device; NULL: all of the domain's
 * @udata: struct iommu_gpasid_bind_data, of which only @hpasid matters
 *
 * A PASID that is not bound is fine. The PASID stays the caller's. Devices of a group share
 * their translations: it is gone when the last of them has it unbound.
 *
 * Return: 0; -ENODEV, -EFAULT, -EINVAL, -E2BIG as for binding, of the structure alone.
 */
SIOMMU_API int siommu_uapi_sva_unbind_gpasid(struct siommu_domain *domain,
					     struct siommu_bound *bound, const void *udata);

/**
 * siommu_sva_unbind_gpasid() - Undo it, for callers that are trusted
 * @domain: the domain
 * @bound: the device; NULL: all of the domain's
 * @pasid: the PASID. Cannot fail
 */
SIOMMU_API void siommu_sva_unbind_gpasid(struct siommu_domain *domain, struct siommu_bound *bound,
					 uint32_t pasid);

/**
 * siommu_uapi_attach_pasid_table() - Have devices translate by a guest's table of PASIDs
 * @domain: the domain
 * @udata: struct iommu_pasid_table_config; replaces one that is attached
 *
 * Return: 0; -ENODEV if the IOMMU does not do this; -EFAULT; -EINVAL; -E2BIG in the draft
 * revision; -EIO if the domain is blocked; -ENOMEM. On failure nothing has changed.
 */
SIOMMU_API int siommu_uapi_attach_pasid_table(struct siommu_domain *domain, const void *udata);

/**
 * siommu_detach_pasid_table() - Undo it
 * @domain: the domain. Without a table this does nothing. Cannot fail: if there is no
 *	memory for the way back to the I/O address space, all DMA of the domain's devices is
 *	blocked until they leave it
 */
SIOMMU_API void siommu_detach_pasid_table(struct siommu_domain *domain);

/**
 * siommu_uapi_cache_invalidate() - Forget what the guest has changed
 * @domain: the domain
 * @udata: struct iommu_cache_invalidate_info
 *
 * Return: 0: no device uses the old translation, or will; -ENODEV, -EFAULT, -EINVAL,
 * -E2BIG for a request that is malformed; -EIO if it was not carried out, now or before:
 * then all DMA of the domain's devices is blocked until they leave it.
 */
SIOMMU_API int siommu_uapi_cache_invalidate(struct siommu_domain *domain, const void *udata);

/**
 * siommu_register_device_fault_handler() - Be told of a device's faults
 * @domain: the domain
 * @bound: the device
 * @handler: called for each, from the thread that does the DMA and with locks of the
 *	IOMMU held: it may not call this library. -errno: not taken; a page request is
 *	answered "invalid" then
 * @arg: its first argument
 *
 * Return: 0; -EINVAL for a device that is not in the domain; -EBUSY if there is a handler.
 */
SIOMMU_API int
siommu_register_device_fault_handler(struct siommu_domain *domain, struct siommu_bound *bound,
				     int (*handler)(void *arg, const struct iommu_fault *fault),
				     void *arg);

/**
 * siommu_unregister_device_fault_handler() - Be told no more
 * @domain: the domain
 * @bound: the device
 *
 * Return: 0; -EINVAL for a device that is not in the domain; -EBUSY while page requests
 * wait for a response.
 */
SIOMMU_API int siommu_unregister_device_fault_handler(struct siommu_domain *domain,
						      struct siommu_bound *bound);

/**
 * siommu_page_response() - Answer a group of page requests
 * @domain: the domain
 * @bound: the device
 * @response: the answer
 *
 * Return: 0; -EINVAL for a version, flag or code that is not known, for a device that is
 * not in the domain, and if no such group waits, because it was answered or its time was
 * over.
 */
SIOMMU_API int siommu_page_response(struct siommu_domain *domain, struct siommu_bound *bound,
				    const struct iommu_page_response *response);

/**
 * siommu_uapi_page_response() - The same, of a structure that is not trusted
 * @domain: the domain
 * @bound: the device
 * @udata: struct iommu_page_response
 *
 * Return: as siommu_page_response(), -EFAULT, and -E2BIG in the draft revision.
 */
SIOMMU_API int siommu_uapi_page_response(struct siommu_domain *domain, struct siommu_bound *bound,
					 const void *udata);

SIOMMU_END_DECLS

#endif
