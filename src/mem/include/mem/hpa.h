/* SPDX-License-Identifier: MIT */
/*
 * Bytes at host physical addresses, copied with care: in a window they are
 * another process's, and below 2^47 they may be gone. For a device's access,
 * which keeps what it reaches pinned; slow.
 */
#ifndef MEM_HPA_H
#define MEM_HPA_H

#include "mem/space.h"

/* Return: 0; -EFAULT if any of it cannot be reached. */
int mem_hpa_read(struct mem_host *host, hpa_t hpa, void *buf, size_t n) __must_check;
int mem_hpa_write(struct mem_host *host, hpa_t hpa, const void *buf, size_t n) __must_check;

/*
 * Compare and exchange an aligned word. In a window it is atomic only against
 * others that use this function. Return: 0; -EAGAIN with what was there; -EFAULT.
 */
int mem_hpa_cas64(struct mem_host *host, hpa_t hpa, u64 *expected, u64 value) __must_check;

/*
 * Read @n bytes into @word and, if @change says so, write them back as it left
 * them: atomic as mem_hpa_cas64(). @change is called with a lock held. -EFAULT.
 */
int mem_hpa_update(struct mem_host *host, hpa_t hpa, void *word, size_t n,
		   bool (*change)(void *arg, void *word), void *arg) __must_check;

#endif
