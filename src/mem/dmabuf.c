// SPDX-License-Identifier: MIT
/*
 * Buffers of ours that callers map by descriptor, and that can be taken away.
 */
#include <string.h>

#include "mem/pages.h"

static void dmabuf_release(struct mem_file *file)
{
	struct mem_dmabuf *dmabuf = container_of(file, struct mem_dmabuf, file);
	struct base_alloc *alloc = dmabuf->host->alloc;

	mem_file_destroy(&dmabuf->file);
	pthread_mutex_destroy(&dmabuf->lock);
	base_free(alloc, dmabuf->block, dmabuf->bytes + PAGE_BYTES);
	base_free(alloc, dmabuf, sizeof(*dmabuf));
}

static const struct mem_file_ops dmabuf_ops = {
	.name = "dmabuf",
	.release = dmabuf_release,
};

static int dmabuf_new(struct mem_host *host, u64 bytes, struct mem_dmabuf **out)
{
	struct mem_dmabuf *dmabuf;

	dmabuf = base_zalloc(host->alloc, sizeof(*dmabuf));
	if (!dmabuf)
		return -ENOMEM;
	dmabuf->host = host;
	dmabuf->bytes = bytes;
	pthread_mutex_init(&dmabuf->lock, NULL);
	mem_file_init(&dmabuf->file, &dmabuf_ops);
	*out = dmabuf;
	return 0;
}

int mem_dmabuf_create(struct mem_host *host, u64 bytes, struct mem_dmabuf **out)
{
	struct mem_dmabuf *dmabuf;
	int rc;

	rc = dmabuf_new(host, bytes, &dmabuf);
	if (rc)
		return rc;
	dmabuf->block = base_zalloc(host->alloc, bytes + PAGE_BYTES);
	if (!dmabuf->block) {
		mem_file_put(&dmabuf->file);
		return -ENOMEM;
	}
	dmabuf->memory = (void *)(uintptr_t)align_up((uintptr_t)dmabuf->block, PAGE_BYTES);
	*out = dmabuf;
	return 0;
}

int mem_dmabuf_wrap(struct mem_host *host, void *memory, u64 bytes, struct mem_dmabuf **out)
{
	int rc;

	rc = dmabuf_new(host, bytes, out);
	if (!rc)
		(*out)->memory = memory;
	return rc;
}

struct mem_dmabuf *mem_dmabuf_from_file(struct mem_file *file)
{
	return file->ops == &dmabuf_ops ? container_of(file, struct mem_dmabuf, file) : NULL;
}
