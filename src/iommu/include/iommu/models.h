/* SPDX-License-Identifier: MIT */
/* The models of vendors' IOMMUs; each is a folder of its own. */
#ifndef IOMMU_MODELS_H
#define IOMMU_MODELS_H

#include "iommu/iommu.h"

extern const struct iommu_model amd_model;
extern const struct iommu_model smmuv3_model;
extern const struct iommu_model vtd_model;

#endif
