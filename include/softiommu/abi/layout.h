/* SPDX-License-Identifier: MIT */
/*
 * Compile-time checks of structure layouts, for the headers beside this one.
 * Each of them describes bytes that programs and kernels exchange, so a wrong
 * offset must stop the build and not the program. Works from C11 and C++11 on;
 * for older dialects the checks vanish.
 */
#ifndef SIOMMU_ABI_LAYOUT_H
#define SIOMMU_ABI_LAYOUT_H

#include <stddef.h>

#if defined(__cplusplus) && __cplusplus >= 201103L
#define SIOMMU_ABI_ASSERT(cond) static_assert(cond, #cond)
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define SIOMMU_ABI_ASSERT(cond) _Static_assert(cond, #cond)
#else
#define SIOMMU_ABI_ASSERT(cond) extern int siommu_abi_not_checked
#endif

/* SIOMMU_ABI_SIZE() - structure @type is @bytes long */
#define SIOMMU_ABI_SIZE(type, bytes) SIOMMU_ABI_ASSERT(sizeof(struct type) == (bytes))

/* SIOMMU_ABI_AT() - @member of structure @type begins at byte @offset */
#define SIOMMU_ABI_AT(type, member, offset) \
	SIOMMU_ABI_ASSERT(offsetof(struct type, member) == (offset))

#endif
