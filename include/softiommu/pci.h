/* SPDX-License-Identifier: MIT */
/*
 * PCI functions: device models that do DMA through a machine's IOMMUs, and are shown
 * to programs as VFIO devices.
 */
#ifndef SOFTIOMMU_PCI_H
#define SOFTIOMMU_PCI_H

#include <stdio.h>

#include <softiommu/api.h>

SIOMMU_BEGIN_DECLS

/**
 * struct siommu_pci_params - how to make a function
 * @size: sizeof(struct siommu_pci_params) of the caller
 * @model: "nvme", "ioat", "dsa", "igb" or "edu"
 * @options: of the model: "name=value,..."; NULL for defaults
 * @address: where it is on its bus, "DDDD:BB:DD.F"; NULL: from the device's requester id
 */
struct siommu_pci_params {
	size_t size;
	const char *model;
	const char *options;
	const char *address;
};

/**
 * siommu_pci_create() - Make a device a PCI function
 * @dev: the device: its DMA is what the function does; outlives it
 * @params: what it is
 * @error: on -EINVAL and errors of files, one line that says what is wrong; may be NULL
 * @n: room in @error
 * @out: the function; ended with siommu_pci_destroy()
 *
 * From now on it can be opened as /dev/vfio/devices/vfioN and by its group, N being
 * the lowest number that is free.
 *
 * Return: 0; -EINVAL; -EOPNOTSUPP for a model that there is not, or a device without
 * data path; -EBUSY for an address that is taken; -errno of the files that @options
 * name; -ENOMEM.
 */
SIOMMU_API int siommu_pci_create(struct siommu_device *dev, const struct siommu_pci_params *params,
				 char *error, size_t n, struct siommu_pci **out);

/**
 * siommu_pci_destroy() - End a function
 * @pci: the function, not open; NULL is fine. Cannot fail
 */
SIOMMU_API void siommu_pci_destroy(struct siommu_pci *pci);

/**
 * siommu_pci_help() - What models there are, for people
 * @out: where to print each with its options
 */
SIOMMU_API void siommu_pci_help(FILE *out);

SIOMMU_END_DECLS

#endif
