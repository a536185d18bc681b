// SPDX-License-Identifier: MIT
/* x86-64 tables: VT-d's first stage, and AMD's guest tables. */
#define PT_FN(name) pt_x86_64_##name

#include "fmt_x86_64.h"
#include "pt_engine.h"
