/* SPDX-License-Identifier: MIT */
/* Everything of the library at once. The kernel's ABI is in softiommu/abi/. */
#ifndef SOFTIOMMU_H
#define SOFTIOMMU_H

#include <softiommu/access.h>
#include <softiommu/context.h>
#include <softiommu/device.h>
#include <softiommu/dma.h>
#include <softiommu/legacy.h>
#include <softiommu/machine.h>
#include <softiommu/model.h>
#include <softiommu/pci.h>
#include <softiommu/vfio.h>
#include <softiommu/view.h>

#endif
