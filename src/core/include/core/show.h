/* SPDX-License-Identifier: MIT */
/* One context as a tree for people; siommu_machine_show() shows all. */
#ifndef CORE_SHOW_H
#define CORE_SHOW_H

#include "core/ctx.h"

/* Context: takes the context's lock. */
void core_ctx_show(struct core_ctx *ctx, FILE *out);

#endif
