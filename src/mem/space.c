// SPDX-License-Identifier: MIT
/*
 * The books of a host: who has how many pages locked, and which hpas stand for
 * whose memory. One lock for all of it; it is held for a few instructions.
 */
#include <string.h>

#include "mem/space.h"
#include "region.h"

void mem_host_init(struct mem_host *host, struct base_alloc *alloc, struct base_log *log)
{
	memset(host, 0, sizeof(*host));
	host->alloc = alloc;
	host->log = log;
	pthread_mutex_init(&host->lock, NULL);
	pthread_mutex_init(&host->cas_lock, NULL);
	host->cursor = (u64)1 << HPA_REMOTE_LG2;
	LIST_INIT(&host->pinned);
	LIST_INIT(&host->devices);
	LIST_INIT(&host->users);
}

void mem_host_destroy(struct mem_host *host)
{
	guard_end(host);
	pthread_mutex_destroy(&host->cas_lock);
	pthread_mutex_destroy(&host->lock);
}

static struct mem_user *user_get(struct mem_host *host, u32 uid)
{
	struct mem_user *user;

	LIST_FOREACH(user, &host->users, link) {
		if (user->uid == uid) {
			user->refs++;
			return user;
		}
	}
	user = base_zalloc(host->alloc, sizeof(*user));
	if (!user)
		return NULL;
	user->uid = uid;
	user->refs = 1;
	LIST_INSERT_HEAD(&host->users, user, link);
	return user;
}

static void user_put(struct mem_host *host, struct mem_user *user)
{
	if (--user->refs)
		return;
	LIST_REMOVE(user, link);
	base_free(host->alloc, user, sizeof(*user));
}

int mem_space_init(struct mem_space *space, const struct mem_space_ops *ops, struct mem_host *host,
		   u32 uid)
{
	memset(space, 0, sizeof(*space));
	pthread_mutex_lock(&host->lock);
	space->user = user_get(host, uid);
	pthread_mutex_unlock(&host->lock);
	if (!space->user)
		return -ENOMEM;
	space->ops = ops;
	space->host = host;
	atomic_store(&space->refs, 1);
	LIST_INIT(&space->windows);
	LIST_INIT(&space->held);
	return 0;
}

void mem_space_put(struct mem_space *space)
{
	struct mem_host *host = space->host;

	if (atomic_fetch_sub(&space->refs, 1) != 1)
		return;
	region_space_end(space);
	pthread_mutex_lock(&host->lock);
	user_put(host, space->user);
	pthread_mutex_unlock(&host->lock);
	space->ops->release(space);
}

/* The counter that a mode charges, and NULL for none. */
static u64 *counter(struct mem_space *space, enum mem_account mode)
{
	switch (mode) {
	case MEM_ACCOUNT_USER:
		return &space->user->locked;
	case MEM_ACCOUNT_SPACE:
		return &space->locked;
	case MEM_ACCOUNT_NONE:
		break;
	}
	return NULL;
}

int mem_charge(struct mem_space *space, enum mem_account mode, u64 npages)
{
	u64 limit = mode == MEM_ACCOUNT_NONE ? U64_MAX : space->ops->memlock_limit(space);
	u64 *locked = counter(space, mode);
	int rc = 0;

	pthread_mutex_lock(&space->host->lock);
	if (locked) {
		if (limit != U64_MAX && *locked + npages > limit >> PAGE_LG2)
			rc = -ENOMEM;
		else
			*locked += npages;
	}
	if (!rc)
		space->pinned += npages;
	pthread_mutex_unlock(&space->host->lock);
	return rc;
}

void mem_uncharge(struct mem_space *space, enum mem_account mode, u64 npages)
{
	u64 *locked = counter(space, mode);

	pthread_mutex_lock(&space->host->lock);
	if (locked)
		*locked -= npages;
	space->pinned -= npages;
	pthread_mutex_unlock(&space->host->lock);
}
