/* SPDX-License-Identifier: MIT */
/* The IOMMUs that a server has, and the devices behind them: first as words, then made. */
#ifndef SERVER_TOPOLOGY_H
#define SERVER_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <softiommu/device.h>
#include <softiommu/machine.h>
#include <softiommu/model.h>
#include <softiommu/pci.h>

/* As many bytes as a name has, with the zero at its end. */
#define TOPOLOGY_NAME 32

/* Room for a line that says what is wrong. */
#define TOPOLOGY_ERROR 512

/**
 * struct topology_model - a model of IOMMUs that is not part of the library
 * @where: where it was asked for: the option
 * @handle: of dlclose()
 * @model: what was found in there
 */
struct topology_model {
	char *where;
	void *handle;
	const struct siommu_model *model;
};

/**
 * struct topology_unit - an IOMMU
 * @where: where it was asked for: "FILE:LINE", or the option
 * @name: for people, and for devices to refer to
 * @model: vtd, smmuv3 or amd, or one of the topology's own
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
 * enum topology_given - what was asked for in so many words
 * @TOPOLOGY_REQUESTER: the number on its bus
 * @TOPOLOGY_PASID: the width of its PASIDs
 * @TOPOLOGY_ATS: ATS, or none
 * @TOPOLOGY_PAGE_REQUESTS: page requests, or none
 */
enum topology_given {
	TOPOLOGY_REQUESTER = 1,
	TOPOLOGY_PASID = 2,
	TOPOLOGY_ATS = 4,
	TOPOLOGY_PAGE_REQUESTS = 8,
};

/**
 * struct topology_device - a device
 * @where: as above
 * @name: for people
 * @unit: index of its IOMMU
 * @model: of a PCI function: nvme, ioat, dsa, igb, edu; NULL for a device that does nothing
 * @options: of @model; NULL for its defaults
 * @segment: of a PCI function's address
 * @best: with as many PASID bits, ATS and page requests as the IOMMU allows, but for
 *	those that are @given; and if nobody chose the requester, 0 where the IOMMU does
 *	not allow the one in @params
 * @given: enum topology_given
 * @params: the rest; its name and unit are ignored
 * @reserved: IOVAs that it cannot use
 * @nreserved: how many ranges
 */
struct topology_device {
	char *where;
	char name[TOPOLOGY_NAME];
	size_t unit;
	char *model;
	char *options;
	unsigned int segment;
	bool best;
	unsigned int given;
	struct siommu_device_params params;
	struct topology_range *reserved;
	size_t nreserved;
};

struct topology {
	struct topology_model *models;
	size_t nmodels;
	struct topology_unit *units;
	size_t nunits;
	struct topology_device *devices;
	size_t ndevices;
};

/* What was made of it, in the same order; functions[] is NULL where there is no model. */
struct topology_built {
	struct siommu_unit **units;
	size_t nunits;
	struct siommu_device **devices;
	struct siommu_pci **functions;
	size_t ndevices;
};

/* Each of them new at the end, all zero. Never NULL: without memory the process ends. */
struct topology_model *topology_add_model(struct topology *t);
struct topology_unit *topology_add_unit(struct topology *t);
struct topology_device *topology_add_device(struct topology *t);

/* No machine that was built of it is there any more. */
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
