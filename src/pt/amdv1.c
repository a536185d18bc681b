// SPDX-License-Identifier: MIT
/* AMD host tables as hardware has them. */
#define AMDV1_GRANULE_LG2 12
#define PT_FN(name)	  pt_amdv1_##name

#include "fmt_amdv1.h"
#include "pt_engine.h"
