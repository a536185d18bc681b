// SPDX-License-Identifier: MIT
/* RISC-V's first stage: Sv39, Sv48, Sv57. */
#define RISCV_X4    0
#define PT_FN(name) pt_riscv_##name

#include "fmt_riscv.h"
#include "pt_engine.h"
