/* SPDX-License-Identifier: MIT */
/* Drawing a translation in a terminal. */
#ifndef TOOLS_DRAW_WALK_H
#define TOOLS_DRAW_WALK_H

#include <stdbool.h>
#include <stdio.h>

#include "server/walk.h"

/* At most 100 columns wide, unless a name is. Colours are for terminals. */
void draw_walk(const struct walk_trace *trace, bool colours, FILE *out);

#endif
