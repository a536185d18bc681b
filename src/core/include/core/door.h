/* SPDX-License-Identifier: MIT */
/*
 * What a door needs of the core: a context opened for a caller that is not this
 * process. The calls on it are abi_ioctl() (abi/ioctl.h) and those below.
 *
 * A door brings a task (the caller) to every call and keeps it, and its address
 * space, alive until the call returns. Calls may come from several threads.
 */
#ifndef CORE_DOOR_H
#define CORE_DOOR_H

#include <softiommu/context.h>
#include <softiommu/machine.h>

#include "mem/task.h"

struct core_ctx;

/* The world that a machine's address spaces belong to. */
struct mem_host *machine_host(struct siommu_machine *machine);

/* Return: 0, or -ENOMEM. The context has one reference, the door's. */
int core_ctx_open(struct siommu_machine *machine, struct core_ctx **out) __must_check;

/*
 * The caller's last descriptor is closed. What still refers to the context (a
 * bound device, an open queue) keeps it until that is gone too.
 */
void core_ctx_close(struct core_ctx *ctx);

/*
 * The memory behind an mmap offset. Return: a descriptor that the caller of
 * this maps (MAP_SHARED, offset 0) and closes; -EINVAL, -ENXIO, -EMFILE.
 */
int core_ctx_mmap_fd(struct core_ctx *ctx, u64 length, u64 offset);

#endif
