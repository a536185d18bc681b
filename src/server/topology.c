// SPDX-License-Identifier: MIT
/*
 * Making the IOMMUs and devices that were asked for. The command does it once
 * in a machine that it throws away, to complain before a server starts, and the
 * server does it in its own.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/topology.h"

static void *grow(void *array, size_t count, size_t size)
{
	char *larger = realloc(array, (count + 1) * size);

	if (!larger) {
		fputs("softiommu: out of memory\n", stderr);
		exit(1);
	}
	memset(larger + count * size, 0, size);
	return larger;
}

struct topology_model *topology_add_model(struct topology *t)
{
	t->models = grow(t->models, t->nmodels, sizeof(*t->models));
	return &t->models[t->nmodels++];
}

struct topology_unit *topology_add_unit(struct topology *t)
{
	t->units = grow(t->units, t->nunits, sizeof(*t->units));
	return &t->units[t->nunits++];
}

struct topology_device *topology_add_device(struct topology *t)
{
	t->devices = grow(t->devices, t->ndevices, sizeof(*t->devices));
	return &t->devices[t->ndevices++];
}

void topology_free(struct topology *t)
{
	size_t i;

	for (i = 0; i < t->nunits; i++) {
		free(t->units[i].where);
		free(t->units[i].model);
		free(t->units[i].options);
	}
	for (i = 0; i < t->ndevices; i++) {
		free(t->devices[i].where);
		free(t->devices[i].model);
		free(t->devices[i].options);
		free(t->devices[i].reserved);
	}
	for (i = 0; i < t->nmodels; i++) {
		free(t->models[i].where);
		if (t->models[i].handle)
			dlclose(t->models[i].handle);
	}
	free(t->models);
	free(t->units);
	free(t->devices);
	memset(t, 0, sizeof(*t));
}

static int build_model(struct siommu_machine *machine, const struct topology_model *m, char *error)
{
	int rc = siommu_model_register(machine, m->model);

	if (rc == -EEXIST)
		snprintf(error, TOPOLOGY_ERROR, "%s: there is a model \"%s\" already: leave one out",
			 m->where, m->model->name);
	else if (rc == -EINVAL)
		snprintf(error, TOPOLOGY_ERROR,
			 "%s: what it declares does not fit together: see softiommu/model.h",
			 m->where);
	else if (rc)
		snprintf(error, TOPOLOGY_ERROR, "%s: cannot take it: %s", m->where, strerror(-rc));
	return rc;
}

static int build_unit(struct siommu_machine *machine, const struct topology_unit *u,
		      struct siommu_unit **out, char *error)
{
	const struct siommu_unit_params params = {
		.size = sizeof(params),
		.model = u->model,
		.options = u->options,
		.name = u->name,
	};
	char line[TOPOLOGY_ERROR / 2] = "";
	int rc;

	rc = siommu_unit_create(machine, &params, line, sizeof(line), out);
	if (rc == -EOPNOTSUPP)
		snprintf(error, TOPOLOGY_ERROR,
			 "%s: there is no model \"%s\": give vtd, smmuv3, amd, one that --model "
			 "loads, or --iommu mock",
			 u->where, u->model);
	else if (rc == -EINVAL)
		snprintf(error, TOPOLOGY_ERROR, "%s: %s (softiommu run --iommu help lists all)",
			 u->where, line);
	else if (rc)
		snprintf(error, TOPOLOGY_ERROR, "%s: cannot make it: %s", u->where, strerror(-rc));
	return rc;
}

/* With the widest PASIDs that the unit can have, if nobody chose. */
static int create_wide(struct siommu_machine *machine, const struct topology_device *d,
		       struct siommu_device_params *params, struct siommu_device **out)
{
	int bits, rc = -EINVAL;

	if (d->given & TOPOLOGY_PASID)
		return siommu_device_create(machine, params, out);
	for (bits = 20; bits >= 0 && rc == -EINVAL; bits--) {
		params->pasid_bits = (unsigned int)bits;
		rc = siommu_device_create(machine, params, out);
	}
	return rc;
}

/* From the most able device down to the first that the unit can have. */
static int create_able(struct siommu_machine *machine, const struct topology_device *d,
		       struct siommu_device_params *params, struct siommu_device **out)
{
	int able, rc = -EINVAL;

	for (able = 2; able >= 0 && rc == -EINVAL; able--) {
		if (!(d->given & TOPOLOGY_ATS))
			params->ats = able >= 1;
		if (!(d->given & TOPOLOGY_PAGE_REQUESTS))
			params->page_requests = able == 2;
		rc = create_wide(machine, d, params, out);
	}
	return rc;
}

/* A number that the unit does not have is not worth an error if nobody chose it. */
static int create_best(struct siommu_machine *machine, const struct topology_device *d,
		       struct siommu_device_params *params, struct siommu_device **out)
{
	int rc = create_able(machine, d, params, out);

	if (rc == -EINVAL && params->requester && !(d->given & TOPOLOGY_REQUESTER)) {
		params->requester = 0;
		rc = create_able(machine, d, params, out);
	}
	return rc;
}

static int reserve(struct siommu_device *dev, const struct topology_device *d)
{
	size_t i;
	int rc = 0;

	for (i = 0; i < d->nreserved && !rc; i++)
		rc = siommu_device_reserve(dev, d->reserved[i].start, d->reserved[i].last);
	return rc;
}

/* Make it a PCI function. */
static int build_function(const struct topology_device *d, struct siommu_device *dev,
			  struct siommu_pci **out, char *error)
{
	char address[16], line[TOPOLOGY_ERROR / 2] = "";
	const struct siommu_pci_params params = {
		.size = sizeof(params),
		.model = d->model,
		.options = d->options,
		.address = address,
	};
	const uint32_t id = d->params.requester;
	int rc;

	snprintf(address, sizeof(address), "%04x:%02x:%02x.%x", d->segment & 0xffff,
		 id >> 8 & 0xff, id >> 3 & 0x1f, id & 7);
	rc = siommu_pci_create(dev, &params, line, sizeof(line), out);
	if (rc == -EOPNOTSUPP)
		snprintf(error, TOPOLOGY_ERROR,
			 "%s: there is no model \"%s\" (softiommu run --device help lists all)",
			 d->where, d->model);
	else if (rc == -EBUSY && !line[0])
		snprintf(error, TOPOLOGY_ERROR,
			 "%s: there is a function at %s already: give another address", d->where,
			 address);
	else if (rc)
		snprintf(error, TOPOLOGY_ERROR, "%s: %s (softiommu run --device help lists all)",
			 d->where, line[0] ? line : strerror(-rc));
	return rc;
}

static int create_device(struct siommu_machine *machine, const struct topology_device *d,
			 struct siommu_unit *unit, struct siommu_device **out, char *error)
{
	struct siommu_device_params params = d->params;
	int rc;

	params.size = sizeof(params);
	params.name = d->name;
	params.unit = unit;
	rc = d->best ? create_best(machine, d, &params, out)
		     : siommu_device_create(machine, &params, out);
	if (rc == -EINVAL)
		snprintf(error, TOPOLOGY_ERROR,
			 "%s: its IOMMU cannot have the device \"%s\": ask for less (requester, "
			 "pasid, ats, page-requests, stall), or for more in the IOMMU's options",
			 d->where, d->name);
	else if (rc)
		snprintf(error, TOPOLOGY_ERROR, "%s: cannot make the device \"%s\": %s", d->where,
			 d->name, strerror(-rc));
	return rc;
}

static int build_device(struct siommu_machine *machine, const struct topology_device *d,
			struct topology_built *built, char *error)
{
	struct siommu_device **dev = &built->devices[built->ndevices];
	int rc;

	rc = create_device(machine, d, built->units[d->unit], dev, error);
	if (rc)
		return rc;
	rc = reserve(*dev, d);
	if (rc)
		snprintf(error, TOPOLOGY_ERROR, "%s: cannot reserve addresses of \"%s\": %s",
			 d->where, d->name, strerror(-rc));
	else if (d->model)
		rc = build_function(d, *dev, &built->functions[built->ndevices], error);
	if (rc)
		siommu_device_destroy(*dev);
	return rc;
}

int topology_build(struct siommu_machine *machine, const struct topology *t,
		   struct topology_built *built, char *error)
{
	size_t i;
	int rc = 0;

	memset(built, 0, sizeof(*built));
	built->units = calloc(t->nunits + 1, sizeof(struct siommu_unit *));
	built->devices = calloc(t->ndevices + 1, sizeof(struct siommu_device *));
	built->functions = calloc(t->ndevices + 1, sizeof(struct siommu_pci *));
	if (!built->units || !built->devices || !built->functions) {
		snprintf(error, TOPOLOGY_ERROR, "out of memory");
		rc = -ENOMEM;
	}
	for (i = 0; !rc && i < t->nmodels; i++)
		rc = build_model(machine, &t->models[i], error);
	while (!rc && built->nunits < t->nunits) {
		rc = build_unit(machine, &t->units[built->nunits], &built->units[built->nunits],
				error);
		built->nunits += !rc;
	}
	while (!rc && built->ndevices < t->ndevices) {
		rc = build_device(machine, &t->devices[built->ndevices], built, error);
		built->ndevices += !rc;
	}
	if (rc)
		topology_unbuild(built);
	return rc;
}

void topology_unbuild(struct topology_built *built)
{
	while (built->ndevices) {
		siommu_pci_destroy(built->functions[--built->ndevices]);
		siommu_device_destroy(built->devices[built->ndevices]);
	}
	while (built->nunits)
		siommu_unit_destroy(built->units[--built->nunits]);
	free(built->functions);
	free(built->devices);
	free(built->units);
	memset(built, 0, sizeof(*built));
}
