/* SPDX-License-Identifier: MIT */
/* What the layers above ask of a machine. */
#ifndef CORE_MACHINE_H
#define CORE_MACHINE_H

#include <softiommu/machine.h>

#include "mem/space.h"

/* The world that its address spaces belong to. */
struct mem_host *machine_host(struct siommu_machine *machine);

/* The space of this process, which the machine keeps. Return: 0, or -errno. */
int machine_space(struct siommu_machine *machine, bool checked,
		  struct mem_space **out) __must_check;

#endif
