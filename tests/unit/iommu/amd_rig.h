/* SPDX-License-Identifier: MIT */
/* What the tests of the AMD model through the public API share. */
#ifndef UNIT_AMD_RIG_H
#define UNIT_AMD_RIG_H

#define RIG_MODEL     "amd"
#define RIG_REQUESTER 0x1234

#include "rig.h"

/* Bits of a guest's device table entry. */
#define GV    (1ull << 55)
#define GIOV  (1ull << 54)
#define GLX3  (3ull << 56)
#define GCR3  (1ull << 58) /* its address is 4096 */
#define GPM_5 (1ull << 54)

static inline struct rig rig_new(const char *options)
{
	const struct siommu_device_params plain = { .pasid_bits = 20 };

	return rig_with(&plain, options);
}

#endif
