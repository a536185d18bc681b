/* SPDX-License-Identifier: MIT */
/*
 * Loads and stores in files that somebody else can cut short, or lock.
 *
 * Memory that is missing where a file is mapped raises SIGBUS, and a store to one
 * that could be mapped for reading only raises SIGSEGV. A process that maps its
 * clients' files (the server) must outlive that, so it has its host note where
 * they are, and asks here from its signal handler. The page becomes one of zeros,
 * or a copy, and the access goes on.
 *
 * The notes are slots that are never freed while the host lives, so a handler
 * can read them without a lock, whatever the thread that it interrupts holds.
 * The one that it looks for cannot change meanwhile: what a device reaches stays
 * mapped until its access has ended.
 */
#ifndef MEM_GUARD_H
#define MEM_GUARD_H

#include "mem/space.h"

#define MEM_GUARD_SLOTS 32

/**
 * struct mem_guard_slot - one mapped file
 * @start: its first address; 0 for a slot that is free
 * @last: its last address
 * @page_bytes: size of its pages
 * @torn: some of its pages are not the file's any more
 * @all: none is
 * @ours: bit n: page n is not; NULL as long as it is not torn
 * @nours: how many
 */
struct mem_guard_slot {
	_Atomic u64 start;
	_Atomic u64 last;
	_Atomic u64 page_bytes;
	atomic_bool torn;
	bool all;
	u64 *ours;
	unsigned int nours;
};

/* Some slots, and the ones that were made before. */
struct mem_guard {
	struct mem_guard_slot slots[MEM_GUARD_SLOTS];
	struct mem_guard *next;
};

/* Note every file that @host maps from now on. It has mapped none yet. */
void mem_guard_enable(struct mem_host *host);

/*
 * Memory at @address is missing, or, with @copy, cannot be written. Return: it is
 * there now; false if it is not in a file that is mapped for somebody. Context:
 * a signal handler.
 */
bool mem_guard_mend(struct mem_host *host, const void *address, bool copy);

#endif
