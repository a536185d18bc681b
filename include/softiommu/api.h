/* SPDX-License-Identifier: MIT */
/* What every public header needs: visibility, and the objects' names. */
#ifndef SOFTIOMMU_API_H
#define SOFTIOMMU_API_H

#include <stdint.h>
#include <stddef.h>
#include <sys/types.h>

#define SIOMMU_API __attribute__((visibility("default")))

#ifdef __cplusplus
#define SIOMMU_BEGIN_DECLS extern "C" {
#define SIOMMU_END_DECLS   }
#else
#define SIOMMU_BEGIN_DECLS
#define SIOMMU_END_DECLS
#endif

struct siommu_access;
struct siommu_bound;
struct siommu_ctx;
struct siommu_device;
struct siommu_fault;
struct siommu_machine;
struct siommu_pci;
struct siommu_port;
struct siommu_unit;

#endif
