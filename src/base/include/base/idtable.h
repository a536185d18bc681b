/* SPDX-License-Identifier: MIT */
/*
 * Object ids: small integers from 1, lowest free first, reused at once.
 *
 * An id is first reserved, which keeps it from everybody else while the object
 * is built, and then published, which cannot fail. A reserved id that is never
 * published again serves as a tombstone: it names nothing and is not reused.
 *
 * The table takes no lock.
 */
#ifndef BASE_IDTABLE_H
#define BASE_IDTABLE_H

#include "base/alloc.h"
#include "base/types.h"

/* Ids stay positive in a signed 32-bit integer, as the kernel's do. */
#define IDTABLE_MAX_ID ((u32)INT32_MAX)

/**
 * struct idtable - a table of objects by id
 * @alloc: account that pays for the table
 * @slots: object by id; NULL for free and for reserved ids
 * @used: bit per id, set from reserve to release
 * @full: bit per word of @used, set when that word has no zero left
 * @top: bit per word of @full, the same
 * @capacity: ids that fit in @slots, a multiple of 64; 0 before the first id
 * @nused: ids reserved or published
 * @lowest: no id below this one is free
 */
struct idtable {
	struct base_alloc *alloc;
	void **slots;
	u64 *used;
	u64 *full;
	u64 *top;
	u32 capacity;
	u32 nused;
	u32 lowest;
};

void idtable_init(struct idtable *t, struct base_alloc *alloc);

/* Frees the table, not what its slots point at. */
void idtable_destroy(struct idtable *t);

/* Reserve the lowest free id. Return: 0, or -ENOMEM. */
int idtable_reserve(struct idtable *t, u32 *id) __must_check;

/* @id is reserved. */
void idtable_publish(struct idtable *t, u32 id, void *object);

/* Take the object out and keep the id reserved. */
void idtable_unpublish(struct idtable *t, u32 id);

/* @id is reserved or published; it is free afterwards. */
void idtable_release(struct idtable *t, u32 id);

/* NULL if @id names nothing. */
static inline void *idtable_find(const struct idtable *t, u32 id)
{
	return id < t->capacity ? t->slots[id] : NULL;
}

/*
 * The published object with the lowest id that is not below *@id, which is set
 * to the id found; NULL when there is none.
 */
void *idtable_next(const struct idtable *t, u32 *id);

#endif
