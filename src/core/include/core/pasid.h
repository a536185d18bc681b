/* SPDX-License-Identifier: MIT */
/*
 * PASIDs that are given out for the whole machine, as the user API of 2020 did it: a device
 * that is shared, or a CPU's instruction, names an address space by one number wherever it
 * is used. Today's API leaves the choice to the user, device by device; nothing of iommufd
 * looks here.
 *
 * A set is what one process owns, through however many containers. Whoever uses PASIDs of
 * a set is told when one is freed, since freeing cannot fail and undoes what is bound.
 *
 * Locking: a set's lock is outside of contexts' locks: it is held while PASIDs are bound,
 * so that none of them is freed meanwhile. The machine's (core_pasid_space) is a leaf.
 */
#ifndef CORE_PASID_H
#define CORE_PASID_H

#include <pthread.h>
#include <stdio.h>
#include <bsd/sys/queue.h>

#include "base/alloc.h"
#include "base/itree.h"
#include "base/types.h"

struct core_pasid_set;
struct core_pasid_user;
struct mem_space;
struct siommu_machine;

/* PASIDs have at most 20 bits; 0 stands for none. */
#define CORE_PASID_FIRST 1
#define CORE_PASID_LAST	 ((1u << 20) - 1)

/* How many a set may have, unless the machine is told otherwise. */
#define CORE_PASID_QUOTA 1000

/**
 * struct core_pasid_space - all PASIDs of a machine
 * @lock: covers the rest; a leaf
 * @used: a bit for each, set for those that somebody owns; there while there are sets
 * @sets: struct core_pasid_set
 * @nsets: how many there are, with those that are ending
 * @taken: bits of @used that are set
 * @quota: how many one set may have
 */
struct core_pasid_space {
	pthread_mutex_t lock;
	u64 *used;
	LIST_HEAD(, core_pasid_set) sets;
	unsigned int nsets;
	u32 taken;
	u32 quota;
};

/**
 * struct core_pasid_user - somebody who binds PASIDs of a set
 * @link: in set->users
 * @unbind: @pasid is about to be freed: undo what is bound to it, if anything. Cannot
 *	fail. Called with the set's lock, and no other; may take a context's
 */
struct core_pasid_user {
	LIST_ENTRY(core_pasid_user) link;
	void (*unbind)(struct core_pasid_user *user, u32 pasid);
};

/**
 * struct core_pasid_set - what one process owns
 * @link: in space->sets
 * @machine: where
 * @space: the process, with a reference
 * @refs: users of the set; under space->lock
 * @lock: covers what follows, and is held while PASIDs of it are bound
 * @owned: them
 * @count: how many
 * @users: struct core_pasid_user
 */
struct core_pasid_set {
	LIST_ENTRY(core_pasid_set) link;
	struct siommu_machine *machine;
	struct mem_space *space;
	unsigned int refs;
	pthread_mutex_t lock;
	struct itree owned;
	u32 count;
	LIST_HEAD(, core_pasid_user) users;
};

void core_pasid_space_init(struct core_pasid_space *space, u32 quota);
void core_pasid_space_destroy(struct core_pasid_space *space);

/*
 * The set of the process that @space is, made if there is none; and let go of it: with the
 * last, what is left of it is freed. Takes space->lock. Return: 0, or -ENOMEM.
 */
int core_pasid_set_get(struct siommu_machine *machine, struct mem_space *space,
		       struct core_pasid_set **out) __must_check;
void core_pasid_set_put(struct core_pasid_set *set);

/* Caller holds set->lock, and no context's. */
void core_pasid_user_add(struct core_pasid_set *set, struct core_pasid_user *user);
void core_pasid_user_remove(struct core_pasid_set *set, struct core_pasid_user *user);

/*
 * Own the lowest PASID of [@min, @max] that is free; caller holds set->lock. Return: 0;
 * -ENOSPC if there is none, or the quota is used up; -ENOMEM.
 */
int core_pasid_alloc(struct core_pasid_set *set, u32 min, u32 max, u32 *pasid) __must_check;

/*
 * Free what the set owns of [@min, @max], after all of its users have undone what is bound.
 * The time it takes depends on what is owned, not on the range. Caller holds set->lock,
 * and no context's. Cannot fail.
 */
void core_pasid_free(struct core_pasid_set *set, u32 min, u32 max);

/* Print how many are taken, if any. Takes space->lock. */
void core_pasid_show(struct core_pasid_space *space, FILE *out);

/* Caller holds set->lock. */
bool core_pasid_owned(const struct core_pasid_set *set, u64 pasid);

#endif
