/* SPDX-License-Identifier: MIT */
/* Copies inside this process that survive a bad address. */
#ifndef MEM_SELF_H
#define MEM_SELF_H

#include "base/types.h"

/* Return: 0, or -EFAULT if any byte of either side cannot be reached. */
int self_copy(void *dst, const void *src, size_t n) __must_check;

#endif
