/* SPDX-License-Identifier: MIT */
/*
 * What is mapped at an address of a process, from its /proc/PID/maps.
 *
 * Newer kernels (6.11) answer for one address by an ioctl on that file; on
 * older ones the text is read up to the line that matters.
 */
#ifndef MEM_PROCMAPS_H
#define MEM_PROCMAPS_H

#include "mem/space.h"

/*
 * @fd is an open /proc/PID/maps. Return: 0; -EFAULT if nothing that can be
 * pinned is at @uva, or the process is gone.
 */
int procmaps_find(int fd, u64 uva, struct mem_vma *vma) __must_check;

/* The same, always from the text. */
int procmaps_find_text(int fd, u64 uva, struct mem_vma *vma) __must_check;

#endif
