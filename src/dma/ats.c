// SPDX-License-Identifier: MIT
/*
 * ATS: translations that a device asks for, keeps, and uses.
 *
 * What was granted is remembered per port, and a translated request is checked
 * against it: a device reaches only what it was given and has not been told to
 * drop, whatever it does. A grant is used during an access like any other, so
 * whoever invalidates ends the grants first, then waits for the accesses that run,
 * and then tells the device.
 *
 * Grants end in the same hold of the port's lock in which the range is posted: an
 * access that has seen what was posted is not waited for, so it must not find a
 * grant of the old state. For the same reason a translation request that meets an
 * invalidation half way is made once more, if anything of its range was posted since
 * its access began.
 */
#include "dma_impl.h"

/* Translations that one port's device may hold. */
#define MAX_GRANTS 65536

/* Largest grant: an implementation's limit is fine, and sizes do not overflow. */
#define MAX_GRANT_LG2 39

/**
 * struct dma_grant - a translation that the device holds
 * @node: IOVAs whose invalidation means it
 * @at: host physical addresses
 * @iova: first byte it is for
 * @access: enum siommu_dma_access
 */
struct dma_grant {
	struct itree_node node;
	struct itree_node at;
	u64 iova;
	unsigned int access;
};

static struct dma_grant *from_node(struct itree_node *n)
{
	return n ? container_of(n, struct dma_grant, node) : NULL;
}

static struct dma_grant *from_at(struct itree_node *n)
{
	return n ? container_of(n, struct dma_grant, at) : NULL;
}

static u64 low_mask(unsigned int lg2)
{
	return lg2 >= 64 ? U64_MAX : ((u64)1 << lg2) - 1;
}

/* Write is granted only to who asked for it: otherwise nothing was marked dirty. */
static unsigned int granted_access(unsigned int asked, u32 perms)
{
	const unsigned int all = SIOMMU_DMA_READ | SIOMMU_DMA_WRITE | SIOMMU_DMA_EXEC;
	unsigned int access = asked & SIOMMU_DMA_PRIV ? perms >> DMA_PERM_PRIV_SHIFT : perms;

	if (!(asked & SIOMMU_DMA_WRITE))
		access &= ~(unsigned int)SIOMMU_DMA_WRITE;
	if (!(asked & SIOMMU_DMA_EXEC))
		access &= ~(unsigned int)SIOMMU_DMA_EXEC;
	return access & all;
}

static void compose(u64 iova, unsigned int access, const struct dma_reply *reply,
		    struct dma_grant *g)
{
	unsigned int lg2 = reply->lg2 < MAX_GRANT_LG2 ? reply->lg2 : MAX_GRANT_LG2;
	unsigned int span_lg2 = reply->span_lg2 > lg2 ? reply->span_lg2 : lg2;

	g->node.start = iova & ~low_mask(span_lg2);
	g->node.last = iova | low_mask(span_lg2);
	g->at.start = reply->hpa & ~low_mask(lg2);
	g->at.last = reply->hpa | low_mask(lg2);
	g->iova = iova & ~low_mask(lg2);
	g->access = access;
}

/* The same, granted before, or NULL. */
static struct dma_grant *find_same(struct dma_port *port, const struct dma_grant *like)
{
	struct dma_grant *g;

	for (g = from_at(itree_first(&port->granted, like->at.start, like->at.last)); g;
	     g = from_at(itree_next(&port->granted, &g->at, like->at.start, like->at.last)))
		if (g->at.start == like->at.start && g->at.last == like->at.last &&
		    g->node.start == like->node.start && g->node.last == like->node.last &&
		    g->iova == like->iova)
			return g;
	return NULL;
}

/*
 * Remember a grant. Return: 0; -EAGAIN if it is out of date; -ENOMEM. Context:
 * during the access that has translated.
 */
static int remember(struct dma_port *port, struct dma_grant *new)
{
	struct dma_grant *same;
	int rc = 0;

	pthread_mutex_lock(&port->lock);
	same = find_same(port, new);
	if (dma_is_posted(port, new->node.start, new->node.last)) {
		rc = -EAGAIN;
	} else if (same) {
		same->access |= new->access;
	} else if (port->ngrants == MAX_GRANTS) {
		rc = -ENOMEM;
	} else {
		itree_insert(&port->grants, &new->node);
		itree_insert(&port->granted, &new->at);
		port->ngrants++;
		port->keeps = true;
	}
	pthread_mutex_unlock(&port->lock);
	return rc ? rc : same ? -EEXIST : 0;
}

/* In an access: no allocation. @g is linked when this returns 0. */
static int translate(struct dma_port *port, const struct dma_request *req, struct dma_reply *reply,
		     struct dma_grant *g)
{
	unsigned int access;
	int rc;

	siommu_dma_begin(&port->port);
	rc = port->ops->translate(port, req, reply);
	access = rc || reply->interrupt ? 0 : granted_access(req->access, reply->perms);
	compose(req->iova, access, reply, g);
	if (access)
		rc = remember(port, g);
	siommu_dma_end(&port->port);
	return rc;
}

static void describe(const struct dma_grant *g, struct siommu_ats *out)
{
	*out = (struct siommu_ats){
		.iova = g->iova,
		.address = g->at.start,
		.bytes = g->at.last - g->at.start + 1,
		.access = g->access,
	};
	if (!out->access)
		out->address = 0;
}

/*
 * Ask until the answer is not out of date. A page that is not there is an answer,
 * and so is one that cannot be written. Return: 0; -EEXIST if there is such a grant
 * already; -errno.
 */
static int request(struct dma_port *port, struct dma_request *req, struct dma_reply *reply,
		   struct dma_grant *g)
{
	int rc;

	for (;;) {
		*reply = (struct dma_reply){ .lg2 = PAGE_LG2 };
		rc = translate(port, req, reply, g);
		if (rc == -EFAULT && reply->fault.flags & SIOMMU_FAULT_RECOVERABLE) {
			if (!(req->access & SIOMMU_DMA_WRITE)) {
				*reply = (struct dma_reply){ .lg2 = PAGE_LG2 };
				return 0;
			}
			req->access &= ~(unsigned int)SIOMMU_DMA_WRITE;
		} else if (rc != -EAGAIN) {
			return rc;
		}
	}
}

int siommu_dma_ats_translate(struct siommu_port *common, uint64_t iova, unsigned int access,
			     struct siommu_ats *out)
{
	struct dma_request req = { .iova = iova, .access = access, .ats = true };
	struct dma_port *port = to_dma_port(common);
	struct dma_grant *g, answer;
	struct dma_reply reply;
	int rc;

	if (access &
	    ~(unsigned int)(SIOMMU_DMA_READ | SIOMMU_DMA_WRITE | SIOMMU_DMA_EXEC | SIOMMU_DMA_PRIV))
		return -EINVAL;
	g = base_zalloc(port->alloc, sizeof(*g));
	if (!g)
		return -ENOMEM;
	rc = request(port, &req, &reply, g);
	if (rc == -EFAULT) {
		port->last = reply.fault;
		port->faulted = true;
	}
	/* Once linked it is anybody's who invalidates: nothing of it is read here. */
	compose(iova, granted_access(req.access, reply.interrupt ? 0 : reply.perms), &reply,
		&answer);
	if (rc || !answer.access)
		base_free(port->alloc, g, sizeof(*g));
	if (rc && rc != -EEXIST)
		return rc;
	describe(&answer, out);
	return 0;
}

/* A grant of the byte at @address that allows @access. Context: port->lock. */
static bool is_granted(struct dma_port *port, u64 address, unsigned int access, u64 *bytes)
{
	struct dma_grant *g;

	for (g = from_at(itree_first(&port->granted, address, address)); g;
	     g = from_at(itree_next(&port->granted, &g->at, address, address))) {
		if ((g->access & access) != access)
			continue;
		*bytes = g->at.last - address + 1;
		return true;
	}
	return false;
}

/* Move up to @n bytes, not across a page, in one access. Return: bytes, or 0. */
static size_t move(struct dma_port *port, u64 address, u8 *buf, size_t n, unsigned int access)
{
	struct dma_found found = {
		.hpa = address,
		.remote = dma_is_remote(port, address),
	};
	u64 bytes;
	bool ok;
	int rc = -EFAULT;

	n = min_u64(n, PAGE_BYTES - (address & (PAGE_BYTES - 1)));
	siommu_dma_begin(&port->port);
	pthread_mutex_lock(&port->lock);
	ok = is_granted(port, address, access, &bytes);
	pthread_mutex_unlock(&port->lock);
	if (ok) {
		n = min_u64(n, bytes);
		rc = access & SIOMMU_DMA_WRITE ? dma_copy_to(port, &found, buf, n)
					       : dma_copy_from(port, &found, buf, n);
	}
	siommu_dma_end(&port->port);
	return rc ? 0 : n;
}

static int transfer(struct dma_port *port, u64 address, u8 *buf, size_t length, unsigned int access)
{
	struct siommu_fault fault;
	u64 last;

	if (!length)
		return 0;
	if (range_last(address, length, &last))
		return -EINVAL;
	while (length) {
		size_t n = move(port, address, buf, length, access);

		if (!n) {
			/* Hardware has no number for it: there, a device is trusted. */
			dma_memory_gone(port, address, access, &fault);
			return dma_handle_fault(port, &fault);
		}
		address += n;
		buf += n;
		length -= n;
	}
	return 0;
}

int siommu_dma_ats_read(struct siommu_port *port, uint64_t address, void *buf, size_t length)
{
	return transfer(to_dma_port(port), address, buf, length, SIOMMU_DMA_READ);
}

int siommu_dma_ats_write(struct siommu_port *port, uint64_t address, const void *buf, size_t length)
{
	return transfer(to_dma_port(port), address, (u8 *)buf, length, SIOMMU_DMA_WRITE);
}

void dma_ats_drop(struct dma_port *port, u64 first, u64 last)
{
	struct dma_grant *g;

	while ((g = from_node(itree_first(&port->grants, first, last)))) {
		itree_remove(&port->grants, &g->node);
		itree_remove(&port->granted, &g->at);
		port->ngrants--;
		base_free(port->alloc, g, sizeof(*g));
	}
}

void dma_ats_invalidate(struct dma_port *port, u64 first, u64 last)
{
	const struct siommu_port_ops *ops = port->user_ops;
	bool keeps;

	pthread_mutex_lock(&port->lock);
	keeps = port->keeps;
	pthread_mutex_unlock(&port->lock);
	if (keeps && ops && ops->ats_invalidate)
		ops->ats_invalidate(port->user_arg, first,
				    first || last != U64_MAX ? last - first + 1 : U64_MAX);
}
