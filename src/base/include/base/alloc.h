/* SPDX-License-Identifier: MIT */
/*
 * The library's only way to memory.
 *
 * Every allocation names an account (struct base_alloc). The account counts
 * bytes and live blocks, refuses what would pass its quota, and can be told to
 * fail on purpose: that is how the allocation-failure sweep and the kernel's
 * fail-nth interface reach every error path. A context owns one account, so
 * what an open descriptor may use is bounded and what it leaks is visible.
 *
 * Frees are sized: no block carries a header, and the count stays exact.
 */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stdatomic.h>

#include "base/types.h"

/**
 * struct base_alloc - an account for memory
 * @bytes: bytes handed out and not yet freed
 * @blocks: blocks handed out and not yet freed
 * @limit: most bytes the account may hold; 0 for no limit; fixed once in use
 * @should_fail: if set, asked before each allocation; true makes it fail
 * @should_fail_arg: passed to @should_fail
 */
struct base_alloc {
	_Atomic size_t bytes;
	_Atomic size_t blocks;
	size_t limit;
	bool (*should_fail)(void *arg);
	void *should_fail_arg;
};

/* Zeroed memory, or NULL when the account refuses or the system has none. */
void *base_zalloc(struct base_alloc *a, size_t size) __must_check;

/* As base_zalloc(), for @n elements; NULL if the product overflows. */
void *base_zalloc_array(struct base_alloc *a, size_t n, size_t size) __must_check;

/* As base_zalloc(), at a multiple of @align: a power of two, at least 8. */
void *base_zalloc_aligned(struct base_alloc *a, size_t size, size_t align) __must_check;

/*
 * A zeroed block of @size bytes at an address that is a multiple of @size, a
 * power of two: for page tables, whose addresses leave no room for low bits.
 */
void *base_zalloc_table(struct base_alloc *a, size_t size) __must_check;

/*
 * For a large block of which little may ever be used: whole pages, that take memory
 * from when they are touched. The account is charged for all of it. Ended with
 * base_free_sparse() alone.
 */
void *base_zalloc_sparse(struct base_alloc *a, size_t size) __must_check;
void base_free_sparse(struct base_alloc *a, void *p, size_t size);

/* @p may be NULL. @size is what was asked for. */
void base_free(struct base_alloc *a, void *p, size_t size);

#endif
