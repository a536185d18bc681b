// SPDX-License-Identifier: MIT
/*
 * libsoftiommu-preload.so: lets a program that knows only /dev/iommu call the
 * softiommu server instead of a kernel.
 *
 * It stands in front of some functions of libc. Nearly all calls go straight
 * on. What is ours is recognised by two things only: a few path names, and
 * descriptors that the server has made (proto.h says how those can be told).
 * Such a call becomes one message to the server, which carries addresses and
 * numbers but no data; nothing here knows a structure of the IOMMU API.
 *
 *	open.c, paths.c		paths: /dev/iommu, fail-nth, fault-injection knobs
 *	tree.c, dirs.c		paths of PCI functions and VFIO, in the server's tree
 *	stat.c			what stat says about device nodes
 *	ctl.c, io.c, stdio.c	ioctl and mmap; read and write
 *	trap.c, insn.h		stores to registers of devices
 *	kvm.c			VFIO devices that are made known to KVM
 *	fds.c			close and dup: which descriptors are still ours
 *	sys.c			syscall(), which may be any of these
 *	known.c			the table of our descriptors
 *	image.c, channel.c	the connection to the server, over fork and exec
 *
 * A program that is no client must not notice the library. So every function
 * costs it one branch on a flag that is set when the program first holds
 * something of ours; paths are looked at after the real call; and the
 * constructor only looks up the originals, reads one environment variable and,
 * if that is set, looks for descriptors inherited over exec.
 *
 * All of it may run in a signal handler and before our constructor.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "real.h"

struct real real_functions;
bool real_resolved;
bool preload_active;
bool preload_is_client;
_Atomic bool preload_live;

#define REAL_RESOLVE(name) real_functions.name = (__typeof__(name) *)dlsym(RTLD_NEXT, #name);

void real_resolve(void)
{
	int saved = errno;

	/* Two threads may do this at once: they write the same values. */
	REAL_FUNCTIONS(REAL_RESOLVE)
	__atomic_store_n(&real_resolved, true, __ATOMIC_RELEASE);
	errno = saved;
}

long preload_return(long ret)
{
	if (ret >= 0)
		return ret;
	errno = (int)-ret;
	return -1;
}

/* Early, so that constructors of the program find us ready. */
static __attribute__((constructor(101))) void preload_init(void)
{
	int saved = errno;

	if (!real_resolved)
		real_resolve();
	channel_init();
	if (preload_active) {
		known_scan();
		tree_init();
	}
	errno = saved;
}
