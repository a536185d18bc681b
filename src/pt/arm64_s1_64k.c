// SPDX-License-Identifier: MIT
/* Arm's tables of stage 1, with a granule of 64 KiB. */
#define ARM64_STAGE	  1
#define ARM64_GRANULE_LG2 16
#define PT_FN(name)	  pt_arm64_s1_64k_##name

#include "fmt_arm64.h"
#include "pt_engine.h"
