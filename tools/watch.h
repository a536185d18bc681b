/* SPDX-License-Identifier: MIT */
/* Showing a server again and again. */
#ifndef TOOLS_WATCH_H
#define TOOLS_WATCH_H

#include "softiommu.h"

/*
 * Print the server's tree every @seconds until SIGINT or SIGTERM, or its end: on a
 * terminal in place, as much as fits, elsewhere one tree below the other. Numbers that
 * have changed are followed by how much they did so in a second. Return: exit status.
 */
int watch_server(int sock, const char *path, double seconds);

#endif
