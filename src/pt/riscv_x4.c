// SPDX-License-Identifier: MIT
/* RISC-V's second stage: Sv39x4, Sv48x4, Sv57x4. */
#define RISCV_X4    1
#define PT_FN(name) pt_riscv_x4_##name

#include "fmt_riscv.h"
#include "pt_engine.h"
