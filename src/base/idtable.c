// SPDX-License-Identifier: MIT
/*
 * Three levels of bitmap find the lowest free id: a search looks at one word per
 * 262,144 ids in use at most, and normally at one word in all, because @lowest
 * follows every reserve and release.
 */
#include <string.h>

#include "base/idtable.h"

#define WORD_BITS  64
#define MIN_CAPACITY WORD_BITS

void idtable_init(struct idtable *t, struct base_alloc *alloc)
{
	memset(t, 0, sizeof(*t));
	t->alloc = alloc;
	/* Id 0 is never given out: callers use it for "none". */
	t->lowest = 1;
}

static u32 nwords(u32 capacity)
{
	return capacity / WORD_BITS;
}

static u32 nfull(u32 capacity)
{
	return (nwords(capacity) + WORD_BITS - 1) / WORD_BITS;
}

static u32 ntop(u32 capacity)
{
	return (nfull(capacity) + WORD_BITS - 1) / WORD_BITS;
}

static void free_arrays(struct idtable *t, void **slots, u64 *used, u64 *full, u64 *top,
			u32 capacity)
{
	base_free(t->alloc, slots, capacity * sizeof(*slots));
	base_free(t->alloc, used, nwords(capacity) * sizeof(*used));
	base_free(t->alloc, full, nfull(capacity) * sizeof(*full));
	base_free(t->alloc, top, ntop(capacity) * sizeof(*top));
}

void idtable_destroy(struct idtable *t)
{
	free_arrays(t, t->slots, t->used, t->full, t->top, t->capacity);
	idtable_init(t, t->alloc);
}

static int grow(struct idtable *t)
{
	u32 capacity = t->capacity ? t->capacity * 2 : MIN_CAPACITY;
	void **slots;
	u64 *used, *full, *top;

	if (t->capacity > IDTABLE_MAX_ID / 2)
		return -ENOMEM;
	slots = base_zalloc_array(t->alloc, capacity, sizeof(*slots));
	used = base_zalloc_array(t->alloc, nwords(capacity), sizeof(*used));
	full = base_zalloc_array(t->alloc, nfull(capacity), sizeof(*full));
	top = base_zalloc_array(t->alloc, ntop(capacity), sizeof(*top));
	if (!slots || !used || !full || !top) {
		free_arrays(t, slots, used, full, top, capacity);
		return -ENOMEM;
	}
	if (t->capacity) {
		memcpy(slots, t->slots, t->capacity * sizeof(*slots));
		memcpy(used, t->used, nwords(t->capacity) * sizeof(*used));
		memcpy(full, t->full, nfull(t->capacity) * sizeof(*full));
		memcpy(top, t->top, ntop(t->capacity) * sizeof(*top));
	} else {
		used[0] = 1;
	}
	free_arrays(t, t->slots, t->used, t->full, t->top, t->capacity);
	t->slots = slots;
	t->used = used;
	t->full = full;
	t->top = top;
	t->capacity = capacity;
	return 0;
}

/* The first word of @t->full from @g on that has a zero, or how many there are. */
static u32 find_open(const struct idtable *t, u32 g)
{
	while (g < nfull(t->capacity)) {
		u64 open = ~t->top[g / WORD_BITS] >> (g % WORD_BITS);

		if (open)
			return g + lowest_bit(open);
		g = (g / WORD_BITS + 1) * WORD_BITS;
	}
	return g;
}

/* The lowest free id not below @t->lowest, or @t->capacity. */
static u32 find_free(const struct idtable *t)
{
	u32 w = t->lowest / WORD_BITS;

	while (w < nwords(t->capacity)) {
		u64 group = ~t->full[w / WORD_BITS] >> (w % WORD_BITS);

		if (!group) {
			w = find_open(t, w / WORD_BITS + 1) * WORD_BITS;
			continue;
		}
		w += lowest_bit(group);
		if (w < nwords(t->capacity))
			return w * WORD_BITS + lowest_bit(~t->used[w]);
	}
	return t->capacity;
}

/* Context: @id was free. */
static void mark_used(struct idtable *t, u32 id)
{
	u32 w = id / WORD_BITS, g = w / WORD_BITS;

	t->used[w] |= (u64)1 << (id % WORD_BITS);
	if (t->used[w] != U64_MAX)
		return;
	t->full[g] |= (u64)1 << (w % WORD_BITS);
	if (t->full[g] == U64_MAX)
		t->top[g / WORD_BITS] |= (u64)1 << (g % WORD_BITS);
}

static void mark_free(struct idtable *t, u32 id)
{
	u32 w = id / WORD_BITS, g = w / WORD_BITS;

	t->used[w] &= ~((u64)1 << (id % WORD_BITS));
	t->full[g] &= ~((u64)1 << (w % WORD_BITS));
	t->top[g / WORD_BITS] &= ~((u64)1 << (g % WORD_BITS));
}

int idtable_reserve(struct idtable *t, u32 *id)
{
	u32 free_id = find_free(t);
	int rc;

	if (free_id == t->capacity) {
		rc = grow(t);
		if (rc)
			return rc;
		free_id = find_free(t);
	}
	mark_used(t, free_id);
	t->lowest = free_id + 1;
	t->nused++;
	*id = free_id;
	return 0;
}

void idtable_publish(struct idtable *t, u32 id, void *object)
{
	t->slots[id] = object;
}

void idtable_unpublish(struct idtable *t, u32 id)
{
	t->slots[id] = NULL;
}

void idtable_release(struct idtable *t, u32 id)
{
	t->slots[id] = NULL;
	mark_free(t, id);
	if (id < t->lowest)
		t->lowest = id;
	t->nused--;
}

void *idtable_next(const struct idtable *t, u32 *id)
{
	u32 i;

	for (i = *id; i < t->capacity; i++) {
		if (!t->used[i / WORD_BITS]) {
			i |= WORD_BITS - 1;
			continue;
		}
		if (t->slots[i]) {
			*id = i;
			return t->slots[i];
		}
	}
	return NULL;
}
