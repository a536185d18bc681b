// SPDX-License-Identifier: MIT
/*
 * The notes on mapped files, and what is done about a page that is missing or
 * cannot be written: from then on it is this process's own.
 *
 * Mostly one page is replaced: what comes after it may be there, since not only
 * a file that was cut short has holes, but also one whose file system is full.
 * That splits the mapping, and a process can have only so many, so beyond a few
 * the whole file is replaced. Whoever cuts its own file short loses only its own
 * data by that.
 */
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <linux/magic.h>
#include <unistd.h>

#include "mem/guard.h"
#include "mem/self.h"
#include "region.h"

/* Pages of one file that are replaced one by one. */
#define MAX_OURS 256

void mem_guard_enable(struct mem_host *host)
{
	host->guarded = true;
}

/* A slot that is free, or NULL. Context: host->lock. */
static struct mem_guard_slot *slot_free(struct mem_host *host)
{
	struct mem_guard *g;
	unsigned int i;

	for (g = atomic_load(&host->guards); g; g = g->next)
		for (i = 0; i < MEM_GUARD_SLOTS; i++)
			if (!atomic_load(&g->slots[i].start))
				return &g->slots[i];
	return NULL;
}

/* Context: host->lock. */
static struct mem_guard_slot *slot_get(struct mem_host *host)
{
	struct mem_guard_slot *slot = slot_free(host);
	struct mem_guard *more;

	if (slot)
		return slot;
	more = base_zalloc(host->alloc, sizeof(*more));
	if (!more)
		return NULL;
	more->next = atomic_load(&host->guards);
	atomic_store(&host->guards, more);
	return &more->slots[0];
}

/* Bytes of slot->ours: a bit for each page. */
static u64 map_bytes(const struct mem_guard_slot *slot)
{
	u64 bytes = atomic_load(&slot->last) - atomic_load(&slot->start) + 1;

	return align_up(bytes / atomic_load(&slot->page_bytes) / 8 + 1, PAGE_BYTES);
}

static u64 page_bytes(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) || fs.f_type != HUGETLBFS_MAGIC)
		return PAGE_BYTES;
	return (u64)fs.f_bsize;
}

int guard_add(struct mem_host *host, struct mem_region *r, int fd)
{
	struct mem_guard_slot *slot;

	if (!host->guarded)
		return 0;
	slot = slot_get(host);
	if (!slot)
		return -ENOMEM;
	atomic_store(&slot->page_bytes, page_bytes(fd));
	atomic_store(&slot->torn, false);
	slot->all = false;
	slot->ours = NULL;
	slot->nours = 0;
	atomic_store(&slot->last, r->node.last);
	atomic_store(&slot->start, r->node.start);
	r->guard = slot;
	return 0;
}

void guard_remove(struct mem_region *r)
{
	struct mem_guard_slot *slot = r->guard;

	if (!slot)
		return;
	if (slot->ours)
		munmap(slot->ours, map_bytes(slot));
	atomic_store(&slot->start, 0);
}

bool guard_is_torn(const struct mem_region *r)
{
	return r->guard && atomic_load(&r->guard->torn);
}

void guard_end(struct mem_host *host)
{
	struct mem_guard *g = atomic_load(&host->guards), *next;

	for (; g; g = next) {
		next = g->next;
		base_free(host->alloc, g, sizeof(*g));
	}
}

/* A slot may be given to another file meanwhile, but not the one that is right. */
static struct mem_guard_slot *slot_find(struct mem_host *host, u64 address)
{
	struct mem_guard *g;
	unsigned int i;

	for (g = atomic_load(&host->guards); g; g = g->next) {
		for (i = 0; i < MEM_GUARD_SLOTS; i++) {
			struct mem_guard_slot *slot = &g->slots[i];
			u64 start = atomic_load(&slot->start);

			if (start && address >= start && address <= atomic_load(&slot->last) &&
			    start == atomic_load(&slot->start))
				return slot;
		}
	}
	return NULL;
}

/* In a handler, the call itself: what a sanitizer has in its place is no place for one. */
static void *zeros(void *where, u64 bytes, int flags)
{
	return (void *)syscall(SYS_mmap, where, bytes, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
}

static bool put_zeros(u64 start, u64 bytes)
{
	return zeros((void *)(uintptr_t)start, bytes, MAP_FIXED) != MAP_FAILED;
}

/* What is missing of it by now reads as zeros. */
static bool put_copy(u64 start, u64 bytes)
{
	void *old = (void *)(uintptr_t)start, *p = zeros(NULL, bytes, 0);

	if (p == MAP_FAILED)
		return false;
	(void)!self_copy(p, old, bytes);
	if (syscall(SYS_mremap, p, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, old) != -1)
		return true;
	munmap(p, bytes);
	return false;
}

static bool replace_all(struct mem_guard_slot *slot)
{
	u64 start = atomic_load(&slot->start);

	slot->all = put_zeros(start, atomic_load(&slot->last) - start + 1);
	return slot->all;
}

/* Context: host->mending. */
static bool mend(struct mem_guard_slot *slot, u64 address, bool copy)
{
	u64 bytes = atomic_load(&slot->page_bytes);
	u64 page = align_down(address, bytes);
	u64 n = (page - atomic_load(&slot->start)) / bytes;
	u64 bit = (u64)1 << n % 64;

	/* Another thread's handler was faster, and what was written since then stays. */
	if (slot->all || (slot->ours && slot->ours[n / 64] & bit))
		return true;
	atomic_store(&slot->torn, true);
	if (!slot->ours) {
		u64 *ours = zeros(NULL, map_bytes(slot), 0);

		if (ours == MAP_FAILED)
			return replace_all(slot);
		slot->ours = ours;
	}
	if (slot->nours++ == MAX_OURS || !(copy ? put_copy(page, bytes) : put_zeros(page, bytes)))
		return replace_all(slot);
	slot->ours[n / 64] |= bit;
	return true;
}

bool mem_guard_mend(struct mem_host *host, const void *address, bool copy)
{
	struct mem_guard_slot *slot = slot_find(host, (uintptr_t)address);
	bool mended;

	if (!slot)
		return false;
	/* Only handlers take this lock, and none waits for anything that has it. */
	while (atomic_flag_test_and_set(&host->mending))
		;
	mended = mend(slot, (uintptr_t)address, copy);
	atomic_flag_clear(&host->mending);
	return mended;
}
