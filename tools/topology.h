/* SPDX-License-Identifier: MIT */
/* What --iommu and --topology say. */
#ifndef TOOLS_TOPOLOGY_H
#define TOOLS_TOPOLOGY_H

#include "server/topology.h"
#include "softiommu.h"

/* What has a name in a topology. */
enum kind { KIND_NONE, KIND_UNIT, KIND_DEVICE };

/* Load the models of @paths, NULL at the end. Return: 0, or EXIT_USAGE with a complaint. */
int topology_load_models(struct topology *t, char *const *paths);

/*
 * Add the IOMMU that @text, "MODEL[,name=value...]", asks for, and with @device one
 * device behind it that does nothing. Return: 0, or EXIT_USAGE with a complaint.
 */
int topology_add_option(struct topology *t, const char *text, bool device);

/*
 * Add the functions that @devices, "MODEL[:name=value,...]" with NULL at the end, ask
 * for, behind unit @unit unless they say otherwise, and an IOMMU if there is none.
 * Return: 0, or EXIT_USAGE with a complaint.
 */
int topology_add_devices(struct topology *t, char *const *devices, size_t unit);

/* Add what a file describes. Return: 0, or EXIT_USAGE with a complaint. */
int topology_read(struct topology *t, const char *path);

/* Make it once, to see whether it can be. Return: 0, or EXIT_USAGE with a complaint. */
int topology_check(const struct topology *t);

/* A number with 0x or without, and K, M, G or T after it; nothing else. */
bool parse_number(const char *text, uint64_t *value);

/* The models of IOMMUs with their options, @t's own last, and those of devices. */
void print_models(const struct topology *t, FILE *out);
void print_devices(FILE *out);

/*
 * Set what @key says of a device. *@known is false if it says nothing of devices.
 * Return: false with a line in @error, of TOPOLOGY_ERROR bytes.
 */
bool device_set(struct topology_device *d, const char *key, const char *value, bool *known,
		char *error);

/* Add "name=value" to the model's options. A file is one in @base if its path is relative. */
void device_add_option(struct topology_device *d, const char *option, const char *base);

/* Its model is given: it has an address, and the abilities that nobody spoke of. */
void device_is_function(const struct topology *t, struct topology_device *d);

/* Does it clash with one before it? Return: 0, or EXIT_USAGE with a complaint. */
int check_pairs(const struct topology *t, size_t index);

/* The first of STEM0, STEM1, ... that no @kind is called, into @to, of TOPOLOGY_NAME bytes. */
void name_freely(const struct topology *t, enum kind kind, const char *stem, char *to);

/* A new string, to be freed; never NULL. */
char *print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

void out_of_memory(void) __attribute__((noreturn));

#endif
