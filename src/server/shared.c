// SPDX-License-Identifier: MIT
/*
 * Shared memory that outlives the process that lent it.
 *
 * A kernel that has pinned a page keeps it when its process ends. Where the
 * server may open the file behind shared memory it maps that file, and has as
 * much. An ordinary user's server may not, and reaches the memory through the
 * process alone. But if the memory is shared, and that process was for example
 * a child of one that still runs, the same bytes are in the other process too.
 * So for shared mappings that were once looked up, we remember which part of
 * which file they showed, and when their process is gone, look for another
 * client that maps that part.
 *
 * Memory that no client has any more is gone; a device's access to it fails.
 */
#include <stdio.h>
#include <sys/sysmacros.h>

#include "srv.h"

/* Remembered per client; beyond that the oldest are forgotten. */
#define MAX_MAPPINGS 64

struct srv_mapping {
	LIST_ENTRY(srv_mapping) link;
	struct mem_vma vma;
};

static bool is_same(const struct mem_vma *a, const struct mem_vma *b)
{
	return a->start == b->start && a->last == b->last && a->ino == b->ino && a->dev == b->dev &&
	       a->offset == b->offset;
}

/* Forget what is beyond the limit. Caller holds lock. */
static void trim(struct srv_client *client)
{
	struct srv_mapping *m, *next;
	unsigned int n = 0;

	LIST_FOREACH_SAFE(m, &client->mappings, link, next) {
		if (++n <= MAX_MAPPINGS)
			continue;
		LIST_REMOVE(m, link);
		base_free(&client->srv->alloc, m, sizeof(*m));
	}
}

void shared_remember(struct srv_client *client, const struct mem_vma *vma)
{
	struct srv *srv = client->srv;
	struct srv_mapping *m;

	if (!vma->shared || !vma->ino)
		return;
	pthread_mutex_lock(&srv->lock);
	LIST_FOREACH(m, &client->mappings, link)
		if (is_same(&m->vma, vma))
			break;
	if (!m) {
		m = base_zalloc(&srv->alloc, sizeof(*m));
		if (m) {
			m->vma = *vma;
			LIST_INSERT_HEAD(&client->mappings, m, link);
			trim(client);
		}
	}
	pthread_mutex_unlock(&srv->lock);
}

void shared_forget(struct srv_client *client)
{
	struct srv_mapping *m;

	while ((m = LIST_FIRST(&client->mappings))) {
		LIST_REMOVE(m, link);
		base_free(&client->srv->alloc, m, sizeof(*m));
	}
}

/* What [@uva, @uva + @n) showed: copied to @out. */
static bool find_mapping(struct srv_client *client, u64 uva, size_t n, struct mem_vma *out)
{
	struct srv_mapping *m;

	pthread_mutex_lock(&client->srv->lock);
	LIST_FOREACH(m, &client->mappings, link)
		if (uva >= m->vma.start && uva <= m->vma.last && n - 1 <= m->vma.last - uva)
			break;
	if (m)
		*out = m->vma;
	pthread_mutex_unlock(&client->srv->lock);
	return m;
}

/* Where @client shows @n bytes from @offset on of the file of @vma; 0 for nowhere. */
static u64 find_elsewhere(struct srv_client *client, const struct mem_vma *vma, u64 offset,
			  size_t n)
{
	unsigned long long start, end, from, ino;
	unsigned int dev_major, dev_minor;
	char path[40], line[256], shared;
	u64 found = 0;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)client->pid);
	maps = fopen(path, "re");
	if (!maps)
		return 0;
	while (!found && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%llx-%llx %*c%*c%*c%c %llx %x:%x %llu", &start, &end, &shared,
			   &from, &dev_major, &dev_minor, &ino) != 7)
			continue; /* also the rest of a long line */
		if (shared == 's' && ino == vma->ino && makedev(dev_major, dev_minor) == vma->dev &&
		    offset >= from && offset - from < end - start &&
		    n <= end - start - (offset - from))
			found = start + (offset - from);
	}
	fclose(maps);
	return found;
}

int shared_copy(struct srv_client *client, u64 uva, void *buf, size_t n, bool write)
{
	struct srv *srv = client->srv;
	struct srv_client *other;
	struct mem_vma vma;
	int ret = -EFAULT;
	u64 serial = 0;
	u64 at;

	if (!n || !find_mapping(client, uva, n, &vma) || (write && !vma.writable))
		return -EFAULT;
	while (ret && (other = client_after(srv, serial))) {
		serial = other->serial;
		at = find_elsewhere(other, &vma, vma.offset + (uva - vma.start), n);
		if (at)
			ret = write ? client_write_live(other, at, buf, n)
				    : client_read_live(other, at, buf, n);
		mem_space_put(&other->space);
	}
	return ret;
}
