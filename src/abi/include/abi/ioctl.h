/* SPDX-License-Identifier: MIT */
/* What a door calls with the bytes of its caller. */
#ifndef ABI_IOCTL_H
#define ABI_IOCTL_H

#include "base/types.h"

struct core_ctx;
struct siommu_task;

/* One ioctl. @arg is an address in the caller. Return: as ioctl(2), or -errno. */
long abi_ioctl(struct core_ctx *ctx, struct siommu_task *task, unsigned int request, u64 arg);

#endif
