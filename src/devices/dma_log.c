// SPDX-License-Identifier: MIT
/*
 * Which pages a function has written.
 *
 * A bit per page, in blocks that are made when a page of them is first written. Where
 * there is no memory for a block, or there are too many, its entry in the directory says
 * that all of its pages were written: too much is copied then, never too little. A range
 * that would need too large a directory gets larger pages.
 *
 * Bits are set after the bytes are written, before anybody hears that they are. Who
 * reads takes them away first and copies then: what is written meanwhile is found the
 * next time, and what was written before a model stopped is found after that.
 */
#include <string.h>

#include "func.h"

#define BLOCK_BYTES 4096ul
#define BLOCK_WORDS (BLOCK_BYTES / 8)
#define BLOCK_PAGES (BLOCK_BYTES * 8)
#define MAX_ENTRIES ((u64)1 << 20)
#define MAX_BLOCKS  4096u /* 16 MiB */

/* In the directory: all pages of the block were written. */
#define ALL_WRITTEN ((u64 *)1)

/**
 * struct pci_dma_log - pages that a function has written
 * @iova: first byte it is about; a multiple of a page
 * @last: last one
 * @skipped: bytes of the first page that were not asked for
 * @page_lg2: log2 of the size of a page
 * @entries: how many @blocks has
 * @nblocks: how many of them exist
 * @blocks: BLOCK_PAGES bits each; NULL for none written
 */
struct pci_dma_log {
	u64 iova;
	u64 last;
	u64 skipped;
	unsigned int page_lg2;
	size_t entries;
	_Atomic unsigned int nblocks;
	_Atomic(u64 *) *blocks;
};

static u64 entries_for(u64 iova, u64 last, unsigned int page_lg2)
{
	return ((last - iova) >> page_lg2) / BLOCK_PAGES + 1;
}

static void log_free(struct pci_func *func, struct pci_dma_log *log)
{
	size_t i;

	for (i = 0; i < log->entries; i++) {
		u64 *block = atomic_load(&log->blocks[i]);

		if (block && block != ALL_WRITTEN)
			base_free(func->alloc, block, BLOCK_BYTES);
	}
	base_free_sparse(func->alloc, log->blocks, log->entries * sizeof(log->blocks[0]));
	base_free(func->alloc, log, sizeof(*log));
}

int pci_dma_log_start(struct pci_func *func, u64 iova, u64 last, u64 page_bytes)
{
	struct pci_dma_log *log;
	int rc = 0;

	if (last < iova || !is_pow2(page_bytes) || page_bytes < PAGE_BYTES)
		return -EINVAL;
	log = base_zalloc(func->alloc, sizeof(*log));
	if (!log)
		return -ENOMEM;
	log->page_lg2 = lowest_bit(page_bytes);
	while (entries_for(align_down(iova, (u64)1 << log->page_lg2), last, log->page_lg2) >
	       MAX_ENTRIES)
		log->page_lg2++;
	log->iova = align_down(iova, (u64)1 << log->page_lg2);
	log->skipped = iova - log->iova;
	log->last = last;
	log->entries = entries_for(log->iova, last, log->page_lg2);
	log->blocks = base_zalloc_sparse(func->alloc, log->entries * sizeof(log->blocks[0]));
	if (!log->blocks) {
		base_free(func->alloc, log, sizeof(*log));
		return -ENOMEM;
	}
	pthread_rwlock_wrlock(&func->log_lock);
	if (atomic_load(&func->dma_log))
		rc = -EBUSY;
	else
		atomic_store(&func->dma_log, log);
	pthread_rwlock_unlock(&func->log_lock);
	if (rc)
		log_free(func, log);
	return rc;
}

void pci_dma_log_stop(struct pci_func *func)
{
	struct pci_dma_log *log;

	pthread_rwlock_wrlock(&func->log_lock);
	log = atomic_exchange(&func->dma_log, NULL);
	pthread_rwlock_unlock(&func->log_lock);
	if (log)
		log_free(func, log);
}

/* The block, made if need be; ALL_WRITTEN without memory. */
static u64 *get_block(struct pci_func *func, struct pci_dma_log *log, size_t i)
{
	u64 *block = atomic_load(&log->blocks[i]), *made = NULL;

	if (block)
		return block;
	if (atomic_fetch_add(&log->nblocks, 1) < MAX_BLOCKS)
		made = base_zalloc(func->alloc, BLOCK_BYTES);
	if (atomic_compare_exchange_strong(&log->blocks[i], &block, made ? made : ALL_WRITTEN)) {
		if (!made)
			atomic_fetch_sub(&log->nblocks, 1);
		return made ? made : ALL_WRITTEN;
	}
	/* Another thread was faster. */
	atomic_fetch_sub(&log->nblocks, 1);
	base_free(func->alloc, made, BLOCK_BYTES);
	return block;
}

static void set_page(struct pci_func *func, struct pci_dma_log *log, u64 page)
{
	u64 *block = get_block(func, log, page / BLOCK_PAGES);
	const u64 bit = (u64)1 << page % 64;
	u64 *word;

	if (block == ALL_WRITTEN)
		return;
	word = &block[page % BLOCK_PAGES / 64];
	if (!(__atomic_load_n(word, __ATOMIC_SEQ_CST) & bit))
		__atomic_fetch_or(word, bit, __ATOMIC_SEQ_CST);
}

void pci_dma_wrote(struct pci_func *func, u64 iova, u64 n)
{
	struct pci_dma_log *log;
	u64 last, page;

	if (!atomic_load(&func->dma_log) || !n || __builtin_add_overflow(iova, n - 1, &last))
		return;
	pthread_rwlock_rdlock(&func->log_lock);
	log = atomic_load(&func->dma_log);
	if (log && iova <= log->last && last >= log->iova) {
		iova = max_u64(iova, log->iova) - log->iova;
		last = min_u64(last, log->last) - log->iova;
		for (page = iova >> log->page_lg2; page <= last >> log->page_lg2; page++)
			set_page(func, log, page);
	}
	pthread_rwlock_unlock(&func->log_lock);
}

/* Runs of pages, put together. */
struct runs {
	void (*report)(void *arg, u64 iova, u64 n);
	void *arg;
	u64 start;
	u64 last;
	bool any;
};

static void runs_flush(struct runs *runs)
{
	if (runs->any)
		runs->report(runs->arg, runs->start, runs->last - runs->start + 1);
	runs->any = false;
}

static void runs_add(struct runs *runs, u64 start, u64 last)
{
	if (runs->any && runs->last + 1 == start) {
		runs->last = last;
		return;
	}
	runs_flush(runs);
	runs->start = start;
	runs->last = last;
	runs->any = true;
}

/* Report pages [first, last], which are in one block, and forget those in [from, to). */
static void read_block(struct pci_dma_log *log, u64 first, u64 last, u64 from, u64 to,
		       struct runs *runs)
{
	_Atomic(u64 *) *entry = &log->blocks[first / BLOCK_PAGES];
	u64 *block = atomic_load(entry);
	u64 page;

	if (!block)
		return;
	if (block == ALL_WRITTEN) {
		const u64 block_first = align_down(first, BLOCK_PAGES);
		const u64 block_last = min_u64(block_first + BLOCK_PAGES - 1,
					       (log->last - log->iova) >> log->page_lg2);

		/* Only all of it together can be forgotten. */
		if (from <= block_first && to > block_last)
			atomic_store(entry, NULL);
		runs_add(runs, log->iova + (first << log->page_lg2),
			 log->iova + (last << log->page_lg2) + (((u64)1 << log->page_lg2) - 1));
		return;
	}
	for (page = first; page <= last; page++) {
		u64 *word = &block[page % BLOCK_PAGES / 64];
		const u64 bit = (u64)1 << page % 64;
		const u64 start = log->iova + (page << log->page_lg2);

		if (!(page % 64) && !__atomic_load_n(word, __ATOMIC_SEQ_CST)) {
			page |= 63;
			continue;
		}
		if (!(__atomic_load_n(word, __ATOMIC_SEQ_CST) & bit))
			continue;
		if (page >= from && page < to)
			__atomic_fetch_and(word, ~bit, __ATOMIC_SEQ_CST);
		runs_add(runs, start, start + (((u64)1 << log->page_lg2) - 1));
	}
}

static void read_range(struct pci_dma_log *log, u64 iova, u64 last, struct runs *runs)
{
	const u64 mask = ((u64)1 << log->page_lg2) - 1;
	const u64 log_last = log->last - log->iova;
	u64 first, end, from, to, page;

	if (iova > log->last || last < log->iova)
		return;
	iova = max_u64(iova, log->iova) - log->iova;
	last = min_u64(last, log->last) - log->iova;
	first = iova >> log->page_lg2;
	end = last >> log->page_lg2;
	/* A page of which only a part was asked for is not forgotten. */
	from = first + (iova & mask && iova > log->skipped);
	to = end + ((last & mask) == mask || last == log_last);
	for (page = first; page <= end; page = align_down(page, BLOCK_PAGES) + BLOCK_PAGES)
		read_block(log, page, min_u64(end, page | (BLOCK_PAGES - 1)), from, to, runs);
}

int pci_dma_log_read(struct pci_func *func, u64 iova, u64 n,
		     void (*report)(void *arg, u64 iova, u64 n), void *arg)
{
	struct runs runs = { .report = report, .arg = arg };
	struct pci_dma_log *log;
	u64 last;
	int rc = -EINVAL;

	if (range_last(iova, n, &last))
		return -EINVAL;
	pthread_rwlock_rdlock(&func->log_lock);
	log = atomic_load(&func->dma_log);
	if (log) {
		read_range(log, iova, last, &runs);
		runs_flush(&runs);
		rc = 0;
	}
	pthread_rwlock_unlock(&func->log_lock);
	return rc;
}

bool pci_dma_log_next(struct pci_func *func, u64 *iova)
{
	struct pci_dma_log *log;
	bool found = false;
	u64 i, start;

	pthread_rwlock_rdlock(&func->log_lock);
	log = atomic_load(&func->dma_log);
	if (log && *iova <= log->last) {
		i = *iova > log->iova ? ((*iova - log->iova) >> log->page_lg2) / BLOCK_PAGES : 0;
		while (i < log->entries && !atomic_load(&log->blocks[i]))
			i++;
		found = i < log->entries;
		start = log->iova + ((i * BLOCK_PAGES) << log->page_lg2);
		if (found)
			*iova = max_u64(*iova, start);
	}
	pthread_rwlock_unlock(&func->log_lock);
	return found;
}
