// SPDX-License-Identifier: MIT
/* Second-stage tables of Intel's VT-d. */
#define PT_FN(name) pt_vtdss_##name

#include "fmt_vtdss.h"
#include "pt_engine.h"
