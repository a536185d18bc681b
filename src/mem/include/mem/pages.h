/* SPDX-License-Identifier: MIT */
/*
 * A linear run of somebody's pages that address spaces map and devices reach.
 *
 * A page list is made from a caller's address, a file, or a buffer of ours. It
 * holds nothing at first. Those who need its memory to stay put - a page table
 * that maps it, an access that pins it - add a pin over a range of pages. The
 * first pin gives the list its host physical addresses, one contiguous run, and
 * each page is charged once however many pins cover it.
 *
 * Locking: the owner of the list serialises pin, unpin and rw (a context does
 * so with its own lock); reading hpas of a pinned range needs no lock.
 */
#ifndef MEM_PAGES_H
#define MEM_PAGES_H

#include <pthread.h>
#include <bsd/sys/queue.h>

#include "base/alloc.h"
#include "base/itree.h"
#include "mem/space.h"
#include "mem/task.h"

enum mem_pages_kind {
	MEM_PAGES_USER,	  /* the caller's own addresses */
	MEM_PAGES_FILE,	  /* a memfd or another file that can be mapped */
	MEM_PAGES_DMABUF, /* a buffer of ours, which its exporter may revoke */
};

/**
 * struct mem_dmabuf - a buffer that its exporter can take away
 * @file: the descriptor that callers hold
 * @host: the world it is in
 * @lock: covers @revoked and @imports; a leaf lock
 * @block: its allocation; NULL for memory of somebody else's
 * @memory: the page-aligned part of it
 * @bytes: its size, a multiple of the page size
 * @revoked: taken away: cannot be mapped now
 * @imports: page lists made from it
 */
struct mem_dmabuf {
	struct mem_file file;
	struct mem_host *host;
	pthread_mutex_t lock;
	void *block;
	void *memory;
	u64 bytes;
	bool revoked;
	LIST_HEAD(, mem_dmabuf_import) imports;
};

/* Return: 0, or -ENOMEM. @bytes is a multiple of the page size. */
int mem_dmabuf_create(struct mem_host *host, u64 bytes, struct mem_dmabuf **out) __must_check;

/*
 * The same for @memory, which is aligned to pages. Its owner takes the buffer away for good
 * before the memory goes. Return: 0, or -ENOMEM.
 */
int mem_dmabuf_wrap(struct mem_host *host, void *memory, u64 bytes,
		    struct mem_dmabuf **out) __must_check;

/* The buffer that a descriptor is for, or NULL if it is for something else. */
struct mem_dmabuf *mem_dmabuf_from_file(struct mem_file *file);

/**
 * struct mem_dmabuf_import - one page list made from a dma-buf
 * @link: in dmabuf->imports
 * @dmabuf: the buffer; a reference is held on its file
 * @pages: the list
 * @owner: the context it belongs to, for the exporter's revocation
 * @revoked: taken away since the list was made, for good
 */
struct mem_dmabuf_import {
	LIST_ENTRY(mem_dmabuf_import) link;
	struct mem_dmabuf *dmabuf;
	struct mem_pages *pages;
	void *owner;
	bool revoked;
};

/**
 * struct mem_pages - a run of pages
 * @refs: references, under the owner's lock
 * @kind: enum mem_pages_kind
 * @account: enum mem_account: how its pinned pages are charged
 * @writable: may be written by devices
 * @npages: length
 * @npinned: pages covered by at least one pin
 * @hpa: host physical address of page 0, or HPA_NONE while nothing is pinned
 * @space: whose memory it is and whom it is charged to
 * @base: where page 0 is: an address in @space, or a byte in the file
 * @fd: the file
 * @import: the link to the dma-buf
 * @region: the hpas in use; NULL for memory of this process
 * @pins: struct mem_pin by page index; changed under host->lock as well
 * @link: in host->pinned while anything is pinned
 *
 * There is one of these for every mapping: it is kept under 96 bytes.
 */
struct mem_pages {
	u32 refs;
	u8 kind;
	u8 account;
	bool writable;
	u64 npages;
	u64 npinned;
	hpa_t hpa;
	struct mem_space *space;
	u64 base;
	union {
		int fd;
		struct mem_dmabuf_import *import;
	};
	struct mem_region *region;
	struct itree pins;
	LIST_ENTRY(mem_pages) link;
};
_Static_assert(sizeof(struct mem_pages) <= 88, "a page list grew");

/* A range of pages that must stay: [node.start, node.last] are page indexes. */
struct mem_pin {
	struct itree_node node;
};

/*
 * All three: @length bytes from @uva or @start on, which need not be aligned;
 * page 0 is the page that the first byte is in. The list has one reference.
 *
 * Return: 0; -EINVAL for a length of 0 or one that rounds up past 2^64;
 * -EOVERFLOW for an address range that wraps; -ENOMEM.
 */
int mem_pages_user(struct base_alloc *alloc, struct siommu_task *task, enum mem_account account,
		   u64 uva, u64 length, bool writable, struct mem_pages **out) __must_check;

/* @fd becomes the list's own, on success only. */
int mem_pages_file(struct base_alloc *alloc, struct siommu_task *task, enum mem_account account,
		   int fd, u64 start, u64 length, bool writable,
		   struct mem_pages **out) __must_check;

/*
 * Also -EINVAL past the buffer's end and -ENODEV when it is revoked. The list
 * takes a reference of its own on the buffer. @owner is kept for the exporter.
 */
int mem_pages_dmabuf(struct base_alloc *alloc, struct siommu_task *task, struct mem_dmabuf *dmabuf,
		     void *owner, u64 start, u64 length, bool writable,
		     struct mem_pages **out) __must_check;

/* The dma-buf behind it has been taken away since: nothing of it may be mapped. */
static inline bool mem_pages_revoked(const struct mem_pages *pages)
{
	return pages->kind == MEM_PAGES_DMABUF && pages->import->revoked;
}

static inline void mem_pages_get(struct mem_pages *pages)
{
	pages->refs++;
}

/* @alloc is the account the list was made with. */
void mem_pages_put(struct mem_pages *pages, struct base_alloc *alloc);

/*
 * Hold pages [first, last]. The pin is the caller's memory and is linked into
 * the list until mem_pages_unpin().
 *
 * Return: 0; -EFAULT for an address where nothing is, or whose process is gone;
 * -EINVAL for a file that is too short; -ENOMEM, also over the limit of locked
 * memory. Nothing has changed on failure.
 */
int mem_pages_pin(struct mem_pages *pages, struct mem_pin *pin, u64 first, u64 last) __must_check;
void mem_pages_unpin(struct mem_pages *pages, struct mem_pin *pin);

/* Host physical address of a byte; its page is pinned. */
static inline hpa_t mem_pages_hpa(const struct mem_pages *pages, u64 byte)
{
	return pages->hpa + byte;
}

/*
 * Copy bytes out of or into the list, pinned or not, by the processor.
 * Return: 0; -EPERM to write what is not writable; -EINVAL for a dma-buf;
 * -EFAULT where nothing is; for a file also as mem_pages_pin().
 */
int mem_pages_read(struct mem_pages *pages, u64 byte, void *buf, size_t n) __must_check;
int mem_pages_write(struct mem_pages *pages, u64 byte, const void *buf, size_t n) __must_check;

/*
 * Give the list to @space, which has been charged for its pinned pages already;
 * the old owner is relieved of them.
 */
void mem_pages_move(struct mem_pages *pages, struct mem_space *space);

/* Is @hpa the very byte that @uva shows in @space? For tests of page tables. */
bool mem_hpa_is(struct mem_host *host, hpa_t hpa, struct mem_space *space, u64 uva);

/*
 * How many page lists hold the page that @uva shows in @space.
 * Return: the count; -EFAULT if nothing is there; -EOPNOTSUPP for a huge page,
 * which a kernel cannot count either.
 */
int mem_page_pins(struct mem_host *host, struct mem_space *space, u64 uva);

#endif
