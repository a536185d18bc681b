/* SPDX-License-Identifier: MIT */
/*
 * What a walk finds, as told by the oracles: one plain reader per format, in
 * spec_<format>.h, written from the steps of the format's specification. They
 * share no line with the engine, count levels as their specification does, and
 * insist on what hardware need not look at: reserved bits, and items that should
 * go together. Of a struct pt they use what hardware has in registers: the top
 * table, the number of levels, the size of addresses, and features.
 */
#ifndef PT_TEST_SPEC_H
#define PT_TEST_SPEC_H

#include "check.h"
#include "pt/pt.h"

#define RO PT_PROT_READ
#define WO PT_PROT_WRITE
#define RW (PT_PROT_READ | PT_PROT_WRITE)

#define BIT(n) ((u64)1 << (n))

#define SPEC_LEVELS 6

/**
 * struct spec - one walk
 * @present: something is mapped
 * @dirty: and some item of it is dirty
 * @oa: where the address that was asked for goes
 * @size: bytes of the page
 * @first: first address of the page
 * @prot: what it allows, and PT_PROT_NOEXEC and PT_PROT_PRIV
 * @reads: tables that were read
 * @table: those, by level from 0 at the bottom
 * @entry: what was found in them
 */
struct spec {
	bool present;
	bool dirty;
	u64 oa;
	u64 size;
	u64 first;
	unsigned int prot;
	unsigned int reads;
	const _Atomic u64 *table[SPEC_LEVELS];
	u64 entry[SPEC_LEVELS];
};

static inline const _Atomic u64 *spec_table(u64 address)
{
	return (const _Atomic u64 *)(uintptr_t)address;
}

/* Read item @index of a table of @level, from 0. */
static inline u64 spec_entry(struct spec *s, const _Atomic u64 *table, unsigned int index,
			     unsigned int level)
{
	s->reads++;
	s->table[level] = table;
	s->entry[level] = table[index];
	return s->entry[level];
}

/* A page of @size at @address. */
static inline void spec_page(struct spec *s, u64 va, u64 address, u64 size)
{
	CHECK(address % size == 0);
	s->present = true;
	s->size = size;
	s->first = va / size * size;
	s->oa = address + (va - s->first);
}

#endif
