/* SPDX-License-Identifier: MIT */
/*
 * Devices, and what a driver does with them: this is how something that is not
 * part of the library (a VFIO front end, a device model) connects a device to a
 * context.
 */
#ifndef SOFTIOMMU_DEVICE_H
#define SOFTIOMMU_DEVICE_H

#include <stdbool.h>

#include <softiommu/api.h>

SIOMMU_BEGIN_DECLS

/**
 * enum siommu_device_iommu - which IOMMU a device is behind
 * @SIOMMU_IOMMU_NONE: none: DMA is not translated, addresses are looked up with
 *	IOMMU_IOAS_NOIOMMU_GET_PA
 * @SIOMMU_IOMMU_MOCK: the mock; the machine has its test_interface on
 */
enum siommu_device_iommu {
	SIOMMU_IOMMU_NONE,
	SIOMMU_IOMMU_MOCK,
};

/**
 * struct siommu_device_params - how to make a device
 * @size: sizeof(struct siommu_device_params) of the caller
 * @name: for listings; copied; at most 31 bytes
 * @iommu: the IOMMU it is behind
 * @group: the group it shares with devices made with the same number; 0 for a
 *	group of its own
 * @pasid_bits: width of its PASIDs, at most 20; 0 for none
 * @no_dirty: its IOMMU path cannot track dirty pages; the mock's only
 * @unit: the IOMMU it is behind, in place of @iommu; outlives the device
 * @requester: its number on the bus: PCI requester id, or SMMUv3's stream id;
 *	what follows is for devices with @unit
 * @ats: it asks for translations and keeps them (PCIe ATS)
 * @page_requests: it asks for pages (PCIe PRI); needs @ats
 * @stall: its requests may wait for an answer (SMMUv3's stall model)
 */
struct siommu_device_params {
	size_t size;
	const char *name;
	enum siommu_device_iommu iommu;
	uint32_t group;
	unsigned int pasid_bits;
	bool no_dirty;
	struct siommu_unit *unit;
	uint32_t requester;
	bool ats;
	bool page_requests;
	bool stall;
};

/**
 * siommu_device_create() - Put a device into a machine
 * @machine: the machine
 * @params: what it is
 * @out: the device; ended with siommu_device_destroy()
 *
 * Return: 0; -EINVAL, also if the group is behind another IOMMU, or the IOMMU
 * cannot have such a device; -EBUSY if the
 * group is attached; -EOPNOTSUPP for an IOMMU the machine does not
 * have; -ENOMEM.
 */
SIOMMU_API int siommu_device_create(struct siommu_machine *machine,
				    const struct siommu_device_params *params,
				    struct siommu_device **out);

/**
 * siommu_device_destroy() - Take a device out of its machine
 * @dev: the device, bound to nothing; NULL is fine. Cannot fail
 */
SIOMMU_API void siommu_device_destroy(struct siommu_device *dev);

/**
 * siommu_device_reserve() - Declare IOVAs that the device cannot use
 * @dev: the device, bound to nothing
 * @start: first IOVA
 * @last: last IOVA
 *
 * Return: 0; -EINVAL if @last is below @start; -ENOMEM.
 */
SIOMMU_API int siommu_device_reserve(struct siommu_device *dev, uint64_t start, uint64_t last);

/**
 * siommu_device_bind() - Give a context the DMA of a device
 * @ctx: the context; it lives on until the device is unbound
 * @dev: the device
 * @bound: the binding; ended with siommu_device_unbind()
 * @id: the id of the device object in @ctx
 *
 * All DMA of the device's group is blocked until something is attached.
 *
 * Return: 0; -EBUSY if another context has the group; -EINVAL if its DMA is not
 * coherent; -ENOMEM.
 */
SIOMMU_API int siommu_device_bind(struct siommu_ctx *ctx, struct siommu_device *dev,
				  struct siommu_bound **bound, uint32_t *id);

/**
 * siommu_device_unbind() - Take the device back from its context
 * @bound: the binding; attached to nothing. Cannot fail
 */
SIOMMU_API void siommu_device_unbind(struct siommu_bound *bound);

/**
 * siommu_device_attach() - Connect a device, or one PASID of it
 * @bound: the bound device
 * @pasid: the PASID; 0 for requests without one
 * @pt_id: in: an IOAS or an HWPT; out: the HWPT that is used
 *
 * Return: 0; -ENOENT for an unknown id; -EINVAL for one that is no page table
 * or does not fit the device; -EBUSY if attached already; -EADDRINUSE if
 * mappings lie where the device cannot reach; -ENODEV if the HWPT takes page
 * faults and the device cannot; -EFAULT if mapped memory is gone; -ENOMEM.
 */
SIOMMU_API int siommu_device_attach(struct siommu_bound *bound, uint32_t pasid, uint32_t *pt_id);

/**
 * siommu_device_replace() - Change what a device is connected to, without a gap
 * @bound: the bound device; attached
 * @pasid: the PASID; 0 for requests without one
 * @pt_id: as in siommu_device_attach()
 *
 * Return: as siommu_device_attach(), and -EINVAL if it is not attached. On
 * failure the old attachment stays.
 */
SIOMMU_API int siommu_device_replace(struct siommu_bound *bound, uint32_t pasid, uint32_t *pt_id);

/**
 * siommu_device_detach() - Block the device, or one PASID of it
 * @bound: the bound device
 * @pasid: the PASID; 0 for requests without one
 *
 * Detaching what is not attached does nothing. Cannot fail.
 */
SIOMMU_API void siommu_device_detach(struct siommu_bound *bound, uint32_t pasid);

SIOMMU_END_DECLS

#endif
