/* SPDX-License-Identifier: MIT */
/* What --iommu and --topology say. */
#ifndef TOOLS_TOPOLOGY_H
#define TOOLS_TOPOLOGY_H

#include "server/topology.h"
#include "softiommu.h"

/*
 * Add the IOMMU that @text, "MODEL[,name=value...]", asks for, with one device
 * behind it. Return: 0, or EXIT_USAGE with a complaint.
 */
int topology_add_option(struct topology *t, const char *text);

/* Add what a file describes. Return: 0, or EXIT_USAGE with a complaint. */
int topology_read(struct topology *t, const char *path);

/* Make it once, to see whether it can be. Return: 0, or EXIT_USAGE with a complaint. */
int topology_check(const struct topology *t);

/* A number with 0x or without, and K, M, G or T after it; nothing else. */
bool parse_number(const char *text, uint64_t *value);

/* The models with their options. */
void print_models(FILE *out);

#endif
