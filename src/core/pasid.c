// SPDX-License-Identifier: MIT
/*
 * PASIDs that are given out for the whole machine. Theory of operation: core/pasid.h.
 *
 * Which PASIDs are taken is a bitmap, which is looked through from the bottom of a range:
 * however many are taken, that is 16384 words at most. Which of them are whose is a tree
 * for each set, so that a range is freed in time of what is owned there.
 */
#include "core/ctx.h"
#include "core/pasid.h"

#define WORD_BITS  64
#define USED_BYTES ((CORE_PASID_LAST + 1) / 8)

struct pasid {
	struct itree_node node;
};

static struct pasid *to_pasid(struct itree_node *node)
{
	return node ? container_of(node, struct pasid, node) : NULL;
}

void core_pasid_space_init(struct core_pasid_space *space, u32 quota)
{
	pthread_mutex_init(&space->lock, NULL);
	LIST_INIT(&space->sets);
	space->used = NULL;
	space->nsets = 0;
	space->taken = 0;
	space->quota = quota;
}

void core_pasid_space_destroy(struct core_pasid_space *space)
{
	pthread_mutex_destroy(&space->lock);
}

/* Bits of the word of @pasid that stand for PASIDs of [@min, @max]. */
static u64 mask_of(u32 pasid, u32 min, u32 max)
{
	u32 first = pasid & ~(u32)(WORD_BITS - 1);
	u64 mask = U64_MAX;

	if (min > first)
		mask &= U64_MAX << (min - first);
	if (max < first + WORD_BITS - 1)
		mask &= U64_MAX >> (first + WORD_BITS - 1 - max);
	return mask;
}

/* The lowest that is not taken, or CORE_PASID_LAST + 1. Context: space->lock. */
static u32 find_free(const struct core_pasid_space *space, u32 min, u32 max)
{
	u32 first;

	for (first = min & ~(u32)(WORD_BITS - 1); first <= max; first += WORD_BITS) {
		u64 available = ~space->used[first / WORD_BITS] & mask_of(first, min, max);

		if (available)
			return first + (u32)__builtin_ctzll(available);
	}
	return CORE_PASID_LAST + 1;
}

static void mark(struct core_pasid_space *space, u32 pasid, bool taken)
{
	u64 bit = (u64)1 << pasid % WORD_BITS;

	if (taken) {
		space->used[pasid / WORD_BITS] |= bit;
		space->taken++;
	} else {
		space->used[pasid / WORD_BITS] &= ~bit;
		space->taken--;
	}
}

/* Context: space->lock. */
static struct core_pasid_set *find_set(struct core_pasid_space *pasids, struct mem_space *space)
{
	struct core_pasid_set *set;

	LIST_FOREACH(set, &pasids->sets, link)
		if (set->space == space)
			return set;
	return NULL;
}

/* The first set brings the bitmap. Context: space->lock. */
static int new_set(struct siommu_machine *machine, struct mem_space *space,
		   struct core_pasid_set **out)
{
	struct core_pasid_space *pasids = &machine->pasids;
	struct core_pasid_set *set;

	set = base_zalloc(&machine->alloc, sizeof(*set));
	if (!set)
		return -ENOMEM;
	if (!pasids->used)
		pasids->used = base_zalloc_sparse(&machine->alloc, USED_BYTES);
	if (!pasids->used) {
		base_free(&machine->alloc, set, sizeof(*set));
		return -ENOMEM;
	}
	set->machine = machine;
	mem_space_get(space);
	set->space = space;
	pthread_mutex_init(&set->lock, NULL);
	LIST_INIT(&set->users);
	LIST_INSERT_HEAD(&pasids->sets, set, link);
	pasids->nsets++;
	*out = set;
	return 0;
}

int core_pasid_set_get(struct siommu_machine *machine, struct mem_space *space,
		       struct core_pasid_set **out)
{
	struct core_pasid_space *pasids = &machine->pasids;
	int rc = 0;

	pthread_mutex_lock(&pasids->lock);
	*out = find_set(pasids, space);
	if (!*out)
		rc = new_set(machine, space, out);
	if (!rc)
		(*out)->refs++;
	pthread_mutex_unlock(&pasids->lock);
	return rc;
}

static void forget(struct core_pasid_set *set, struct pasid *pasid)
{
	struct siommu_machine *machine = set->machine;

	pthread_mutex_lock(&machine->pasids.lock);
	mark(&machine->pasids, (u32)pasid->node.start, false);
	pthread_mutex_unlock(&machine->pasids.lock);
	itree_remove(&set->owned, &pasid->node);
	set->count--;
	base_free(&machine->alloc, pasid, sizeof(*pasid));
}

/* Nobody can find it any more. */
static void end_set(struct core_pasid_set *set)
{
	struct siommu_machine *machine = set->machine;
	struct pasid *pasid;

	while ((pasid = to_pasid(itree_first(&set->owned, 0, U64_MAX))))
		forget(set, pasid);
	mem_space_put(set->space);
	pthread_mutex_destroy(&set->lock);
	base_free(&machine->alloc, set, sizeof(*set));
	pthread_mutex_lock(&machine->pasids.lock);
	if (!--machine->pasids.nsets) {
		base_free_sparse(&machine->alloc, machine->pasids.used, USED_BYTES);
		machine->pasids.used = NULL;
	}
	pthread_mutex_unlock(&machine->pasids.lock);
}

void core_pasid_set_put(struct core_pasid_set *set)
{
	struct core_pasid_space *pasids = &set->machine->pasids;
	bool last;

	pthread_mutex_lock(&pasids->lock);
	last = !--set->refs;
	if (last)
		LIST_REMOVE(set, link);
	pthread_mutex_unlock(&pasids->lock);
	if (last)
		end_set(set);
}

void core_pasid_user_add(struct core_pasid_set *set, struct core_pasid_user *user)
{
	LIST_INSERT_HEAD(&set->users, user, link);
}

void core_pasid_user_remove(struct core_pasid_set *set, struct core_pasid_user *user)
{
	(void)set;
	LIST_REMOVE(user, link);
}

int core_pasid_alloc(struct core_pasid_set *set, u32 min, u32 max, u32 *out)
{
	struct siommu_machine *machine = set->machine;
	struct core_pasid_space *pasids = &machine->pasids;
	struct pasid *pasid;
	u32 found;

	if (min < CORE_PASID_FIRST)
		min = CORE_PASID_FIRST;
	if (max > CORE_PASID_LAST)
		max = CORE_PASID_LAST;
	if (set->count >= pasids->quota)
		return -ENOSPC;
	pasid = base_zalloc(&machine->alloc, sizeof(*pasid));
	if (!pasid)
		return -ENOMEM;
	pthread_mutex_lock(&pasids->lock);
	found = find_free(pasids, min, max);
	if (found <= CORE_PASID_LAST)
		mark(pasids, found, true);
	pthread_mutex_unlock(&pasids->lock);
	if (found > CORE_PASID_LAST) {
		base_free(&machine->alloc, pasid, sizeof(*pasid));
		return -ENOSPC;
	}
	pasid->node.start = pasid->node.last = found;
	itree_insert(&set->owned, &pasid->node);
	set->count++;
	*out = found;
	return 0;
}

void core_pasid_free(struct core_pasid_set *set, u32 min, u32 max)
{
	struct core_pasid_user *user;
	struct pasid *pasid;

	while ((pasid = to_pasid(itree_first(&set->owned, min, max)))) {
		LIST_FOREACH(user, &set->users, link)
			user->unbind(user, (u32)pasid->node.start);
		forget(set, pasid);
	}
}

bool core_pasid_owned(const struct core_pasid_set *set, u64 pasid)
{
	return pasid <= CORE_PASID_LAST && itree_first(&set->owned, pasid, pasid);
}

void core_pasid_show(struct core_pasid_space *space, FILE *out)
{
	pthread_mutex_lock(&space->lock);
	if (space->taken)
		fprintf(out, "  PASIDs of the machine: %u taken, %u process%s\n", space->taken,
			space->nsets, space->nsets == 1 ? "" : "es");
	pthread_mutex_unlock(&space->lock);
}
