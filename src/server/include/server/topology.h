/* SPDX-License-Identifier: MIT */
/* The IOMMUs that a server has, and the devices behind them: first as words, then made. */
#ifndef SERVER_TOPOLOGY_H
#define SERVER_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <softiommu/device.h>
#include <softiommu/machine.h>

/* As many bytes as a name has, with the zero at its end. */
#define TOPOLOGY_NAME 32

/* Room for a line that says what is wrong. */
#define TOPOLOGY_ERROR 512

/**
 * struct topology_unit - an IOMMU
 * @where: where it was asked for: "FILE:LINE", or the option
 * @name: for people, and for devices to refer to
 * @model: vtd, smmuv3 or amd
 * @options: of the model
 */
struct topology_unit {
	char *where;
	char name[TOPOLOGY_NAME];
	char *model;
	char *options;
};

struct topology_range {
	uint64_t start;
	uint64_t last;
};

/**
 * struct topology_device - a device
 * @where: as above
 * @name: for people
 * @unit: index of its IOMMU
 * @best: with as many PASID bits, ATS and page requests as the IOMMU allows, and
 *	the requester 0 if it does not allow the one in @params
 * @params: the rest; its name and unit are ignored
 * @reserved: IOVAs that it cannot use
 * @nreserved: how many ranges
 */
struct topology_device {
	char *where;
	char name[TOPOLOGY_NAME];
	size_t unit;
	bool best;
	struct siommu_device_params params;
	struct topology_range *reserved;
	size_t nreserved;
};

struct topology {
	struct topology_unit *units;
	size_t nunits;
	struct topology_device *devices;
	size_t ndevices;
};

/* What was made of it, in the same order. */
struct topology_built {
	struct siommu_unit **units;
	size_t nunits;
	struct siommu_device **devices;
	size_t ndevices;
};

/* A new unit or device at the end, all zero. Never NULL: without memory the process ends. */
struct topology_unit *topology_add_unit(struct topology *t);
struct topology_device *topology_add_device(struct topology *t);
void topology_free(struct topology *t);

/*
 * Make it all in @machine. Return: 0, or -errno with a line in @error, of
 * TOPOLOGY_ERROR bytes, that says what to do; then nothing was made.
 */
int topology_build(struct siommu_machine *machine, const struct topology *t,
		   struct topology_built *built, char *error);

/* Take it down, last things first. */
void topology_unbuild(struct topology_built *built);

#endif
