// SPDX-License-Identifier: MIT
/* Files by path. */
#include <stdio.h>
#include <string.h>

#include "vfio.h"

/* The number that is all of @s: no sign, no zeroes in front. */
static bool number_of(const char *s, unsigned int *number)
{
	u64 value = 0;

	if (!*s || (*s == '0' && s[1]))
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return false;
		value = value * 10 + (unsigned int)(*s - '0');
		if (value > INT32_MAX)
			return false;
	}
	*number = (unsigned int)value;
	return true;
}

static bool starts(const char *path, const char *with, const char **rest)
{
	size_t n = strlen(with);

	*rest = path + n;
	return !strncmp(path, with, n);
}

/* Devices and groups; with bus->lock. */
static int open_vfio(struct vfio_bus *bus, const char *name, struct mem_file **out)
{
	struct vfio_group *group;
	struct siommu_pci *pci;
	unsigned int number;
	const char *rest;

	if (starts(name, "devices/vfio", &rest)) {
		pci = number_of(rest, &number) ? vfio_find_minor(bus, number) : NULL;
		return pci && !pci->unbound ? vfio_cdev_open(pci, out) : -ENOENT;
	}
	group = number_of(name, &number) ? vfio_find_group(bus, number) : NULL;
	return group ? vfio_group_open(group, out) : -ENOENT;
}

int abi_open(struct siommu_machine *machine, const char *path, int flags, struct mem_file **out)
{
	struct vfio_bus *bus;
	const char *rest;
	int rc;

	if (!strcmp(path, "/dev/iommu"))
		return abi_context_open(machine, out);
	if (starts(path, "/sys/", &rest))
		return vfio_sysfs_open(machine, path, flags, out);
	if (!starts(path, "/dev/vfio/", &rest))
		return -ENOENT;
	rc = vfio_bus_get(machine, &bus);
	if (rc)
		return rc;
	if (!strcmp(rest, "vfio"))
		return vfio_container_open(machine, out);
	pthread_mutex_lock(&bus->lock);
	rc = open_vfio(bus, rest, out);
	pthread_mutex_unlock(&bus->lock);
	return rc;
}
