// SPDX-License-Identifier: MIT
/*
 * Bytes at host physical addresses. A window never ends while a device can reach
 * it, so the space found here lives until the caller is done.
 */
#include <string.h>

#include "mem/hpa.h"
#include "mem/self.h"
#include "region.h"

/* The space behind a window, or NULL; *@n is cut to the window's end. */
static struct mem_space *find_space(struct mem_host *host, hpa_t hpa, size_t *n, u64 *uva)
{
	struct mem_space *space = NULL;
	struct mem_region *region;

	pthread_mutex_lock(&host->lock);
	region = region_find(host, hpa);
	if (region && region->space) {
		space = region->space;
		*uva = region->uva + (hpa - region->node.start);
		*n = min_u64(*n, region->node.last - hpa + 1);
	}
	pthread_mutex_unlock(&host->lock);
	return space;
}

static int copy(struct mem_host *host, hpa_t hpa, void *buf, size_t n, bool write)
{
	u8 *at = buf;

	if (!(hpa >> HPA_REMOTE_LG2)) {
		void *memory = (void *)(uintptr_t)hpa;

		return write ? self_copy(memory, buf, n) : self_copy(buf, memory, n);
	}
	while (n) {
		size_t part = n;
		struct mem_space *space;
		u64 uva;
		int rc;

		space = find_space(host, hpa, &part, &uva);
		if (!space)
			return -EFAULT;
		rc = write ? space->ops->write(space, uva, at, part)
			   : space->ops->read(space, uva, at, part);
		if (rc)
			return -EFAULT;
		hpa += part;
		at += part;
		n -= part;
	}
	return 0;
}

int mem_hpa_read(struct mem_host *host, hpa_t hpa, void *buf, size_t n)
{
	return copy(host, hpa, buf, n, false);
}

int mem_hpa_write(struct mem_host *host, hpa_t hpa, const void *buf, size_t n)
{
	return copy(host, hpa, (void *)buf, n, true);
}

int mem_hpa_update(struct mem_host *host, hpa_t hpa, void *word, size_t n,
		   bool (*change)(void *arg, void *word), void *arg)
{
	int rc;

	pthread_mutex_lock(&host->cas_lock);
	rc = copy(host, hpa, word, n, false);
	if (!rc && change(arg, word))
		rc = copy(host, hpa, word, n, true);
	pthread_mutex_unlock(&host->cas_lock);
	return rc;
}

struct cas {
	u64 expected;
	u64 value;
	u64 was;
};

static bool cas_change(void *arg, void *word)
{
	struct cas *cas = arg;

	memcpy(&cas->was, word, sizeof(cas->was));
	memcpy(word, &cas->value, sizeof(cas->value));
	return cas->was == cas->expected;
}

int mem_hpa_cas64(struct mem_host *host, hpa_t hpa, u64 *expected, u64 value)
{
	struct cas cas = { .expected = *expected, .value = value };
	u64 word;
	int rc = mem_hpa_update(host, hpa, &word, sizeof(word), cas_change, &cas);

	if (rc || cas.was == cas.expected)
		return rc;
	*expected = cas.was;
	return -EAGAIN;
}
