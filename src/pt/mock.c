// SPDX-License-Identifier: MIT
/*
 * The mock IOMMU's tables: AMD's on half the granule, so that one CPU page is
 * two entries and code that mistakes the one size for the other is found out.
 */
#define AMDV1_GRANULE_LG2 11
#define PT_FN(name)	  pt_mock_##name

#include "fmt_amdv1.h"
#include "pt_engine.h"
