/* SPDX-License-Identifier: MIT */
/* Mappings with registers, the signals that stores there raise, and what is done then. */
#ifndef PRELOAD_TRAPS_H
#define PRELOAD_TRAPS_H

#include <sys/mman.h>

#include "preload.h"

/**
 * struct trap - a range of addresses that shows registers
 * @start: first byte
 * @end: behind the last
 * @offset: of the first byte in the file
 * @dev: names the file to the server
 * @ino: the same
 * @fd: a hidden descriptor for it, which may serve several ranges
 * @writable: the program may store there
 */
struct trap {
	uint64_t start;
	uint64_t end;
	uint64_t offset;
	uint64_t dev;
	uint64_t ino;
	int fd;
	bool writable;
};

/*
 * What a mapping of registers gets where a program wants @prot: never for writing, and for
 * reading where it is to write, as on all processors that there are.
 */
static inline int traps_prot(int prot)
{
	return prot & PROT_WRITE ? (prot & ~PROT_WRITE) | PROT_READ : prot;
}

/* traps.c */

/* There is one. */
extern _Atomic bool traps_live;

/* The one at @address, as it is now. Callable from signal handlers. */
bool traps_find(uint64_t address, struct trap *out);

/* Does one of them use this descriptor? */
bool traps_use_fd(int fd);

/* Registers of @fd, which is @k, are at @start. Return: 0, -EMFILE or -ENOMEM. */
long traps_add(uint64_t start, uint64_t end, uint64_t offset, int fd, const struct known *k,
	       bool writable);

/* Something else is there now, or nothing. */
void traps_remove(uint64_t start, uint64_t end);

/* In a child: no thread that could have held the lock is here. */
void traps_after_fork(void);

/* trap.c */

/* Do the store that raised @signal. Return: false if it was none to registers. */
bool trap_emulate(int signal, const siginfo_t *info, void *context);

/* signals.c */

/* From now on stores to registers are done for the program. */
void signals_take(void);

#endif
