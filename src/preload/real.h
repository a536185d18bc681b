/* SPDX-License-Identifier: MIT */
/* The functions that this library stands in front of. */
#ifndef PRELOAD_REAL_H
#define PRELOAD_REAL_H

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "preload.h"

#define REAL_MEMBER(name) __typeof__(name) *name;
struct real {
	REAL_FUNCTIONS(REAL_MEMBER)
};

extern struct real real_functions;

/* The original functions; usable at any time, also before our constructor ran. */
static inline const struct real *real(void)
{
	if (unlikely(!real_resolved))
		real_resolve();
	return &real_functions;
}

#endif
