// SPDX-License-Identifier: MIT
/*
 * Which addresses are registers of devices.
 *
 * Such a range is mapped for reading only, whatever the program asked for. The table here
 * follows munmap, mremap, mprotect and whatever is mapped over it. It keeps a descriptor
 * of its own for the file, as a mapping in a kernel keeps the file open.
 *
 * It is read by the handler of SIGSEGV, in any thread and at any time: so without a lock,
 * and again if it has changed meanwhile. Who writes blocks all signals first.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>

#include "raw.h"
#include "real.h"
#include "traps.h"

#define MAX_TRAPS 256
#define PAGE	  4096

_Atomic bool traps_live;

static struct trap traps[MAX_TRAPS];
static _Atomic unsigned int sequence;
static _Atomic bool locked;

static uint64_t lock(void)
{
	const uint64_t all = UINT64_MAX;
	uint64_t before;

	(void)raw4(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof(all));
	while (atomic_exchange_explicit(&locked, true, memory_order_acquire))
		(void)raw0(SYS_sched_yield);
	atomic_fetch_add(&sequence, 1);
	return before;
}

static void unlock(uint64_t before)
{
	atomic_fetch_add(&sequence, 1);
	atomic_store_explicit(&locked, false, memory_order_release);
	(void)raw4(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof(before));
}

void traps_after_fork(void)
{
	if (atomic_load(&sequence) & 1)
		atomic_fetch_add(&sequence, 1);
	atomic_store(&locked, false);
}

bool traps_find(uint64_t address, struct trap *out)
{
	unsigned int before, i;
	bool found;

	do {
		while ((before = atomic_load(&sequence)) & 1)
			(void)raw0(SYS_sched_yield);
		found = false;
		for (i = 0; i < MAX_TRAPS && !found; i++) {
			*out = traps[i];
			found = out->writable && address >= out->start && address < out->end;
		}
		atomic_thread_fence(memory_order_acquire);
	} while (atomic_load(&sequence) != before);
	return found;
}

bool traps_use_fd(int fd)
{
	unsigned int i;

	for (i = 0; i < MAX_TRAPS; i++)
		if (traps[i].end && traps[i].fd == fd)
			return true;
	return false;
}

static bool touches(uint64_t start, uint64_t end)
{
	unsigned int i;

	for (i = 0; i < MAX_TRAPS; i++)
		if (traps[i].end && start < traps[i].end && end > traps[i].start)
			return true;
	return false;
}

/* The three below with the lock. */

static struct trap *get_free(void)
{
	unsigned int i;

	for (i = 0; i < MAX_TRAPS; i++)
		if (!traps[i].end)
			return &traps[i];
	return NULL;
}

/* Let no range reach over @address. One that there is no room for is forgotten from there on. */
static void cut(uint64_t address)
{
	struct trap *rest;
	unsigned int i;

	for (i = 0; i < MAX_TRAPS; i++) {
		if (!traps[i].end || address <= traps[i].start || address >= traps[i].end)
			continue;
		rest = get_free();
		if (rest) {
			*rest = traps[i];
			rest->offset += address - rest->start;
			rest->start = address;
		}
		traps[i].end = address;
	}
}

/* Forget what is in the range. Return: how many descriptors go into @fds. */
static unsigned int forget(uint64_t start, uint64_t end, int *fds)
{
	unsigned int i, n = 0;
	int fd;

	cut(start);
	cut(end);
	for (i = 0; i < MAX_TRAPS; i++) {
		if (!traps[i].end || traps[i].start < start || traps[i].end > end)
			continue;
		fd = traps[i].fd;
		memset(&traps[i], 0, sizeof(traps[i]));
		if (!traps_use_fd(fd))
			fds[n++] = fd;
	}
	return n;
}

static void close_all(const int *fds, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		image_close_fd(fds[i]);
	/* What munmap leads to has happened when it returns. */
	if (n)
		door_sync();
}

void traps_remove(uint64_t start, uint64_t end)
{
	int fds[MAX_TRAPS];
	unsigned int n;
	uint64_t mask;

	if (!atomic_load(&traps_live) || !touches(start, end))
		return;
	mask = lock();
	n = forget(start, end, fds);
	unlock(mask);
	close_all(fds, n);
}

/* A hidden descriptor for the file: the one that there is, or a new one. */
static long keep_fd(int fd, const struct known *k)
{
	unsigned int i;
	long copy;

	for (i = 0; i < MAX_TRAPS; i++)
		if (traps[i].end && traps[i].dev == k->dev && traps[i].ino == k->ino)
			return traps[i].fd;
	copy = raw3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 0);
	return copy < 0 ? copy : image_hide_fd((int)copy);
}

long traps_add(uint64_t start, uint64_t end, uint64_t offset, int fd, const struct known *k,
	       bool writable)
{
	uint64_t mask = lock();
	struct trap *t = get_free();
	long kept = t ? keep_fd(fd, k) : -ENOMEM;

	if (kept >= 0)
		*t = (struct trap){ start, end, offset, k->dev, k->ino, (int)kept, writable };
	unlock(mask);
	if (kept < 0)
		return kept;
	atomic_store(&traps_live, true);
	signals_take();
	return 0;
}

static bool live(void)
{
	return unlikely(atomic_load_explicit(&traps_live, memory_order_relaxed));
}

static uint64_t page_end(const void *address, size_t n)
{
	return ((uint64_t)(uintptr_t)address + n + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

PRELOAD_API int munmap(void *address, size_t n)
{
	uint64_t start = (uintptr_t)address, end = page_end(address, n), mask;
	unsigned int nfds = 0;
	int fds[MAX_TRAPS];
	long ret;

	if (!live() || !touches(start, end))
		return real()->munmap(address, n);
	/* With the lock: as soon as it is gone another thread may map registers there. */
	mask = lock();
	ret = raw2(SYS_munmap, address, n);
	if (!ret)
		nfds = forget(start, end, fds);
	unlock(mask);
	close_all(fds, nfds);
	return (int)preload_return(ret);
}

/* What was at @from, @n bytes, is at @to. */
static void moved(uint64_t from, uint64_t to, uint64_t old_bytes, uint64_t n)
{
	uint64_t keep = n < old_bytes ? n : old_bytes, mask;
	struct trap copies[MAX_TRAPS];
	unsigned int i, ncopies = 0, nfds;
	int fds[MAX_TRAPS];

	mask = lock();
	cut(from);
	cut(from + keep);
	for (i = 0; i < MAX_TRAPS; i++)
		if (traps[i].end && traps[i].start >= from && traps[i].end <= from + keep)
			copies[ncopies++] = traps[i];
	nfds = forget(from, from + old_bytes, fds);
	for (i = 0; i < ncopies; i++) {
		struct trap *t = get_free();

		if (!t)
			break;
		*t = copies[i];
		t->start += to - from;
		t->end += to - from;
	}
	unlock(mask);
	for (i = 0; i < nfds; i++)
		if (!traps_use_fd(fds[i]))
			image_close_fd(fds[i]);
}

PRELOAD_API void *mremap(void *address, size_t old_bytes, size_t n, int flags, ...)
{
	uint64_t from = (uintptr_t)address, old_end = page_end(address, old_bytes);
	void *to, *p;
	va_list ap;

	va_start(ap, flags);
	to = va_arg(ap, void *);
	va_end(ap);
	p = real()->mremap(address, old_bytes, n, flags, to);
	if (!live() || p == MAP_FAILED)
		return p;
	if (p != address)
		traps_remove((uintptr_t)p, page_end(p, n));
	if (touches(from, old_end))
		moved(from, (uintptr_t)p, old_end - from, page_end(p, n) - (uintptr_t)p);
	return p;
}

/* Remember what the program may do there. */
static void allow(uint64_t start, uint64_t end, bool writable)
{
	uint64_t mask = lock();
	unsigned int i;

	cut(start);
	cut(end);
	for (i = 0; i < MAX_TRAPS; i++)
		if (traps[i].end && traps[i].start >= start && traps[i].end <= end)
			traps[i].writable = writable;
	unlock(mask);
}

/* The first range that touches [@start, @end): there may be none. */
static bool first_in(uint64_t start, uint64_t end, struct trap *out)
{
	unsigned int i;
	bool found = false;

	for (i = 0; i < MAX_TRAPS; i++) {
		if (!traps[i].end || start >= traps[i].end || end <= traps[i].start)
			continue;
		if (!found || traps[i].start < out->start)
			*out = traps[i];
		found = true;
	}
	return found;
}

/* Registers stay unwritable; around them the program gets what it wants. */
static int protect(uint64_t start, uint64_t end, int prot)
{
	struct trap t = { 0 };
	uint64_t from, to;
	int ret = 0;

	allow(start, end, prot & PROT_WRITE);
	while (!ret && start < end && first_in(start, end, &t)) {
		from = t.start > start ? t.start : start;
		to = t.end < end ? t.end : end;
		if (from > start)
			ret = real()->mprotect((void *)start, from - start, prot);
		if (!ret)
			ret = real()->mprotect((void *)from, to - from, traps_prot(prot));
		start = to;
	}
	return ret || start >= end ? ret : real()->mprotect((void *)start, end - start, prot);
}

PRELOAD_API int mprotect(void *address, size_t n, int prot)
{
	uint64_t start = (uintptr_t)address, end = page_end(address, n);

	if (!live() || start % PAGE || end <= start || !touches(start, end))
		return real()->mprotect(address, n, prot);
	return protect(start, end, prot);
}
