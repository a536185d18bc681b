/* SPDX-License-Identifier: MIT */
/*
 * Memory for a fuzzer to name in requests.
 *
 * It lies in the middle of a range that is reserved and cannot be accessed, so
 * large that no length a request is let pass with leads out of it: the library
 * writes where it is told, and must not be told to write over the fuzzer.
 */
#ifndef FUZZ_ARENA_H
#define FUZZ_ARENA_H

#include <stdbool.h>
#include <stdint.h>

#define PAGE 4096u

/* Bytes that a request may reach beyond an address in the arena. */
#define ARENA_REACH ((uint64_t)16 << 30)

/* Pages of private memory, and what the first of them are filled with. */
#define POOL_PAGES 64
enum {
	POOL_ZEROES,
	POOL_HWPT,	  /* struct iommu_hwpt_selftest */
	POOL_INVALIDATE,  /* struct iommu_hwpt_invalidate_selftest */
	POOL_VINVALIDATE, /* struct iommu_viommu_invalidate_selftest */
	POOL_VIOMMU,	  /* struct iommu_viommu_selftest */
	POOL_RANGES,	  /* struct iommu_iova_range */
	POOL_ONES,
	POOL_RESPONSES,	  /* struct iommu_hwpt_page_response */
	POOL_FREE,
};

/* Pages of a file, mapped twice: to be written, and only to be read. */
#define FILE_PAGES 8

/**
 * struct arena - the memory
 * @pool: POOL_PAGES pages, and then nothing
 * @shared: the file, and then nothing
 * @read_only: the file again, and then nothing
 * @scratch: one page for the structures of requests, and then nothing
 * @scratch_ro: the same page, only to be read
 * @file: the file
 * @file_ro: the file, opened for reading
 * @big: a file of 1 GiB without contents
 * @null: /dev/null
 * @pipe: a pipe's end
 * @broken: pages of the pool were unmapped or protected
 */
struct arena {
	uint8_t *pool;
	uint8_t *shared;
	uint8_t *read_only;
	uint8_t *scratch;
	uint8_t *scratch_ro;
	int file;
	int file_ro;
	int big;
	int null;
	int pipe;
	bool broken;
};

extern struct arena arena;

/* Once. Ends the program if that cannot be done. */
void arena_init(void);

/* As it was in the beginning. */
void arena_reset(void);

#endif
