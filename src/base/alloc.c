// SPDX-License-Identifier: MIT
/*
 * Accounts are charged before the system is asked, and the charge is taken
 * back if it has nothing to give: a limit therefore holds at every moment, even
 * with several threads allocating.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/alloc.h"

static bool charge(struct base_alloc *a, size_t size)
{
	size_t before;

	if (unlikely(a->should_fail) && a->should_fail(a->should_fail_arg))
		return false;
	before = atomic_fetch_add_explicit(&a->bytes, size, memory_order_relaxed);
	if (a->limit && (before >= a->limit || size > a->limit - before)) {
		atomic_fetch_sub_explicit(&a->bytes, size, memory_order_relaxed);
		return false;
	}
	atomic_fetch_add_explicit(&a->blocks, 1, memory_order_relaxed);
	return true;
}

static void uncharge(struct base_alloc *a, size_t size)
{
	atomic_fetch_sub_explicit(&a->bytes, size, memory_order_relaxed);
	atomic_fetch_sub_explicit(&a->blocks, 1, memory_order_relaxed);
}

void *base_zalloc(struct base_alloc *a, size_t size)
{
	void *p;

	if (!charge(a, size))
		return NULL;
	p = calloc(1, size);
	if (!p)
		uncharge(a, size);
	return p;
}

void *base_zalloc_array(struct base_alloc *a, size_t n, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(n, size, &total))
		return NULL;
	return base_zalloc(a, total);
}

void *base_zalloc_aligned(struct base_alloc *a, size_t size, size_t align)
{
	void *p;

	if (!charge(a, size))
		return NULL;
	if (posix_memalign(&p, align, size)) {
		uncharge(a, size);
		return NULL;
	}
	return memset(p, 0, size);
}

void *base_zalloc_table(struct base_alloc *a, size_t size)
{
	return base_zalloc_aligned(a, size, size);
}

void base_free(struct base_alloc *a, void *p, size_t size)
{
	if (!p)
		return;
	free(p);
	uncharge(a, size);
}

void *base_zalloc_sparse(struct base_alloc *a, size_t size)
{
	void *p;

	if (!charge(a, size))
		return NULL;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED) {
		uncharge(a, size);
		return NULL;
	}
	return p;
}

void base_free_sparse(struct base_alloc *a, void *p, size_t size)
{
	if (!p)
		return;
	munmap(p, size);
	uncharge(a, size);
}
